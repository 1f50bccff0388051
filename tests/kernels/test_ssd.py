"""Anchors and their decoding, against the definition and the official outputs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.kernels import decode_boxes, decode_points, nms, ssd_priors, top_scores
from vidgraph.kernels.ssd.reference import decode_boxes_reference, decode_points_reference, ssd_priors_reference

from ..tolerances import TOLERANCES
from .cases import all_devices, to_device, to_host

STRIDES = [8, 16, 32]
MIN_SIZES = [[16, 32], [64, 128], [256, 512]]


def random_offsets(count: int, columns: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, columns)).astype(np.float32)


@pytest.mark.parametrize("size", [(32, 32), (190, 253), (1, 1), (360, 640)])
@pytest.mark.parametrize(
    ("strides", "min_sizes"),
    [
        (STRIDES, MIN_SIZES),
        ([8, 16, 32, 64], [[10, 16, 24], [32, 48], [64, 96], [128, 192, 256]]),
        ([], []),
        ([4], [[]]),
    ],
)
def test_priors_match_reference(size: tuple[int, int], strides: list[int], min_sizes: list[list[int]]) -> None:
    priors = ssd_priors(size, strides=strides, min_sizes=min_sizes)
    assert priors.dtype == np.float32
    np.testing.assert_array_equal(priors, ssd_priors_reference(size, strides, min_sizes))


def test_priors_by_hand() -> None:
    """A map has ceil(size / stride) cells; the order is (level, y, x, anchor)."""
    priors = ssd_priors((8, 9), strides=[8], min_sizes=[[4, 2]])
    expected = [
        [4 / 9, 0.5, 4 / 9, 0.5],
        [4 / 9, 0.5, 2 / 9, 0.25],
        [12 / 9, 0.5, 4 / 9, 0.5],
        [12 / 9, 0.5, 2 / 9, 0.25],
    ]
    np.testing.assert_array_equal(priors, np.array(expected, np.float32))


@pytest.mark.parametrize("device", all_devices("decode_boxes", "decode_points"))
@pytest.mark.parametrize("count", [0, 1, 7, 500])
def test_decoding_matches_reference(device: str, count: int) -> None:
    priors = np.abs(random_offsets(count, 4, 1))
    loc, raw = random_offsets(count, 4, 2), random_offsets(count, 10, 3)
    boxes = to_host(decode_boxes(to_device(loc, device), to_device(priors, device), variances=(0.1, 0.2)))
    points = to_host(decode_points(to_device(raw, device), to_device(priors, device), variance=0.1))
    assert points.shape == (count, 5, 2)
    tolerance = TOLERANCES["SSD decode"][0]
    np.testing.assert_allclose(boxes, decode_boxes_reference(loc, priors, (0.1, 0.2)), rtol=0, atol=tolerance)
    np.testing.assert_allclose(points, decode_points_reference(raw, priors, 0.1), rtol=0, atol=tolerance)
    np.testing.assert_array_equal(points, decode_points(raw.reshape(count, 5, 2), priors))


def test_decoding_by_hand() -> None:
    priors = np.array([[0.5, 0.25, 0.2, 0.1]], np.float32)
    zero = decode_boxes(np.zeros((1, 4), np.float32), priors)
    np.testing.assert_allclose(zero, [[0.4, 0.2, 0.6, 0.3]], atol=1e-7)
    moved = decode_boxes(np.array([[1, -1, np.log(2) / 0.2, 0]], np.float32), priors)
    np.testing.assert_allclose(moved, [[0.32, 0.19, 0.72, 0.29]], atol=1e-6)
    point = decode_points(np.array([[5.0, -5.0]], np.float32), priors)
    np.testing.assert_allclose(point, [[[0.6, 0.2]]], atol=1e-7)


def test_infinity_and_nan_go_through() -> None:
    boxes = decode_boxes(np.array([[0, 0, 1e9, 0], [np.nan] * 4], np.float32), np.full((2, 4), 0.5, np.float32))
    assert np.isinf(boxes[0, [0]]).all() or np.isnan(boxes[0, [0]]).all()
    assert np.isnan(boxes[1]).all()


@pytest.mark.parametrize(
    "model", ["retinaface_mobilenet0.25_leaky", "retinaface_mobilenet0.25_1mb", "retinaface_resnet50"]
)
def test_priors_equal_the_official_ones(model: str, shared: Callable[[str], Path]) -> None:
    folder = shared(f"golden/{model}")
    raw = np.load(next(folder.glob("raw_*.npz")))
    config = json.loads((folder / "config.json").read_text("utf-8"))
    priors = ssd_priors(raw["image_bgr_u8"].shape[:2], strides=config["steps"], min_sizes=config["min_sizes"])
    np.testing.assert_array_equal(priors, raw["priors"])


def test_official_detections_from_official_raw_outputs(shared: Callable[[str], Path]) -> None:
    raw = np.load(shared("golden/retinaface_resnet50") / "raw_256x320.npz")
    scores = raw["conf"][0, :, 1]
    best = top_scores(scores, min_score=0.02, limit=5000)
    size = np.array([320, 256, 320, 256], np.float32)
    boxes = decode_boxes(raw["loc"][0][best], raw["priors"][best]) * size
    points = decode_points(raw["landm"][0][best], raw["priors"][best]) * size[:2]
    kept = nms(boxes, scores[best], max_iou=0.4, legacy=True)[:750]
    found = np.concatenate([boxes[kept], scores[best][kept, None], points[kept].reshape(-1, 10)], axis=1)
    tolerance = TOLERANCES["detections from saved raw outputs, px"][0]
    np.testing.assert_allclose(found, raw["dets"], rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"size": (0, 8)}, r"ssd_priors: size must be \(h, w\) of at least one pixel, got \(0, 8\)"),
        ({"strides": [8]}, r"strides and min_sizes must have one entry per level, got 1 and 3"),
        ({"strides": [8, 0, 32]}, r"ssd_priors: strides must be positive, got \[8, 0, 32\]"),
        ({"min_sizes": [[16], [-1], [3]]}, r"ssd_priors: min_sizes must be positive"),
    ],
)
def test_priors_refuse_with_the_reason(kwargs: dict[str, Any], message: str) -> None:
    arguments = {"size": (8, 8), "strides": STRIDES, "min_sizes": MIN_SIZES, **kwargs}
    with pytest.raises(ValueError, match=message):
        ssd_priors(arguments.pop("size"), **arguments)


def test_decoding_refuses_with_the_reason() -> None:
    priors = np.zeros((3, 4), np.float32)
    with pytest.raises(ValueError, match=r"decode_boxes: loc must be float32 \[3, 4\], got float32 \[2, 4\]"):
        decode_boxes(np.zeros((2, 4), np.float32), priors)
    with pytest.raises(ValueError, match=r"decode_boxes: priors must be float32 \[N, 4\], got float64 \[3, 4\]"):
        decode_boxes(np.zeros((3, 4), np.float32), priors.astype(np.float64))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"decode_points: raw must have an even number of columns, got 5"):
        decode_points(np.zeros((3, 5), np.float32), priors)
    with pytest.raises(ValueError, match=r"decode_points: raw must be float32 \[3, N, 2\], got float32 \[3, 5, 3\]"):
        decode_points(np.zeros((3, 5, 3), np.float32), priors)
