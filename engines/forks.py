"""What becomes of a library that has threads in a process that is forked: they do not come along."""

from __future__ import annotations

import os

from ..pipeline.errors import EngineError


class ForkGuard:
    """Says, for one library, whether it can still be used in this process.

    A library that waits for threads it believes to have waits for ever, in the child of a process that had them.

    Args:
        library: what messages call it.
        instead: what to do without it.
    """

    def __init__(self, library: str, *, instead: str = "") -> None:
        self._library, self._instead = library, instead
        self._has_threads = self._lost_threads = False
        if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
            os.register_at_fork(after_in_child=self._after_fork)

    def begin(self, name: str) -> None:
        """Say before a network is opened that there are threads from now on.

        Raises:
            EngineError: as :meth:`check`.
        """
        self.check(name)
        self._has_threads = True

    def check(self, name: str) -> None:
        """
        Args:
            name: of the network, for the message.

        Raises:
            EngineError: this process was forked from one in which the library had threads.
        """
        if self._lost_threads:
            raise EngineError(
                f"{name}: {self._library} ran before this process was forked, and cannot run in it; begin processes "
                f"with multiprocessing.get_context('spawn'){self._instead}"
            )

    def _after_fork(self) -> None:
        self._lost_threads = self._lost_threads or self._has_threads
