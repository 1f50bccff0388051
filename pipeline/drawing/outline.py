"""Places along the sides of polygons, for drawing them with a round brush."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def outline(
    corners: NDArray[np.float32], *, spacing: float, size: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Places on the sides of polygons, each at most ``spacing`` pixels from the next, in the picture or at its border.

    Args:
        corners: float32 [N, K, 2], (x, y) in pixels, in the order in which sides join them; the last and first are
            joined too. A side that is not finite is left out.
        size: (height, width) of the picture.

    Returns:
        places float32 [P, 2], and the polygon of each, int64 [P].
    """
    starts = corners.astype(np.float64).reshape(-1, 2)
    ways = np.roll(corners.astype(np.float64), -1, axis=1).reshape(-1, 2) - starts
    owners = np.repeat(np.arange(len(corners)), corners.shape[1])
    enter, leave = _within(starts, ways, low=-2 * spacing, high=np.array((size[1], size[0])) + 2 * spacing)
    seen = np.flatnonzero(enter <= leave)
    length = (leave - enter)[seen]
    steps = np.ceil(np.hypot(*ways[seen].T) * length / spacing).astype(np.int64).clip(1)
    number = np.repeat(np.arange(len(seen)), steps)
    share = (np.arange(len(number)) - np.repeat(np.cumsum(steps) - steps, steps)) / steps[number]
    side = seen[number]
    places = starts[side] + (enter[side] + share * length[number])[:, None] * ways[side]
    return places.astype(np.float32), owners[side]


def _within(
    starts: NDArray[np.float64], ways: NDArray[np.float64], *, low: float, high: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """From which part of each way on to which one it is between ``low`` and ``high``; none where the first is larger.

    Source: Liang and Barsky, A New Concept and Method for Line Clipping, 1984.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        crossings = np.stack([(low - starts) / ways, (high - starts) / ways])
    inside = (starts >= low) & (starts <= high)
    still = ways == 0
    first = np.where(still, np.where(inside, 0.0, np.inf), crossings.min(axis=0))
    last = np.where(still, np.where(inside, 1.0, -np.inf), crossings.max(axis=0))
    return first.max(axis=1).clip(0), last.min(axis=1).clip(None, 1)
