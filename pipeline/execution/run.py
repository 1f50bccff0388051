"""A graph that runs: wait for it, look at it, stop it."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from types import TracebackType

from ..errors import UsageError
from ..stage import Sink, Source
from .base import Execution
from .stats import RunStats, StreamStats

UNWIND_S = 12.0
"""So long, at most, an interrupted ``wait`` waits for outputs to be finished before the interrupt goes on."""


class GraphRun:
    """One run of a graph; made by :meth:`Graph.start` (already started) or :meth:`Graph.prepare` (not yet).

    As a context manager it is cancelled, and its outputs are finished, on leaving.
    """

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._thread = threading.Thread(target=execution.main, name="vidgraph run", daemon=True)
        self._process: int | None = None  # that it was started in

    @property
    def stream_ids(self) -> tuple[str, ...]:
        """The streams, in the graph's order."""
        return tuple(stream.stream_id for stream in self._execution.streams)

    @property
    def over(self) -> tuple[StreamStats, ...]:
        """Of an open-ended run: the streams that are over, the last 256 of them."""
        return tuple(self._execution.over)

    @property
    def done(self) -> bool:
        """All outputs are finished and everything is closed."""
        return self._execution.finished.is_set()

    @property
    def running(self) -> bool:
        """Started, and not done."""
        return self._thread.ident is not None and not self.done

    @property
    def orphaned(self) -> bool:
        """This process was forked from the one where it runs: nothing goes on here."""
        return self._process not in (None, os.getpid()) and not self.done

    @property
    def inside(self) -> bool:
        """The caller is in a callback of the run, whose end it cannot wait for."""
        return threading.current_thread() is self._thread or self._execution.is_own(threading.current_thread())

    @property
    def cancelled(self) -> bool:
        """``cancel`` was called."""
        return self._execution.cancelled

    @property
    def error(self) -> BaseException | None:
        """What ``wait`` raises: None while it runs, and where the run did not fail."""
        return self._execution.outcome() if self.done else None

    def start(self) -> GraphRun:
        """Open sources, stages and sinks, in this order, and set the frames in motion; returns when all is open.

        A run that was cancelled before returns too, with nothing done.

        Raises:
            VidgraphError: something cannot be opened; what was opened is closed again.
        """
        self._process = os.getpid()
        self._thread.start()
        self._wait_for(self._execution.opened)
        if self._execution.faults.fatal is not None and not self._execution.was_running:
            self.wait()
        return self

    def wait(self, timeout_s: float | None = None) -> RunStats:
        """Wait until the run is over: sources at their end (or stopped), outputs finished, everything closed.

        A cancelled run is no error. An interrupt (Ctrl-C) while waiting cancels the run, finishes the
        outputs and then goes on as ``KeyboardInterrupt``.

        Raises:
            StageError: a stage broke its contract, failed on too many frames, or on one with ``strict``.
            OutputError: a sink failed.
            SourceError: every source failed, or one did with ``strict``.
            TimeoutError: it is not over after ``timeout_s``; it goes on.
            UsageError: it goes on in another process, from which this one was forked; or a callback of the run itself
                would wait.
        """
        if not self._wait_for(self._execution.finished, timeout_s):
            raise TimeoutError(f"the run is not over after {timeout_s:g} s")
        self._thread.join()
        error = self._execution.outcome()
        if error is not None:
            raise error
        return self.stats()

    def cancel(self, now: bool = False) -> None:
        """Ask for an orderly end; returns at once, from any thread or signal handler, and may be called often.

        Sources stop, frames in flight go through (those that take too long, or all with ``now``, reach the
        sinks as dropped with the cause ``cancelled``), stages are flushed and outputs finished.
        """
        self._execution.cancel(now=now)

    def add(self, source: Source, sinks: Sequence[Sink] = ()) -> None:
        """Take a further stream into an open-ended run, from any thread; the others go on undisturbed.

        Args:
            source: not in the run yet; its ``stream_id`` is none of the streams that are going on.
            sinks: outputs of this stream alone, beside those of the graph; an error in one ends the stream, not the
                run.

        Raises:
            UsageError: the graph is not open-ended, the run is not going on, or has a stream of that name.
            OutputError: an output cannot be opened.
        """
        self.check_here()
        self._execution.add(source, sinks)

    def check_addable(self, stream_id: str) -> None:
        """Refuse a name for a stream that :meth:`add` would refuse.

        Raises:
            UsageError: as for :meth:`add`.
        """
        self.check_here()
        self._execution.check_addable(stream_id)

    def remove(self, stream_id: str, timeout_s: float = 10.0) -> StreamStats:
        """End one stream in order, from any thread: what is in flight goes through, its own outputs are finished.

        A source that waits for its camera is left to end by itself. Called by a callback of the run, it returns at
        once: the stream ends when the callback has returned.

        Raises:
            UsageError: there is no such stream, or the run goes on in another process.
            TimeoutError: it is not over after ``timeout_s``; it goes on ending.
        """
        self.check_here()
        return self._execution.remove(stream_id, timeout_s)

    def stats(self) -> RunStats:
        """The statistics so far, while it runs too."""
        return self._execution.stats()

    def __enter__(self) -> GraphRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()
        if self._thread.ident is not None and not (self.orphaned or self.inside):
            self._wait_for(self._execution.finished)
            self._thread.join()

    def check_here(self) -> None:
        """Refuse to go on in a process that was forked from the run's.

        Raises:
            UsageError: this is one.
        """
        if self.orphaned:
            raise UsageError("the run goes on in the process that started it, from which this one was forked")

    def _wait_for(self, event: threading.Event, timeout_s: float | None = None) -> bool:
        self.check_here()
        if self.inside:
            raise UsageError("a callback of a run cannot wait for the end of that run; call cancel()")
        try:
            return event.wait(timeout_s)
        except BaseException:
            self.cancel()
            self._execution.finished.wait(UNWIND_S)
            raise
