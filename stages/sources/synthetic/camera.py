"""Where the camera is, and how the scene comes onto its picture."""

from __future__ import annotations

from dataclasses import dataclass
from math import sin

import numpy as np
from numpy.typing import NDArray

from .geometry import Matrix

NEAR_M = 0.5
"""Nothing nearer than this is drawn."""


@dataclass(frozen=True, slots=True)
class View:
    """A pinhole camera that looks along z, level. Metres (x right, y up, z ahead) to pixels.

    Attributes:
        x, y, z: of the camera, metres.
        focal: pixels.
        centre: (x, y) of the picture's optical centre, pixels; y is the horizon.
    """

    x: float
    y: float
    z: float
    focal: float
    centre: tuple[float, float]

    def billboard(self, x: float, y: float, z: float, facing: int = 1) -> Matrix:
        """From metres of something flat that faces the camera at (x, y, z) to pixels; ``facing`` -1 mirrors it."""
        scale = self.focal / (z - self.z)
        left, top = self.centre[0] + scale * (x - self.x), self.centre[1] - scale * (y - self.y)
        return np.array(((scale * facing, 0.0, left), (0.0, -scale, top), (0.0, 0.0, 1.0)))

    def plane(self, origin: NDArray[np.float64], u: NDArray[np.float64], v: NDArray[np.float64]) -> Matrix:
        """From metres along ``u`` and ``v`` from ``origin`` to pixels, in perspective; vectors [3] or [N, 3]."""
        columns = np.stack([u, v, origin - (self.x, self.y, self.z)], axis=-1)
        cx, cy = self.centre
        return np.array(((self.focal, 0.0, cx), (0.0, -self.focal, cy), (0.0, 0.0, 1.0))) @ columns


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera that moves evenly and shakes.

    Attributes:
        start, speed: metres (x, y, z) at time 0, and metres a second.
        focal: pixels.
        centre: (x, y) pixels.
        shake_px, shake_rate: how far and how fast (radians a second) it shakes.
    """

    start: tuple[float, float, float]
    speed: tuple[float, float, float]
    focal: float
    centre: tuple[float, float]
    shake_px: float = 0.0
    shake_rate: float = 0.0

    def at(self, time_s: float) -> View:
        """The view at a time."""
        x, y, z = (s + v * time_s for s, v in zip(self.start, self.speed, strict=True))
        angle = self.shake_rate * time_s
        cx = self.centre[0] + self.shake_px * sin(angle)
        cy = self.centre[1] + self.shake_px * sin(1.37 * angle + 1)
        return View(x, y, z, self.focal, (cx, cy))
