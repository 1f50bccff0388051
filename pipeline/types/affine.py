"""From pixels of the network's input to pixels of the displayed frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Affine:
    """``frame = scale * model + offset``, per axis, in continuous pixels (pixel i covers [i, i + 1)).

    Attributes:
        scale: frame pixels per model pixel, (x, y).
        offset: frame position of the model's origin, (x, y).
    """

    scale: tuple[float, float]
    offset: tuple[float, float] = (0.0, 0.0)

    def points(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map points (x, y), float32 [..., 2], to the frame."""
        return points * np.array(self.scale, np.float32) + np.array(self.offset, np.float32)

    def boxes(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map boxes (x1, y1, x2, y2), float32 [..., 4], to the frame."""
        return boxes * np.array(self.scale * 2, np.float32) + np.array(self.offset * 2, np.float32)
