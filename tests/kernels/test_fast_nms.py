"""The three suppressions of YOLACT, against the definition and the official outputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.kernels import cross_class_fast_nms, fast_nms, traditional_nms
from vidgraph.kernels.fast_nms import reference

from ..tolerances import TOLERANCES
from .cases import all_devices, to_device, to_host

Found = tuple[np.ndarray, np.ndarray, np.ndarray]


def crowd(count: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes float32 [N, 4] around a few objects, scores float32 [N, C], many of them equal or small."""
    random = np.random.default_rng(seed)
    objects, at = random.uniform(0, 0.8, (6, 2)), random.integers(0, 6, count)
    corners = objects[at] + random.normal(0, 0.02, (count, 2))
    boxes = np.concatenate([corners, corners + random.uniform(0.05, 0.2, (count, 2))], axis=1).astype(np.float32)
    scores = np.round(random.random((count, classes)) ** 6, random.integers(1, 7)).astype(np.float32)
    return boxes, scores


def assert_same(found: Found, expected: Found) -> None:
    assert [to_host(array).dtype for array in found] == [np.int64, np.int32, np.float32]
    assert all(to_host(array).base is None for array in found)
    for array, want in zip(found, expected, strict=True):
        np.testing.assert_array_equal(to_host(array), want)


@pytest.mark.parametrize("device", all_devices("fast_nms", "cross_class_fast_nms", "traditional_nms"))
@pytest.mark.parametrize(("count", "classes"), [(0, 3), (1, 1), (16, 5), (17, 80), (150, 7), (400, 40)])
@pytest.mark.parametrize("max_iou", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_matches_reference(device: str, count: int, classes: int, max_iou: float, seed: int) -> None:
    boxes, scores = crowd(count, classes, seed)
    there: Any = (to_device(boxes, device), to_device(scores, device))
    for top_k, limit, min_score in ((200, 100, 0.0), (10, 1000, 0.0), (3, 5, 0.3), (1, 0, 0.0)):
        assert_same(
            fast_nms(*there, max_iou=max_iou, top_k=top_k, limit=limit, min_score=min_score),
            reference.fast_nms_reference(boxes, scores, max_iou, top_k, limit, min_score),
        )
        assert_same(
            cross_class_fast_nms(*there, max_iou=max_iou, top_k=top_k, min_score=min_score),
            reference.cross_class_fast_nms_reference(boxes, scores, max_iou, top_k, min_score),
        )
        assert_same(
            traditional_nms(*there, max_iou=max_iou, limit=limit, min_score=0.2, size=(300, 500)),
            reference.traditional_nms_reference(boxes, scores, max_iou, limit, 0.2, (300, 500)),
        )


def test_a_long_list_goes_on_to_ever_lower_scores() -> None:
    """Fewer survivors than wanted: every score is looked at, also below what the first guess collects."""
    random = np.random.default_rng(5)
    boxes = np.tile(np.array([[0, 0, 1, 1]], np.float32), (700, 1))
    scores = (10.0 ** random.uniform(-30, 0, (700, 60))).astype(np.float32)
    found = fast_nms(boxes, scores, max_iou=0.5, top_k=200, limit=100)
    assert len(found[0]) == 60
    assert_same(found, reference.fast_nms_reference(boxes, scores, 0.5, 200, 100))


def test_no_score_is_too_low_by_default_and_zero_counts() -> None:
    boxes = np.array([[0, 0, 1, 1], [2, 2, 3, 3]], np.float32)
    scores = np.array([[0.9, 0.0], [1e-30, 0.0]], np.float32)
    rows, classes, values = fast_nms(boxes, scores, max_iou=0.5, top_k=200, limit=100)
    np.testing.assert_array_equal(rows, [0, 1, 0, 1])
    np.testing.assert_array_equal(classes, [0, 0, 1, 1])
    np.testing.assert_array_equal(values, np.array([0.9, 1e-30, 0, 0], np.float32))
    assert len(fast_nms(boxes, scores, max_iou=0.5, top_k=200, limit=100, min_score=1e-31)[0]) == 2


CHAIN = np.array([[0, 0, 10, 1], [3, 0, 13, 1], [6, 0, 16, 1]], np.float32)  # neighbours: IoU 7 / 13, ends: 4 / 16
CHAIN_SCORES = np.array([[0.9], [0.8], [0.7]], np.float32)


def test_a_dropped_box_drops_others_but_not_where_nms_is_greedy() -> None:
    np.testing.assert_array_equal(fast_nms(CHAIN, CHAIN_SCORES, max_iou=0.5, top_k=9, limit=9)[0], [0])
    np.testing.assert_array_equal(cross_class_fast_nms(CHAIN, CHAIN_SCORES, max_iou=0.5, top_k=9)[0], [0])
    greedy = traditional_nms(CHAIN / 16, CHAIN_SCORES, max_iou=0.5, limit=9, min_score=0.05, size=(16, 16))
    np.testing.assert_array_equal(greedy[0], [0, 2])


def test_an_overlap_of_exactly_the_threshold() -> None:
    """By hand: continuous widths, more than the threshold is needed; whole pixels, the threshold is enough."""
    boxes, scores = np.array([[0, 0, 2, 1], [0, 0, 1, 1]], np.float32), np.array([[0.9], [0.8]], np.float32)
    np.testing.assert_array_equal(fast_nms(boxes, scores, max_iou=0.5, top_k=9, limit=9)[0], [0, 1])
    pixels = np.array([[0, 0, 9, 0], [0, 0, 4, 0]], np.float32) / 16  # 10 and 5 pixels wide with the one added
    for max_iou, kept in ((0.5, [0]), (0.51, [0, 1])):
        found = traditional_nms(pixels, scores, max_iou=max_iou, limit=9, min_score=0.0, size=(16, 16))
        np.testing.assert_array_equal(found[0], kept)


def test_only_the_best_of_a_class_take_part() -> None:
    boxes = np.array([[0, 0, 1, 1], [2, 0, 3, 1], [4, 0, 5, 1]], np.float32)
    scores = np.array([[0.5, 0.1], [0.9, 0.2], [0.7, 0.3]], np.float32)
    rows, classes, _ = fast_nms(boxes, scores, max_iou=0.5, top_k=2, limit=9)
    assert list(zip(rows.tolist(), classes.tolist(), strict=True)) == [(1, 0), (2, 0), (2, 1), (1, 1)]
    np.testing.assert_array_equal(cross_class_fast_nms(boxes, scores, max_iou=0.5, top_k=2)[0], [1, 2])
    np.testing.assert_array_equal(cross_class_fast_nms(boxes, scores, max_iou=0.5, top_k=9, limit=1)[0], [1])


def test_nan_scores_are_never_found_and_nan_boxes_overlap_nothing() -> None:
    boxes = np.array([[0, 0, 1, 1], [0, 0, np.nan, 1], [0, 0, 1, 1], [0, 0, 1, 1]], np.float32)
    scores = np.array([[0.5], [0.4], [np.nan], [0.3]], np.float32)
    np.testing.assert_array_equal(fast_nms(boxes, scores, max_iou=0.5, top_k=9, limit=9)[0], [0, 1])
    np.testing.assert_array_equal(cross_class_fast_nms(boxes, scores, max_iou=0.5, top_k=9)[0], [0, 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": np.zeros((2, 3))}, r"fast_nms: scores must be float32 \[N, N\], got float64 \[2, 3\]"),
        ({"boxes": np.zeros((3, 4), np.float32)}, r"fast_nms: boxes must be float32 \[2, 4\], got float32 \[3, 4\]"),
        ({"max_iou": 1.5}, r"fast_nms: max_iou must be in \[0, 1\], got 1.5"),
        ({"top_k": 0}, r"fast_nms: top_k must be at least 1, got 0"),
        ({"limit": -1}, r"fast_nms: limit must not be negative, got -1"),
    ],
)
def test_refuses_with_the_reason(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"boxes": np.zeros((2, 4), np.float32), "scores": np.zeros((2, 3), np.float32)}
    arguments |= {"max_iou": 0.5, "top_k": 200, "limit": 100}
    with pytest.raises(ValueError, match=message):
        fast_nms(**{**arguments, **change})


def test_traditional_refuses_an_empty_input() -> None:
    with pytest.raises(ValueError, match=r"traditional_nms: size must be \(h, w\) of at least one pixel, got \(0, 5\)"):
        traditional_nms(CHAIN, CHAIN_SCORES, max_iou=0.5, limit=1, min_score=0.0, size=(0, 5))


OFFICIAL: dict[str, Callable[[np.ndarray, np.ndarray], Found]] = {
    "fast_nms": lambda boxes, scores: fast_nms(boxes, scores, max_iou=0.5, top_k=200, limit=100),
    "cross_class_fast_nms": lambda boxes, scores: cross_class_fast_nms(boxes, scores, max_iou=0.5, top_k=200),
    "traditional_nms": lambda boxes, scores: traditional_nms(
        boxes, scores, max_iou=0.5, limit=100, min_score=0.05, size=(550, 550)
    ),
}


@pytest.mark.parametrize("kind", OFFICIAL)
@pytest.mark.parametrize("case", ["yolact_edge_vid_resnet50/frame0", "yolact_edge_resnet50/frame0"])
def test_official_detections(kind: str, case: str, shared: Callable[[str], Path]) -> None:
    """Stored candidates in, official detections out, as sets: the stored probabilities are rounded to float16."""
    golden = np.load(shared(f"golden/{case}.npz"))
    candidates = golden["above"]
    boxes = golden["boxes"][candidates]
    scores = np.ascontiguousarray(golden["conf"][candidates][:, 1:], np.float32)
    rows, classes, values = OFFICIAL[kind](boxes, scores)
    official, official_classes = golden[f"{kind}.box"], golden[f"{kind}.class"]
    tolerance = TOLERANCES["stored probabilities, float16"][0]
    assert abs(len(rows) - len(official)) <= 1
    both = min(len(rows), len(official))
    np.testing.assert_allclose(values[:both], golden[f"{kind}.score"][:both], atol=tolerance)
    missing = [
        row
        for row, (box, class_id) in enumerate(zip(official, official_classes, strict=True))
        if not ((np.abs(boxes[rows] - box).max(axis=1) < 1e-3) & (classes == class_id)).any()
    ]
    assert len(missing) <= 1, f"not found: {missing}"
