"""The parts, and how they are run: each in a process of its own, for a limited time."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from .report import Absent, Report
from .scale import Bench

TOTAL_S = 570.0
"""For all parts together."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part.

    Attributes:
        module: has ``measure(bench, report)``.
        limit_s: it is ended then; what it has measured stays.
    """

    module: str
    limit_s: float


PARTS: dict[str, Part] = {
    "machine": Part(".machine", 40),
    "copies": Part(".part_copies", 40),
    "kernels": Part(".part_kernels", 120),
    "chain": Part(".part_chain", 40),
    "beside": Part(".part_beside", 80),
    "engines": Part(".part_engines", 220),
    "pipeline": Part(".part_pipeline", 180),
    "sanitizer": Part(".part_sanitizer", 210),
}
"""In the order in which they run."""

BAD = ("wrong", "failed", "out of time")
"""States of parts with which the command ends with 1; the others are ``done`` and ``skipped``."""

Outcome = dict[str, Any]
"""``state``, ``reason`` where there is one, ``seconds``, and the figures."""
Outcomes = dict[str, Outcome]
"""By part."""


def run_here(name: str, bench: Bench, path: Path | None = None) -> Outcome:
    """One part in this process; its report is also written to ``path``."""
    report, started = Report(path), time.perf_counter()
    state, reason = "done", ""
    try:
        import_module(PARTS[name].module, __package__).measure(bench, report)
    except Absent as error:
        state, reason = "skipped", str(error)
    except Exception as error:  # whatever it is, it is told, and the other parts go on
        state, reason = "failed", f"{type(error).__name__}: {error}"
    return _outcome("wrong" if report.wrong and state != "failed" else state, reason, started, report.figures())


def run_in_child(name: str, words: Sequence[str], limit_s: float, program: Sequence[str] = ()) -> Outcome:
    """One part in a process of its own, which has ``limit_s``.

    Args:
        name: of the part.
        words: further options of the command.
        limit_s: seconds; what was measured by then stays.
        program: in place of this module's command.
    """
    started = time.perf_counter()
    command = program or (sys.executable, *["-P"] * sys.flags.safe_path, "-m", __package__ or "")
    with tempfile.TemporaryDirectory(prefix="vidgraph-gpu-") as folder:
        outcome, partial = Path(folder, "outcome.json"), Path(folder, "report.json")
        files = ("--outcome", str(outcome), "--report", str(partial))
        try:
            code = subprocess.run(
                [*command, "--here", "--part", name, *files, *words], timeout=limit_s, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            return _outcome("out of time", f"it was ended after {limit_s:.0f} s", started, _read(partial))
        found = _read(outcome)
        if found:
            return found
        return _outcome("failed", f"its process ended with {code} and left nothing", started, _read(partial))


def _outcome(state: str, reason: str, started: float, figures: Outcome) -> Outcome:
    said = {"reason": reason} if reason else {}
    return {"state": state, **said, "seconds": round(time.perf_counter() - started, 1), **figures}


def _read(path: Path) -> Outcome:
    return dict(json.loads(path.read_text())) if path.exists() else {}


def run_all(
    names: Sequence[str], words: Sequence[str], keep: Callable[[Outcomes], None], total_s: float = TOTAL_S
) -> Outcomes:
    """Parts in turn, each in a process of its own; one for which no time is left is not begun.

    Args:
        names: of the parts.
        words: further options of the command.
        keep: is given what there is after each part, as the command itself may be ended.
        total_s: for all of them.
    """
    outcomes, ends = Outcomes(), time.perf_counter() + total_s
    for name in names:
        limit = min(PARTS[name].limit_s, ends - time.perf_counter())
        print(f"{name}:", flush=True)
        if limit > 0:
            outcomes[name] = run_in_child(name, words, limit)
        else:
            outcomes[name] = _outcome("out of time", f"the {total_s:.0f} s for all parts were over", ends, {})
        tell(name, outcomes[name])
        keep(outcomes)
    return outcomes


def tell(name: str, outcome: Outcome) -> None:
    """One line on how a part ended."""
    reason = f": {outcome['reason']}" if "reason" in outcome else ""
    print(f"{name}: {outcome['state']} after {outcome['seconds']} s{reason}", flush=True)
