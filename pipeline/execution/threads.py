"""One owner of threads: how many there are, and who gets how many.

The rule. ``total`` is ``--threads`` or else the cores this process may use (affinity and cgroup quota,
whichever is less). The parts wait for each other most of the time, so the shares overlap: every part may
use all of its share, and the operating system divides the cores among those that have work.

=================  ====================  =================================  ==================================
share              files                 live                               why
=================  ====================  =================================  ==================================
decoder            total / sources       total / sources                    frame threads hide behind inference
workers            total                 total, at least 2                  stages never wait for a worker
requests           total, 1 thread each  1, on total threads                throughput; latency
encoder            total                 total                              encodes while the next frame infers
=================  ====================  =================================  ==================================

A network that runs batches has one worker for each frame of a batch, which all wait for it together, and one more.

No share is less than 1. With ``--threads 1`` nothing runs on more than one thread within a part.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import UsageError

PARENT_LOOKED_AT_S = 2.0


@dataclass(frozen=True, slots=True)
class ThreadBudget:
    """How many threads each part of a run may use; see the table of this module.

    Attributes:
        total: threads that may be busy at one time.
        decoder: threads of each source's decoder.
        workers: threads that run stages.
        requests: engine requests that may run at one time.
        request_threads: threads of one engine request.
        encoder: threads of each encoder.
    """

    total: int
    decoder: int
    workers: int
    requests: int
    request_threads: int
    encoder: int

    @classmethod
    def share_out(cls, threads: int | None = None, *, live: bool = False, sources: int = 1) -> ThreadBudget:
        """Share ``threads`` (None: all available cores) out among the parts of a run.

        Args:
            threads: at least 1, or None.
            live: any source is live; latency counts rather than throughput.
            sources: how many decoders share.

        Raises:
            UsageError: ``threads`` is less than 1.
        """
        if threads is not None and threads < 1:
            raise UsageError(f"threads must be at least 1, got {threads}")
        total = threads or available_cores()
        return cls(
            total=total,
            decoder=max(1, total // max(1, sources)),
            workers=max(total, 2) if live else total,
            requests=1 if live else total,
            request_threads=total if live else 1,
            encoder=total,
        )

    def for_batches(self, batch: int) -> ThreadBudget:
        """With enough workers for a network that runs ``batch`` frames at one time."""
        return self if batch == 1 else replace(self, workers=max(self.workers, batch + 1))


def available_cores(*, proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """Cores that this process may use: its affinity, and less where a cgroup (v1 or v2) has a quota; at least 1.

    Args:
        proc: where the process file system is mounted.
        cgroups: where the cgroup file systems are mounted.
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        cores = os.cpu_count() or 1
    quota = _cgroup_quota(proc, cgroups)
    return max(1, cores if quota is None else min(cores, math.ceil(quota)))


def end_with_parent() -> None:
    """End this process, from a thread of its own, soon after the one that began it is no more, however that ended."""
    threading.Thread(target=_leave_with, args=(os.getppid(),), daemon=True).start()


def _leave_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_LOOKED_AT_S)
    os._exit(1)


def _cgroup_quota(proc: Path, cgroups: Path) -> float | None:
    """The least CPU quota of this process's cgroup and its parents, in cores; None without one."""
    quotas: list[float] = []
    for line in _read(proc / "self" / "cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers == "":
            quotas += _quotas_above(cgroups, path, _quota_v2)
        elif "cpu" in controllers.split(","):
            mounts = (cgroups / "cpu", cgroups / controllers)
            quotas += next((_quotas_above(mount, path, _quota_v1) for mount in mounts if mount.is_dir()), [])
    return min(quotas, default=None)


def _quotas_above(mount: Path, path: str, quota_of: Callable[[Path], float | None]) -> list[float]:
    """Quotas of the cgroup ``path`` below ``mount`` and all its parents; in a container only the mount may exist."""
    relative = Path(path.lstrip("/"))
    found = (quota_of(mount / parent) for parent in (relative, *relative.parents))
    return [quota for quota in found if quota is not None]


def _quota_v2(folder: Path) -> float | None:
    """``cpu.max``: ``max 100000`` or ``150000 100000`` (quota and period in microseconds)."""
    return _ratio(*[*_read(folder / "cpu.max").split(), "", ""][:2])


def _quota_v1(folder: Path) -> float | None:
    """``cpu.cfs_quota_us`` (-1: none) and ``cpu.cfs_period_us``."""
    return _ratio(_read(folder / "cpu.cfs_quota_us").strip(), _read(folder / "cpu.cfs_period_us").strip())


def _ratio(quota: str, period: str) -> float | None:
    if not (quota.isdigit() and period.isdigit()) or int(period) == 0:
        return None  # "max", "-1", or no such file
    return int(quota) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
