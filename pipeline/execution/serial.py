"""The reference executor: one frame at a time, on one thread, in plain loops."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterator
from time import perf_counter_ns

from ..errors import SourceError
from ..packet import Frame, Packet
from ..stage import EndReason
from .base import Execution, StreamRecord


class InOrder:
    """Gives what is put in back in the order of rising ``index``, given which indices there are, in order."""

    def __init__(self) -> None:
        self._expected: deque[int] = deque()
        self._waiting: dict[int, Packet] = {}

    def expect(self, index: int) -> None:
        """A packet with this index will be put in, after those announced before."""
        self._expected.append(index)

    def put(self, packet: Packet) -> Iterator[Packet]:
        """All packets whose turn it is now."""
        self._waiting[packet.frame.index] = packet
        while self._expected and self._expected[0] in self._waiting:
            yield self._waiting.pop(self._expected.popleft())


class SerialExecutor(Execution):
    """Runs a graph on one thread: one frame of each stream in turn, each through all stages and sinks.

    Nothing is dropped for want of time, of live sources neither: they are read as fast as the graph runs.
    ``cancel`` takes effect when the source, stage or sink that is being called returns; sources that have
    ``interrupt`` return at once.
    """

    def main(self) -> None:
        """Open, run, close, while another thread waits for a stop to interrupt sources."""
        watch = threading.Thread(target=self._watch, name="vidgraph watch", daemon=True)
        watch.start()
        super().main()
        self.events.put(None)
        watch.join()

    def _watch(self) -> None:
        self.events.get()  # a stop, or the end of the run
        if self.stop_requested and not self.finished.is_set():
            self.interrupt_sources()

    def _open_sources(self) -> None:
        self._frames: dict[str, Generator[Frame, None, None]] = {}
        for stream in self.streams:
            if self.stop_requested:
                return
            try:
                stream.source.open()
            except BaseException as error:
                self.source_unopened(stream, error)
                stream.end(EndReason.FAILED)
            else:
                self._frames[stream.stream_id] = stream.frames_of_source()

    def _run(self) -> None:
        self._order = {stream.stream_id: [InOrder() for _ in (*self.callers, None)] for stream in self.streams}
        self._entered: dict[tuple[str, int], int] = {}
        active = deque(stream for stream in self.streams if stream.ended is None)
        while active and not self.stop_requested:
            stream = active.popleft()
            if self._advance(stream):
                active.append(stream)
        for stream in active:
            self._end(stream, self.stop_reason)

    def _advance(self, stream: StreamRecord) -> bool:
        """Take one frame of the stream through the graph; False where it had no more."""
        try:
            frame = stream.read(self._frames[stream.stream_id])
        except SourceError as error:
            self.stream_failed(stream, error)
            self._end(stream, EndReason.FAILED)
            return False
        if frame is None:
            self._end(stream, EndReason.FINISHED)
            return False
        self._entered[stream.stream_id, frame.index] = perf_counter_ns()
        stream.entered()
        for order in self._order[stream.stream_id]:
            order.expect(frame.index)
        self._take(stream, 0, Packet(frame))
        return True

    def _take(self, stream: StreamRecord, position: int, packet: Packet) -> None:
        """Take a packet, and those that waited for it, through the stages from ``position`` on, and the sinks."""
        for ready in self._order[stream.stream_id][position].put(packet):
            if position == len(self.callers):
                self._leave(stream, ready)
                continue
            if self.drop_at_once and ready.drop_cause is None:
                ready = ready.dropped("cancelled")
            for output in self.callers[position].process(ready):
                self._take(stream, position + 1, output)

    def _leave(self, stream: StreamRecord, packet: Packet) -> None:
        for sink in self.sinks:
            sink.write(packet)
        started = self._entered.pop((stream.stream_id, packet.frame.index))
        milliseconds = (perf_counter_ns() - started) * 1e-6
        if packet.drop_cause is None:
            self.latency.add(milliseconds)
        stream.in_flight -= 1
        stream.left(packet, milliseconds)

    def _end(self, stream: StreamRecord, reason: EndReason) -> None:
        """Flush the stages in order, then the sinks."""
        stream.end(reason)
        for position, caller in enumerate(self.callers):
            for output in caller.end_stream(stream.stream_id, reason):
                self._take(stream, position + 1, output)
        for sink in self.sinks:
            sink.end_stream(stream.stream_id, reason)

    def _close_sources(self) -> None:
        for stream in self.streams:
            if stream.stream_id in self._frames:
                self.close_source(stream, self._frames[stream.stream_id])
