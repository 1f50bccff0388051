"""PQ by hand, and VPQ against recorded results of the authors' script."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from vidgraph.pipeline.errors import UsageError
from vidgraph.pipeline.types.panoptic import PanopticMap, Segment
from vidgraph.training.evaluation.panoptic import (
    FramePair,
    SegmentInfo,
    StableIds,
    class_iou,
    panoptic_quality,
    video_panoptic_quality,
)


def row(text: str) -> np.ndarray:
    """``"0112"`` -> ids of a map that is one pixel high."""
    return np.array([[int(digit) for digit in text]], np.int32)


def pair(truth: str, found: str, classes: dict[int, int], found_classes: dict[int, int], crowd: int = -1) -> FramePair:
    true_segments = {number: SegmentInfo(one, crowd=number == crowd) for number, one in classes.items()}
    return FramePair.of(
        row(truth), true_segments, row(found), {number: SegmentInfo(one) for number, one in found_classes.items()}
    )


@pytest.mark.parametrize("case", ["a", "b", "c"])
def test_recorded_results_of_the_official_script(case: str, shared: Callable[[str], Path]) -> None:
    torch = pytest.importorskip("torch", reason="the recorded maps are torch files")
    folder = shared("golden/vps/vpq")
    maps = torch.load(folder / f"case_{case}.pt", weights_only=True)
    record = json.loads((folder / f"case_{case}.json").read_text())
    weights = np.array([1, 256, 65536])
    truth, found = ((maps[name].numpy().astype(np.int64) * weights).sum(-1) for name in ("gt_pan", "pred_pan"))

    def segments(side: str, clip: int, frame: int) -> dict[int, SegmentInfo]:
        listed = record[side][clip][frame]["segments_info"]
        return {one["id"]: SegmentInfo(one["category_id"], one["area"], bool(one["iscrowd"])) for one in listed}

    clips = [
        [
            FramePair.of(truth[c, f], segments("gt", c, f), found[c, f], segments("pred", c, f))
            for f in range(truth.shape[1])
        ]
        for c in range(truth.shape[0])
    ]
    things = [one["id"] for one in record["categories"] if one["isthing"]]
    by_window = video_panoptic_quality(clips, things)
    for window, name in zip((1, 2, 3, 4), ("k0", "k5", "k10", "k15"), strict=True):
        expected, got = record["result"][name], by_window[window]
        assert got.every == pytest.approx(expected["All"]["pq"], abs=1e-9)
        assert got.things == pytest.approx(expected["Things"]["pq"], abs=1e-9)
        assert got.stuff == pytest.approx(expected["Stuff"]["pq"], abs=1e-9)
        for number, one in expected["per_class"].items():
            assert got.classes.get(int(number), 0.0) == pytest.approx(one["pq"], abs=1e-9)
    final = record["result"]["final"]
    assert 100 * np.mean([one.every for one in by_window.values()]) == pytest.approx(final["vpq_all"], abs=1e-4)
    assert 100 * np.mean([one.things for one in by_window.values()]) == pytest.approx(final["vpq_thing"], abs=1e-4)


def test_a_match_a_miss_and_a_false_one() -> None:
    # Class 7: found 3 of 4 pixels and none else: IoU 3/4. Class 8: one missed, one false.
    one = pair("111122220", "111033330", {1: 7, 2: 8}, {1: 7, 3: 9})
    got = panoptic_quality([[one]], [7])
    assert got.classes == {7: pytest.approx(0.75), 8: 0.0, 9: 0.0}
    assert got.things == pytest.approx(0.75)
    assert got.every == pytest.approx(0.25)


def test_exactly_half_is_no_match() -> None:
    one = pair("1111", "1100", {1: 7}, {1: 7})
    assert panoptic_quality([[one]], []).classes == {7: 0.0}


def test_void_does_not_count_against_what_is_found() -> None:
    # Half of the found segment lies in void: IoU is 2/2, not 2/4.
    assert panoptic_quality([[pair("1100", "1111", {1: 7}, {1: 7})]], []).classes == {7: 1.0}
    # More than half in void, matching nothing: not false.
    assert panoptic_quality([[pair("1000", "0222", {1: 7}, {2: 8})]], []).classes == {7: 0.0}


def test_a_crowd_is_neither_missed_nor_false() -> None:
    one = pair("1111", "2220", {1: 7}, {2: 7}, crowd=1)
    assert panoptic_quality([[one]], []).every is None


def test_another_id_in_the_next_frame_costs_in_windows_of_two_only() -> None:
    steady = pair("1111", "5555", {1: 7}, {5: 7})
    changed = pair("1111", "6666", {1: 7}, {6: 7})
    assert panoptic_quality([[steady, changed]], [7]).every == 1.0
    assert panoptic_quality([[steady, steady]], [7], window=2).every == 1.0
    assert panoptic_quality([[steady, changed]], [7], window=2).every == 0.0


def test_pixels_of_classes_whatever_segment_they_are_of() -> None:
    """Two segments of class 5, which one is found for; class 7, half of it found; void above what is found of it."""
    one = pair("1122330000", "4444405566", {1: 5, 2: 5, 3: 7}, {4: 5, 5: 7, 6: 8})
    assert class_iou([[one]]) == {5: 4 / 5, 7: 0.0}
    other = pair("3333", "5500", {3: 7}, {5: 7})
    assert class_iou([[one], [other]]) == class_iou([[one, other]]) == {5: 4 / 5, 7: 2 / 6}
    assert class_iou([[pair("00", "11", {}, {1: 5})]]) == {}


def test_only_chosen_classes_are_judged() -> None:
    one = pair("1122", "1133", {1: 5, 2: 6}, {1: 5, 3: 7})
    whole, part = panoptic_quality([[one]], [5]), panoptic_quality([[one]], [5], classes=frozenset({5, 6}))
    assert (whole.every, whole.classes) == (pytest.approx(1 / 3), {5: 1.0, 6: 0.0, 7: 0.0})
    assert (part.every, part.things, part.stuff, part.classes) == (0.5, 1.0, 0.0, {5: 1.0, 6: 0.0})


def test_ids_without_a_segment_are_refused() -> None:
    with pytest.raises(UsageError, match=r"found panoptic map has ids without a segment: \[3\]"):
        pair("11", "33", {1: 7}, {})


def test_stable_ids_follow_tracks_and_classes() -> None:
    def given(car: int, road: int, track: int | None) -> PanopticMap:
        segments = (
            Segment(car, 4, "car", True, 1.0, 1, track),
            Segment(road, 2, "road", False, None, 1),
        )
        return PanopticMap(np.array([[car, road]], np.int32), segments)

    ids = StableIds({"car": 0, "road": 1})
    first, infos = ids.apply(given(1, 2, 9))
    second, _ = ids.apply(given(2, 1, 9))
    np.testing.assert_array_equal(first, second)
    assert {one.class_id for one in infos.values()} == {0, 1}
    assert ids.tracked
    third, _ = ids.apply(given(1, 2, None))
    assert third[0, 1] == first[0, 1]
    assert third[0, 0] != first[0, 0]
    assert not ids.tracked
    fourth, infos = StableIds({"car": 0}).apply(given(1, 2, 9))
    assert fourth.tolist() == [[1, 0]]
    assert len(infos) == 1
