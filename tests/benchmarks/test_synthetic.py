"""The benchmarks of synthetic scenes: equal answers, and a baseline that learns something but not much."""

from __future__ import annotations

import numpy as np
import pytest
from vidgraph.benchmarks import baseline_segments, bench_synthetic
from vidgraph.training.datasets.synthetic import open_synthetic


def test_every_formulation_gives_the_same_answer() -> None:
    cases = list(bench_synthetic.cases())
    assert {case.name for case in cases} == {"vidgraph", "numpy"}
    for case in cases:
        case.check()


def test_frames_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    small = bench_synthetic.parse_synthetic("synth:street?size=160x96&clips=2&frames=4")
    monkeypatch.setattr(bench_synthetic, "parse_synthetic", lambda _: small)
    row = bench_synthetic.measure_frames("easy", 2, 1)
    assert row["frames"] == 4
    assert row["cpu_ms"] == pytest.approx(row["draw_ms"] + row["picture_ms"], abs=0.02)


def test_the_baseline_finds_a_plain_thing_and_little_of_the_scenes() -> None:
    pytest.importorskip("cv2", reason="the baseline is written with OpenCV")
    pytest.importorskip("faster_coco_eval", reason="needs faster-coco-eval for the precision")
    address = "synth:street?size=480x270&frames=1&difficulty=hard&seed=5&clips=4"
    learnt = list(baseline_segments.samples_of(address))
    baseline = baseline_segments.Baseline.learnt(open_synthetic(address), learnt)
    precision, frames = baseline_segments.judged(baseline, learnt)
    assert frames == 4
    assert precision.ap is not None
    assert 0 < precision.ap < 0.15

    rgb = np.full((96, 128, 3), 200, np.uint8)
    rgb[30:60, 40:80] = (30, 40, 160)
    pixels = baseline_segments.pixels_of(rgb)
    regions = baseline_segments.regions_of(pixels, [baseline_segments.quantised(pixels, 2)])
    (block,) = [each for each in regions if abs(int(each.mask.sum()) - 1200) < 120]
    np.testing.assert_allclose(block.box, (40, 30, 80, 60), atol=2)
