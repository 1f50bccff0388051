"""NVIDIA's driver through ``cuda-bindings``: each card's primary context, as torch, pycuda and TensorRT use it."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..device import Device
from .driver import CudaError, Driver, Extent
from .program import program_for

_OLDEST = 12000  # cuLibraryLoadData, stream-ordered memory and cubins of all cards up to Hopper
_CPU = "run on the CPU instead (device cpu)"


def open_driver() -> Driver:
    """The driver of this machine.

    Raises:
        CudaError: there is none, it is too old, or ``cuda-bindings`` is not installed.
    """
    try:
        ctypes.CDLL("libcuda.so.1")  # without it, the bindings raise once and hang the second time
    except OSError as error:
        raise CudaError(f"there is no NVIDIA driver here (libcuda.so.1 is not found); install it, or {_CPU}") from error
    try:
        from cuda.bindings import driver as cuda
    except ImportError as error:
        raise CudaError(f"CUDA needs the package cuda-bindings: pip install 'vidgraph[cuda]', or {_CPU}") from error
    opened = NvidiaDriver(cuda)
    opened.call("start the NVIDIA driver", cuda.cuInit(0))
    version = opened.call("ask the NVIDIA driver for its version", cuda.cuDriverGetVersion())
    if version < _OLDEST:
        raise CudaError(
            f"the NVIDIA driver is too old: it is for CUDA {_dotted(version)}, and {_dotted(_OLDEST)} is needed; "
            f"update it, or {_CPU}"
        )
    return opened


def _dotted(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"


@dataclass(slots=True)
class _Card:
    """What one card has of this process."""

    context: Any
    stream: Any
    kernels: dict[str, Any] = field(default_factory=dict)


class NvidiaDriver:
    """See :class:`~vidgraph.kernels.cuda.driver.Driver`. ``cuda`` is the module ``cuda.bindings.driver``."""

    def __init__(self, cuda: Any) -> None:
        self._cuda = cuda
        self._cards: dict[int, _Card] = {}
        self._lock = threading.Lock()

    def call(self, what: str, answer: tuple[Any, ...]) -> Any:
        """The result of a call of the driver; ``what`` it was to do is said where it failed.

        Raises:
            CudaError: it failed.
        """
        status, *results = answer
        if int(status) == 0:
            return results[0] if results else None
        _, name = self._cuda.cuGetErrorName(status)
        _, text = self._cuda.cuGetErrorString(status)
        raise CudaError(f"cannot {what}: {_text(text)} ({_text(name)})")

    def _card(self, device: Device) -> _Card:
        """The card, whose context is then this thread's."""
        card = self._cards.get(device.index)
        if card is None:
            with self._lock:
                card = self._cards.get(device.index) or self._open(device)
        self.call(f"use {device}", self._cuda.cuCtxSetCurrent(card.context))
        return card

    def _open(self, device: Device) -> _Card:
        cuda, what = self._cuda, f"open {device}"
        count = self.call("count the cards", cuda.cuDeviceGetCount())
        if device.index >= count:
            raise CudaError(f"there is no {device}: this machine has {count} CUDA device{'s' * (count != 1)}; {_CPU}")
        handle = self.call(what, cuda.cuDeviceGet(device.index))
        context = self.call(what, cuda.cuDevicePrimaryCtxRetain(handle))
        self.call(what, cuda.cuCtxSetCurrent(context))
        stream = self.call(what, cuda.cuStreamCreate(int(cuda.CUstream_flags.CU_STREAM_NON_BLOCKING)))
        pool = self.call(what, cuda.cuDeviceGetDefaultMemPool(handle))
        kept = cuda.CUmemPool_attribute.CU_MEMPOOL_ATTR_RELEASE_THRESHOLD
        self.call(what, cuda.cuMemPoolSetAttribute(pool, kept, cuda.cuuint64_t(2**64 - 1)))
        card = self._cards[device.index] = _Card(context, stream)
        self._load(card, device, handle)
        return card

    def _load(self, card: _Card, device: Device, handle: Any) -> None:
        cuda, attributes = self._cuda, self._cuda.CUdevice_attribute
        major, minor = (
            self.call(f"ask {device} for its architecture", cuda.cuDeviceGetAttribute(attribute, handle))
            for attribute in (
                attributes.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                attributes.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
            )
        )
        version = self.call("ask the NVIDIA driver for its version", cuda.cuDriverGetVersion())
        for image in program_for(major, minor, version):
            what = f"load the kernels on {device}"
            library = self.call(what, cuda.cuLibraryLoadData(image, None, None, 0, None, None, 0))
            count = self.call(what, cuda.cuLibraryGetKernelCount(library))
            for kernel in self.call(what, cuda.cuLibraryEnumerateKernels(count, library)):
                card.kernels[_text(self.call(what, cuda.cuKernelGetName(kernel)))] = kernel

    def allocate(self, nbytes: int, device: Device) -> int:
        """See ``Driver``.

        Raises:
            CudaError: not so much memory is left.
        """
        card = self._card(device)
        what = f"get {nbytes} bytes of memory of {device} (use smaller pictures, fewer streams, or {_CPU})"
        return int(self.call(what, self._cuda.cuMemAllocAsync(max(nbytes, 1), card.stream)))

    def free(self, pointer: int, device: Device) -> None:
        """See ``Driver``."""
        card = self._card(device)
        self.call(f"free memory of {device}", self._cuda.cuMemFreeAsync(pointer, card.stream))

    def copy(self, target: int, source: int, nbytes: int, device: Device) -> None:
        """See ``Driver``."""
        card = self._card(device)
        self.call(f"copy on {device}", self._cuda.cuMemcpyDtoDAsync(target, source, nbytes, card.stream))

    def read(self, pointer: int, into: NDArray[np.uint8], device: Device) -> None:
        """See ``Driver``."""
        card, what = self._card(device), f"copy from {device}"
        self.call(what, self._cuda.cuMemcpyDtoHAsync(into.ctypes.data, pointer, into.nbytes, card.stream))
        self.call(what, self._cuda.cuStreamSynchronize(card.stream))

    def write(self, pointer: int, array: NDArray[np.uint8], device: Device) -> None:
        """See ``Driver``. From pageable memory: the driver has taken a copy when the call returns."""
        card = self._card(device)
        copied = self._cuda.cuMemcpyHtoDAsync(pointer, array.ctypes.data, array.nbytes, card.stream)
        self.call(f"copy to {device}", copied)

    def fill(self, pointer: int, byte: int, nbytes: int, device: Device) -> None:
        """See ``Driver``."""
        card = self._card(device)
        self.call(f"clear memory of {device}", self._cuda.cuMemsetD8Async(pointer, byte, nbytes, card.stream))

    def launch(
        self, kernel: str, grid: Extent, block: Extent, shared: int, values: Sequence[Any], device: Device
    ) -> None:
        """See ``Driver``."""
        card = self._card(device)
        places = (ctypes.c_void_p * max(len(values), 1))(*map(ctypes.addressof, values))
        launched = self._cuda.cuLaunchKernel(
            self._cuda.CUfunction(int(card.kernels[kernel])), *grid, *block, shared, card.stream,
            ctypes.addressof(places), 0,
        )  # fmt: skip
        self.call(f"start kernel {kernel} on {device}", launched)

    def stream(self, device: Device) -> int:
        """See ``Driver``."""
        return int(self._card(device).stream)


def _text(text: bytes | str) -> str:
    return text.rstrip(b"\0").decode(errors="replace") if isinstance(text, bytes) else text
