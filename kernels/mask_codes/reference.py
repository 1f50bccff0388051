"""What the mask codes mean, in plain NumPy: whole columns, and linked runs of pixel edges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Runs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def rle_counts_reference(mask: NDArray[np.bool_]) -> str:
    """Counts of COCO's compressed RLE of a whole frame, bool ``[H, W]``."""
    runs, value = [0], False
    for pixel in mask.T.reshape(-1).tolist():
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    return encode_runs_reference(runs)


def encode_runs_reference(runs: Sequence[int]) -> str:
    """The compressed text of run lengths."""
    text = ""
    for index, run in enumerate(runs):
        value = run - runs[index - 2] if index > 2 else run
        while True:
            group, value = value & 31, value >> 5
            done = value == (-1 if group & 16 else 0)
            text += chr(48 + group + (0 if done else 32))
            if done:
                break
    return text


def mask_outlines_reference(mask: NDArray[np.bool_], origin: tuple[int, int]) -> list[list[float]]:
    """Exterior outlines of the 4-connected parts of a mask, exactly along the pixel edges.

    Args:
        mask: bool [h, w].
        origin: (x, y) of the mask's first pixel in the frame.

    Returns:
        One flat list [x1, y1, x2, y2, …] of corner points for each part, clockwise on the screen,
        from its topmost (then leftmost) corner; parts in the order of that corner. Holes are not
        listed: filled with the even-odd rule an outline is its part with the holes closed.
    """
    if not mask.any():
        return []
    x, y, following = _linked_corners(mask)
    outlines, seen = [], bytearray(len(following))
    for first in range(len(following) // 2):  # horizontal runs come first, from top to bottom
        if seen[first]:
            continue
        loop, run = [], first
        while not seen[run]:
            seen[run] = 1
            loop.append(run)
            run = following[run]
        xs, ys = x[loop], y[loop]
        twice_area = int(np.sum(xs * np.roll(ys, -1) - ys * np.roll(xs, -1)))
        if twice_area > 0:  # clockwise with y pointing down; holes run the other way
            points = np.stack([xs + origin[0], ys + origin[1]], axis=1)
            outlines.append([float(v) for v in points.reshape(-1)])
    return outlines


def _runs(edges: NDArray[np.int8]) -> Runs:
    """Maximal runs of one sign along each row: (row, start, end, sign)."""
    padded = np.pad(edges, ((0, 0), (1, 1)))
    changes = padded[:, 1:] != padded[:, :-1]
    start_row, start = np.nonzero(changes & (padded[:, 1:] != 0))
    _, end = np.nonzero(changes & (padded[:, :-1] != 0))
    return start_row, start, end, edges[start_row, start].astype(np.int64)


def _linked_corners(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64], list[int]]:
    """Straight boundary runs, directed with the mask to their right, horizontal ones first.

    Returns:
        x, y: int64 [R], the corner at which each run starts.
        following: for each run, the one that goes on at its end. Where two pixels touch at a
            corner only, the outline turns right and stays with its pixel.
    """
    signs = np.pad(mask, 1).astype(np.int8)
    row, left, right, sign_h = _runs((signs[1:] - signs[:-1])[:, 1:-1])
    column, top, bottom, sign_v = _runs(np.ascontiguousarray((signs[:, :-1] - signs[:, 1:])[1:-1].T))
    forward_h, forward_v = sign_h > 0, sign_v > 0  # to the right, downwards
    x = np.concatenate([np.where(forward_h, left, right), column])
    y = np.concatenate([row, np.where(forward_v, top, bottom)])
    end_x = np.concatenate([np.where(forward_h, right, left), column])
    end_y = np.concatenate([row, np.where(forward_v, bottom, top)])
    direction = np.concatenate([np.where(forward_h, 0, 2), np.where(forward_v, 1, 3)])  # right turns add 1

    def corner_key(at_x: NDArray[np.int64], at_y: NDArray[np.int64], heading: NDArray[np.int64]) -> NDArray[np.int64]:
        key: NDArray[np.int64] = (at_y * (mask.shape[1] + 1) + at_x) * 4 + heading % 4
        return key

    keys = corner_key(x, y, direction)
    order = np.argsort(keys)
    found = []
    for turn in (1, -1):
        wanted = corner_key(end_x, end_y, direction + turn)
        at = np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)
        found.append((order[at], keys[order[at]] == wanted))
    following = np.where(found[0][1], found[0][0], found[1][0])
    return x, y, following.tolist()
