"""A colour behind a matte: blended by the definition in every format, and by levels where planes lie on a device."""

from __future__ import annotations

import numpy as np
import pytest
from vidgraph.kernels import PIXEL_FORMATS, to_rgb
from vidgraph.pipeline.drawing.behind import _by_levels, draw_behind
from vidgraph.pipeline.drawing.canvas import Canvas

GREEN = (0, 177, 64)


def canvas_of(format: str, size: tuple[int, int]) -> tuple[Canvas, np.ndarray]:
    """Gray everywhere, and a ramp of alpha with whole and empty ends."""
    planes = tuple(np.full(shape, 128, np.uint8) for shape in PIXEL_FORMATS[format].shapes(*size))
    alpha = np.clip(np.linspace(-60, 315, size[1]), 0, 255).astype(np.uint8)
    return Canvas(format, planes, "rgb" if format == "rgb24" else "bt709", True), np.tile(alpha, (size[0], 1))


def rgb_of(canvas: Canvas) -> np.ndarray:
    return to_rgb(canvas.planes, canvas.format, matrix=canvas.matrix, full_range=canvas.full_range).astype(int)


@pytest.mark.parametrize("size", [(8, 120), (9, 121)])
@pytest.mark.parametrize("format", ["yuv420p", "nv12", "yuv422p", "yuv444p", "rgb24"])
@pytest.mark.parametrize("draw", [draw_behind, _by_levels])
def test_the_colour_is_blended(draw: object, format: str, size: tuple[int, int]) -> None:
    canvas, alpha = canvas_of(format, size)
    draw(canvas, alpha, GREEN)  # type: ignore[operator]
    share = alpha[..., None] / 255
    expected = 128 * share + np.array(GREEN) * (1 - share)
    step = 0 if draw is draw_behind else 177 / 64 + 1.1  # half a level, and half a pixel of the ramp
    assert np.abs(rgb_of(canvas) - expected).max() <= 3 + step
    whole, none = (alpha == 255).all(axis=0), (alpha == 0).all(axis=0)
    assert np.abs(rgb_of(canvas)[:, whole][:, 2:] - 128).max() <= 1
    assert np.abs(rgb_of(canvas)[:, none][:, :-2] - GREEN).max() <= 2
