"""One input in a process of its own: what it printed, how it ended, what it took, and what is wrong with that."""

from __future__ import annotations

import os
import re
import resource
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MOST_SECONDS = 60.0
MOST_MIB = 1024
_LINE = re.compile(r"vidgraph: .*", re.DOTALL)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_LITTER = ("*.part", "*.part.*", "*.tmp", ".*")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: exit code (negative: a signal, None: it was stopped), output, seconds, peak MiB, litter."""

    code: int | None
    out: str
    err: str
    seconds: float
    peak_mib: float
    litter: tuple[str, ...] = ()

    def fault(self) -> str:
        """What must not happen, in a few words; empty: all is well."""
        if self.code is None:
            return f"no end within {MOST_SECONDS:g} s"
        if self.code < 0:
            return f"killed by {signal.Signals(-self.code).name}"
        if "Traceback" in self.err:
            return "a traceback"
        if "fault of vidgraph" in self.err:
            return self.err.strip().splitlines()[-1]
        if self.peak_mib > MOST_MIB:
            return f"{self.peak_mib:.0f} MiB"
        if self.code not in (0, 1, 2, 3):
            return f"exit code {self.code}"
        lines = self.err.splitlines()
        if self.code in (1, 2) and not (lines and _LINE.fullmatch(lines[-1])) and not self.out:
            return f"exit code {self.code} without a line that says why"
        if _CONTROL.search(self.err):
            return "control characters on standard error"
        return f"left behind: {', '.join(self.litter)}" if self.litter else ""


def run(work: Callable[[], int], folder: Path) -> Ended:
    """Call ``work``, which gives an exit code, in a forked process whose current folder is ``folder``."""
    began = time.monotonic()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _in_the_child(work, folder)
    watched = os.pidfd_open(child)
    poll = select.poll()
    poll.register(watched, select.POLLIN)
    stopped = not poll.poll(MOST_SECONDS * 1000)
    if stopped:
        os.kill(child, signal.SIGKILL)
    _, status, used = os.wait4(child, 0)
    os.close(watched)
    out, err = ((folder / name).read_bytes().decode("utf-8", "replace") for name in ("stdout", "stderr"))
    code = None if stopped else os.waitstatus_to_exitcode(status)
    litter = sorted({str(path.relative_to(folder)) for pattern in _LITTER for path in folder.rglob(pattern)})
    return Ended(code, out, err, time.monotonic() - began, used.ru_maxrss / 1024, tuple(litter))


def _in_the_child(work: Callable[[], int], folder: Path) -> None:
    """Never returns."""
    code = 70
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for stream, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(folder)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        code = work()
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
