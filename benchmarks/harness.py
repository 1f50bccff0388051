"""Times formulations of the same arithmetic side by side: answers are checked first, rounds are interleaved."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from ..engines.info import engine_packages
from ..pipeline.claims import whole_file
from ..pipeline.environment import environment


def optional(name: str) -> Any:
    """The module, or None where it is not installed: its formulation is then left out of the comparison."""
    try:
        return import_module(name)
    except ImportError:
        return None


@dataclass(frozen=True, slots=True)
class Case:
    """One formulation of one task.

    Attributes:
        task: what is computed; cases of one task are compared with each other.
        name: whose formulation: ``vidgraph``, ``numpy``, ``opencv``, ``torch``.
        run: computes the answer; called many times.
        check: raises AssertionError if ``run``'s answer is wrong; called once before timing.
        bytes_moved: least memory traffic of one call, for the distance to the memory limit.
    """

    task: str
    name: str
    run: Callable[[], Any]
    check: Callable[[], None]
    bytes_moved: int | None = None


Runs = Mapping[str, Callable[[], Any] | None]
"""Formulations of one task by name; None where the package that one needs is not installed."""


def cases_of(
    task: str, runs: Runs, check: Callable[[Callable[[], Any]], None], bytes_moved: int | None = None
) -> Iterator[Case]:
    """A case for each formulation; ``check`` takes what it runs."""
    for name, run in runs.items():
        if run is not None:
            yield Case(task, name, run, partial(check, run), bytes_moved)


@dataclass(slots=True)
class Timing:
    """Milliseconds of one case: CPU time of the process and wall time, per call."""

    case: Case
    cpu_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        """The figures of this case, JSON-able."""
        wall = sorted(self.wall_ms)
        row: dict[str, Any] = {
            "task": self.case.task,
            "name": self.case.name,
            "rounds": len(wall),
            "cpu_ms": round(statistics.median(self.cpu_ms), 4),
            "wall_ms": round(statistics.median(wall), 4),
            "wall_ms_p95": round(wall[min(len(wall) - 1, int(0.95 * len(wall)))], 4),
        }
        if self.case.bytes_moved is not None:
            row["gb_per_s"] = round(self.case.bytes_moved / 1e6 / statistics.median(wall), 3)
        return row


def measure(cases: Sequence[Case], *, rounds: int = 15, seconds_per_round: float = 0.02) -> list[Timing]:
    """Check every case, then time them in turn, ``rounds`` times: A B C, A B C, ….

    Within a round a case is repeated for about ``seconds_per_round``, and the mean is kept. A case that
    is repeated runs once before: it does not pay for what the case before it did to caches and memory.

    Raises:
        AssertionError: a case gives a wrong answer; nothing is timed then.
    """
    for case in cases:
        case.check()
    timings = [Timing(case) for case in cases]
    repeats = [_repeats(case, seconds_per_round) for case in cases]
    for _ in range(rounds):
        for timing, count in zip(timings, repeats, strict=True):
            if count > 1:
                timing.case.run()
            cpu, wall = time.process_time_ns(), time.perf_counter_ns()
            for _ in range(count):
                timing.case.run()
            timing.wall_ms.append((time.perf_counter_ns() - wall) / 1e6 / count)
            timing.cpu_ms.append((time.process_time_ns() - cpu) / 1e6 / count)
    return timings


def _repeats(case: Case, seconds: float) -> int:
    """How often it runs in that time. The first run of all may be much slower than the next ones."""
    shortest = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        case.run()
        shortest = min(shortest, time.perf_counter() - started)
        if shortest > 5 * seconds:
            break
    return max(1, min(10_000, int(seconds / max(shortest, 1e-7))))


def report(timings: Iterable[Timing]) -> str:
    """A text table: one line per case, with its ratio to vidgraph's own case of the same task."""
    rows = [timing.row() for timing in timings]
    ours = {row["task"]: row["wall_ms"] for row in rows if row["name"] == "vidgraph"}
    lines = [f"{'task':<46} {'formulation':<16} {'wall ms':>9} {'CPU ms':>9} {'x ours':>7}"]
    for row in rows:
        base = ours.get(row["task"])
        ratio = f"{row['wall_ms'] / base:7.2f}" if base else " " * 7
        lines.append(f"{row['task']:<46} {row['name']:<16} {row['wall_ms']:9.3f} {row['cpu_ms']:9.3f} {ratio}")
    return "\n".join(lines)


def save(path: Path, kind: str, figures: Any, *, overwrite: bool = True) -> None:
    """Write figures as JSON together with the machine, versions and commit they belong to.

    Raises:
        OutputError: the file exists and is not to be overwritten, or cannot be written.
    """
    record = {"kind": kind, **environment(engine_packages()), "figures": figures}
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, overwrite=overwrite) as part:
        part.write_text(json.dumps(record, indent=1) + "\n")
