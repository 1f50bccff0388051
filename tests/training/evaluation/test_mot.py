"""Figures of tracks: by hand, and against TrackEval where it is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from vidgraph.training.evaluation.coco import Objects
from vidgraph.training.evaluation.mot import MotCounts, Step, count_sequence
from vidgraph.training.evaluation.tracks import TrackAp

from .scenes import NAMES, SIZE, rectangles

pytest.importorskip("scipy", reason="needs SciPy (the extra 'eval')")


def step(truth: list[int], found: list[int], overlaps: list[list[float]]) -> Step:
    table = np.array(overlaps, np.float64).reshape(len(truth), len(found))
    return Step(np.array(truth, np.int32), np.array(found, np.int32), table)


def sequence(seed: int, frames: int = 40) -> list[Step]:
    """Up to five objects, followed with gaps, switches of identity and false ones."""
    random = np.random.default_rng(seed)
    steps = []
    for number in range(frames):
        truth = [one for one in range(5) if random.random() < 0.8]
        found = [10 + (one + (number > 20 and one < 2)) % 5 for one in truth if random.random() < 0.8]
        found = list(dict.fromkeys(found)) + ([99] if random.random() < 0.3 else [])
        table = random.random((len(truth), len(found))) * 0.4
        for row, one in enumerate(truth):
            for column, other in enumerate(found):
                if other - 10 == (one + (number > 20 and one < 2)) % 5:
                    table[row, column] = 0.4 + 0.6 * random.random()
        steps.append(Step(np.array(truth, np.int32), np.array(found, np.int32), table))
    return steps


def test_followed_without_a_fault() -> None:
    figures = count_sequence([step([1], [7], [[1.0]]), step([1], [7], [[1.0]])]).figures()
    assert [figures[name] for name in ("MOTA", "MOTP", "IDF1", "HOTA", "ID switches")] == [1.0, 1.0, 1.0, 1.0, 0.0]


def test_a_switch_a_miss_and_a_false_one_by_hand() -> None:
    frames = [
        step([1], [7], [[0.8]]),
        step([1], [8], [[0.8]]),  # another identity
        step([1], [], []),  # missed
        step([], [8], []),  # false
    ]
    figures = count_sequence(frames).figures()
    assert figures["MOTA"] == pytest.approx((2 - 1 - 1) / 3)  # matched, false, switches, of 3 true ones
    assert figures["IDF1"] == pytest.approx(1 / (1 + 0.5 * (2 + 2)))
    assert figures["MOTP"] == pytest.approx(0.8)
    assert figures["ID switches"] == 1.0


def test_a_pair_stays_one_while_it_overlaps_enough() -> None:
    frames = [step([1], [7], [[0.9]]), step([1], [7, 8], [[0.6, 0.9]])]
    assert count_sequence(frames).figures()["ID switches"] == 0.0


# Made with TrackEval 1.3.0: HOTA, CLEAR and Identity of two sequences, combined.
RECORDED = {"HOTA": 0.444818, "DetA": 0.479124, "AssA": 0.414066, "MOTA": 0.435065, "MOTP": 0.755363, "IDF1": 0.601423}


def test_recorded_figures_of_trackeval() -> None:
    figures = sum((count_sequence(sequence(seed)) for seed in (0, 1)), MotCounts()).figures()
    assert {name: pytest.approx(figures[name], abs=1e-5) for name in RECORDED} == RECORDED


def test_against_trackeval() -> None:
    theirs = trackeval_figures([sequence(seed) for seed in range(6)])
    figures = sum((count_sequence(sequence(seed)) for seed in range(6)), MotCounts()).figures()
    for name, value in theirs.items():
        assert figures[name] == pytest.approx(value, abs=1e-9), name


def trackeval_figures(sequences: list[list[Step]]) -> dict[str, float]:
    metrics = pytest.importorskip("trackeval.metrics", reason="needs TrackEval to compare with")
    quiet = {"PRINT_CONFIG": False}
    results: dict[str, float] = {}
    for metric in (metrics.HOTA(), metrics.CLEAR(quiet), metrics.Identity(quiet)):
        each = {str(n): metric.eval_sequence(as_trackeval(steps)) for n, steps in enumerate(sequences)}
        total = metric.combine_sequences(each)
        for name in ("HOTA", "DetA", "AssA", "MOTA", "MOTP", "IDF1"):
            if name in total:
                results[name] = float(np.mean(total[name]))
        if "IDSW" in total:
            results["ID switches"] = float(total["IDSW"])
    return results


def as_trackeval(steps: list[Step]) -> dict[str, Any]:
    ids = [sorted({int(one) for each in side for one in each}) for side in zip(*((s.truth, s.found) for s in steps))]  # noqa: B905
    true_ids, found_ids = ({one: place for place, one in enumerate(side)} for side in ids)
    return {
        "num_timesteps": len(steps),
        "num_gt_ids": len(true_ids),
        "num_tracker_ids": len(found_ids),
        "num_gt_dets": sum(len(s.truth) for s in steps),
        "num_tracker_dets": sum(len(s.found) for s in steps),
        "gt_ids": [np.array([true_ids[int(one)] for one in s.truth], int) for s in steps],
        "tracker_ids": [np.array([found_ids[int(one)] for one in s.found], int) for s in steps],
        "similarity_scores": [s.overlaps for s in steps],
    }


def track_figures(found: list[list[tuple[float, float, float, float]]], ids: list[list[int]]) -> Any:
    """Track AP of one person that stands at (10, 10, 50, 50) for as many frames."""
    pytest.importorskip("faster_coco_eval", reason="needs faster-coco-eval (the extra 'eval')")
    tracks = TrackAp(NAMES)
    for boxes, numbers in zip(found, ids, strict=True):
        true = rectangles([(10.0, 10.0, 50.0, 50.0)], [0])
        seen = rectangles(boxes, [0] * len(boxes), scores=[0.9] * len(boxes))
        tracks.add(
            "clip",
            SIZE,
            (Objects.of(true, true.class_ids), np.array([4], np.int32)),
            (Objects.of(seen, seen.class_ids), np.array(numbers, np.int32)),
        )
    return tracks.precision()


def test_overlap_of_tracks_is_of_all_frames_together() -> None:
    right, half = (10.0, 10.0, 50.0, 50.0), (10.0, 10.0, 50.0, 30.0)
    assert track_figures([[right], [right]], [[1], [1]]).ap == 1.0
    # 1600 + 800 shared pixels of 3200: IoU 0.75 reaches six of the ten thresholds.
    assert track_figures([[right], [half]], [[1], [1]]).ap == pytest.approx(0.6)
    # Missing in one of two frames: IoU 0.5 reaches one.
    assert track_figures([[right], []], [[1], []]).ap == pytest.approx(0.1)
    # Two tracks of one frame each: one has IoU 0.5, the other is false and comes at the same score.
    assert track_figures([[right], [right]], [[1], [2]]).ap50 == pytest.approx(1.0)
    assert track_figures([[right], [right]], [[-1], [-1]]).ap == 0.0
