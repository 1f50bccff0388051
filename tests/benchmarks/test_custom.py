"""The benchmark of custom models compares equal answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from vidgraph.benchmarks import bench_custom


def test_every_way_from_outputs_to_instances_gives_the_same_answer() -> None:
    cases = list(bench_custom.cases(count=4))
    assert {case.name for case in cases} >= {"vidgraph", "yolact-edge's own"}
    for case in cases:
        case.check()


def test_another_answer_is_not_timed() -> None:
    outputs = bench_custom.make_outputs(bench_custom.random_scene(3, 0.2), 3)
    detections = bench_custom._ours(outputs.yolo)
    expected = bench_custom._found(detections)
    with pytest.raises(AssertionError):
        bench_custom._check(lambda: replace(detections, boxes=detections.boxes + np.float32(1)), outputs, expected)
    with pytest.raises(AssertionError, match="a mask differs in"):
        others = [np.roll(mask, 5) for mask in expected[2]]
        bench_custom._check(lambda: (*expected[:2], others), outputs, expected)
