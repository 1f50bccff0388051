"""Parts in processes of their own, which may hang and die, and what is made of ``compute-sanitizer``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from vidgraph.benchmarks.gpu import part_sanitizer, plan
from vidgraph.benchmarks.gpu.report import Report
from vidgraph.kernels.device import DEVICES

CHILD = """
import json, os, sys, time
words = dict(zip(sys.argv, sys.argv[1:]))
with open(words["--report"], "w") as file:
    json.dump({"rows": [1], "skipped": [], "wrong": []}, file)
{}
"""


def child(text: str, limit_s: float = 60.0) -> dict[str, Any]:
    return plan.run_in_child("kernels", [], limit_s, (sys.executable, "-c", CHILD.replace("{}", text, 1)))


def test_a_part_that_hangs_or_dies_leaves_what_it_measured() -> None:
    late = child("time.sleep(60)", limit_s=3.0)
    assert (late["state"], late["reason"], late["rows"]) == ("out of time", "it was ended after 3 s", [1])
    dead = child("os._exit(7)")
    assert (dead["state"], dead["reason"], dead["rows"]) == ("failed", "its process ended with 7 and left nothing", [1])
    whole = child('json.dump({"state": "done", "seconds": 1, "rows": [2]}, open(words["--outcome"], "w"))')
    assert (whole["state"], whole["rows"]) == ("done", [2])


def test_parts_for_which_no_time_is_left_are_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    monkeypatch.setattr(plan, "run_in_child", lambda name, *_: begun.append(name))
    outcomes = plan.run_all(["kernels", "chain"], [], lambda _: None, total_s=-1.0)
    assert begun == []
    assert {outcome["state"] for outcome in outcomes.values()} == {"out of time"}
    assert sum(part.limit_s for part in plan.PARTS.values()) > plan.TOTAL_S > 0
    assert plan.TOTAL_S < 600


def test_what_there_is_after_each_part_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[list[str]] = []
    monkeypatch.setattr(plan, "run_in_child", lambda name, *_: {"state": "done", "seconds": 0.0})
    plan.run_all(["kernels", "chain"], [], lambda outcomes: kept.append(list(outcomes)))
    assert kept == [["kernels"], ["kernels", "chain"]]


def test_the_command_of_a_part_runs(capfd: pytest.CaptureFixture[str]) -> None:
    if DEVICES["cuda"].count():
        pytest.skip("there is a card here")
    outcome = plan.run_in_child("machine", ["--quick"], 120.0)
    assert (outcome["state"], outcome["reason"]) == ("failed", "its process ended with 2 and left nothing")
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("vidgraph.benchmarks.gpu: there is no ")


@pytest.fixture
def sanitizer(tmp_path: Path) -> Callable[[str, int], list[str]]:
    """A program that says something and ends with a code."""

    def make(said: str, code: int) -> list[str]:
        path = tmp_path / "compute-sanitizer"
        path.write_text(f"#!/bin/sh\necho '{said}'\nexit {code}\n")
        path.chmod(0o755)
        return [str(path)]

    return make


@pytest.mark.parametrize(
    ("tool", "said", "code", "found", "fault"),
    [
        ("memcheck", "========= ERROR SUMMARY: 0 errors", 0, 0, None),
        ("memcheck", "========= ERROR SUMMARY: 3 errors", 0, 3, "memcheck found 3: "),
        ("racecheck", "========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)", 0, 0, None),
        ("racecheck", "========= RACECHECK SUMMARY: 1 hazard displayed (1 error)", 0, 1, "racecheck found 1: "),
        ("memcheck", "========= ERROR SUMMARY: 0 errors", 1, 0, "the kernels under memcheck ended with 1: "),
        ("racecheck", "no such tool", 5, None, "racecheck ended with 5 and says no sum: no such tool"),
    ],
)  # fmt: skip
def test_what_the_sanitizer_finds_is_a_fault(
    sanitizer: Callable[[str, int], list[str]], tool: str, said: str, code: int, found: int | None, fault: str | None
) -> None:
    report = Report()
    part_sanitizer.check(report, tool, sanitizer(said, code))
    assert [row["found"] for row in report.rows] == ([] if found is None else [found])
    assert len(report.wrong) == (fault is not None)
    assert fault is None or report.wrong[0].startswith(fault)


def test_the_sanitizer_is_found_in_the_toolkit(
    sanitizer: Callable[[str, int], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (made,) = sanitizer("", 0)
    (tmp_path / "bin").mkdir()
    Path(made).rename(tmp_path / "bin" / "compute-sanitizer")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    assert part_sanitizer.find() == str(tmp_path / "bin" / "compute-sanitizer")
