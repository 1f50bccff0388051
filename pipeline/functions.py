"""Plain functions as stages and sinks of a graph."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from inspect import unwrap
from pathlib import Path
from typing import Any

from .packet import Packet
from .stage import Sink, Stage


def name_of(function: Callable[..., Any]) -> str:
    """The function's own ``name`` or ``__name__``, a lambda's with file and line; the type of an object without one."""
    name = getattr(function, "name", None) or getattr(function, "__name__", type(function).__name__)
    if name == "<lambda>" and (code := getattr(unwrap(function), "__code__", None)):
        return f"<lambda> ({Path(code.co_filename).name}:{code.co_firstlineno})"
    return str(name)


def _take_over(part: Stage | Sink, function: object, names: Iterable[str]) -> None:
    """Give ``part`` those of the attributes that the function has."""
    for name in names:
        if hasattr(function, name):
            setattr(part, name, getattr(function, name))


class FunctionStage(Stage):
    """A function ``packet -> packet``, ``-> iterable of packets`` or ``-> None`` as a stage.

    ``None`` lets the packet go on as it is: the function only looks. To drop a frame, return
    ``packet.dropped(cause)``. Attributes of the function, if it has them, say what a stage's would:
    ``name``, ``creates``, ``reads``, ``updates``, ``stateless``, ``holds``, ``on_dropped``. Without
    ``stateless = True`` it is never called by two threads at once, not even for different streams.
    """

    def __init__(self, function: Callable[[Packet], Any], name: str) -> None:
        self.name: str = name
        _take_over(self, function, ("creates", "reads", "updates", "stateless", "holds", "on_dropped"))
        self._function = function
        self._lock = threading.Lock()

    def process(self, packet: Packet) -> Iterable[Packet]:
        """Call the function."""
        if self.stateless:
            return self._call(packet)
        with self._lock:
            return list(self._call(packet))

    def _call(self, packet: Packet) -> Iterable[Packet]:
        result = self._function(packet)
        if result is None:
            return (packet,)
        if isinstance(result, Packet):
            return (result,)
        if isinstance(result, Iterable):
            return result
        raise TypeError(f"it must return a packet, packets or None, got {type(result).__name__}")


class FunctionSink(Sink):
    """A callable ``packet -> anything`` as a sink; what it returns is ignored.

    It is not called for dropped frames, which lack the items it looks for, unless the callable has an
    attribute ``on_dropped = True``. Attributes ``name`` and ``reads`` say what a sink's would.
    """

    on_dropped = False

    def __init__(self, function: Callable[[Packet], Any], name: str) -> None:
        self.name: str = name
        _take_over(self, function, ("reads", "on_dropped"))
        self._function = function

    def write(self, packet: Packet) -> None:
        """Call the function."""
        if packet.drop_cause is None or self.on_dropped:
            self._function(packet)
