"""Arrays on a card: the back end of ``cuda`` in :data:`vidgraph.kernels.device.DEVICES`."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..device import Device, DeviceArray, Shape, Tensor
from .driver import driver

_ALIGNMENT = 16  # bytes; of the arrays of one transfer, enough for any number


class Memory:
    """Owns memory of a card, which is given back with the last array of it."""

    def __init__(self, nbytes: int, device: Device) -> None:
        opened = driver()
        self.pointer = opened.allocate(nbytes, device)
        weakref.finalize(self, opened.free, self.pointer, device).atexit = False


def empty(shape: Shape, dtype: DTypeLike, device: Device) -> DeviceArray:
    """A new array of arbitrary content."""
    memory = Memory(int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize, device)
    return DeviceArray(memory, memory.pointer, shape, np.dtype(dtype), device, stream=driver().stream(device))


def zeros(shape: Shape, dtype: DTypeLike, device: Device) -> DeviceArray:
    """A new array of zeros."""
    made = empty(shape, dtype, device)
    driver().fill(made.pointer, 0, made.nbytes, device)
    return made


def copy(array: DeviceArray) -> DeviceArray:
    """A C-contiguous copy; of an array that is not, by way of the host."""
    if not array.flags.c_contiguous:
        return from_host(to_host(array), array.device)
    made = empty(array.shape, array.dtype, array.device)
    driver().copy(made.pointer, array.pointer, array.nbytes, array.device)
    return made


def concatenate(arrays: Sequence[DeviceArray]) -> DeviceArray:
    """One after the other along the first axis."""
    first = arrays[0]
    made = empty((sum(map(len, arrays)), *first.shape[1:]), first.dtype, first.device)
    at = made.pointer
    for array in arrays:
        part = array if array.flags.c_contiguous else copy(array)
        driver().copy(at, part.pointer, part.nbytes, part.device)
        at += part.nbytes
    return made


def to_host(array: DeviceArray) -> NDArray[Any]:
    """A copy in host memory; waits for what is still being written."""
    if array.size == 0:
        return np.empty(array.shape, array.dtype)
    if min(array.strides, default=0) < 0:
        raise ValueError(f"cannot copy an array of strides {array.strides} from {array.device}")
    held = np.empty(array.end - array.pointer, np.uint8)
    driver().read(array.pointer, held, array.device)
    return np.ndarray(array.shape, array.dtype, held.data, 0, array.strides).copy()


def from_host(array: NDArray[Any], device: Device) -> DeviceArray:
    """A copy on the card."""
    packed = np.ascontiguousarray(array)
    made = empty(array.shape, array.dtype, device)
    if packed.size:
        driver().write(made.pointer, packed.reshape(-1).view(np.uint8), device)
    return made


def placed(arrays: Sequence[Tensor], device: Device) -> list[DeviceArray]:
    """Each array on a card: itself where it lies there; those in host memory are copied there, in one transfer."""
    host = [array for array in arrays if not isinstance(array, DeviceArray)]
    starts = np.cumsum([0, *(-(-array.nbytes // _ALIGNMENT) * _ALIGNMENT for array in host)]).tolist()
    packed = np.empty(starts[-1], np.uint8)
    for array, start in zip(host, starts, strict=False):
        packed[start : start + array.nbytes] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    block = from_host(packed, device)
    copies = iter(
        replace(block, owner=block, pointer=block.pointer + start, shape=array.shape, dtype=array.dtype, strides=())
        for array, start in zip(host, starts, strict=False)
    )
    return [array if isinstance(array, DeviceArray) else next(copies) for array in arrays]
