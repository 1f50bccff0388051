"""Devices, random pictures and random boxes for the tests of kernels."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from vidgraph import kernels
from vidgraph.kernels import PIXEL_FORMATS, Device
from vidgraph.kernels.device import DEVICES, DeviceArray, Tensor, to_host as device_to_host
from vidgraph.kernels.twins import TWINS

Planes = tuple[np.ndarray, ...]
CUDA = Device("cuda", 0)

YUV_FORMATS = [name for name, layout in PIXEL_FORMATS.items() if layout.kind in ("planar", "semi_planar")]
DRAWABLE = ["yuv420p", "nv12", "yuv422p", "yuv444p", "rgb24"]


def all_devices(*kernels: str) -> list[str]:
    """Where a test of these kernels runs: the host, and if all have a CUDA twin, the emulator and the card, if there.

    ``conftest.py`` puts the driver of the parameter ``device`` in place.
    """
    twins = bool(kernels) and all((kernel, "cuda") in TWINS for kernel in kernels)
    return ["cpu", *(["emulated"] if twins else []), *(["cuda"] if twins and DEVICES["cuda"].count() else [])]


def to_device(array: Any, device: str) -> Any:
    """``array``, or those of a tuple or list, on ``device``; on the host it is the array itself."""
    if device == "cpu":
        return array
    if isinstance(array, tuple | list):
        return type(array)(to_device(each, device) for each in array)
    return array if array is None else _as_laid_out(array)


def _as_laid_out(array: np.ndarray) -> Tensor:
    """On the card, with the strides that it has on the host."""
    if array.flags.c_contiguous:
        return kernels.to_device(array, CUDA)
    low, high = np.lib.array_utils.byte_bounds(array)
    memory = kernels.to_device(np.ctypeslib.as_array((ctypes.c_uint8 * (high - low)).from_address(low)), CUDA)
    assert isinstance(memory, DeviceArray)
    place = memory.pointer + array.ctypes.data - low
    return DeviceArray(memory, place, array.shape, array.dtype, CUDA, array.strides)


def to_host(array: Any) -> np.ndarray:
    """A result as a NumPy array."""
    return np.asarray(device_to_host(array))


def random_planes(format: str, height: int, width: int, seed: int = 0, padding: int = 0) -> Planes:
    """Planes of random samples over the whole range, with ``padding`` unused pixels at the end of each row."""
    layout, random = PIXEL_FORMATS[format], np.random.default_rng(seed)
    planes = []
    for shape in layout.shapes(height, width):
        samples = random.integers(0, 2**layout.bits, (shape[0], shape[1] + padding, *shape[2:]), np.uint32)
        planes.append((samples << layout.low_bits).astype(layout.dtype)[:, : shape[1]])
    return tuple(planes)


def flat_planes(format: str, height: int, width: int, values: tuple[int, ...]) -> Planes:
    """Planes of one colour; ``values`` are its components."""
    layout = PIXEL_FORMATS[format]
    shapes = layout.shapes(height, width)
    if layout.kind == "packed_rgb":
        return (np.full(shapes[0], values, layout.dtype),)
    if layout.kind == "semi_planar":
        luma, chroma = np.full(shapes[0], values[0], layout.dtype), np.full(shapes[1], values[1:], layout.dtype)
        return luma << layout.low_bits, chroma << layout.low_bits
    return tuple(np.full(shape, value, layout.dtype) for shape, value in zip(shapes, values, strict=False))


def random_boxes(count: int, seed: int, size: float = 100.0) -> tuple[np.ndarray, np.ndarray]:
    """Boxes float32 [N, 4] within ``size`` and scores float32 [N], some of them equal."""
    random = np.random.default_rng(seed)
    corners = random.uniform(0, size, (count, 2))
    boxes = np.concatenate([corners, corners + random.uniform(0, size / 2, (count, 2))], axis=1)
    return boxes.astype(np.float32), (random.integers(0, 200, count) / 200).astype(np.float32)


class DeviceMemory:
    """Stands for an array that is not host memory."""

    __cuda_array_interface__ = {"version": 3}
    dtype = np.dtype(np.uint8)
    ndim = 2
    shape = (2, 2)
