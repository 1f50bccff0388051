"""Ctrl-C and SIGTERM: the first ends a run in order, the second at once, the third is no longer caught."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopOnSignal:
    """While entered, SIGINT and SIGTERM call ``stop(now)``: ``now`` is False for the first, True for the second.

    Handlers can only be set in the main thread; elsewhere entering does nothing. The handlers that were
    there before are put back on leaving, and already after the second signal: a third one acts as it did
    before. ``stop`` is called between two instructions of the main thread, so it must not wait for locks
    that the main thread may hold; :meth:`Run.cancel` is fit for it.

    Attributes:
        received: the first signal that came, or None; a command's exit code is 128 + ``received``.
    """

    def __init__(self, stop: Callable[[bool], object]) -> None:
        self.received: int | None = None
        self._stop = stop
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopOnSignal:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = self.received is not None
        self.received = self.received or number
        if now:
            self._restore()
        self._stop(now)

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._previous = {}


@contextmanager
def unwinding() -> Iterator[None]:
    """While entered, SIGTERM ends the process by ``SystemExit`` and not at once, so that nothing half done is left.

    Where something else handles it, and in other threads than the main one, entering does nothing.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
