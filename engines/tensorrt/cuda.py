"""The few calls of the CUDA driver that engines need, through ctypes: what the card is, streams, copies and graphs.

Everything is on a device's primary context, which torch, pycuda and TensorRT share. libcuda is looked for first:
other libraries wait for ever where it is missing and they are asked twice.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ...pipeline.errors import EngineError
from .flavour import ON_THE_CPU

_OUT_OF_MEMORY = 2
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_…
_NON_BLOCKING, _NO_TIMING, _THREAD_LOCAL = 1, 2, 1


class CudaError(EngineError):
    """A call of the driver failed; ``code`` is its CUresult."""

    def __init__(self, call: str, code: int, name: str = "") -> None:
        super().__init__(call, code, name)  # all are kept, for pickling
        self.code = code

    def __str__(self) -> str:
        call, code, name = self.args
        return f"CUDA: {call} failed with {name or code}"

    @property
    def out_of_memory(self) -> bool:
        """Whether the card has no memory left."""
        return self.code == _OUT_OF_MEMORY


@dataclass(frozen=True, slots=True)
class Card:
    """A CUDA device of this machine.

    Attributes:
        index: its number.
        name: as the driver calls it.
        capability: its compute capability, such as ``8.6``.
        driver: the newest CUDA that the driver knows, such as (13, 0).
    """

    index: int
    name: str
    capability: str
    driver: tuple[int, int]


class Driver:
    """libcuda; safe from several threads."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self._contexts: dict[int, Any] = {}
        self._lock = threading.Lock()
        self.call("cuInit", 0)

    def call(self, function: str, *arguments: Any) -> None:
        """
        Raises:
            CudaError: it did not give CUDA_SUCCESS.
        """
        code = getattr(self._library, function)(*arguments)
        if code:
            name = ctypes.c_char_p()
            self._library.cuGetErrorName(code, ctypes.byref(name))
            raise CudaError(function, code, (name.value or b"").decode())

    def count(self) -> int:
        """How many devices there are."""
        return self._number("cuDeviceGetCount")

    def card(self, index: int) -> Card:
        """What device ``index`` is."""
        name = ctypes.create_string_buffer(256)
        self.call("cuDeviceGetName", name, len(name), self._device(index))
        major, minor = (self._number("cuDeviceGetAttribute", each, self._device(index)) for each in (_MAJOR, _MINOR))
        version = self._number("cuDriverGetVersion")
        return Card(index, name.value.decode(), f"{major}.{minor}", (version // 1000, version % 1000 // 10))

    def activate(self, index: int) -> None:
        """Make the primary context of a device that of this thread."""
        with self._lock:
            if index not in self._contexts:
                context = ctypes.c_void_p()
                self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), self._device(index))
                self._contexts[index] = context
        self.call("cuCtxSetCurrent", self._contexts[index])

    def new_stream(self) -> int:
        """The handle of a stream that does not wait for the default one."""
        return self._handle("cuStreamCreate", _NON_BLOCKING)

    def synchronise(self, stream: int) -> None:
        """Wait until everything queued on ``stream`` is done."""
        self.call("cuStreamSynchronize", ctypes.c_void_p(stream))

    def copy(self, target: int, source: int, size: int, stream: int) -> None:
        """Queue a copy of ``size`` bytes between addresses on the device."""
        addresses = ctypes.c_uint64(target), ctypes.c_uint64(source)
        self.call("cuMemcpyDtoDAsync_v2", *addresses, ctypes.c_size_t(size), ctypes.c_void_p(stream))

    def wait_for(self, stream: int, other: int) -> None:
        """Have what is queued on ``stream`` from now on wait for what is queued on ``other`` now."""
        event = ctypes.c_void_p()
        self.call("cuEventCreate", ctypes.byref(event), _NO_TIMING)
        try:
            self.call("cuEventRecord", event, ctypes.c_void_p(other))
            self.call("cuStreamWaitEvent", ctypes.c_void_p(stream), event, 0)
        finally:
            self.call("cuEventDestroy_v2", event)

    def captured(self, stream: int, queue: Callable[[], bool]) -> int | None:
        """The handle of a graph of what ``queue`` queues on ``stream``; None: it cannot be captured."""
        self.call("cuStreamBeginCapture_v2", ctypes.c_void_p(stream), _THREAD_LOCAL)
        graph = ctypes.c_void_p()
        try:
            queued = queue()
        finally:
            code = self._library.cuStreamEndCapture(ctypes.c_void_p(stream), ctypes.byref(graph))
        if not queued or code or not graph:
            return None
        try:
            return self._handle("cuGraphInstantiateWithFlags", graph, ctypes.c_uint64(0))
        except CudaError:
            return None
        finally:
            self.call("cuGraphDestroy", graph)

    def launch(self, graph: int, stream: int) -> None:
        """Queue a captured graph."""
        self.call("cuGraphLaunch", ctypes.c_void_p(graph), ctypes.c_void_p(stream))

    def destroy_graph(self, graph: int) -> None:
        """Once it is no longer launched."""
        self.call("cuGraphExecDestroy", ctypes.c_void_p(graph))

    def _device(self, index: int) -> ctypes.c_int:
        return ctypes.c_int(self._number("cuDeviceGet", index))

    def _number(self, function: str, *arguments: Any) -> int:
        number = ctypes.c_int(0)
        self.call(function, ctypes.byref(number), *arguments)
        return number.value

    def _handle(self, function: str, *arguments: Any) -> int:
        handle = ctypes.c_void_p()
        self.call(function, ctypes.byref(handle), *arguments)
        return handle.value or 0


def _load() -> Any:
    return ctypes.CDLL("libcuda.so.1")


@lru_cache(maxsize=1)
def driver() -> Driver:
    """The driver of this machine.

    Raises:
        EngineError: there is none, or it cannot be used.
    """
    try:
        library = _load()
    except OSError as error:
        raise EngineError(f"there is no NVIDIA driver on this machine (libcuda.so.1). {ON_THE_CPU}") from error
    try:
        return Driver(library)
    except (CudaError, AttributeError) as error:  # AttributeError: a library of that name that is no driver
        raise EngineError(f"the NVIDIA driver of this machine cannot be used ({error}). {ON_THE_CPU}") from error


def find_card(index: int) -> Card:
    """
    Raises:
        EngineError: there is no driver, or no such device.
    """
    here = driver()
    count = here.count()
    if index >= count:
        raise EngineError(f"there is no cuda:{index} on this machine, which has {count}. {ON_THE_CPU}")
    return here.card(index)
