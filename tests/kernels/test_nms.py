"""Greedy non-maximum suppression."""

from __future__ import annotations

import numpy as np
import pytest
from vidgraph.kernels import nms
from vidgraph.kernels.nms.reference import nms_reference

from .cases import all_devices, random_boxes, to_device, to_host


@pytest.mark.parametrize("device", all_devices("nms"))
@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 300])
@pytest.mark.parametrize("max_iou", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_matches_reference(device: str, count: int, max_iou: float, legacy: bool, seed: int) -> None:
    boxes, scores = random_boxes(count, seed, size=40.0 if legacy else 1.0)
    kept = to_host(nms(to_device(boxes, device), to_device(scores, device), max_iou=max_iou, legacy=legacy))
    assert kept.dtype == np.int64
    assert kept.base is None
    np.testing.assert_array_equal(kept, nms_reference(boxes, scores, max_iou, legacy))


@pytest.mark.parametrize("device", all_devices("nms"))
def test_overlap_of_exactly_the_threshold_is_kept(device: str) -> None:
    boxes = np.array([[0, 0, 2, 1], [0, 0, 1, 1]], np.float32)  # IoU exactly 0.5
    scores = np.array([0.9, 0.8], np.float32)
    kept = nms(to_device(boxes, device), to_device(scores, device), max_iou=0.5)
    np.testing.assert_array_equal(to_host(kept), [0, 1])
    above = nms(to_device(boxes, device), to_device(scores, device), max_iou=float(np.nextafter(np.float32(0.5), 0)))
    np.testing.assert_array_equal(to_host(above), [0])


def test_legacy_counts_one_pixel_more() -> None:
    """By hand: [0, 9] and [0, 4] in legacy pixels are 10 and 5 wide: IoU 0.5; otherwise 4 / 9."""
    boxes = np.array([[0, 0, 9, 0], [0, 0, 4, 0]], np.float32)
    scores = np.array([0.9, 0.8], np.float32)
    np.testing.assert_array_equal(nms(boxes, scores, max_iou=0.49, legacy=True), [0])
    np.testing.assert_array_equal(nms(boxes, scores, max_iou=0.5, legacy=True), [0, 1])
    np.testing.assert_array_equal(nms(boxes, scores, max_iou=0.1), [0, 1])  # no height: no overlap


def test_equal_boxes_keep_the_best_and_ties_the_first() -> None:
    boxes = np.tile(np.array([[1, 2, 3, 4]], np.float32), (4, 1))
    np.testing.assert_array_equal(nms(boxes, np.array([0.1, 0.7, 0.7, 0.2], np.float32), max_iou=0.9), [1])


def test_nan_scores_come_last_and_nan_boxes_overlap_nothing() -> None:
    boxes = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, np.nan, 1], [np.nan] * 4, [5, 5, 6, 6]], np.float32)
    scores = np.array([np.nan, 0.5, 0.4, 0.3, np.nan], np.float32)
    kept = nms(boxes, scores, max_iou=0.5)
    np.testing.assert_array_equal(kept, [1, 2, 3, 4])
    np.testing.assert_array_equal(kept, nms_reference(boxes, scores, 0.5))


def test_boxes_inside_out_and_infinite_overlap_nothing() -> None:
    inf = np.inf
    boxes = np.array([[0, 0, 4, 4], [3, 3, 1, 1], [-inf, -inf, inf, inf]], np.float32)
    np.testing.assert_array_equal(nms(boxes, np.array([0.9, 0.8, 0.7], np.float32), max_iou=0.0), [0, 1, 2])


@pytest.mark.parametrize(
    ("boxes", "scores", "max_iou", "message"),
    [
        (
            np.zeros((2, 4), np.float64),
            np.zeros(2, np.float32),
            0.5,
            r"nms: boxes must be float32 \[2, 4\], got float64",
        ),
        (
            np.zeros((3, 4), np.float32),
            np.zeros(2, np.float32),
            0.5,
            r"nms: boxes must be float32 \[2, 4\], got .*\[3, 4\]",
        ),
        (np.zeros((2, 4), np.float32), np.zeros((2, 1), np.float32), 0.5, r"nms: scores must be float32 \[N\]"),
        (np.zeros((2, 8), np.float32)[:, ::2], np.zeros(2, np.float32), 0.5, r"nms: boxes must be C-contiguous"),
        (np.zeros((2, 4), np.float32), np.zeros(2, np.float32), 1.5, r"nms: max_iou must be in \[0, 1\], got 1.5"),
    ],
)
def test_refuses_with_the_reason(boxes: np.ndarray, scores: np.ndarray, max_iou: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nms(boxes, scores, max_iou=max_iou)
