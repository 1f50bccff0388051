"""The executor for work: a thread per source, a pool of workers for the stages, a thread per sink."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from time import monotonic

from ..errors import OutputError, SourceError, StageError, UsageError
from ..packet import Frame, Packet
from ..stage import EndReason, Sink, Source, Stage
from .base import Execution, RunOptions, StreamRecord
from .lanes import Queue, Stream, Task
from .scheduler import Scheduler
from .stage_calls import SinkCaller, StageCaller, one_line, where
from .stats import StreamStats

FINISH_S = 0.7
"""After a stop, packets in flight may go on through the stages for so long; then they are dropped as ``cancelled``."""
LEAVE_S = 1.5
"""After a cancellation, a source or stage that does not return for so long is left behind, on its daemon thread."""
STEP_S = 0.1
"""Threads that were waiting may take so long to end, though the time since the stop is up."""
SINK_S = 10.0
"""After a cancellation, a sink may take so long to finish what it writes."""
AFTER_ERROR_S = 30.0
"""After an error that ends the run, where nobody waits at the keyboard, all of them may take so long."""


@dataclass(frozen=True, slots=True)
class _Job:
    """What a thread does (``read``, ``work``, ``write``), and for which stream, where it is for one alone."""

    does: str
    name: str
    stream: Stream | None = None

    def __str__(self) -> str:
        return f"{self.does} {self.name}"


class ThreadedExecutor(Execution):
    """Runs a graph on many threads; results per stream are those of the serial executor.

    Each source has a thread that reads ahead by one frame and waits where ``max_in_flight`` frames are in
    the graph; a live one never waits, but replaces the frame that waits by the newest. Workers take the
    ready packet that is furthest downstream. Each sink has a thread and gets the packets of a stream in order.
    """

    def __init__(
        self, sources: Sequence[Source], stages: Sequence[Stage], sinks: Sequence[Sink], options: RunOptions
    ) -> None:
        super().__init__(sources, stages, sinks, options)
        self._queues: list[Queue] = [SimpleQueue() for _ in self.sinks]
        self._scheduler = Scheduler(self.callers, latency=self.latency, events=self.events)
        self._changing = threading.Lock()  # held while streams are added or taken away
        self._alive: dict[threading.Thread, _Job] = {}
        self._at_work: dict[threading.Thread, tuple[float, StageCaller, Frame]] = {}
        self._unopened: set[Stream] = set()
        self._go = threading.Event()
        self._stopped_at: float | None = None
        self._dropping = self._hung = False

    def add(self, source: Source, sinks: Sequence[Sink]) -> None:
        """As for the base class; ``sinks`` are opened in the calling thread, and each then has a thread of its own."""
        record = self._record(source)
        callers = [SinkCaller(sink, self.faults, lambda error: self._sink_failed(record, error)) for sink in sinks]
        record.sinks = callers
        with ExitStack() as opened:
            for caller in callers:
                self._open_part(f"output {caller.name!r}", caller.name, caller.sink)
                opened.callback(caller.close)
            with self._changing:
                self.check_addable(record.stream_id)
                if any(other.source is source for other in self.streams):
                    raise UsageError(
                        f"the source of stream {record.stream_id!r} is in the run already; make another one"
                    )
                queues: list[Queue] = [SimpleQueue() for _ in callers]
                stream = self._scheduler.add(record, [*self._queues, *queues])
                self.streams.append(record)
                opened.pop_all()
                for caller, queue in zip(callers, queues, strict=True):
                    self._start(_Job("write", caller.name, stream), self._write, caller, queue)
                self._start(_Job("read", record.stream_id, stream), self._read, stream)

    def remove(self, stream_id: str, timeout_s: float) -> StreamStats:
        """As for the base class."""
        stream = self._find(stream_id)
        if stream is None:
            there = ", ".join(one.stream_id for one in self._scheduler.streams) or "none"
            raise UsageError(f"there is no stream {stream_id!r} to remove; there are: {there}")
        until = monotonic() + timeout_s
        writers = self._threads("write", stream)
        self._end_stream(stream, EndReason.CANCELLED)
        if self.is_own(threading.current_thread()):  # a callback, for which the end of its stream waits
            return stream.record.stats()
        over = stream.drained.wait(timeout_s)
        for writer in writers:
            writer.join(max(0.0, until - monotonic()))
        if not over or any(writer.is_alive() for writer in writers):
            raise TimeoutError(f"stream {stream_id!r} did not end within {timeout_s:g} s; it goes on ending")
        return stream.record.stats()

    def is_own(self, thread: threading.Thread) -> bool:
        """As for the base class."""
        return thread in self._alive

    def check_addable(self, stream_id: str) -> None:
        """As for the base class."""
        if not self.options.open_ended:
            raise UsageError(f"stream {stream_id!r} cannot be added: the graph is not open-ended")
        if not self.opened.is_set() or not self._go.wait(LEAVE_S) or self.stop_requested:
            raise UsageError(f"stream {stream_id!r} cannot be added: the run is not going on")
        if self._find(stream_id) is not None:
            raise UsageError(f"there is a stream {stream_id!r} already; remove it first, or choose another name")

    def _find(self, stream_id: str) -> Stream | None:
        """The stream of that name that is not over."""
        named = (stream for stream in self._scheduler.streams if stream.stream_id == stream_id)
        return next((stream for stream in named if not stream.drained.is_set()), None)

    def _end_stream(self, stream: Stream, reason: EndReason) -> None:
        self._scheduler.stop_intake(stream, reason)
        self.interrupt(stream.record)

    def _sink_failed(self, record: StreamRecord, error: OutputError) -> None:
        """An output of one stream failed: that stream ends, the others go on."""
        record.error = record.error or error
        self.faults.note(f"stream {record.stream_id}", one_line(error))
        if self.faults.strict:
            self.faults.end_run(error)
        for stream in self._scheduler.streams:
            if stream.record is record:
                self._end_stream(stream, EndReason.FAILED)

    def _open_sources(self) -> None:
        added = [self._scheduler.add(record, self._queues) for record in self.streams]
        self._unopened.update(added)
        for stream in added:
            self._start(_Job("read", stream.stream_id, stream), self._read, stream)
        self._await(lambda: not self._unopened, LEAVE_S)

    def _run(self) -> None:
        for number in range(self.options.budget.workers if self.callers else 0):
            self._start(_Job("work", str(number)), self._work)
        for sink, queue in zip(self.sinks, self._queues, strict=True):
            self._start(_Job("write", sink.name), self._write, sink, queue)
        for record in self.streams:
            record.begin()
        self._go.set()
        self._await(self._is_over, LEAVE_S)
        self._scheduler.close()
        if not self._await_threads("work", LEAVE_S):
            for caller in self.callers:
                self.take_open(caller.stage)  # it is in use, and closing it could crash
        for queue in self._queues:
            queue.put(None)
        self._await_threads("write", SINK_S)

    def _is_over(self) -> bool:
        if self.stop_requested:
            self._since_stop()  # from now on nothing is added
        if not self.options.open_ended or self.stop_requested:
            return self._scheduler.drained
        with self._changing:
            for stream in self._scheduler.streams:
                if stream.drained.is_set() and not any(self._threads(does, stream) for does in ("read", "write")):
                    self._scheduler.take_away(stream)  # in a run of weeks there may be many
                    self.streams.remove(stream.record)
                    self.over.append(stream.record.stats())
        return False

    def _close_sources(self) -> None:
        for stream in self._scheduler.streams:
            self._scheduler.stop_intake(stream, self.stop_reason)
        self._go.set()
        self._await_threads("read", LEAVE_S)

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
            self._unopened.discard(stream)
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
        while not self.stop_requested and stream.total is None:  # an interrupt may have come before it was open
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
            self._at_work.pop(threading.current_thread(), None)
            self._scheduler.complete(task, outputs)
            del task, outputs  # nothing of a frame is kept while waiting for the next

    def _call(self, task: Task, packet: Packet) -> Sequence[Packet]:
        """Run a segment on one packet; a stateless stage gives exactly one."""
        outputs: Sequence[Packet] = (packet,)
        for caller in task.lane.segment.callers:
            packet = outputs[0]
            if self._dropping and packet.drop_cause is None:
                packet = packet.dropped("cancelled")
            self._at_work[threading.current_thread()] = monotonic(), caller, packet.frame
            outputs = caller.process(packet)
        return outputs

    def _end_lane(self, task: Task) -> Sequence[Packet]:
        stream = task.lane.stream
        reason = stream.record.ended or self.stop_reason
        outputs: list[Packet] = []
        for caller in task.lane.segment.callers:
            outputs += caller.end_stream(stream.stream_id, reason)
        return outputs

    def _write(self, sink: SinkCaller, queue: Queue) -> None:
        """The thread of a sink, which closes it whatever happens."""
        self.take_open(sink.sink)
        while (delivery := queue.get()) is not None:
            stream, ticket, packet = delivery
            if ticket is None or packet is None:
                sink.end_stream(stream.stream_id, stream.record.ended or self.stop_reason)
                if queue not in self._queues:
                    break  # it is for this stream alone
            else:
                sink.write(packet)
                self._scheduler.sink_done(ticket, packet)
            del delivery, ticket, packet  # nothing of a frame is kept while waiting for the next
        sink.close()

    def _start(self, job: _Job, run: Callable[..., None], *args: object) -> None:
        """Start a thread; when it ends, it is taken off ``_alive`` and ``main`` is woken."""

        def body() -> None:
            try:
                run(*args)
            except BaseException as error:
                self.faults.end_run(error)
            finally:
                del self._alive[thread]
                self.events.put(None)

        thread = threading.Thread(target=body, name=f"vidgraph {job}", daemon=True)
        self._alive[thread] = job
        thread.start()

    def _threads(self, does: str, stream: Stream | None = None) -> list[threading.Thread]:
        """The threads that do this, of one stream or of all, and have not ended."""
        alive = list(self._alive.items())
        return [thread for thread, job in alive if job.does == does and stream in (None, job.stream)]

    def _await(self, over: Callable[[], bool], limit_s: float) -> bool:
        """Wait until ``over()``, after a stop no longer than ``limit_s`` after it; acts on stops meanwhile."""
        while not over():
            timeout = None if self.options.stage_limit_s is None else min(1.0, self.options.stage_limit_s)
            if self.stop_requested:
                since = self._since_stop()
                limit = limit_s if self.cancelled or self._hung else max(limit_s, AFTER_ERROR_S)
                if since >= limit:
                    return False
                timeout = (limit if self._dropping else min(limit, FINISH_S)) - since
            with suppress(Empty):
                self.events.get(timeout=timeout)
            self._end_if_hung()
        return True

    def _end_if_hung(self) -> None:
        """End the run where a stage does not return from a frame: an inference that hangs would hold all cameras up."""
        limit_s = self.options.stage_limit_s
        if limit_s is None or self._hung:
            return
        for since, caller, frame in list(self._at_work.values()):
            if monotonic() - since >= limit_s:
                self._hung = True
                message = f"stage {caller.name!r} has not returned for {limit_s:g} s, on {where(frame)}; the run ends"
                self.faults.end_run(
                    StageError(message, stage=caller.name, stream_id=frame.stream_id, frame_index=frame.index)
                )

    def _since_stop(self) -> float:
        """Seconds since the stop. The first call ends all streams; packets are dropped when their time is up."""
        if self._stopped_at is None:
            self._stopped_at = monotonic()
            with self._changing:
                for stream in self._scheduler.streams:
                    self._scheduler.stop_intake(stream, self.stop_reason)
                self.interrupt_sources()
        since = monotonic() - self._stopped_at
        self._dropping = self.drop_at_once or since >= FINISH_S
        return since

    def _await_threads(self, does: str, limit_s: float) -> bool:
        """Wait for threads to end; those that do not after a stop are left behind, and False is returned."""
        waited = self._threads(does)
        self._await(lambda: not self._threads(does), limit_s)
        until = monotonic() + STEP_S
        for thread in waited:
            thread.join(max(0.0, until - monotonic()))
        for thread in waited:
            job = self._alive.get(thread)
            if job is None:
                thread.join()
            else:
                message = f"thread '{job}' did not end within {limit_s:g} s of the stop and was left behind"
                self.faults.note(str(job), message)
        return not any(thread in self._alive for thread in waited)
