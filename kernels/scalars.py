"""Checks of numbers that the kernel wrappers share: whole or not, finite, in range, and sizes whose product fits.

Each gives plain Python numbers, or raises a ValueError of one line: who, what was expected, what came. ``rule`` is how
the message says what is expected, such as ``must not be negative``.
"""

from __future__ import annotations

import math
import operator
from itertools import islice
from typing import Any

import numpy as np

LARGEST_SIDE_PX = 1 << 20
"""Of pictures and maps. No decoder gives as much; what is beyond is a mistake."""

MOST_PIXELS = (1 << 31) - 1
"""In a picture or a map."""

FARTHEST_PX = 1 << 24
"""From the picture. Coordinates beyond this are a mistake, and sums of smaller ones fit an int32."""

UNLIMITED = 2**62
"""As good as no limit; what is above it means the same."""

_LONGEST_TEXT = 80


def shown(value: Any) -> str:
    """``value`` as a message says it: on one line, and not long."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # whatever its own code raises; an int of very many digits has no text either
        return f"something of type {type(value).__name__}"
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"


def whole(owner: str, what: str, value: Any, rule: str, *, low: int, high: int = UNLIMITED) -> int:
    """A whole number of ``low`` to ``high``; one above ``UNLIMITED`` becomes that.

    Raises:
        ValueError: it is not whole, or out of range.
    """
    try:
        found = operator.index(value)
    except TypeError:
        raise ValueError(f"{owner}: {what} must be a whole number, got {shown(value)}") from None
    if low <= found <= high:
        return found
    if found > high == UNLIMITED:
        return UNLIMITED
    raise ValueError(f"{owner}: {what} {rule if found < low else f'must be from {low} to {high}'}, got {shown(value)}")


def wholes(owner: str, what: str, values: Any, rule: str, count: int) -> Any:
    """A list of ``count`` whole numbers; their range is for the caller to check.

    Raises:
        ValueError: they are more or fewer, or one is not whole.
    """
    try:
        found = list(map(operator.index, _held(values, count)))
    except TypeError:
        raise ValueError(f"{owner}: {what} {rule} (whole numbers), got {shown(values)}") from None
    if len(found) != count:
        raise ValueError(f"{owner}: {what} {rule}, got {shown(values)}")
    return found


def picture_size(
    owner: str, what: str, size: Any, rule: str = "must be (h, w) of at least one pixel", *, low: int = 1
) -> tuple[int, int]:
    """Height and width of a picture or a map that is in memory or will be, each at least ``low``.

    Raises:
        ValueError: they are not two whole numbers, or too small, or too large by themselves or together.
    """
    height, width = wholes(owner, what, size, rule, 2)
    if height < low or width < low:
        raise ValueError(f"{owner}: {what} {rule}, got {shown(size)}")
    check_extent(owner, what, height, width)
    return height, width


def check_extent(owner: str, what: str, height: int, width: int) -> None:
    """Refuse a picture or a map whose sizes, or their products, compiled code could not count.

    Raises:
        ValueError: a side is longer than ``LARGEST_SIDE_PX``, or there are more pixels than ``MOST_PIXELS``.
    """
    if height > LARGEST_SIDE_PX or width > LARGEST_SIDE_PX or height * width > MOST_PIXELS:
        raise ValueError(
            f"{owner}: {what} must have at most {LARGEST_SIDE_PX} pixels along each side and less than 2^31 in all, "
            f"got {shown(height)} x {shown(width)}"
        )


def number(
    owner: str, what: str, value: Any, rule: str = "must be a number", *, low: float = -math.inf, high: float = math.inf
) -> float:
    """A float of ``low`` to ``high``, both included; never NaN.

    Raises:
        ValueError: it is no number, NaN, or out of range.
    """
    converted = value if type(value) is float else _float(value)
    if low <= converted <= high:
        return converted
    raise ValueError(f"{owner}: {what} {rule}, got {shown(value)}")


def numbers(owner: str, what: str, values: Any, count: int) -> Any:
    """A list of ``count`` finite floats.

    Raises:
        ValueError: they are more or fewer, or one is not a finite number.
    """
    try:
        found = [value if type(value) is float else _float(value) for value in _held(values, count)]
    except TypeError:
        found = []
    if len(found) != count or not all(map(math.isfinite, found)):
        raise ValueError(f"{owner}: {what} must be {count} finite numbers, got {shown(values)}")
    return found


def flag(owner: str, what: str, value: Any) -> bool:
    """True or False, also NumPy's.

    Raises:
        ValueError: it is something else.
    """
    if value is True or value is False or isinstance(value, np.bool_):
        return bool(value)
    raise ValueError(f"{owner}: {what} must be True or False, got {shown(value)}")


def _held(values: Any, count: int) -> Any:
    """``values``, or where it is no tuple as many of them as show whether there are ``count``."""
    return values if type(values) is tuple else islice(values, count + 1)


def _float(value: Any) -> float:
    """``value`` as a float; NaN where it is no single number."""
    try:
        if type(value) is not int and (isinstance(value, (str, bytes, bytearray)) or getattr(value, "ndim", 0) != 0):
            return math.nan
        return float(value)
    except (TypeError, ValueError):
        return math.nan
    except OverflowError:  # an int beyond all floats
        return math.inf if value > 0 else -math.inf
