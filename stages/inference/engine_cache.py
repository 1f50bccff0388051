"""Engines by input size: opened when a stream first needs them, shared, bounded in number."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from ...kernels.device import Tensor
from ...pipeline.errors import UsageError
from ...pipeline.types.picture import Size

Arrays = Mapping[str, Any]


class Closable(Protocol):
    """What runs a network for one input size, and holds its engines."""

    def close(self) -> None: ...


class Runner(Closable, Protocol):
    """What answers requests for one input size: an ``EngineQueue``."""

    def submit(self, feeds: Mapping[str, Tensor], *, stream_id: str = "") -> Future[Arrays]: ...


RunnerT = TypeVar("RunnerT", bound=Closable)


@dataclass(slots=True)
class _Entry(Generic[RunnerT]):
    """One size in the cache. ``lock`` makes the second stream of a size wait while the first opens it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    runner: RunnerT | None = None
    users: int = 0


class EngineCache(Generic[RunnerT]):
    """Keeps a runner per input size; safe from any thread.

    At most ``limit`` sizes stay open: where more are needed, the one that was idle longest is closed.
    A runner in use is never closed, so more than ``limit`` may be open while more than that are in use.

    Args:
        open_runner: opens the runner for an input of (height, width); called outside of the cache's
            lock, once per size at a time. What it raises reaches the stage that asked.
        limit: sizes that stay open.
    """

    def __init__(self, open_runner: Callable[[Size], RunnerT], *, limit: int = 8) -> None:
        self._open_runner, self._limit = open_runner, limit
        self._entries: OrderedDict[Size, _Entry[RunnerT]] = OrderedDict()
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def runner(self, size: Size) -> Iterator[RunnerT]:
        """The runner for ``size``, opened if need be, and not closed inside of the ``with``.

        Raises:
            UsageError: the cache is closed.
        """
        with self._lock:
            if self._closed:
                raise UsageError("the model is closed; load it again to use it further")
            entry = self._entries.setdefault(size, _Entry[RunnerT]())
            self._entries.move_to_end(size)
            entry.users += 1
        try:
            with entry.lock:
                if entry.runner is None:
                    entry.runner = self._open_runner(size)
                runner = entry.runner
            yield runner
        finally:
            with self._lock:
                entry.users -= 1
                surplus = self._take_surplus()
            _close(surplus)

    def close(self) -> None:
        """Close all runners; those in use are closed by their last user."""
        with self._lock:
            self._closed = True
            surplus = self._take_surplus()
        _close(surplus)

    def __len__(self) -> int:
        return len(self._entries)

    def _take_surplus(self) -> list[_Entry[RunnerT]]:
        """Take idle entries out of the cache, oldest first, until it is within its limit (or empty, when closed)."""
        limit = 0 if self._closed else self._limit
        idle = [size for size, entry in self._entries.items() if entry.users == 0]
        return [self._entries.pop(size) for size in idle[: max(len(self._entries) - limit, 0)]]


def _close(entries: Sequence[_Entry[Any]]) -> None:
    for entry in entries:
        if entry.runner is not None:
            entry.runner.close()
