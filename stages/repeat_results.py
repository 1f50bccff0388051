"""Between the frames on which the network runs, show its last result."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..pipeline.packet import HELD_FROM, SKIPPED, Key, Packet
from ..pipeline.stage import EndReason, Stage


class RepeatResults(Stage):
    """Gives a skipped frame the items of the last frame that was not skipped, and ``HELD_FROM``, its index.

    Holds nothing across epochs: a skipped frame of a new epoch goes on as it is.
    """

    name = "repeat_results"
    reads = frozenset({SKIPPED})
    creates = frozenset({HELD_FROM})

    def __init__(self, keys: Iterable[Key[Any]]) -> None:
        """
        Args:
            keys: the items to hold; those that a frame does not have are not held from it.
        """
        self.updates: frozenset[Key[Any]] = frozenset(keys)
        self._last: dict[str, tuple[int, int, dict[Key[Any], Any]]] = {}
        self._given: dict[str, tuple[int, int, dict[Key[Any], Any]]] = {}

    def begin_with(self, packet: Packet) -> None:
        """Repeat a result of an earlier run that goes on; before ``open``."""
        self._given[packet.frame.stream_id] = self._result(packet)

    def open(self) -> None:
        """Start without memory of an earlier run, but for what was given to begin with."""
        self._last, self._given = self._given, {}

    def _result(self, packet: Packet) -> tuple[int, int, dict[Key[Any], Any]]:
        return packet.frame.epoch, packet.frame.index, {key: packet[key] for key in self.updates if key in packet}

    def process(self, packet: Packet) -> Iterable[Packet]:
        frame = packet.frame
        if not packet.get(SKIPPED):
            self._last[frame.stream_id] = self._result(packet)
            yield packet
            return
        epoch, index, items = self._last.get(frame.stream_id, (-1, -1, {}))
        if epoch == frame.epoch:
            for key, value in items.items():
                packet = packet.with_item(key, value)
            packet = packet.with_item(HELD_FROM, index)
        yield packet

    def end_stream(self, stream_id: str, reason: EndReason) -> Iterable[Packet]:
        self._last.pop(stream_id, None)
        return ()

    def close(self) -> None:
        self._last.clear()
