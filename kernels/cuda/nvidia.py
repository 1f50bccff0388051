"""NVIDIA's cards: each one's primary context, as torch, pycuda and TensorRT use it, with three streams of its own.

Kernels, engines and copies on the card are queued on the compute stream. Arrays of the host are copied to new memory
on a stream for that, which waits for nothing, so that a copy overlaps the work of the frame before; results on
another one, behind the work that was asked for. Both go through pinned memory.

Every call leaves the calling thread with the context that it had, as torch, say, takes the card of that for the one it
is to work on.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from ctypes import c_int, c_size_t, c_uint64, c_void_p
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..device import Device
from .driver import Card, Driver, Extent
from .libcuda import NOT_FOUND, CudaError, Libcuda, open_libcuda
from .program import program_for
from .staging import BUFFER, NO_TIMING, Staging

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_…
_ORDINAL = 9  # CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL
_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: does not wait for the default stream
_THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads go on
_REUSE_WITH_WAITS, _KEPT_BYTES = 3, 4  # CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES, …_RELEASE_THRESHOLD
_NAME_LENGTH = 256


def open_driver() -> Driver:
    """The driver of this machine.

    Raises:
        CudaError: there is none, it is too old, or it does not start.
    """
    return NvidiaDriver(open_libcuda())


@dataclass(slots=True)
class _Opened:
    """What one card has of this process. Entered, its context is the calling thread's; left, that is what it was."""

    cuda: Libcuda
    name: str
    handle: int
    context: int
    compute: int = 0
    uploads: int = 0
    downloads: int = 0
    staging: Staging = field(init=False)
    libraries: list[int] = field(default_factory=list)
    kernels: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.staging = Staging(self.cuda)

    def __enter__(self) -> _Opened:
        self.cuda.call("use a card", "cuCtxPushCurrent_v2", self.context)
        return self

    def __exit__(self, *_: object) -> None:
        self.cuda.call("use a card", "cuCtxPopCurrent_v2", ctypes.byref(c_void_p()))


class NvidiaDriver:
    """See :class:`~vidgraph.kernels.cuda.driver.Driver`."""

    def __init__(self, cuda: Libcuda) -> None:
        self._cuda = cuda
        self._opened: dict[int, _Opened] = {}
        self._lock = threading.Lock()
        self._threads = threading.local()

    # Cards.

    def card(self, device: Device) -> Card:
        """See ``Driver``."""
        handle, name = self._handle(device), ctypes.create_string_buffer(_NAME_LENGTH)
        self._cuda.call(f"ask {device} for its name", "cuDeviceGetName", name, _NAME_LENGTH, handle)
        major, minor = self._capability(device, handle)
        version = self._cuda.version
        return Card(device.index, name.value.decode(), f"{major}.{minor}", (version // 1000, version % 1000 // 10))

    def _handle(self, device: Device) -> int:
        count = self._cuda.number("count the cards", "cuDeviceGetCount")
        if device.index >= count:
            raise CudaError(f"there is no {device} on this machine, which has {count}")
        return self._cuda.number(f"open {device}", "cuDeviceGet", device.index)

    def _capability(self, device: Device, handle: int) -> tuple[int, int]:
        what = f"ask {device} for its compute capability"
        asked = (_MAJOR, handle), (_MINOR, handle)
        major, minor = (self._cuda.number(what, "cuDeviceGetAttribute", *arguments) for arguments in asked)
        return major, minor

    def active(self, device: Device) -> AbstractContextManager[object]:
        """See ``Driver``."""
        return self._card(device)

    def _card(self, device: Device) -> _Opened:
        """The card, whose context is this thread's where it is entered."""
        card = self._opened.get(device.index)
        if card is None:
            with self._lock:
                card = self._opened.get(device.index) or self._open(device)
        self._ignore_captures_of_others()
        return card

    def _ignore_captures_of_others(self) -> None:
        """Otherwise this thread could not get memory, say, while another library captures a graph in another thread."""
        if not hasattr(self._threads, "asked"):
            mode = ctypes.byref(c_int(_THREAD_LOCAL))
            self._cuda.call("use a card beside captures of other threads", "cuThreadExchangeStreamCaptureMode", mode)
            self._threads.asked = True

    def _open(self, device: Device) -> _Opened:
        what, handle = f"open {device}", self._handle(device)
        card = _Opened(self._cuda, str(device), handle, self._cuda.handle(what, "cuDevicePrimaryCtxRetain", handle))
        with card:
            pool = self._cuda.handle(what, "cuDeviceGetDefaultMemPool", handle)
            for attribute, value in ((_KEPT_BYTES, c_uint64(2**64 - 1)), (_REUSE_WITH_WAITS, c_int(0))):
                self._cuda.call(what, "cuMemPoolSetAttribute", pool, attribute, ctypes.byref(value))
            card.compute, card.uploads, card.downloads = (self._new_stream(device) for _ in range(3))
        return self._opened.setdefault(device.index, card)

    # Memory.

    def allocate(self, nbytes: int, device: Device) -> int:
        """See ``Driver``."""
        with self._card(device) as card:
            return self._allocate(nbytes, card, card.compute)

    def _allocate(self, nbytes: int, card: _Opened, stream: int) -> int:
        what = f"get {nbytes} bytes of memory of {card.name}"
        return self._cuda.handle(what, "cuMemAllocAsync", max(nbytes, 1), stream)

    def free(self, pointer: int, device: Device) -> None:
        """See ``Driver``."""
        with suppress(CudaError), self._card(device) as card:  # whoever asks a card next that has failed is told
            self._cuda.call("free memory", "cuMemFreeAsync", pointer, card.compute)

    def allocate_fixed(self, nbytes: int, device: Device) -> int:
        """See ``Driver``."""
        with self._card(device) as card:
            what = f"get {nbytes} bytes of memory of {card.name}"
            return self._cuda.handle(what, "cuMemAlloc_v2", max(nbytes, 1))

    def free_fixed(self, pointer: int, device: Device) -> None:
        """See ``Driver``."""
        with suppress(CudaError), self._card(device) as card:
            self._cuda.call(f"free memory of {card.name}", "cuMemFree_v2", pointer)

    def device_at(self, pointer: int) -> Device:
        """See ``Driver``."""
        what = "find the card of an array of another library"
        return Device("cuda", self._cuda.number(what, "cuPointerGetAttribute", _ORDINAL, pointer))

    def memory_in_use(self) -> dict[Device, int]:
        """See ``Driver``."""
        used, free, total = {}, c_size_t(0), c_size_t(0)
        for device in [Device("cuda", index) for index in list(self._opened)]:
            with suppress(CudaError), self._card(device):
                what = f"ask {device} for its memory"
                self._cuda.call(what, "cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
                used[device] = total.value - free.value
        return used

    def copy(self, target: int, source: int, nbytes: int, device: Device) -> None:
        """See ``Driver``."""
        with self._card(device) as card:
            self._cuda.call(f"copy on {card.name}", "cuMemcpyDtoDAsync_v2", target, source, nbytes, card.compute)

    def fill(self, pointer: int, byte: int, nbytes: int, device: Device) -> None:
        """See ``Driver``."""
        with self._card(device) as card:
            self._cuda.call(f"clear memory of {card.name}", "cuMemsetD8Async", pointer, byte, nbytes, card.compute)

    def upload(self, array: NDArray[np.uint8], device: Device) -> int:
        """See ``Driver``. The memory is the copy stream's from the beginning, and so waits for no other work."""
        with self._card(device) as card:
            pointer = self._allocate(array.nbytes, card, card.uploads)
            try:
                for start in range(0, array.nbytes, BUFFER):
                    size = min(BUFFER, array.nbytes - start)
                    self._upload(pointer + start, array.ctypes.data + start, size, card)
            except BaseException:
                self.free(pointer, device)
                raise
            return pointer

    def _upload(self, target: int, source: int, size: int, card: _Opened) -> None:
        """A piece; the compute stream waits for it."""
        what, call = f"copy to {card.name}", self._cuda.call
        with card.staging.buffer() as held:
            ctypes.memmove(held.address, source, size)
            call(what, "cuMemcpyHtoDAsync_v2", target, held.address, size, card.uploads)
            call(what, "cuEventRecord", held.event, card.uploads)
            call(what, "cuStreamWaitEvent", card.compute, held.event, 0)

    def read(self, pointer: int, into: NDArray[np.uint8], device: Device) -> None:
        """See ``Driver``."""
        what, call = f"copy from {device}", self._cuda.call
        with self._card(device) as card:
            self._wait_for(card.downloads, card.compute, device)
            for start in range(0, into.nbytes, BUFFER):
                size = min(BUFFER, into.nbytes - start)
                with card.staging.buffer() as held:
                    call(what, "cuMemcpyDtoHAsync_v2", held.address, pointer + start, size, card.downloads)
                    call(what, "cuEventRecord", held.event, card.downloads)
                    call(what, "cuEventSynchronize", held.event)
                    ctypes.memmove(into.ctypes.data + start, held.address, size)

    # Kernels.

    def launch(
        self, kernel: str, grid: Extent, block: Extent, shared: int, values: Sequence[Any], device: Device
    ) -> None:
        """See ``Driver``."""
        places = (c_void_p * len(values))(*map(ctypes.addressof, values))
        with self._card(device) as card:
            function = card.kernels.get(kernel) or self._kernel(kernel, card, device)
            what = f"start kernel {kernel} on {card.name}"
            self._cuda.call(what, "cuLaunchKernel", function, *grid, *block, shared, card.compute, places, None)

    def _kernel(self, name: str, card: _Opened, device: Device) -> int:
        """Handle of a kernel; all are loaded when the first is asked for."""
        what = f"load the kernels on {device}"
        with self._lock:
            if not card.libraries:
                images = program_for(*self._capability(device, card.handle), self._cuda.version)
                none = None, None, 0
                loaded = [self._cuda.handle(what, "cuLibraryLoadData", image, *none, *none) for image in images]
                card.libraries.extend(loaded)
        handle = c_void_p()
        for library in card.libraries:
            code = self._cuda.code("cuLibraryGetKernel", ctypes.byref(handle), library, name.encode())
            if code == 0:
                return card.kernels.setdefault(name, handle.value or 0)
            if code != NOT_FOUND:
                raise self._cuda.error(what, code)
        raise CudaError(f"there is no kernel {name} on {device}; install vidgraph again")

    # Streams and graphs.

    def stream(self, device: Device) -> int:
        """See ``Driver``."""
        return self._card(device).compute

    def wait_for(self, stream: int, other: int, device: Device) -> None:
        """See ``Driver``."""
        if stream == other:
            return
        with self._card(device):
            self._wait_for(stream, other, device)

    def _wait_for(self, stream: int, other: int, device: Device) -> None:
        what, call = f"wait for a stream of {device}", self._cuda.call
        event = self._cuda.handle(what, "cuEventCreate", NO_TIMING)
        try:
            call(what, "cuEventRecord", event, other)
            call(what, "cuStreamWaitEvent", stream, event, 0)
        finally:
            call(what, "cuEventDestroy_v2", event)

    def synchronise(self, device: Device) -> None:
        """See ``Driver``."""
        with self._card(device) as card:
            self._cuda.call(f"wait for {device}", "cuStreamSynchronize", card.compute)

    def new_stream(self, device: Device) -> int:
        """See ``Driver``."""
        with self._card(device):
            return self._new_stream(device)

    def _new_stream(self, device: Device) -> int:
        return self._cuda.handle(f"make a stream of {device}", "cuStreamCreate", _NON_BLOCKING)

    def destroy_stream(self, stream: int, device: Device) -> None:
        """See ``Driver``."""
        with self._card(device):
            self._cuda.call(f"destroy a stream of {device}", "cuStreamDestroy_v2", stream)

    def capture(self, queue: Callable[[int], bool], device: Device) -> int | None:
        """See ``Driver``."""
        with self._card(device):
            what, stream, graph = f"capture a graph on {device}", self._new_stream(device), c_void_p()
            try:
                self._cuda.call(what, "cuStreamBeginCapture_v2", stream, _THREAD_LOCAL)
                try:
                    queued = queue(stream)
                finally:
                    code = self._cuda.code("cuStreamEndCapture", stream, ctypes.byref(graph))
                return None if not queued or code else self._instantiated(what, graph)
            finally:
                self.destroy_stream(stream, device)
                if graph:
                    self._cuda.call(what, "cuGraphDestroy", graph)

    def _instantiated(self, what: str, graph: c_void_p) -> int | None:
        try:
            return self._cuda.handle(what, "cuGraphInstantiateWithFlags", graph, 0)
        except CudaError:
            return None

    def launch_graph(self, graph: int, device: Device) -> None:
        """See ``Driver``."""
        with self._card(device) as card:
            self._cuda.call(f"start a graph on {device}", "cuGraphLaunch", graph, card.compute)

    def destroy_graph(self, graph: int, device: Device) -> None:
        """See ``Driver``."""
        with self._card(device):
            self._cuda.call(f"destroy a graph of {device}", "cuGraphExecDestroy", graph)
