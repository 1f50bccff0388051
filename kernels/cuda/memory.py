"""Arrays on a card: the back end of ``cuda`` in :data:`vidgraph.kernels.device.DEVICES`."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..device import Device, DeviceArray, Shape, Tensor
from .driver import address_of, driver

_ALIGNMENT = 16  # bytes; of the arrays of one transfer, enough for any number and for four of float32
_DEFAULT_STREAM, _NO_WAIT = 1, -1  # of DLPack


class Memory:
    """Owns memory of a card, which is given back with the last array of it."""

    def __init__(self, pointer: int, device: Device) -> None:
        self.pointer = pointer
        weakref.finalize(self, driver().free, pointer, device).atexit = False


class FixedMemory:
    """As :class:`Memory`, which other libraries may register: NVENC takes none that is in the order of a stream."""

    def __init__(self, nbytes: int, device: Device) -> None:
        opened = driver()
        self.pointer = opened.allocate_fixed(nbytes, device)
        weakref.finalize(self, opened.free_fixed, self.pointer, device).atexit = False


def fixed(nbytes: int, device: Device) -> DeviceArray:
    """New memory of arbitrary content that other libraries may register, uint8 [nbytes]; made to be used often."""
    memory = FixedMemory(nbytes, device)
    return DeviceArray(memory, memory.pointer, (nbytes,), np.dtype(np.uint8), device, stream=driver().stream(device))


def empty(shape: Shape, dtype: DTypeLike, device: Device) -> DeviceArray:
    """A new array of arbitrary content."""
    nbytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    return _array(driver().allocate(nbytes, device), shape, dtype, device)


def _array(pointer: int, shape: Shape, dtype: DTypeLike, device: Device) -> DeviceArray:
    """An array of new memory."""
    memory = Memory(pointer, device)
    return DeviceArray(memory, pointer, shape, np.dtype(dtype), device, stream=driver().stream(device))


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
    driver().copy(made.pointer, address_of(array), array.nbytes, array.device)
    return made


def aligned(array: DeviceArray) -> DeviceArray:
    """The same numbers where a kernel reads four of them at once: itself, or a copy of an array at another address."""
    return copy(array) if array.pointer % _ALIGNMENT else array


def concatenate(arrays: Sequence[DeviceArray]) -> DeviceArray:
    """One after the other along the first axis."""
    first = arrays[0]
    made = empty((sum(map(len, arrays)), *first.shape[1:]), first.dtype, first.device)
    at = made.pointer
    for array in arrays:
        part = array if array.flags.c_contiguous else copy(array)
        driver().copy(at, address_of(part), part.nbytes, part.device)
        at += part.nbytes
    return made


def to_host(array: DeviceArray) -> NDArray[Any]:
    """A copy in host memory; waits for what is still being written."""
    if array.size == 0:
        return np.empty(array.shape, array.dtype)
    before = address_of(array) - array.begin  # bytes in front of the first number, where a stride is negative
    held = np.empty(array.end - array.begin, np.uint8)
    driver().read(array.begin, held, array.device)
    return np.ndarray(array.shape, array.dtype, held.data, before, array.strides).copy()


def from_host(array: NDArray[Any], device: Device) -> DeviceArray:
    """A copy on the card."""
    if array.size == 0:
        return empty(array.shape, array.dtype, device)
    packed = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return _array(driver().upload(packed, device), array.shape, array.dtype, device)


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


def hand_over(array: DeviceArray, stream: int | None) -> None:
    """Have another library's stream wait for what is queued on that of an array.

    Args:
        stream: as DLPack has it: a handle; None: the default stream; -1: nothing waits.
    """
    if array.stream is not None and stream != _NO_WAIT:
        driver().wait_for(_DEFAULT_STREAM if stream is None else stream, array.stream, array.device)
