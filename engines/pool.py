"""The requests of one compiled network, handed to the threads that call it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from ..pipeline.errors import EngineError

Item = TypeVar("Item")
_LEFT: list[Any] = []  # of a forked process: to free what has threads in the other one could wait for ever


class Pool(Generic[Item]):
    """Items that are used by one thread at a time; a thread that finds none idle waits."""

    def __init__(self, owner: str, items: Iterable[Item]) -> None:
        self._owner = owner
        self._idle = list(items)
        self._in_use = 0
        self._closed = False
        self._process = os.getpid()
        self._changed = threading.Condition()

    @contextmanager
    def take(self) -> Iterator[Item]:
        """An item for the length of the ``with`` block, the last one given back first (its memory is warm).

        Raises:
            EngineError: the pool is closed; or all were in use when this process was forked, and stay so.
        """
        with self._changed:
            while not self._idle and not self._closed:
                if os.getpid() != self._process:
                    raise EngineError(f"{self._owner}: was running when this process was forked; open it again here")
                self._changed.wait()
            if self._closed:
                raise EngineError(f"{self._owner}: run() after close()")
            item = self._idle.pop()
            self._in_use += 1
        try:
            yield item
        finally:
            with self._changed:
                self._in_use -= 1
                self._idle.append(item)
                self._changed.notify_all()

    def close(self) -> None:
        """Refuse further use, wait for what is in use, then let go of the items; may be called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            if os.getpid() != self._process:
                _LEFT.extend(self._idle)
            while self._in_use and os.getpid() == self._process:
                self._changed.wait()
            self._idle.clear()
