"""Calls of stages and sinks in a run: timed, held to the contract, and what an error means. Both executors share it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from ...kernels.device import DeviceFailure
from .. import redaction
from ..errors import DeviceError, EngineError, OutputError, StageError, VidgraphError
from ..packet import Frame, Packet
from ..stage import EndReason, Sink, Stage
from .stats import Samples, StageStats

FAILURES_IN_A_ROW = 10
"""A stage that fails on so many frames in a row ends the run, strict or not."""

log = logging.getLogger("vidgraph")
_LONGEST_MESSAGE = 10_000  # characters


def one_line(error: BaseException) -> str:
    """The message of ``error`` on one line, without secrets; with the type's name where it is not vidgraph's own."""
    try:
        words = error.args[0] if isinstance(error, KeyError) and error.args else error  # str() of a KeyError quotes it
        text = redaction.one_line(str(words)[:_LONGEST_MESSAGE])
    except BaseException as failure:  # whatever it is, it must not end the thread that reports
        text = f"its message cannot be shown ({type(failure).__name__})"
    if str(type(error).__module__).split(".")[0] == __name__.split(".")[0] and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _of_the_tree(error: BaseException) -> BaseException:
    """What the kernels raise where a device cannot be used, as one of vidgraph's errors; others as they are."""
    if not isinstance(error, DeviceFailure):
        return error
    mapped = DeviceError(str(error))
    mapped.__cause__ = error
    return mapped


def where(frame: Frame) -> str:
    """``frame 41 of stream 'door' (t = 1.640 s)``."""
    return f"frame {frame.index} of stream {frame.stream_id!r} (t = {frame.time_s:.3f} s)"


class Faults:
    """What went wrong in a run, and whether the run can go on. Any thread may report.

    One bad frame is dropped as ``failed`` and counted. An error ends the run

    - with ``strict``: always;
    - where an engine fails (``EngineError``) before its stage has done one frame;
    - where it is another ``VidgraphError``, which says that the run was put together wrongly (``UsageError``,
      ``MissingExtraError``, ``ResultsError``, …), or Python itself is to end;
    - when a stage fails on FAILURES_IN_A_ROW frames in a row, or on every frame of the run;
    - when a stage breaks its contract: loses a frame, gives one twice, or gives no packets at all.

    Args:
        strict: every error ends the run.
        stop: called once, from the thread that fails, when an error ends the run.
    """

    def __init__(self, *, strict: bool, stop: Callable[[], None]) -> None:
        self.strict = strict
        self.fatal: BaseException | None = None
        self._lines: dict[str, str] = {}
        self._stop = stop
        self._lock = threading.Lock()

    @property
    def lines(self) -> tuple[str, ...]:
        """The first error of each stage or stream, one line each."""
        with self._lock:
            return tuple(self._lines.values())

    def note(self, who: str, message: str) -> None:
        """Keep and log the first error of ``who``; further ones only go to the debug log."""
        with self._lock:
            first = who not in self._lines
            self._lines.setdefault(who, message)
        log.log(logging.WARNING if first else logging.DEBUG, "%s", message)

    def end_run(self, error: BaseException) -> None:
        """End the run with ``error``; of several, the first counts."""
        with self._lock:
            first, self.fatal = self.fatal is None, self.fatal or error
        if first:
            self._stop()
        else:
            log.debug("after the run had failed: %s", one_line(error))


class SinkCaller:
    """One sink of a run, called from one thread.

    None of its methods raises; an error ends the run, or goes to ``fail``.

    After an error in ``write`` the sink gets no more packets, but is still ended and closed.
    """

    def __init__(self, sink: Sink, faults: Faults, fail: Callable[[OutputError], None] | None = None) -> None:
        """
        Args:
            fail: is called with an error, where it is not to end the run.
        """
        self.sink, self.name = sink, sink.name
        self._fail = fail or faults.end_run
        self._samples = Samples()
        self._failed = 0

    def write(self, packet: Packet) -> None:
        """Hand ``packet`` to the sink."""
        if self._failed:
            return
        started = perf_counter_ns()
        try:
            self.sink.write(packet)
        except BaseException as error:
            self._failed += 1
            self._end_run(f"on {where(packet.frame)}", error)
        self._samples.add((perf_counter_ns() - started) * 1e-6)

    def end_stream(self, stream_id: str, reason: EndReason) -> None:
        """Tell the sink that the stream is over."""
        try:
            self.sink.end_stream(stream_id, reason)
        except BaseException as error:
            self._end_run(f"at the end of stream {stream_id!r}", error)

    def close(self) -> None:
        """Close the sink."""
        try:
            self.sink.close()
        except BaseException as error:
            self._end_run("when it was closed", error)

    def stats(self) -> StageStats:
        """Calls so far."""
        busy = self._samples.summary()
        return StageStats(self.name, busy.count - self._failed, self._failed, busy, self.sink.left_out)

    def _end_run(self, when: str, cause: BaseException) -> None:
        error = OutputError(f"output {self.name!r} failed {when}: {one_line(cause)}")
        error.__cause__ = cause
        self._fail(error)


class StageCaller:
    """One stage of a run. ``process`` is called as the stage's contract allows, from any thread.

    Every frame that goes in comes out exactly once, sooner or later, whatever the stage does: one that it
    failed on or lost comes out dropped with the cause ``failed``.
    """

    def __init__(self, stage: Stage, faults: Faults) -> None:
        self.stage, self.name = stage, stage.name
        self.stateless, self._holds, self._sees_dropped = stage.stateless, stage.holds, stage.on_dropped
        self._process = stage.process
        self._held: dict[str, dict[int, Packet]] = {}
        self._faults = faults
        self._samples = Samples()
        self._failed = self._failed_in_a_row = 0
        self._last_failure: tuple[str, Frame, BaseException] | None = None
        self._lock = threading.Lock()

    def process(self, packet: Packet) -> list[Packet]:
        """What the stage makes of ``packet``; never raises."""
        if packet.drop_cause is not None and not self._sees_dropped:
            return [packet]
        outputs: list[Any] = []
        started = perf_counter_ns()
        try:
            result = self._process(packet)
            outputs.extend((None,) if result is None else result)  # keeps what came before an error
        except BaseException as error:  # threads of a run are the last to see it
            self._samples.add((perf_counter_ns() - started) * 1e-6)
            return self._after_error(packet, outputs, _of_the_tree(error))
        self._samples.add((perf_counter_ns() - started) * 1e-6)
        self._failed_in_a_row = 0
        if len(outputs) == 1 and not self._holds and _same_frame(outputs[0], packet):
            return outputs
        held = self._held_with(packet)
        return self._account(packet.frame.stream_id, held, outputs, self._holds)

    def end_stream(self, stream_id: str, reason: EndReason) -> list[Packet]:
        """What the stage still had of the stream; never raises."""
        outputs: list[Any] = []
        try:
            outputs.extend(self.stage.end_stream(stream_id, reason))
        except BaseException as error:
            message = f"stage {self.name!r} failed at the end of stream {stream_id!r}: {one_line(error)}"
            self._end_run(message, stream_id, None, error)
        return self._account(stream_id, self._held.pop(stream_id, {}), outputs, 0)

    def check_any_success(self) -> None:
        """End the run if the stage failed on every frame that it was given: nothing useful came out."""
        if self._failed and self._failed == self._samples.count and self._last_failure is not None:
            message, frame, error = self._last_failure
            self._end_run(f"{message} (it failed on every frame)", frame.stream_id, frame.index, error)

    def stats(self) -> StageStats:
        """Calls so far."""
        busy = self._samples.summary()
        return StageStats(self.name, busy.count - self._failed, self._failed, busy)

    def _held_with(self, packet: Packet) -> dict[int, Packet]:
        """Frames that the stage has, this one included: of the stream, or of this call where none is held back."""
        held = self._held.setdefault(packet.frame.stream_id, {}) if self._holds else {}
        held[packet.frame.index] = packet
        return held

    def _account(self, stream_id: str, held: dict[int, Packet], outputs: list[Any], may_hold: int) -> list[Packet]:
        """Check ``outputs`` against the frames given: what the stage lost is added, what it made up is left out."""
        good: list[Packet] = []
        for output in outputs:
            if not isinstance(output, Packet):
                what = "None" if output is None else type(output).__name__
                self._break_contract(f"gave {what} instead of packets", stream_id, None)
            elif output.frame.stream_id != stream_id or held.pop(output.frame.index, None) is None:
                frame = output.frame
                self._break_contract(f"gave {where(frame)}, which it did not have", stream_id, frame.index)
            else:
                good.append(output)
        while len(held) > may_hold:
            lost = held.pop(next(iter(held)))
            cure = "give a packet for every frame, unwanted ones as packet.dropped(cause)"
            cure += "" if self._holds else "; a stage that keeps frames back says how many with 'holds'"
            self._break_contract(f"lost {where(lost.frame)}: {cure}", stream_id, lost.frame.index)
            good.append(lost.dropped("failed"))
        return good

    def _after_error(self, packet: Packet, outputs: list[Any], error: BaseException) -> list[Packet]:
        """Count the failure; the frame goes on as dropped, after those that the stage held back.

        A stage that holds frames back is flushed and forgets the stream: nothing says that what it
        keeps is still sound, and later frames must not wait for it.
        """
        frame = packet.frame
        message = f"stage {self.name!r} failed on {where(frame)}: {one_line(error)}"
        with self._lock:
            self._failed += 1
            self._failed_in_a_row += 1
            in_a_row = self._failed_in_a_row
            self._last_failure = message, frame, error
        log.debug("%s", message, exc_info=error)
        if isinstance(error, EngineError):
            hopeless = self._failed == self._samples.count
        else:
            hopeless = isinstance(error, VidgraphError) or not isinstance(error, Exception)
        if self._faults.strict or hopeless:
            self._end_run(message, frame.stream_id, frame.index, error)
        elif in_a_row >= FAILURES_IN_A_ROW:
            self._end_run(f"{message} ({in_a_row} frames in a row)", frame.stream_id, frame.index, error)
        else:
            self._faults.note(self.name, message)
        held = self._held_with(packet)
        good = self._account(frame.stream_id, held, outputs, self._holds + 1)
        failed = held.pop(frame.index, None)
        if self._holds:
            good += self.end_stream(frame.stream_id, EndReason.FAILED)
        return good if failed is None else [*good, failed.dropped("failed")]

    def _break_contract(self, what: str, stream_id: str, index: int | None) -> None:
        self._end_run(f"stage {self.name!r} {what}", stream_id, index, None)

    def _end_run(self, message: str, stream_id: str, index: int | None, cause: BaseException | None) -> None:
        error = StageError(message, stage=self.name, stream_id=stream_id, frame_index=index)
        error.__cause__ = cause
        self._faults.end_run(error)


def _same_frame(output: Any, packet: Packet) -> bool:
    if type(output) is not Packet:
        return False
    ours, theirs = packet.frame, output.frame
    return ours is theirs or (ours.index == theirs.index and ours.stream_id == theirs.stream_id)
