"""Frames of reference as 3x3 matrices, and outlines."""

from __future__ import annotations

from functools import lru_cache
from math import cos, hypot, sin
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
"""3x3, for columns (x, y, 1)."""
Points = NDArray[np.float64]
"""[N, 2]."""
Pair = tuple[float, float]


class Look(NamedTuple):
    """Colour (RGB, 0..255), texture, how much it changes the colour, and texels per metre."""

    colour: tuple[float, float, float]
    texture: int = 0
    amplitude: float = 0.0
    scale: float = 60.0


class Part(NamedTuple):
    """A flat, rigid piece of an actor.

    Attributes:
        look: how it is painted.
        frame: from its own metres to the actor's (x to the front, y up).
        outline: in its own metres.
        detail: metres; it is left out where so much is less than a pixel and a half.
    """

    look: Look
    frame: Matrix
    outline: Points
    detail: float = 1e9


IDENTITY: Matrix = np.eye(3)
IDENTITY.flags.writeable = False


def turned(x: float, y: float, angle: float = 0.0, scale: float = 1.0) -> Matrix:
    """A frame at (x, y), turned against the clock by ``angle`` radians."""
    c, s = scale * cos(angle), scale * sin(angle)
    return np.array(((c, -s, x), (s, c, y), (0.0, 0.0, 1.0)))


def along(a: Pair, b: Pair) -> Matrix:
    """A frame at ``a`` whose y axis ends (at 1) in ``b``; its x axis keeps metres."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = hypot(dx, dy) or 1e-6
    return np.array(((dy / length, dx, a[0]), (-dx / length, dy, a[1]), (0.0, 0.0, 1.0)))


@lru_cache(maxsize=512)
def disc(radius_x: float, radius_y: float | None = None, corners: int = 16) -> Points:
    """An ellipse around the origin."""
    angles = np.arange(corners) * (2 * np.pi / corners)
    other = radius_x if radius_y is None else radius_y
    return _fixed(np.stack([radius_x * np.cos(angles), other * np.sin(angles)], axis=1))


@lru_cache(maxsize=2048)
def limb(start: float, end: float, length: float) -> Points:
    """A limb along y from 0 to 1 (of ``length`` metres) with round ends; half widths in metres."""
    half = np.arange(5) * (np.pi / 4)
    low = np.stack([start * np.cos(half + np.pi), start * np.sin(half + np.pi) / length], axis=1)
    high = np.stack([end * np.cos(half), 1 + end * np.sin(half) / length], axis=1)
    return _fixed(np.concatenate([low, high]))


@lru_cache(maxsize=512)
def outline(*numbers: float) -> Points:
    """x1, y1, x2, y2, … as points."""
    return _fixed(np.array(numbers, np.float64).reshape(-1, 2))


def box(x1: float, y1: float, x2: float, y2: float) -> Points:
    """A rectangle."""
    return outline(x1, y1, x2, y1, x2, y2, x1, y2)


def _fixed(points: Points) -> Points:
    points.flags.writeable = False
    return points
