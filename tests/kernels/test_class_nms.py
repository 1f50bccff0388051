"""Greedy non-maximum suppression of boxes with one class each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from vidgraph.kernels import class_nms, nms
from vidgraph.kernels.class_nms.reference import class_nms_reference

from .cases import all_devices, random_boxes, to_device, to_host


def random_classes(count: int, classes: int, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, classes, count).astype(np.int32)


@pytest.mark.parametrize("device", all_devices("class_nms"))
@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 300, 3000])
@pytest.mark.parametrize("classes", [1, 3, 80])
@pytest.mark.parametrize(("max_iou", "limit"), [(0.0, 10), (0.45, 300), (0.7, 10_000), (1.0, 2000)])
def test_matches_reference(device: str, count: int, classes: int, max_iou: float, limit: int) -> None:
    boxes, scores = random_boxes(count, seed=count, size=40.0)
    class_ids = random_classes(count, classes)
    arrays = [to_device(array, device) for array in (boxes, scores, class_ids)]
    kept = to_host(class_nms(*arrays, max_iou=max_iou, limit=limit))
    assert kept.dtype == np.int64
    assert kept.base is None
    np.testing.assert_array_equal(kept, class_nms_reference(boxes, scores, class_ids, max_iou, limit))


def test_one_class_is_the_plain_suppression() -> None:
    boxes, scores = random_boxes(5000, seed=1, size=300.0)  # more than the first part of the order
    kept = class_nms(boxes, scores, np.zeros(5000, np.int32), max_iou=0.5, limit=5000)
    np.testing.assert_array_equal(kept, nms(boxes, scores, max_iou=0.5))


@pytest.mark.parametrize("device", all_devices("class_nms"))
def test_only_boxes_of_the_same_class_are_dropped(device: str) -> None:
    """By hand: IoU exactly 0.5 is kept at 0.5; ids may be any number."""
    boxes = np.array([[0, 0, 2, 1], [0, 0, 1, 1], [0, 0, 2, 1], [0, 0, 2, 1]], np.float32)
    scores = np.array([0.9, 0.8, 0.7, 0.95], np.float32)
    class_ids = np.array([-(2**31), -(2**31), -(2**31), 2**31 - 1], np.int32)
    arrays = [to_device(array, device) for array in (boxes, scores, class_ids)]
    np.testing.assert_array_equal(to_host(class_nms(*arrays, max_iou=0.5, limit=9)), [3, 0, 1])
    np.testing.assert_array_equal(to_host(class_nms(*arrays, max_iou=0.49, limit=9)), [3, 0])
    np.testing.assert_array_equal(to_host(class_nms(*arrays, max_iou=0.5, limit=2)), [3, 0])
    np.testing.assert_array_equal(to_host(class_nms(*arrays, max_iou=0.5, limit=0)), [])


def test_ties_keep_the_lower_row_first() -> None:
    boxes = np.tile(np.array([[1, 2, 3, 4]], np.float32), (4, 1))
    scores, class_ids = np.array([-0.0, 0.0, 0.0, -0.0], np.float32), np.array([5, 5, 6, 6], np.int32)
    np.testing.assert_array_equal(class_nms(boxes, scores, class_ids, max_iou=0.9, limit=9), [0, 2])


def test_nan_scores_are_never_kept_and_nan_boxes_overlap_nothing() -> None:
    boxes = np.array([[0, 0, 1, 1], [0, 0, np.nan, 1], [0, 0, 1, 1], [0, 0, 1, 1], [0, 0, np.inf, np.inf]], np.float32)
    scores, class_ids = np.array([0.5, 0.4, np.nan, 0.3, np.inf], np.float32), np.zeros(5, np.int32)
    kept = class_nms(boxes, scores, class_ids, max_iou=0.5, limit=9)
    np.testing.assert_array_equal(kept, [4, 0, 1])
    np.testing.assert_array_equal(kept, class_nms_reference(boxes, scores, class_ids, 0.5, 9))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": np.zeros((2, 1), np.float32)}, r"class_nms: scores must be float32 \[N\], got float32 \[2, 1\]"),
        ({"boxes": np.zeros((3, 4), np.float32)}, r"class_nms: boxes must be float32 \[2, 4\], got float32 \[3, 4\]"),
        ({"class_ids": np.zeros(2)}, r"class_nms: class_ids must be int32 \[2\], got float64 \[2\]"),
        ({"max_iou": 1.5}, r"class_nms: max_iou must be in \[0, 1\], got 1.5"),
        ({"max_iou": float("nan")}, r"class_nms: max_iou must be in \[0, 1\], got nan"),
        ({"limit": -1}, r"class_nms: limit must not be negative, got -1"),
    ],
)
def test_refuses_with_the_reason(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"boxes": np.zeros((2, 4), np.float32), "scores": np.zeros(2, np.float32)}
    arguments |= {"class_ids": np.zeros(2, np.int32), "max_iou": 0.5, "limit": 100}
    with pytest.raises(ValueError, match=message):
        class_nms(**{**arguments, **change})
