"""The benchmark harness refuses wrong answers and says what its figures belong to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from vidgraph.benchmarks import bench_boxes, bench_detections, bench_labels, bench_masks, bench_pixels
from vidgraph.benchmarks.harness import Case, measure, report, save


def test_a_wrong_answer_is_not_timed() -> None:
    calls = []

    def wrong() -> None:
        raise AssertionError("2 is not 3")

    with pytest.raises(AssertionError, match="2 is not 3"):
        measure([Case("sum", "vidgraph", lambda: calls.append(1), wrong)])
    assert calls == []


def test_rounds_are_interleaved_and_ratios_are_to_our_own_case() -> None:
    order: list[str] = []
    cases = [
        Case("task", name, lambda name=name: order.append(name), lambda: None, bytes_moved=1000)  # type: ignore[misc]
        for name in ("vidgraph", "numpy")
    ]
    timings = measure(cases, rounds=3, seconds_per_round=0.0)
    assert order[2:] == ["vidgraph", "numpy"] * 3  # after one call each that finds the number of repeats
    row = timings[1].row()
    assert (row["task"], row["name"], row["rounds"]) == ("task", "numpy", 3)
    ours, other = report(timings).splitlines()[1:]
    assert ours.split()[-1] == "1.00"
    assert other.split()[1] == "numpy"


def test_figures_are_kept_with_machine_versions_and_commit(tmp_path: Path) -> None:
    save(tmp_path / "new" / "figures.json", "kernels", [{"task": "a"}])
    record = json.loads((tmp_path / "new" / "figures.json").read_text())
    assert record["kind"] == "kernels"
    assert record["figures"] == [{"task": "a"}]
    assert record["machine"]["cores"] >= 1
    assert record["versions"]["vidgraph"]
    assert {"measured_at", "commit"} <= record.keys()


@pytest.mark.parametrize("file", [bench_boxes, bench_pixels], ids=["boxes", "pixels"])
def test_every_formulation_gives_the_same_answer(file: object) -> None:
    cases = list(file.cases())  # type: ignore[attr-defined]
    assert {case.name for case in cases} >= {"vidgraph", "numpy"}
    for case in cases:
        case.check()


def test_labels_are_the_same_in_every_formulation_and_wrong_ones_are_refused() -> None:
    cases = list(bench_labels.cases())
    for case in cases[:3]:
        case.check()
    with pytest.raises(AssertionError, match=r"\d+ labels differ from row 0 on"):
        bench_labels._check(lambda: cases[0].run() + 1, bench_labels.regions((21, 65, 65)))


def test_detections_and_masks_give_the_same_answer_in_every_formulation() -> None:
    cases = [*bench_detections.cases(), *bench_masks.cases(counts=(20,))]
    assert {case.name for case in cases} >= {"vidgraph", "vidgraph greedy", "numpy"}
    for case in cases:
        case.check()
