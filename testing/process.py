"""A process that a test may kill, freeze and command."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress

from ..pipeline.errors import SourceError


class Process:
    """Started, and waited for until it prints a line with ``READY``; what it prints on standard error is kept.

    Attributes:
        ready: the words after ``READY``.

    Raises:
        SourceError: it ends, or says nothing for ``timeout_s``.
    """

    def __init__(
        self, who: str, command: Sequence[str], *, environment: Mapping[str, str] | None = None, timeout_s: float = 20.0
    ) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        self._errors: list[str] = []
        self._collector = threading.Thread(target=self._collect, name=f"{who}-stderr", daemon=True)
        self._collector.start()
        watch = threading.Timer(timeout_s, self._process.kill)
        watch.start()
        assert self._process.stdout
        self.ready: list[str] = []
        for line in self._process.stdout:
            word, *self.ready = line.split() or [""]
            if word == "READY":
                break
        else:
            self.kill()
            raise SourceError(f"{who} did not start: {''.join(self._errors).strip() or 'it said nothing'}")
        watch.cancel()
        watch.join()

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def freeze(self) -> None:
        """Stop it (SIGSTOP), as if power or cable were gone; the kernel still accepts connections for it."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    def stop(self, timeout_s: float = 5.0) -> None:
        """End it in order (SIGTERM), or kill it after a while."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        self.kill()

    def kill(self) -> None:
        """End it at once (SIGKILL); again does no harm."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._collector.join()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe
            with suppress(OSError):  # what was not written yet
                pipe.close()

    def wait(self, timeout_s: float) -> int:
        """Its exit code.

        Raises:
            TimeoutError: it still runs after ``timeout_s``.
        """
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"process {self.pid} still runs after {timeout_s:g} s") from error

    def _signal(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            os.kill(self.pid, number)

    def _collect(self) -> None:
        assert self._process.stderr
        self._errors.extend(self._process.stderr)
