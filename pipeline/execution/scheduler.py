"""Which packet goes where next: the state of a threaded run, without the threads.

A graph is a row of segments. Consecutive stateless stages form one segment, which runs any packets at the
same time, each on one thread from its first stage to its last. A stateful stage is a segment of its own,
with a lane per stream: one packet at a time, in order; lanes of different streams run at the same time.
Before each lane and before the sinks packets are put back in the order in which they entered the graph.

The newest frame of a live stream waits in its mailbox until a worker has nothing else to do, and is replaced there by
one that is newer still: what a worker begins with is never old, however many streams there are. Of those that wait, the
stream that had its turn longest ago is next. Files, whose frames wait before the first segment, take turns with them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from queue import SimpleQueue
from time import perf_counter_ns

from ..packet import Frame, Packet
from ..stage import EndReason
from .base import StreamRecord, log
from .lanes import Delivery, Lane, Queue, Stream, Task, Ticket, segments_of
from .no_pixels import without_pixels
from .stage_calls import StageCaller
from .stats import Samples

SINKS_APART = 2
"""Packets by which a quick sink may be ahead of the slowest: after a kill, files of one run end close together."""
LATE_NS = 1_000_000_000
"""Sinks so far behind are no longer told of dropped frames of a live stream: these are counted only."""


class Scheduler:
    """Gives tasks to workers and packets to sinks, and holds sources back. All methods are for any thread.

    Args:
        callers: the stages in the order in which they run.
        latency: takes the milliseconds of each frame that was not dropped.
        events: is put None when a stream is drained.

    Attributes:
        streams: those that were added, and not taken away.
    """

    def __init__(self, callers: Sequence[StageCaller], *, latency: Samples, events: SimpleQueue[None]) -> None:
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._segments = segments_of(callers)
        self._downstream_first = self._segments[::-1]
        self._turns: list[tuple[int, int, Stream]] = []  # a heap: last turn, a number that decides between equals
        self._turn = 0
        self._latency, self._events = latency, events
        self._ready = self._idle = 0
        self._closed = False
        self.streams: tuple[Stream, ...] = ()

    @property
    def drained(self) -> bool:
        """All frames of all streams are with the sinks, and these know that there are no more."""
        return all(stream.drained.is_set() for stream in self.streams)

    def add(self, record: StreamRecord, sinks: Sequence[Queue]) -> Stream:
        """Take a stream in, whose frames go to ``sinks``."""
        stream = Stream(record, self._segments, sinks, self._lock)
        with self._lock:
            self.streams = (*self.streams, stream)
        return stream

    def take_away(self, stream: Stream) -> None:
        """Forget a stream that is drained."""
        with self._lock:
            self.streams = tuple(other for other in self.streams if other is not stream)

    def hand_over(self, stream: Stream, frame: Frame) -> bool:
        """Let a frame in, as soon as there is room; False where the stream has been ended meanwhile."""
        with self._lock:
            while stream.record.in_flight >= stream.record.limit and stream.total is None:
                stream.room.wait()
            if stream.total is not None:
                return False
            self._enter(stream, Packet(frame), perf_counter_ns(), takes_room=True)
            self._wake(0)
        return True

    def post(self, stream: Stream, frame: Frame) -> bool:
        """Let a frame in, or keep it as the newest in place of the one that waits; False as for ``hand_over``."""
        with self._lock:
            if stream.total is not None:
                return False
            self._drop_mailbox(stream, "mailbox_full")
            stream.mailbox = frame, perf_counter_ns()
            self._queue_up(stream)
            self._wake(0)
        return True

    def finish_intake(self, stream: Stream, reason: EndReason) -> None:
        """The source has ended by itself: no more frames enter, but the one in the mailbox still does."""
        with self._lock:
            while stream.mailbox is not None and stream.total is None:
                stream.room.wait()
            self._end_intake(stream, reason)

    def stop_intake(self, stream: Stream, reason: EndReason) -> None:
        """From now on no frame enters; the one in the mailbox is dropped. Never waits."""
        with self._lock:
            if stream.total is None:
                self._drop_mailbox(stream, "cancelled")
            self._end_intake(stream, reason)

    def take(self) -> Task | None:
        """Wait for the next task; None where all is over."""
        with self._lock:
            while (task := self._next()) is None and not self._closed:
                self._idle += 1
                self._work.wait()
            return task

    def _next(self) -> Task | None:
        """The task that is furthest downstream; before the first segment, that of the stream whose turn it is."""
        while True:
            for segment in self._downstream_first:
                if segment.ready and not (segment.position == 0 and self._is_turn_before(segment.ready[0])):
                    task = segment.ready.popleft()
                    self._ready -= 1
                    if segment.position == 0 and task.begins:
                        self._take_turn(task.lane.stream)
                    return task
            if not self._turns:
                return None
            stream = heappop(self._turns)[-1]
            self._ready -= 1
            stream.waits = False
            self._open_mailbox(stream)  # which makes its frame the last task there, if it is there and its lane is free
            ready = self._segments[0].ready
            if ready and ready[-1].lane.stream is stream and ready[-1].begins:
                self._ready -= 1
                return ready.pop()

    def _is_turn_before(self, task: Task) -> bool:
        """Whether a live stream that waits had its turn before that of ``task``, a frame of a file."""
        return bool(self._turns) and task.begins and self._turns[0][0] <= task.lane.stream.last_turn

    def complete(self, task: Task, outputs: Sequence[Packet]) -> None:
        """A task is done, and ``outputs`` came out of it; the caller is about to take the next one."""
        with self._lock:
            if self._closed:
                return
            lane = task.lane
            stream, position = lane.stream, lane.segment.position
            if task.ticket is None:
                stream.ended_lanes += 1
            else:
                lane.done += 1
            for packet in outputs:
                self._forward(stream, position + 1, stream.tickets[packet.frame.index], packet)
            if not lane.segment.stateless:
                lane.busy = False
                self._offer(lane)
                self._queue_up(stream)
            if stream.total is not None:
                self._try_end(stream)
            self._wake(1)

    def sink_done(self, ticket: Ticket, packet: Packet) -> None:
        """A sink is done with a packet."""
        with self._lock:
            ticket.sinks_left -= 1
            if ticket.sinks_left:
                return
            stream = ticket.stream
            stream.at_sinks -= 1
            self._leave(ticket, packet)
            self._supply(stream)
            if stream.total is not None:
                self._try_end(stream)
            self._wake(0)
        if stream.is_late and not stream.late_said:
            stream.late_said = True
            log.warning("stream %r: an output is slow, and not told of all frames that are dropped", stream.stream_id)

    def close(self) -> None:
        """Let the workers go; sinks of streams that are not drained are told that they ended."""
        with self._lock:
            self._closed = True
            for segment in self._segments:
                segment.ready.clear()
            self._turns.clear()
            for stream in self.streams:
                self._drain(stream)
            self._work.notify_all()

    def _enter(self, stream: Stream, packet: Packet, started_ns: int, *, takes_room: bool) -> None:
        ticket = Ticket(stream, packet.frame.index, started_ns, takes_room=takes_room)
        stream.entered += 1
        stream.tickets[ticket.index] = ticket
        if takes_room:
            stream.record.entered()
        self._forward(stream, 0, ticket, packet)

    def _forward(self, stream: Stream, position: int, ticket: Ticket, packet: Packet) -> None:
        """Bring a packet before the segment at ``position``, or out of the graph."""
        if position == len(self._segments):
            stream.leaving[ticket.place] = ticket, packet
            while (leaving := stream.leaving.pop(stream.next_out, None)) is not None:
                stream.next_out += 1
                self._deliver(stream, *leaving)
            return
        lane = stream.lanes[position]
        if lane.segment.stateless:
            self._add(Task(lane, ticket, packet))
        else:
            lane.waiting[ticket.place] = ticket, packet
            self._offer(lane)

    def _offer(self, lane: Lane) -> None:
        """Make the lane's next packet a task, if it is there and the lane is free."""
        if not lane.busy and (waiting := lane.waiting.pop(lane.next_place, None)) is not None:
            lane.busy = True
            lane.next_place += 1
            self._add(Task(lane, *waiting))

    def _add(self, task: Task) -> None:
        if not self._closed:
            ready = task.lane.segment.ready
            (ready.append if task.begins else ready.appendleft)(task)  # a dropped frame costs nothing, and others wait
            self._ready += 1

    def _wake(self, spare: int) -> None:
        """Wake a worker for each ready task but ``spare``, which the caller takes itself."""
        count = min(self._idle, self._ready - spare)
        if count > 0:
            self._idle -= count
            self._work.notify(count)

    def _end_intake(self, stream: Stream, reason: EndReason) -> None:
        """End the stream in stages and sinks once its frames in flight are through; the first reason counts."""
        if stream.total is None:
            stream.record.end(reason)
            stream.total = stream.entered
            stream.room.notify_all()
            self._try_end(stream)
            self._wake(0)

    def _try_end(self, stream: Stream) -> None:
        """Take the end of a stream one step further, if all its packets are through there."""
        if stream.ended_lanes < len(stream.lanes):
            lane = stream.lanes[stream.ended_lanes]
            if lane.done == stream.total and not lane.ending:
                lane.ending = True
                self._add(Task(lane))
        elif stream.next_out == stream.total and not stream.outbox:
            self._drain(stream)

    def _drain(self, stream: Stream) -> None:
        if not stream.drained.is_set():
            for delivery in (*(Delivery(stream, *waiting) for waiting in self._not_late(stream)), Delivery(stream)):
                for sink in stream.sinks:
                    sink.put(delivery)
            stream.drained.set()
            self._events.put(None)

    def _deliver(self, stream: Stream, ticket: Ticket, packet: Packet) -> None:
        if not stream.sinks:
            self._leave(ticket, packet)
            return
        stream.outbox.append((ticket, packet, perf_counter_ns()))
        self._supply(stream)

    def _supply(self, stream: Stream) -> None:
        """Give the sinks what is waiting for them, as far as the slowest keeps up."""
        while stream.at_sinks < SINKS_APART and (waiting := next(self._not_late(stream), None)) is not None:
            stream.at_sinks += 1
            for sink in stream.sinks:
                sink.put(Delivery(stream, *waiting))

    def _not_late(self, stream: Stream) -> Iterator[tuple[Ticket, Packet]]:
        """Take what waits for the sinks, but for dropped frames that are too late: these are done with."""
        limit_ns = perf_counter_ns() - LATE_NS
        while stream.outbox:
            ticket, packet, since_ns = stream.outbox.popleft()
            if stream.record.latest and packet.drop_cause is not None and since_ns < limit_ns:
                stream.is_late = True
                self._leave(ticket, packet)
            else:
                yield ticket, packet

    def _leave(self, ticket: Ticket, packet: Packet) -> None:
        """A frame is done with: count it and give its room to the next."""
        stream = ticket.stream
        del stream.tickets[ticket.index]
        milliseconds = (perf_counter_ns() - ticket.started_ns) * 1e-6
        stream.record.left(packet, milliseconds)
        if packet.drop_cause is None:
            self._latency.add(milliseconds)
        if ticket.takes_room:
            stream.record.in_flight -= 1
            self._queue_up(stream)
            stream.room.notify()

    def _queue_up(self, stream: Stream) -> None:
        """Let a stream wait for its turn, if it has a frame that a worker could begin with."""
        if stream.mailbox is None or stream.waits or stream.record.in_flight >= stream.record.limit:
            return
        if not stream.lanes:  # no worker is needed
            self._open_mailbox(stream)
        elif stream.lanes[0].free:
            stream.waits = True
            self._turn += 1
            heappush(self._turns, (stream.last_turn, self._turn, stream))
            self._ready += 1

    def _open_mailbox(self, stream: Stream) -> None:
        """Let the frame in the mailbox in; it may have been dropped meanwhile."""
        if stream.mailbox is not None:
            self._take_turn(stream)
            (frame, started_ns), stream.mailbox = stream.mailbox, None
            self._enter(stream, Packet(frame), started_ns, takes_room=True)
            stream.room.notify_all()

    def _take_turn(self, stream: Stream) -> None:
        self._turn += 1
        stream.last_turn = self._turn

    def _drop_mailbox(self, stream: Stream, cause: str) -> None:
        """Let the frame that waits in the mailbox pass through as dropped, without its pixels and without room."""
        if stream.mailbox is not None:
            (frame, started_ns), stream.mailbox = stream.mailbox, None
            self._enter(stream, Packet(without_pixels(frame)).dropped(cause), started_ns, takes_room=False)
