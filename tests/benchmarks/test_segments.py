"""Every formulation of the benchmark of panoptic maps gives the same answer."""

from __future__ import annotations

from vidgraph.benchmarks import bench_segments


def test_every_formulation_gives_the_same_answer() -> None:
    cases = list(bench_segments.cases())
    assert {case.name for case in cases} >= {"vidgraph", "numpy"}
    for case in cases:
        case.check()
