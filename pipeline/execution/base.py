"""What both executors share: options, opening and closing, the record of each stream, and what a run amounts to."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from queue import SimpleQueue
from time import perf_counter_ns, time_ns

from ..errors import OutputError, SourceError, StageError, UsageError, VidgraphError
from ..packet import Frame, Packet
from ..stage import EndReason, Sink, Source, Stage
from .stage_calls import Faults, SinkCaller, StageCaller, one_line
from .stats import STREAM_CAPACITY, RunStats, Samples, StageStats, StreamStats, Summary
from .threads import ThreadBudget

log = logging.getLogger("vidgraph")
KEPT = 256
"""Of an open-ended run, so many of the streams that were over last are known."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a graph runs.

    Attributes:
        budget: who gets how many threads.
        max_in_flight: frames of a stream that may be in the graph at one time, or None for the default:
            2 x workers + 4 for a file, 2 for a live source, and what stages hold back.
        strict: the first frame that fails ends the run.
        latest: keep only the newest frame (True), every frame (False), or as each source says (None).
        open_ended: streams may be added and removed while it runs, and it goes on without any until it is cancelled.
        stage_limit_s: a stage that works on one frame for longer ends the run; None: it may take any time.
    """

    budget: ThreadBudget
    max_in_flight: int | None = None
    strict: bool = False
    latest: bool | None = None
    open_ended: bool = False
    stage_limit_s: float | None = None


class StreamRecord:
    """One stream of a run: its source, what came out of it, and what became of it."""

    def __init__(self, source: Source, limit: int, *, latest: bool, strict: bool) -> None:
        self.source, self.stream_id = source, source.stream_id
        self.limit, self.latest, self._strict = limit, latest, strict
        self.in_flight = self.peak_in_flight = self.frames = 0
        self.dropped: dict[str, int] = {}
        self.sinks: Sequence[SinkCaller] = ()  # of this stream alone
        self.ended: EndReason | None = None
        self.error: SourceError | OutputError | None = None
        self._last_index = -1
        self._read, self._latency = Samples(STREAM_CAPACITY), Samples(STREAM_CAPACITY)
        self._capture_latency: Samples | None = None
        self._capture_clock = ""
        self._added_ns, self._ended_ns = perf_counter_ns(), 0

    def read(self, frames: Generator[Frame, None, None]) -> Frame | None:
        """The next frame, or None at the end.

        Raises:
            SourceError: the source failed; its frame is not one of this stream or not a later one; or, with
                ``strict``, the source has counted a problem.
        """
        started = perf_counter_ns()
        try:
            frame = next(frames, None)
        except SourceError:  # as it is, with the cause that it has
            raise
        except BaseException as error:
            raise self.failure(error) from error
        if self._strict and (problems := self.source.problems):
            causes = ", ".join(f"{count} {cause}" for cause, count in problems.items())
            raise SourceError(
                f"source {self.stream_id!r} has bad frames after frame {self._last_index} ({causes}). "
                f"Without strict they are counted and the run goes on."
            )
        if frame is None:
            return None
        self._read.add((perf_counter_ns() - started) * 1e-6)
        if frame.stream_id != self.stream_id or frame.index <= self._last_index:
            raise SourceError(
                f"source {self.stream_id!r} gave frame {frame.index} of stream {frame.stream_id!r} after frame "
                f"{self._last_index}; it must give its own stream, with rising indices"
            )
        self._last_index = frame.index
        return frame

    def frames_of_source(self) -> Generator[Frame, None, None]:
        """The source's frames; closing this generator leaves the source's."""
        yield from self.source.frames()

    def failure(self, error: BaseException) -> SourceError:
        """``error`` as a SourceError: itself where it is one."""
        if isinstance(error, SourceError):
            return error
        when = "before its first frame" if self._last_index < 0 else f"after frame {self._last_index}"
        return SourceError(f"source {self.stream_id!r} failed {when}: {one_line(error)}")

    def entered(self) -> None:
        """A frame went into the graph."""
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)

    def left(self, packet: Packet, milliseconds: float) -> None:
        """Every sink is done with a frame, so long after it was handed over."""
        self.frames += 1
        if packet.drop_cause is None:
            self._latency.add(milliseconds)
            if self.source.live and packet.frame.capture_ns is not None:
                self._captured(packet.frame, packet.frame.capture_ns)
        else:
            self.dropped[packet.drop_cause] = self.dropped.get(packet.drop_cause, 0) + 1

    def _captured(self, frame: Frame, capture_ns: int) -> None:
        if self._capture_latency is None:
            self._capture_latency = Samples(STREAM_CAPACITY)
        self._capture_latency.add((time_ns() - capture_ns) * 1e-6)
        self._capture_clock = frame.capture_clock or ""

    def begin(self) -> None:
        """Its frames are set in motion."""
        self._added_ns = perf_counter_ns()

    def end(self, reason: EndReason) -> None:
        """No more frames come."""
        self.ended, self._ended_ns = reason, perf_counter_ns()

    def stats(self) -> StreamStats:
        """The record so far."""
        return StreamStats(
            stream_id=self.stream_id,
            frames=self.frames,
            dropped=dict(self.dropped),
            problems=dict(self.source.problems),
            expected_frames=self.source.expected_frames,
            latency_ms=self._latency.summary(),
            wall_s=((self._ended_ns or perf_counter_ns()) - self._added_ns) * 1e-9,
            peak_in_flight=self.peak_in_flight,
            ended=None if self.ended is None else self.ended.value,
            error=None if self.error is None else one_line(self.error),
            live=self.source.live,
            in_flight=self.in_flight,
            capture_latency_ms=Summary() if self._capture_latency is None else self._capture_latency.summary(),
            capture_clock=self._capture_clock,
            camera=self.source.status,
        )

    def own_sinks(self) -> list[StageStats]:
        """The records of the sinks of this stream alone."""
        return [replace(sink.stats(), name=f"{self.stream_id}: {sink.name}") for sink in self.sinks]

    def read_stats(self) -> StageStats:
        """Time the source took for each frame."""
        busy = self._read.summary()
        return StageStats(self.stream_id, busy.count, int(self.error is not None), busy)


class Execution(ABC):
    """One run of a graph, from opening to closing, in a thread of its own (``main``).

    Order: sources are opened, then stages, then sinks, so that nothing is written where an input is
    wrong; what was opened is closed on every path, sinks before stages.
    """

    def __init__(
        self, sources: Sequence[Source], stages: Sequence[Stage], sinks: Sequence[Sink], options: RunOptions
    ) -> None:
        self._held = sum(stage.holds for stage in stages)
        if options.max_in_flight is not None and options.max_in_flight <= self._held:
            raise UsageError(
                f"max_in_flight must be more than the {self._held} frames that the stages hold back, "
                f"got {options.max_in_flight}"
            )
        self.options = options
        self.faults = Faults(strict=options.strict, stop=self._request_stop)
        self.streams = [self._record(source) for source in sources]
        self.callers = [StageCaller(stage, self.faults) for stage in stages]
        self.sinks = [SinkCaller(sink, self.faults) for sink in sinks]
        self.latency = Samples()
        self.opened, self.finished = threading.Event(), threading.Event()
        self.cancelled = self.stop_requested = self.drop_at_once = False
        self.events: SimpleQueue[None] = SimpleQueue()  # wakes ``main``; it looks at the flags
        self.over: deque[StreamStats] = deque(maxlen=KEPT)
        self._open_parts: set[int] = set()
        self._started_ns = self._ended_ns = 0

    def add(self, source: Source, sinks: Sequence[Sink]) -> None:
        """Take a further stream in while it runs; ``sinks`` get only its frames.

        Raises:
            UsageError: the run is not open-ended, or over; or a stream of that name is in it.
            OutputError: a sink cannot be opened.
        """
        self.check_addable(source.stream_id)

    def is_own(self, thread: threading.Thread) -> bool:
        """Whether it is one of the threads of this run, which cannot wait for its end."""
        return False

    def check_addable(self, stream_id: str) -> None:
        """Refuse a name that ``add`` would refuse."""
        raise UsageError("streams can be added to a run of the executor 'threaded' only")

    def remove(self, stream_id: str, timeout_s: float) -> StreamStats:
        """End a stream in order while the others go on; returns what became of it.

        Raises:
            UsageError: no such stream.
            TimeoutError: it is not over after ``timeout_s``; it goes on ending.
        """
        raise UsageError("streams can be removed from a run of the executor 'threaded' only")

    def _record(self, source: Source) -> StreamRecord:
        latest = source.live if self.options.latest is None else self.options.latest
        default = (2 if latest else 2 * self.options.budget.workers + 4) + self._held
        limit = self.options.max_in_flight or default
        return StreamRecord(source, limit, latest=latest, strict=self.options.strict)

    def cancel(self, *, now: bool) -> None:
        """Ask for an orderly end. Takes no lock, so that a signal handler may call it."""
        self.cancelled = True
        self.drop_at_once = self.drop_at_once or now
        self._request_stop()

    def _request_stop(self) -> None:
        self.stop_requested = True
        self.events.put(None)

    @property
    def was_running(self) -> bool:
        """All was opened, and frames were set in motion."""
        return self._started_ns > 0

    @property
    def stop_reason(self) -> EndReason:
        """Why streams are ended that have not ended by themselves."""
        return EndReason.CANCELLED if self.faults.fatal is None else EndReason.FAILED

    def main(self) -> None:
        """Open, run, close. Never raises: see ``outcome``."""
        try:
            self._open()
            if not self.stop_requested:
                self._started_ns = perf_counter_ns()
                self.opened.set()
                self._run()
        except BaseException as error:
            self.faults.end_run(error)
        self._close()
        self._ended_ns = perf_counter_ns()
        for stream in self.streams:
            stream.ended = stream.ended or self.stop_reason
        for caller in () if self.cancelled else self.callers:
            caller.check_any_success()
        self.opened.set()
        self.finished.set()

    def outcome(self) -> BaseException | None:
        """The error that ended the run, or that of the first source where every source failed."""
        if self.faults.fatal is not None:
            return self.faults.fatal
        if self.options.open_ended:
            return None
        return self.streams[0].error if all(stream.error for stream in self.streams) else None

    def stats(self) -> RunStats:
        """A snapshot."""
        until = self._ended_ns or perf_counter_ns()
        streams = tuple(self.streams)
        return RunStats(
            streams=tuple(stream.stats() for stream in streams),
            sources=tuple(stream.read_stats() for stream in streams),
            stages=tuple(caller.stats() for caller in self.callers),
            sinks=(*(sink.stats() for sink in self.sinks), *(one for stream in streams for one in stream.own_sinks())),
            latency_ms=self.latency.summary(),
            wall_s=(until - self._started_ns) * 1e-9 if self._started_ns else 0.0,
            errors=self.faults.lines,
        )

    def stream_failed(self, stream: StreamRecord, error: BaseException) -> None:
        """A source failed: its stream ends, the others go on."""
        stream.error = stream.failure(error)
        if stream.error is not error:
            stream.error.__cause__ = error
        self.faults.note(f"stream {stream.stream_id}", one_line(stream.error))
        if self.faults.strict:
            self.faults.end_run(stream.error)

    def source_unopened(self, stream: StreamRecord, error: BaseException) -> None:
        """A source cannot be opened: the run fails before anything is written, unless other cameras can go on."""
        if self.options.open_ended or (stream.latest and len(self.streams) > 1):
            self.stream_failed(stream, error)
            return
        stream.error = stream.failure(error)
        if stream.error is not error:
            stream.error.__cause__ = error
        self.faults.end_run(stream.error)

    def interrupt_sources(self) -> None:
        """End reads that wait."""
        for stream in self.streams:
            self.interrupt(stream)

    def interrupt(self, stream: StreamRecord) -> None:
        """End a read of one source that waits."""
        try:
            stream.source.interrupt()
        except BaseException as error:
            log.debug("source %r: %s", stream.stream_id, one_line(error), exc_info=error)

    def close_source(self, stream: StreamRecord, frames: Generator[Frame, None, None]) -> None:
        """Leave the source early or late; an error is only noted: all frames have been read by now."""
        for close in (frames.close, stream.source.close):
            try:
                close()
            except BaseException as error:
                message = f"source {stream.stream_id!r} did not close: {one_line(error)}"
                self.faults.note(f"close {stream.stream_id}", message)

    def _open(self) -> None:
        self._open_sources()
        for caller in self.callers:
            self._open_part(f"stage {caller.name!r}", caller.name, caller.stage)
        for sink in self.sinks:
            self._open_part(f"output {sink.name!r}", sink.name, sink.sink)

    def _open_part(self, who: str, name: str, part: Stage | Sink) -> None:
        if self.stop_requested:
            return
        try:
            part.open()
        except VidgraphError:
            raise
        except Exception as error:
            message = f"{who} cannot be opened: {one_line(error)}"
            raise StageError(message, stage=name, stream_id="", frame_index=None) from error
        self._open_parts.add(id(part))

    def _close(self) -> None:
        """Close what was opened and is not closed yet: sinks first, then stages, both in order."""
        for sink in self.sinks:
            if self.take_open(sink.sink):
                sink.close()
        for caller in self.callers:
            if self.take_open(caller.stage):
                try:
                    caller.stage.close()
                except BaseException as error:
                    self.faults.note(f"close {caller.name}", f"stage {caller.name!r} did not close: {one_line(error)}")
        self._close_sources()

    def take_open(self, part: Stage | Sink) -> bool:
        """True once for a part that is open: who gets it closes it."""
        try:
            self._open_parts.remove(id(part))
        except KeyError:
            return False
        return True

    @abstractmethod
    def _open_sources(self) -> None:
        """Open all sources; errors go to ``source_unopened``."""

    @abstractmethod
    def _run(self) -> None:
        """Run all streams to their ends."""

    @abstractmethod
    def _close_sources(self) -> None:
        """Close sources that are still open."""
