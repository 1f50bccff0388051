"""Every kernel gives the same bits on every instruction set; the environment caps which one is used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import vidgraph.kernels
from vidgraph.kernels import instruction_set

SCRIPT = Path(__file__).parent / "every_kernel.py"
VARIANTS = ["baseline", "avx2", "avx512"]


def run(isa: str | None, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "VIDGRAPH_ISA"}
    if isa is not None:
        environment["VIDGRAPH_ISA"] = isa
    return subprocess.run(
        [sys.executable, "-P", *command], env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(scope="module")
def baseline() -> dict[str, Any]:
    process = run("baseline", str(SCRIPT))
    assert process.returncode == 0, process.stderr
    result: dict[str, Any] = json.loads(process.stdout)
    return result


def test_baseline_runs_with_everything_masked_off(baseline: dict[str, Any]) -> None:
    assert baseline["instruction_set"] == "baseline"
    kernels = {
        path.name for path in Path(vidgraph.kernels.__file__).parent.iterdir() if (path / "reference.py").exists()
    }
    assert {name.split("/")[0] for name in baseline["hashes"]} == kernels, "a kernel is missing from every_kernel.py"


@pytest.mark.parametrize("isa", ["avx2", "avx512", None])
def test_same_bits(isa: str | None, baseline: dict[str, Any]) -> None:
    process = run(isa, str(SCRIPT))
    assert process.returncode == 0, process.stderr
    result = json.loads(process.stdout)
    if isa is not None and result["instruction_set"] != isa:
        pytest.skip(f"this processor has no {isa}")
    assert result["hashes"] == baseline["hashes"]


def test_the_best_one_is_chosen() -> None:
    flags = Path("/proc/cpuinfo")
    if not flags.exists() or "x86" not in os.uname().machine:
        pytest.skip("needs /proc/cpuinfo of an x86 processor")
    words = set(flags.read_text("utf-8").split())
    best = (
        "avx512"
        if {"avx512f", "avx512bw", "avx512vl", "avx512dq"} <= words
        else "avx2"
        if "avx2" in words
        else "baseline"
    )
    process = run(None, "-c", "import vidgraph.kernels as k; print(k.instruction_set())")
    assert process.stdout.strip() == best


def test_unknown_name_is_refused_at_import() -> None:
    process = run("sse9", "-c", "import vidgraph.kernels")
    assert process.returncode == 1
    assert "VIDGRAPH_ISA must be baseline, avx2 or avx512, got 'sse9'" in process.stderr.splitlines()[-1]


def test_this_process_uses_a_known_one() -> None:
    assert instruction_set() in VARIANTS
