"""A number as blocks of luma: sixteen cells in the upper half of the picture, twelve bits of it and four to check."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

NUMBERS = 4096

_DARK, _BRIGHT = 50, 200
_ROWS, _COLUMNS = 2, 8
_CERTAIN = 45  # from the middle of dark and bright; also how much a cell may vary


def numbered_luma(number: int, size: tuple[int, int], noise: int = 0) -> NDArray[np.uint8]:
    """uint8 [height, width] with ``number`` (0 to 4095) in its upper half, and a bar that moves in its lower half.

    ``noise``: amplitude of noise in the lower half, always the same for a number.
    """
    height, width = size
    luma = np.full(size, 110, np.uint8)
    if noise:
        below = luma[height // 2 :]
        below += np.random.default_rng(number).integers(0, noise, below.shape, np.uint8)
    bits = _bits(number)
    for n in range(_ROWS * _COLUMNS):
        top, left, bottom, right = _cell(n, height, width)
        luma[top:bottom, left:right] = _BRIGHT if bits >> n & 1 else _DARK
    x = number * 8 % width
    luma[height * 5 // 8 : height * 7 // 8, x : x + width // 8] = 180
    return luma


def number_in(picture: Any) -> int | None:
    """The number that a picture of a clip carries; None where it cannot be read with certainty (torn, grey, foreign).

    Args:
        picture: an ``av.VideoFrame``, a ``vidgraph.Picture``, or uint8 [h, w] luma or [h, w, 3] RGB of any size.
    """
    luma = _luma(picture)
    height, width = luma.shape
    if min(height // (4 * _ROWS), width // (2 * _COLUMNS)) < 1:
        return None
    bits = 0
    for n in range(_ROWS * _COLUMNS):
        top, left, bottom, right = _cell(n, height, width)
        y, x = (bottom - top) // 4, (right - left) // 4
        cell = luma[top + y : bottom - y, left + x : right - x].astype(np.int16)
        offset = float(cell.mean()) - (_DARK + _BRIGHT) / 2
        if abs(offset) < _CERTAIN or np.abs(cell - cell.mean()).max() > _CERTAIN:
            return None
        bits |= (offset > 0) << n
    number = bits & NUMBERS - 1
    return number if _bits(number) == bits else None


def _bits(number: int) -> int:
    check = (number ^ number >> 4 ^ number >> 8 ^ 0b1010) & 15
    return number | check << 12


def _cell(n: int, height: int, width: int) -> tuple[int, int, int, int]:
    row, column = divmod(n, _COLUMNS)
    half = height // 2
    return half * row // _ROWS, width * column // _COLUMNS, half * (row + 1) // _ROWS, width * (column + 1) // _COLUMNS


def _luma(picture: Any) -> NDArray[np.uint8]:
    if hasattr(picture, "to_ndarray"):  # av.VideoFrame
        plane = picture.planes[0]
        if picture.format.name.startswith(("yuv", "nv12", "gray")) and picture.format.components[0].bits == 8:
            rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
            return rows[: picture.height, : picture.width]
        picture = picture.to_ndarray(format="gray")
    elif hasattr(picture, "planes"):  # vidgraph.Picture
        picture = picture.planes[0]
    array = np.asarray(picture)
    if array.ndim == 3:
        array = (array @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    return array
