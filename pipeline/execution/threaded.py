"""The executor for work: a thread per source, a pool of workers for the stages, a thread per sink."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from queue import Empty, SimpleQueue
from time import monotonic

from ..errors import SourceError
from ..packet import Frame, Packet
from ..stage import EndReason
from .base import Execution
from .scheduler import Delivery, Scheduler, Stream, Task
from .stage_calls import SinkCaller

FINISH_S = 0.7
"""After a stop, packets in flight may go on through the stages for so long; then they are dropped as ``cancelled``."""
LEAVE_S = 1.5
"""After a cancellation, a source or stage that does not return for so long is left behind, on its daemon thread."""
SINK_S = 10.0
"""After a cancellation, a sink may take so long to finish what it writes."""
AFTER_ERROR_S = 30.0
"""After an error that ends the run, where nobody waits at the keyboard, all of them may take so long."""


class ThreadedExecutor(Execution):
    """Runs a graph on many threads; results per stream are those of the serial executor.

    Each source has a thread that reads ahead by one frame and waits where ``max_in_flight`` frames are in
    the graph; a live one never waits, but replaces the frame that waits by the newest. Workers take the
    ready packet that is furthest downstream. Each sink has a thread and gets the packets of a stream in order.
    """

    def _open_sources(self) -> None:
        self._queues: list[SimpleQueue[Delivery | None]] = [SimpleQueue() for _ in self.sinks]
        self._scheduler = Scheduler(self.streams, self.callers, self._queues, latency=self.latency, events=self.events)
        self._alive: set[str] = set()
        self._threads: dict[str, threading.Thread] = {}
        self._stopped_at: float | None = None
        self._dropping = False
        self._go = threading.Event()
        self._unopened = {stream.stream_id for stream in self.streams}
        self._reading = [f"read {stream.stream_id}" for stream in self.streams]
        for name, stream in zip(self._reading, self._scheduler.streams, strict=True):
            self._start(name, self._read, stream)
        self._await(lambda: not self._unopened, LEAVE_S)

    def _run(self) -> None:
        working = [f"work {number}" for number in range(self.options.budget.workers)] if self.callers else []
        writing = [f"write {sink.name} ({number})" for number, sink in enumerate(self.sinks, 1)]
        for name in working:
            self._start(name, self._work)
        for name, sink, queue in zip(writing, self.sinks, self._queues, strict=True):
            self._start(name, self._write, sink, queue)
        self._go.set()
        self._await(lambda: self._scheduler.drained, LEAVE_S)
        self._scheduler.close()
        if not self._await_threads(working, LEAVE_S):
            for caller in self.callers:
                self.take_open(caller.stage)  # it is in use, and closing it could crash
        for queue in self._queues:
            queue.put(None)
        self._await_threads(writing, SINK_S)

    def _close_sources(self) -> None:
        for stream in self._scheduler.streams:
            self._scheduler.stop_intake(stream, self.stop_reason)
        self._go.set()
        self._await_threads(self._reading, LEAVE_S)

    def _read(self, stream: Stream) -> None:
        """The thread of a source: open, wait until all is open, read, close."""
        record = stream.record
        try:
            record.source.open()
        except BaseException as error:
            self.source_unopened(record, error)
            self._scheduler.finish_intake(stream, EndReason.FAILED)
            return
        finally:
            self._unopened.discard(stream.stream_id)
            self.events.put(None)
        self._go.wait()
        frames = record.frames_of_source()
        try:
            self._scheduler.finish_intake(stream, self._read_frames(stream, frames))
        except SourceError as error:
            self.stream_failed(record, error)
            self._scheduler.finish_intake(stream, EndReason.FAILED)
        finally:
            self.close_source(record, frames)

    def _read_frames(self, stream: Stream, frames: Generator[Frame, None, None]) -> EndReason:
        give = self._scheduler.post if stream.record.latest else self._scheduler.hand_over
        while not self.stop_requested:
            frame = stream.record.read(frames)
            if frame is None:
                return EndReason.FINISHED
            if not give(stream, frame):
                break
        return self.stop_reason

    def _work(self) -> None:
        """The thread of a worker."""
        while (task := self._scheduler.take()) is not None:
            outputs = self._end_lane(task) if task.packet is None else self._call(task, task.packet)
            self._scheduler.complete(task, outputs)
            del task, outputs  # nothing of a frame is kept while waiting for the next

    def _call(self, task: Task, packet: Packet) -> Sequence[Packet]:
        """Run a segment on one packet; a stateless stage gives exactly one."""
        outputs: Sequence[Packet] = (packet,)
        for caller in task.lane.segment.callers:
            packet = outputs[0]
            if self._dropping and packet.drop_cause is None:
                packet = packet.dropped("cancelled")
            outputs = caller.process(packet)
        return outputs

    def _end_lane(self, task: Task) -> Sequence[Packet]:
        stream = task.lane.stream
        reason = stream.record.ended or self.stop_reason
        outputs: list[Packet] = []
        for caller in task.lane.segment.callers:
            outputs += caller.end_stream(stream.stream_id, reason)
        return outputs

    def _write(self, sink: SinkCaller, queue: SimpleQueue[Delivery | None]) -> None:
        """The thread of a sink, which closes it whatever happens."""
        self.take_open(sink.sink)
        while (delivery := queue.get()) is not None:
            stream, ticket, packet = delivery
            if ticket is None or packet is None:
                sink.end_stream(stream.stream_id, stream.record.ended or self.stop_reason)
            else:
                sink.write(packet)
                self._scheduler.sink_done(ticket, packet)
            del delivery, ticket, packet  # nothing of a frame is kept while waiting for the next
        sink.close()

    def _start(self, name: str, run: Callable[..., None], *args: object) -> None:
        """Start a thread; when it ends, it is taken off ``_alive`` and ``main`` is woken."""

        def body() -> None:
            try:
                run(*args)
            except BaseException as error:
                self.faults.end_run(error)
            finally:
                self._alive.discard(name)
                self.events.put(None)

        thread = threading.Thread(target=body, name=f"vidgraph {name}", daemon=True)
        self._alive.add(name)
        self._threads[name] = thread
        thread.start()

    def _await(self, over: Callable[[], bool], limit_s: float) -> bool:
        """Wait until ``over()``, after a stop no longer than ``limit_s`` after it; acts on stops meanwhile."""
        while not over():
            timeout = None
            if self.stop_requested:
                since = self._since_stop()
                limit = limit_s if self.cancelled else max(limit_s, AFTER_ERROR_S)
                if since >= limit:
                    return False
                timeout = (limit if self._dropping else min(limit, FINISH_S)) - since
            try:
                self.events.get(timeout=timeout)
            except Empty:
                continue
        return True

    def _since_stop(self) -> float:
        """Seconds since the stop. The first call ends all streams; packets are dropped when their time is up."""
        if self._stopped_at is None:
            self._stopped_at = monotonic()
            for stream in self._scheduler.streams:
                self._scheduler.stop_intake(stream, self.stop_reason)
            self.interrupt_sources()
        since = monotonic() - self._stopped_at
        self._dropping = self.drop_at_once or since >= FINISH_S
        return since

    def _await_threads(self, names: Sequence[str], limit_s: float) -> bool:
        """Wait for threads to end; those that do not after a stop are left behind, and False is returned."""
        ended = self._await(lambda: self._alive.isdisjoint(names), limit_s)
        for name in names:
            if name not in self._alive:
                self._threads[name].join()
            else:
                message = f"thread {name!r} did not end within {limit_s:g} s of the stop and was left behind"
                self.faults.note(name, message)
        return ended
