"""What a threaded run keeps of its packets between the stages; :class:`.scheduler.Scheduler` moves them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from queue import SimpleQueue
from typing import NamedTuple

from ..packet import Frame, Packet
from .base import StreamRecord
from .stage_calls import StageCaller


class Ticket:
    """A frame's place in the graph, from the source's hand-over until its last sink is done."""

    __slots__ = ("index", "place", "sinks_left", "started_ns", "stream", "takes_room")

    def __init__(self, stream: Stream, index: int, started_ns: int, *, takes_room: bool) -> None:
        self.stream, self.index, self.started_ns = stream, index, started_ns
        self.place = stream.entered
        self.sinks_left = len(stream.sinks)
        self.takes_room = takes_room


class Segment:
    """One stateful stage, or consecutive stateless ones, and the tasks that could run now."""

    __slots__ = ("callers", "position", "ready", "stateless")

    def __init__(self, position: int, callers: list[StageCaller], *, stateless: bool) -> None:
        self.position, self.callers, self.stateless = position, callers, stateless
        self.ready: deque[Task] = deque()


class Lane:
    """One stream's way through one segment. ``done`` packets have left it, ``waiting`` ones are before their turn."""

    __slots__ = ("busy", "done", "ending", "next_place", "segment", "stream", "waiting")

    def __init__(self, stream: Stream, segment: Segment) -> None:
        self.stream, self.segment = stream, segment
        self.waiting: dict[int, tuple[Ticket, Packet]] = {}
        self.next_place = self.done = 0
        self.busy = self.ending = False

    @property
    def free(self) -> bool:
        """A packet that comes now is not kept waiting."""
        return self.segment.stateless or not (self.busy or self.waiting)


class Task(NamedTuple):
    """A packet for a segment; without ticket and packet, the end of the lane's stream."""

    lane: Lane
    ticket: Ticket | None = None
    packet: Packet | None = None

    @property
    def begins(self) -> bool:
        """It is a frame that is to be worked on: neither a dropped one nor the end."""
        return self.packet is not None and self.packet.drop_cause is None


class Delivery(NamedTuple):
    """A packet for a sink; without ticket and packet, the end of the stream."""

    stream: Stream
    ticket: Ticket | None = None
    packet: Packet | None = None


Queue = SimpleQueue[Delivery | None]
"""Of a sink: it is bounded by the frames that may be in flight."""


class Stream:
    """One stream in the scheduler. ``total`` frames have entered, None while more may come."""

    def __init__(
        self, record: StreamRecord, segments: Sequence[Segment], sinks: Sequence[Queue], lock: threading.Lock
    ) -> None:
        self.record, self.stream_id, self.sinks = record, record.stream_id, tuple(sinks)
        self.lanes = [Lane(self, segment) for segment in segments]
        self.tickets: dict[int, Ticket] = {}
        self.leaving: dict[int, tuple[Ticket, Packet]] = {}
        self.outbox: deque[tuple[Ticket, Packet, int]] = deque()  # the last: since when
        self.mailbox: tuple[Frame, int] | None = None
        self.waits = self.is_late = self.late_said = False
        self.last_turn = 0
        self.room = threading.Condition(lock)
        self.entered = self.next_out = self.at_sinks = self.ended_lanes = 0
        self.total: int | None = None
        self.drained = threading.Event()


def segments_of(callers: Sequence[StageCaller]) -> list[Segment]:
    """Consecutive stateless stages together, stateful ones alone."""
    segments: list[Segment] = []
    for caller in callers:
        if caller.stateless and segments and segments[-1].stateless:
            segments[-1].callers.append(caller)
        else:
            segments.append(Segment(len(segments), [caller], stateless=caller.stateless))
    return segments
