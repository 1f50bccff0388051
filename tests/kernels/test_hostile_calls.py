"""Whatever a kernel is called with, it gives a result or an error of one line that says who: no call ends the process.

The calls are those of ``every_kernel.py`` with other arguments, so that a kernel that is in it is tried here too.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from vidgraph import kernels

from .every_kernel import CASES
from .hostile_calls import kernels_of

HERE = Path(__file__).parent
LEAST = 100  # calls of a kernel; fewer would mean that its arguments are not understood


def attack(table: Path, number: int, folder: Path, **settings: Any) -> dict[str, Any]:
    """What came of the calls that one part of ``table`` gives; fails, and says at which call, if the process ended."""
    current = folder / "current"
    command = [sys.executable, "-P", str(HERE / "hostile_calls.py"), str(table), str(number), str(current)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=290, check=False, **settings)
    last = current.read_text("utf-8").strip() if current.exists() else "nothing"
    how = signal.Signals(-process.returncode).name if process.returncode < 0 else f"exit code {process.returncode}"
    assert process.returncode == 0, f"{how} at {last}\n{process.stderr[-3000:]}"
    found: dict[str, Any] = json.loads(process.stdout)
    return found


def test_every_kernel_is_in_the_table() -> None:
    called = set(re.findall(r"\bkernels\.(\w+)\(", (HERE / "every_kernel.py").read_text("utf-8")))
    assert len(kernels_of(kernels)) > 25
    assert not set(kernels_of(kernels)) - called, "a kernel is missing from every_kernel.py"


@pytest.mark.parametrize("number", range(len(CASES)), ids=[part.__name__ for part in CASES])
def test_no_call_ends_the_process(number: int, tmp_path: Path) -> None:
    found = attack(HERE / "every_kernel.py", number, tmp_path)
    assert not found["complaints"], "\n".join(found["complaints"][:30])
    assert min(found["counts"].values()) >= LEAST, found["counts"]
