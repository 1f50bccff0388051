"""How annotations look: colours, line widths, text."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_GOLDEN = 0.618033988749895  # steps of the golden ratio around the colour circle never come close to each other
_PALETTE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawStyle:
    """What to draw, and how large.

    Attributes:
        masks, boxes, labels, points: draw these; ``masks`` are also segments.
        scores, tracks: show them in the labels.
        min_line_px: lines are never thinner; from 360 rows (or columns) on they grow with the picture.
        mask_opacity: share of the colour over an object's mask or a segment, 0 to 1.
        label_opacity: of the rectangle behind the text, 0 to 1.
        min_point_score: points below it are left out.
        background: RGB, behind what a matte leaves.
    """

    masks: bool = True
    boxes: bool = True
    labels: bool = True
    points: bool = True
    scores: bool = True
    tracks: bool = True
    min_line_px: int = 1
    mask_opacity: float = 0.45
    label_opacity: float = 0.8
    min_point_score: float = 0.0
    background: tuple[int, int, int] = (0, 177, 64)

    def __post_init__(self) -> None:
        for name in ("mask_opacity", "label_opacity", "min_point_score"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} must be in [0, 1], got {value}")
        if any(not 0 <= value <= 255 for value in self.background):
            raise ValueError(f"background must be three numbers from 0 to 255, got {self.background}")
        if self.min_line_px < 1:
            raise ValueError(f"min_line_px must be at least 1, got {self.min_line_px}")

    def line_px(self, height: int, width: int) -> int:
        """Line width for a picture of this size."""
        return max(self.min_line_px, round(min(height, width) / 360))

    def text_px(self, height: int, width: int) -> int:
        """Size of the text for a picture of this size."""
        return max(10, round(min(height, width) / 45))


def color_of(class_id: int) -> tuple[int, int, int]:
    """The colour of a class, RGB: the same in every run, and far from that of the next classes."""
    red, green, blue = (int(value) for value in _palette()[class_id % _PALETTE])
    return red, green, blue


def colors_of(class_ids: NDArray[Any]) -> NDArray[np.uint8]:
    """The colours of classes, uint8 [N, 3]; ``class_ids`` are whole numbers [N]."""
    colors: NDArray[np.uint8] = _palette()[np.asarray(class_ids, np.int64) % _PALETTE]
    return colors


@cache
def _palette() -> NDArray[np.uint8]:
    """uint8 [256, 3]. The first is a green that shows on skin; lightness and saturation change every 8 colours."""
    colors = []
    for index in range(_PALETTE):
        hue = (0.38 + index * _GOLDEN) % 1.0
        step = index // 8 % 3
        colors.append(colorsys.hsv_to_rgb(hue, (0.85, 0.55, 1.0)[step], (1.0, 0.95, 0.75)[step]))
    palette: NDArray[np.uint8] = np.rint(np.array(colors) * 255).astype(np.uint8)
    palette.flags.writeable = False
    return palette


def text_colors_on(color: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Black or white [N, 3], whichever reads better on each background colour, uint8 [N, 3]."""
    light = color @ np.array([0.299, 0.587, 0.114]) > 140
    return np.repeat(np.where(light, np.uint8(0), np.uint8(255))[:, None], 3, axis=1)


@lru_cache(maxsize=4096)
def text_mask(text: str, size_px: int) -> NDArray[np.uint8]:
    """Text in Pillow's own font with a margin, antialiased: uint8 [h, w], read-only; 255 is text.

    All texts of one size have the same height, so that labels line up.
    """
    from PIL import Image, ImageDraw

    font = _font(size_px)
    margin = max(2, size_px // 5)
    ascent, descent = font.getmetrics()
    image = Image.new("L", (max(1, round(font.getlength(text))) + 2 * margin, ascent + descent + margin), 0)
    ImageDraw.Draw(image).text((margin, margin // 2), text, fill=255, font=font)
    mask = np.ascontiguousarray(image, np.uint8)
    mask.flags.writeable = False
    return mask


@cache
def _font(size_px: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size_px)
