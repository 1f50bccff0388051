"""``compute-sanitizer``'s memcheck and racecheck over the cases of the kernels, in small."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from .report import Absent, Report
from .scale import Bench

TOOLS = {"memcheck": r"ERROR SUMMARY: (\d+) error", "racecheck": r"RACECHECK SUMMARY: (\d+) hazard"}
"""Tool -> what it says at its end, with the number of what it found."""
LIMIT_S = 100
_SHOWN = 12  # lines of what it found


def measure(bench: Bench, report: Report) -> None:
    """A row a tool.

    Raises:
        Absent: it is not installed.
    """
    program = find()
    if program is None:
        raise Absent(
            "compute-sanitizer is not found, neither on the path nor in CUDA_HOME; it comes with CUDA's toolkit"
        )
    python = [sys.executable, *["-P"] * sys.flags.safe_path]
    words = [*python, "-m", "vidgraph.benchmarks.gpu", "--here", "--quick", "--parity-only"]
    for tool in TOOLS:
        check(report, tool, [program, "--tool", tool, *words, "--part", "kernels", "--device", str(bench.device)])


def find() -> str | None:
    """Where it is."""
    homes = (os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda")
    folders = [str(Path(home, "bin")) for home in homes if home]
    path = os.pathsep.join([os.environ.get("PATH", ""), *folders])
    return shutil.which("compute-sanitizer", path=path)


def check(report: Report, tool: str, command: list[str], limit_s: float = LIMIT_S) -> None:
    """Run a tool; what it finds, and where the cases themselves fail, is a fault."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        report.skip(tool, f"it did not end within {limit_s:g} s")
        return
    said = done.stdout + done.stderr
    found = re.search(TOOLS[tool], said)
    if found is None:
        report.fault(f"{tool} ended with {done.returncode} and says no sum: {_end(said)}")
        return
    report.row(tool=tool, found=int(found[1]), ended_with=done.returncode)
    if int(found[1]):
        report.fault(f"{tool} found {found[1]}: {_end(said)}")
    elif done.returncode:
        report.fault(f"the kernels under {tool} ended with {done.returncode}: {_end(said)}")


def _end(said: str) -> str:
    return " | ".join(line.strip() for line in said.splitlines()[-_SHOWN:] if line.strip()) or "nothing"
