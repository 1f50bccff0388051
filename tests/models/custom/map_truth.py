"""Maps resized to frames as torch's ``interpolate`` does it (bilinear, ``align_corners=False``), in float64."""

from __future__ import annotations

import numpy as np

from .planted import Place


def at_centres(frame: tuple[int, int], size: tuple[int, int], place: Place, axis: int) -> np.ndarray:
    """Where the centres of a frame's columns (axis 0) or rows (1) lie in the input, relative to it."""
    (scale, offset), length = place, frame[1 - axis]
    relative: np.ndarray = (np.arange(length) + 0.5 - offset[axis]) / scale[axis] / size[1 - axis]
    return relative


def weights(at: np.ndarray, cells: int) -> np.ndarray:
    """What each of ``cells`` adds to the places ``at``, which count in cells: [len(at), cells]."""
    at = np.clip(at - 0.5, 0, cells - 1)
    low = np.minimum(np.floor(at).astype(int), max(cells - 2, 0))
    table = np.zeros((len(at), cells))
    np.add.at(table, (np.arange(len(at)), low), 1 - (at - low))
    np.add.at(table, (np.arange(len(at)), np.minimum(low + 1, cells - 1)), at - low)
    return table


def resized(maps: np.ndarray, frame: tuple[int, int], size: tuple[int, int], place: Place) -> np.ndarray:
    """Maps [C, h, w] that cover an input of ``size`` at the pixels of a frame: [C, H, W]."""
    rows = weights(at_centres(frame, size, place, 1) * maps.shape[1], maps.shape[1])
    columns = weights(at_centres(frame, size, place, 0) * maps.shape[2], maps.shape[2])
    return np.asarray(rows @ maps.astype(np.float64) @ columns.T)


def pasted(cells: np.ndarray, box: np.ndarray, frame: tuple[int, int]) -> np.ndarray:
    """A map [h, w] that covers a box of the frame, and is 0 around it, at the pixels of the frame: [H, W]."""
    around = np.pad(cells.astype(np.float64), 1)
    tables = []
    for axis in (1, 0):
        low, high = float(box[axis]), float(box[axis + 2])
        relative = (np.arange(frame[1 - axis]) + 0.5 - low) / (high - low)
        tables.append(weights(relative * cells.shape[1 - axis] + 1, around.shape[1 - axis]))
    return np.asarray(tables[0] @ around @ tables[1].T)
