"""What ``preprocess`` means, in plain NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..to_rgb.reference import lerp_reference, samples_reference, yuv_to_rgb_reference


def preprocess_reference(
    planes: Sequence[NDArray[Any]],
    format: str,
    *,
    matrix: str,
    full_range: bool,
    size: tuple[int, int],
    scale: tuple[float, float],
    offset: tuple[float, float],
    mean: Sequence[float],
    std: Sequence[float],
    bgr: bool,
    pad: Sequence[float],
    content: tuple[int, int, int, int] | None,
    torch_resize: bool = False,
    dtype: str = "float32",
    layout: str = "nchw",
) -> NDArray[Any]:
    """Sample every component at the output's pixel centres, convert, normalise, pad, round."""
    height, width = size
    number: type[np.floating[Any]] = np.float32 if torch_resize else np.float64
    x, y = (
        (number(scale[axis]) * (np.arange(length).astype(number) + number(0.5)) + number(offset[axis]) - number(0.5))
        for axis, length in enumerate((width, height))
    )
    x, y = x.astype(np.float64), y.astype(np.float64)
    components = []
    for index, plane in enumerate(samples_reference(planes, format)):
        halved_x = index > 0 and ("420" in format or "422" in format or format in ("nv12", "p010le"))
        halved_y = halved_x and "422" not in format
        plane_x = x / 2 if halved_x else x
        plane_y = y / 2 - 0.25 if halved_y else y
        components.append(lerp_reference(lerp_reference(plane, plane_x, 1), plane_y, 0))
    if format == "rgb24":
        rgb = np.stack(components, axis=-1)
    elif format == "gray":
        neutral = np.full_like(components[0], 128.0)
        rgb = yuv_to_rgb_reference(components[0], neutral, neutral, 8, "bt601", full_range)
    else:
        bits = 10 if "10" in format else 8
        rgb = yuv_to_rgb_reference(components[0], components[1], components[2], bits, matrix, full_range)
    if content is not None:
        y1, x1, y2, x2 = content
        padded = np.broadcast_to(np.asarray(pad, np.float64), rgb.shape).copy()
        padded[y1:y2, x1:x2] = rgb[y1:y2, x1:x2]
        rgb = padded
    ordered = rgb[:, :, ::-1] if bgr else rgb
    normalised = (ordered - np.asarray(mean, np.float64)) / np.asarray(std, np.float64)
    if dtype == "uint8":
        normalised = np.clip(np.rint(normalised), 0, 255)
    ordered = normalised if layout == "nhwc" else normalised.transpose(2, 0, 1)
    return ordered[np.newaxis].astype(dtype)
