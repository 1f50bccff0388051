"""Tinting by a map of segments, against every pixel blended by itself in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from vidgraph.kernels import draw_segments
from vidgraph.kernels.draw_segments.reference import draw_segments_reference

from .cases import DRAWABLE, all_devices, flat_planes, random_planes, to_device, to_host

COLOURS: dict[str, Any] = {"matrix": "bt709", "full_range": False}


def segments(height: int, width: int, seed: int = 2) -> np.ndarray:
    """Blocks of ids with single pixels in between, some of them void or without a colour."""
    random = np.random.default_rng(seed)
    coarse = random.integers(-1, 7, (height // 5 + 1, width // 7 + 1), np.int32)
    ids = np.kron(coarse, np.ones((5, 7), np.int32))[:height, :width].astype(np.int32)
    return np.ascontiguousarray(np.where(random.random((height, width)) < 0.1, random.integers(-3, 9), ids), np.int32)


@pytest.mark.parametrize("device", all_devices("draw_segments"))
@pytest.mark.parametrize("format", DRAWABLE)
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 3), (37, 51), (40, 64), (9, 131)])
@pytest.mark.parametrize("alpha", [0.0, 0.45, 1.0])
@pytest.mark.parametrize("full_range", [False, True])
def test_matches_reference(device: str, format: str, size: tuple[int, int], alpha: float, full_range: bool) -> None:
    ids = segments(*size)
    colors = np.random.default_rng(9).integers(0, 256, (6, 3)).astype(np.uint8)
    before, planes = random_planes(format, *size, padding=3), random_planes(format, *size, padding=3)
    there = to_device(planes, device)
    draw_segments(there, format, ids, to_device(colors, device), alpha, matrix="bt709", full_range=full_range)
    expected = draw_segments_reference(before, format, ids, colors, alpha, "bt709", full_range)
    for plane, want in zip(there, expected, strict=True):
        np.testing.assert_array_equal(to_host(plane), want)


@pytest.mark.parametrize("device", all_devices("draw_segments"))
def test_a_chroma_sample_takes_a_share_of_each_segment(device: str) -> None:
    planes = flat_planes("yuv444p", 2, 2, (0, 0, 0)), flat_planes("yuv420p", 2, 2, (0, 0, 0))
    ids = np.array([[1, 1], [2, 0]], np.int32)
    colors = np.array([[9, 9, 9], [255, 0, 0], [0, 0, 255]], np.uint8)
    there = [to_device(each, device) for each in planes]
    for each, format in zip(there, ("yuv444p", "yuv420p"), strict=True):
        draw_segments(each, format, ids, colors, 1.0, **COLOURS)
    whole, halved = ([to_host(plane) for plane in each] for each in there)
    for plane, half in zip(whole[1:], halved[1:], strict=True):
        assert half[0, 0] == np.floor(plane.mean() + 0.5)
    np.testing.assert_array_equal(whole[0], halved[0])


@pytest.mark.parametrize("format", DRAWABLE)
@pytest.mark.parametrize("colors", [0, 1])
def test_without_colours_nothing_changes(format: str, colors: int) -> None:
    before, planes = random_planes(format, 8, 9), random_planes(format, 8, 9)
    draw_segments(planes, format, segments(8, 9), np.zeros((colors, 3), np.uint8), **COLOURS)
    for plane, old in zip(planes, before, strict=True):
        np.testing.assert_array_equal(plane, old)


def test_refuses_what_it_cannot_draw_on() -> None:
    planes = random_planes("rgb24", 4, 6)
    ids, colors = np.ones((4, 6), np.int32), np.zeros((2, 3), np.uint8)
    with pytest.raises(ValueError, match=r"draw_segments: can draw on .*, got 'p010le'"):
        draw_segments(planes, "p010le", ids, colors, **COLOURS)
    with pytest.raises(ValueError, match=r"segment_ids must be int32 \[4, 6\], got int32 \[6, 4\]"):
        draw_segments(planes, "rgb24", ids.T.copy(), colors, **COLOURS)
    with pytest.raises(ValueError, match=r"colors must be uint8 \[N, 3\], got uint8 \[2, 4\]"):
        draw_segments(planes, "rgb24", ids, np.zeros((2, 4), np.uint8), **COLOURS)
    with pytest.raises(ValueError, match=r"alpha must be in \[0, 1\], got 1.5"):
        draw_segments(planes, "rgb24", ids, colors, 1.5, **COLOURS)
    planes[0].flags.writeable = False
    with pytest.raises(ValueError, match="the planes must be writable"):
        draw_segments(planes, "rgb24", ids, colors, **COLOURS)
