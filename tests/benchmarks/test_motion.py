"""The kernels of the motion gate in all formulations, and how its misses are counted."""

from __future__ import annotations

import numpy as np
from vidgraph.benchmarks import bench_motion
from vidgraph.benchmarks.bench_motion_gate import Boxes, Shown, misses, table, tracks
from vidgraph.training.evaluation.overlap import box_iou


def test_every_formulation_gives_the_same_answer() -> None:
    cases = list(bench_motion.cases())
    assert {case.name for case in cases} >= {"vidgraph", "numpy"}
    for case in cases:
        case.check()


def box(x: float, y: float = 0) -> Boxes:
    return np.array([[x, y, x + 40, y + 40]], np.float32)


def shown(frames: list[Boxes]) -> Shown:
    return Shown(frames, len(frames), 0.1, 1000.0)


def test_iou() -> None:
    assert box_iou(box(0), box(20)).tolist() == [[1 / 3]]
    assert box_iou(box(0)[:0], box(20)).shape == (0, 1)


def test_boxes_are_linked_to_tracks_over_short_gaps() -> None:
    both = [np.concatenate([box(4 * n), box(300)]) for n in range(6)]
    both[2] = both[2][1:]
    found = tracks([*both, *[box(0)[:0]] * 4, box(300)])
    assert sorted([number for number, _ in track] for track in found) == [[0, 1, 2, 3, 4, 5], [0, 1, 3, 4, 5], [10]]


def test_what_moves_and_is_not_shown_is_missed() -> None:
    """An object that goes 8 pixels a frame for 20 frames, and one that stands."""
    every = shown([np.concatenate([box(8 * n), box(600)]) for n in range(20)])
    whole = {"objects": 1, "objects found": 1, "detections": 20, "found within 3 frames": 20, "found at once": 20}
    assert misses(every, every) == whole
    second = shown([every.boxes[n // 2 * 2] for n in range(20)])
    assert misses(every, second) == whole, "held for a frame, it overlaps by two thirds"
    fifth = shown([every.boxes[n // 5 * 5] for n in range(20)])
    assert misses(every, fifth) == whole | {"found within 3 frames": 17, "found at once": 8}
    gone = shown([every.boxes[0]] * 20)
    assert misses(every, gone) == whole | {"found within 3 frames": 2, "found at once": 2}
    late = shown([box(600)] * 4 + every.boxes[4:])
    assert misses(every, late) == whole | {"objects found": 0, "found within 3 frames": 19, "found at once": 16}


def test_table() -> None:
    assert table([{"source": "a", "runs": 3}]) == "| source | runs |\n|---|---|\n| a | 3 |"
