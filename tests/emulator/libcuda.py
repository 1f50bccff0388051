"""NVIDIA's driver that is not there: its functions on memory of this machine, with streams that are as late as may be.

What is queued on a stream is done when somebody waits for it, or at a random moment before that: whoever does not wait
for another stream, or uses memory again that a copy still needs, sees noise. Arguments are ctypes, as a library gets
them by their prototypes.
"""

from __future__ import annotations

import ctypes
import itertools
import random
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from vidgraph.kernels.cuda import driver, libcuda, nvidia
from vidgraph.kernels.cuda.compile import sources

from . import EmulatedDriver, kernels_of

_C = ctypes.CDLL(None)  # whose memory the address sanitizer watches
_C.malloc.restype, _C.malloc.argtypes, _C.free.argtypes = ctypes.c_void_p, (ctypes.c_size_t,), (ctypes.c_void_p,)
_NOISE = 0xA5
_ERRORS = {
    2: ("CUDA_ERROR_OUT_OF_MEMORY", "out of memory"),
    100: ("CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"),
    700: ("CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"),
    803: ("CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "system has unsupported display driver / cuda driver combination"),
}
_NOT_FOUND, _NOT_READY = 500, 600
_FIRST_CONTEXT = 10
_NOT_BESIDE_CAPTURES = 900  # CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, of the functions that wait or get memory at once
_UNSAFE = frozenset({"cuEventQuery", "cuMemHostAlloc"})


@dataclass(eq=False)
class _Work:
    do: Callable[[], object]
    done: bool = False


@dataclass(eq=False)
class _Stream:
    context: int
    queue: deque[_Work] = field(default_factory=deque)
    captured: list[Callable[[], object]] | None = None


@dataclass(eq=False)
class _Event:
    stream: _Stream | None = None
    work: _Work | None = None
    handle: int = 0  # of the stream


class StandIn:
    """The library.

    Args:
        emulated: runs kernels; None: there are none.
        seed: of the moments at which streams work by themselves; None: never.

    Attributes:
        fails: gives the code of a function that is to fail.
        calls: names of functions, in order.
        queued: (function, stream) of what was queued, in order.
        orders: (stream that is waited for, stream that waits), in order.
        fixed: addresses of memory that is not in the order of a stream.
        graphs: what was captured, until it is destroyed.
        ordinals: of the cards of other libraries' memory, by its address; 0 where nothing is said.
        pinned: bytes of pinned memory.
        captured_beside: whether another library captures a graph, in the mode that forbids some calls in all threads.
    """

    def __init__(self, emulated: EmulatedDriver | None = None, seed: int | None = None) -> None:
        self.emulated = emulated
        self.name, self.capability, self.version, self.devices = b"Stand-in 4090", (8, 9), 13000, 1
        self.fails: dict[str, int] = {}
        self.calls: list[str] = []
        self.queued: list[tuple[str, int]] = []
        self.orders: list[tuple[int, int]] = []
        self.fixed: set[int] = set()
        self.ordinals: dict[int, int] = {}
        self.pinned = 0
        self.captured_beside = False
        self.captures: list[int] = []
        self._random = None if seed is None else random.Random(seed)
        self._handles = itertools.count(1000)
        self._streams: dict[int, _Stream] = {}
        self._events: dict[int, _Event] = {}
        self.graphs: dict[int, list[Callable[[], object]]] = {}
        self._names: dict[int, str] = {}  # of libraries and kernels
        self._memory: dict[int, int] = {}
        self._contexts = threading.local()
        self._lock = threading.RLock()
        self._working = 0  # pieces of work that are being done, one within another

    def __getattr__(self, function: str) -> Any:
        if not function.startswith("cu"):
            raise AttributeError(function)
        done = getattr(self, f"do_{function}")

        def call(*arguments: Any) -> int:
            kinds = vars(call)["argtypes"]
            given = [_as(kind, argument) for kind, argument in zip(kinds, arguments, strict=True)]
            with self._lock:
                self.calls.append(function)
                if function in self.fails:
                    return self.fails[function]
                if self.captured_beside and function in _UNSAFE and not self._contexts.__dict__.get("mode"):
                    return _NOT_BESIDE_CAPTURES
                self._go_on()
                return done(*given) or 0

        return call

    # Streams, for tests and for stand-ins of engines.

    def put(self, stream: int, do: Callable[[], object], function: str = "work") -> _Work:
        """Queue something that is done on a stream."""
        with self._lock:
            found = self._stream(stream)
            assert found.context == self.context, "the context of another card is current"
            self.queued.append((function, stream))
            work = _Work(do)
            if found.captured is not None:
                found.captured.append(do)
            else:
                found.queue.append(work)
            return work

    def _stream(self, handle: int) -> _Stream:
        """That of a handle; every card has default streams 1 and 2, and other libraries have streams of their own."""
        assert handle, "not on the default stream by its old name"
        assert self.context, "no context is current"
        return self._streams.setdefault(handle if handle > 2 else -10 * self.context - handle, _Stream(self.context))

    def _go_on(self) -> None:
        """Some streams work by themselves; not within work, which may call functions too, as memory goes back."""
        while self._random and not self._working and self._random.random() < 0.4:
            busy = [stream for stream in self._streams.values() if stream.queue]
            if not busy:
                break
            self._step(self._random.choice(busy))

    def _step(self, stream: _Stream) -> None:
        work = stream.queue.popleft()
        self._working += 1
        try:
            work.do()
        finally:
            self._working -= 1
        work.done = True

    def _finish(self, stream: _Stream, work: _Work | None = None) -> None:
        """Do what is queued on a stream, up to some work of it."""
        while stream.queue and not (work and work.done):
            self._step(stream)

    def _finish_event(self, event: _Event) -> None:
        if event.stream and event.work and not event.work.done:
            self._finish(event.stream, event.work)

    def waits(self) -> Counter[str]:
        """How often each function was called that a thread waits in."""
        return Counter(call for call in self.calls if "Synchronize" in call)

    # What the driver says.

    def do_cuInit(self, flags: Any) -> None:
        assert flags.value == 0

    def do_cuGetErrorName(self, code: Any, text: Any) -> None:
        text._obj.value = _ERRORS.get(code.value, ("", ""))[0].encode()

    def do_cuGetErrorString(self, code: Any, text: Any) -> None:
        text._obj.value = _ERRORS.get(code.value, ("", ""))[1].encode()

    def do_cuDriverGetVersion(self, number: Any) -> None:
        number._obj.value = self.version

    def do_cuDeviceGetCount(self, count: Any) -> None:
        count._obj.value = self.devices

    def do_cuDeviceGet(self, device: Any, index: Any) -> None:
        device._obj.value = index.value

    def do_cuDeviceGetName(self, name: Any, length: Any, device: Any) -> None:
        name.value = self.name

    def do_cuDeviceGetAttribute(self, number: Any, attribute: Any, device: Any) -> None:
        number._obj.value = self.capability[attribute.value - 75]

    # Contexts.

    @property
    def _stack(self) -> list[int]:
        """Of the calling thread."""
        stack: list[int] = self._contexts.__dict__.setdefault("stack", [0])
        return stack

    @property
    def context(self) -> int:
        """That of the calling thread; 0: none."""
        return self._stack[-1]

    def do_cuDevicePrimaryCtxRetain(self, context: Any, device: Any) -> None:
        context._obj.value = _FIRST_CONTEXT + device.value

    def do_cuCtxPushCurrent_v2(self, context: Any) -> None:
        self._stack.append(context.value)

    def do_cuCtxPopCurrent_v2(self, context: Any) -> None:
        context._obj.value = self._stack.pop()

    def do_cuThreadExchangeStreamCaptureMode(self, mode: Any) -> None:
        ours = self._contexts.__dict__
        mode._obj.value, ours["mode"] = ours.get("mode", 0), mode._obj.value

    # Memory.

    def do_cuPointerGetAttribute(self, number: Any, attribute: Any, pointer: Any) -> None:
        assert attribute.value == 9
        number._obj.value = self.ordinals.get(pointer.value, 0)

    def do_cuDeviceGetDefaultMemPool(self, pool: Any, device: Any) -> None:
        pool._obj.value = next(self._handles)

    def do_cuMemPoolSetAttribute(self, pool: Any, attribute: Any, value: Any) -> None:
        assert (attribute.value, value._obj.value) in {(4, 2**64 - 1), (3, 0)}

    def _take(self, pointer: Any, size: int) -> int:
        address = int(_C.malloc(size))
        ctypes.memset(address, _NOISE, size)
        pointer._obj.value = address
        self._memory[address] = size
        return address

    def do_cuMemGetInfo_v2(self, free: Any, total: Any) -> None:
        total._obj.value = 1 << 30
        free._obj.value = total._obj.value - sum(self._memory.values())

    def do_cuMemAllocAsync(self, pointer: Any, size: Any, stream: Any) -> None:
        self._take(pointer, size.value)
        self.put(stream.value, lambda: None, "cuMemAllocAsync")

    def do_cuMemFreeAsync(self, pointer: Any, stream: Any) -> None:
        def free() -> None:
            ctypes.memset(pointer.value, ~_NOISE & 0xFF, self._memory.pop(pointer.value))
            _C.free(pointer.value)

        self.put(stream.value, free, "cuMemFreeAsync")

    def do_cuMemAlloc_v2(self, pointer: Any, size: Any) -> None:
        self.fixed.add(self._take(pointer, size.value))

    def do_cuMemFree_v2(self, pointer: Any) -> None:
        for stream in list(self._streams.values()):
            self._finish(stream)
        self.fixed.remove(pointer.value)
        del self._memory[pointer.value]
        _C.free(pointer.value)

    def do_cuMemHostAlloc(self, pointer: Any, size: Any, flags: Any) -> None:
        assert flags.value == 1
        self.pinned += size.value
        self._take(pointer, size.value)

    def _copy(self, function: str, target: Any, source: Any, size: Any, stream: Any) -> None:
        self.put(stream.value, lambda: ctypes.memmove(target.value, source.value, size.value), function)

    def do_cuMemcpyDtoDAsync_v2(self, *arguments: Any) -> None:
        self._copy("cuMemcpyDtoDAsync", *arguments)

    def do_cuMemcpyHtoDAsync_v2(self, *arguments: Any) -> None:
        self._copy("cuMemcpyHtoDAsync", *arguments)

    def do_cuMemcpyDtoHAsync_v2(self, *arguments: Any) -> None:
        self._copy("cuMemcpyDtoHAsync", *arguments)
        if self.emulated is not None:
            self.emulated.reads.append(arguments[2].value)

    def do_cuMemsetD8Async(self, pointer: Any, byte: Any, size: Any, stream: Any) -> None:
        self.put(stream.value, lambda: ctypes.memset(pointer.value, byte.value, size.value), "cuMemsetD8Async")

    # Streams and events.

    def do_cuStreamCreate(self, handle: Any, flags: Any) -> None:
        assert flags.value == 1, "it does not wait for the default stream"
        assert self.context
        handle._obj.value = next(self._handles)
        self._streams[handle._obj.value] = _Stream(self.context)

    def do_cuStreamDestroy_v2(self, stream: Any) -> None:
        self._finish(self._streams.pop(stream.value))

    def do_cuStreamSynchronize(self, stream: Any) -> None:
        self._finish(self._streams[stream.value])

    def do_cuStreamWaitEvent(self, stream: Any, event: Any, flags: Any) -> None:
        then = self._events[event.value]
        now = _Event(then.stream, then.work)  # as it was recorded, whatever becomes of it
        self.orders.append((then.handle, stream.value))
        self.put(stream.value, lambda: self._finish_event(now), "cuStreamWaitEvent")

    def do_cuEventCreate(self, event: Any, flags: Any) -> None:
        assert flags.value == 2, "it measures no time"
        assert self.context
        event._obj.value = next(self._handles)
        self._events[event._obj.value] = _Event()

    def do_cuEventRecord(self, event: Any, stream: Any) -> None:
        work = self.put(stream.value, lambda: None, "cuEventRecord")
        self._events[event.value] = _Event(self._stream(stream.value), work, stream.value)

    def do_cuEventQuery(self, event: Any) -> int:
        work = self._events[event.value].work
        return 0 if work is None or work.done else _NOT_READY

    def do_cuEventSynchronize(self, event: Any) -> None:
        self._finish_event(self._events[event.value])

    def do_cuEventDestroy_v2(self, event: Any) -> None:
        del self._events[event.value]

    # Graphs.

    def do_cuStreamBeginCapture_v2(self, stream: Any, mode: Any) -> None:
        assert mode.value == 1, "other threads go on"
        self._streams[stream.value].captured = []
        self.captures.append(stream.value)

    def do_cuStreamEndCapture(self, stream: Any, graph: Any) -> None:
        graph._obj.value = next(self._handles)
        found = self._streams[stream.value]
        self.graphs[graph._obj.value], found.captured = found.captured or [], None

    def do_cuGraphInstantiateWithFlags(self, executable: Any, graph: Any, flags: Any) -> None:
        executable._obj.value = next(self._handles)
        self.graphs[executable._obj.value] = self.graphs[graph.value]

    def do_cuGraphDestroy(self, graph: Any) -> None:
        del self.graphs[graph.value]

    do_cuGraphExecDestroy = do_cuGraphDestroy

    def do_cuGraphLaunch(self, graph: Any, stream: Any) -> None:
        works = self.graphs[graph.value]
        self.put(stream.value, lambda: [work() for work in works], "cuGraphLaunch")

    # Kernels.

    def do_cuLibraryLoadData(self, library: Any, image: bytes, *options: Any) -> None:
        assert [each.value for each in options] == [None, None, 0, None, None, 0]
        library._obj.value = next(self._handles)
        self._names[library._obj.value] = image.decode()

    def do_cuLibraryGetKernel(self, kernel: Any, library: Any, name: bytes) -> int:
        (source,) = [each for each in sources() if each.stem == self._names[library.value]]
        if name.decode() not in kernels_of(source):
            return _NOT_FOUND
        kernel._obj.value = next(self._handles)
        self._names[kernel._obj.value] = name.decode()
        return 0

    def do_cuLaunchKernel(self, kernel: Any, *rest: Any) -> None:
        """Done at once, after what is queued on its stream: its arguments are gone when the call has returned."""
        assert self.emulated is not None
        *extents, shared, stream, places, extra = rest
        assert extra.value is None
        grid, block = (tuple(extent.value for extent in part) for part in (extents[:3], extents[3:]))
        name, emulated = self._names[kernel.value], self.emulated
        self.put(stream.value, lambda: emulated.run(name, grid, block, shared.value, places), "cuLaunchKernel")
        self._finish(self._streams[stream.value])


def _as(kind: Any, argument: Any) -> Any:
    """An argument as a parameter of this kind; references, arrays and bytes are addresses."""
    if isinstance(argument, int | None):
        return kind(argument)
    assert kind is ctypes.c_void_p
    return argument


_plugged_in: list[StandIn] = []


def plugged_in() -> StandIn:
    """The library that is there now."""
    return _plugged_in[-1]


def plug_in(
    monkeypatch: pytest.MonkeyPatch, emulated: EmulatedDriver | None = None, seed: int | None = None
) -> StandIn:
    """This machine has a driver and a card."""
    library = StandIn(emulated, seed)
    monkeypatch.setattr(sys.modules[__name__], "_plugged_in", [library])
    monkeypatch.setattr(libcuda, "_load", lambda: library)
    monkeypatch.setattr(nvidia, "program_for", lambda *_: [source.stem.encode() for source in sources()])
    monkeypatch.setattr(driver, "_drivers", [])
    return library
