"""What results are drawn on: writable planes of a picture, and the layers of what is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...kernels import draw_boxes, draw_labels, draw_masks, draw_points, draw_segments
from ..types.masks import Masks
from ..types.picture import Matrix
from .outline import outline
from .style import DrawStyle, text_colors_on, text_mask


class Layer(IntEnum):
    """What lies over what, from the bottom up, in the results of one model."""

    SURFACE = 0  # of the whole frame: segments, depth
    MASK = 1
    BOX = 2
    POINT = 3
    NAME = 4  # within a surface
    LABEL = 5  # of an object


@dataclass(frozen=True, slots=True)
class Canvas:
    """Writable planes and how their samples mean colours. Positions are pixels of it, colours RGB uint8 [N, 3].

    Planes that lie on a device are drawn on there; what is drawn is copied there, in one transfer for each call.
    """

    format: str
    planes: tuple[NDArray[np.uint8], ...]
    matrix: Matrix
    full_range: bool

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.planes[0].shape[0], self.planes[0].shape[1]

    def segments(self, ids: NDArray[np.int32], colors: NDArray[np.uint8], opacity: float) -> None:
        """Colour pixels by their id, int32 [H, W]; 0 and ids beyond ``colors`` [S, 3] stay as they are."""
        draw_segments(*self._place, ids, colors, opacity, **self._color)

    def masks(self, masks: Masks, colors: NDArray[np.uint8], opacity: float) -> None:
        """Colour the pixels of each mask."""
        draw_masks(*self._place, masks.boxes, masks.bits, masks.offsets, colors, opacity, **self._color)

    def boxes(self, boxes: NDArray[np.float32], colors: NDArray[np.uint8], style: DrawStyle) -> None:
        """Outline boxes [N, 4]."""
        draw_boxes(*self._place, boxes, colors, thickness=style.line_px(*self.size), **self._color)

    def polygons(self, corners: NDArray[np.float32], colors: NDArray[np.uint8], style: DrawStyle) -> None:
        """Outline polygons [N, K, 2], by discs along their sides that are as wide as a line."""
        radius = max(1.0, style.line_px(*self.size) / 2)
        points, rows = outline(corners, spacing=radius, size=self.size)
        draw_points(*self._place, points, colors[rows], radius=radius, **self._color)

    def points(self, points: NDArray[np.float32], colors: NDArray[np.uint8]) -> None:
        """Discs at points [N, 2]."""
        draw_points(*self._place, points, colors, radius=max(1.5, min(self.size) / 360), **self._color)

    def texts(
        self,
        texts: Sequence[str],
        origins: Callable[[Sequence[NDArray[np.uint8]]], NDArray[np.int32]],
        colors: NDArray[np.uint8],
        style: DrawStyle,
    ) -> None:
        """Texts on rectangles of these colours; ``origins`` makes their upper left corners [N, 2] of their masks."""
        size = style.text_px(*self.size)
        masks = [text_mask(text, size) for text in texts]
        draw_labels(
            *self._place,
            masks,
            origins(masks),
            colors=colors,
            text_colors=text_colors_on(colors),
            opacity=style.label_opacity,
            **self._color,
        )

    @property
    def _place(self) -> tuple[tuple[NDArray[np.uint8], ...], str]:
        return self.planes, self.format

    @property
    def _color(self) -> dict[str, Any]:
        return {"matrix": self.matrix, "full_range": self.full_range}


Stroke = tuple[Layer, Callable[[Canvas], None]]
"""Something to draw, and on which layer."""
