"""Columns of detections in results: the fields of objects that the format itself does not have."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..limits import MAX_TEXT_BYTES
from ..types.detections import OBJECT_FIELDS, is_column_name
from .record import Record

_DTYPES: tuple[tuple[set[type], type[np.generic]], ...] = (
    ({float}, np.float64),
    ({int}, np.int64),
    ({float, int}, np.float64),
    ({bool}, np.bool_),
    ({str}, np.str_),
)
"""By the types of the values that JSON has: what they are read as."""
_RANGES = {np.float64: (-sys.float_info.max, sys.float_info.max), np.int64: (-(2**63), 2**63 - 1)}
_DIMENSIONS = 64  # that NumPy has at most


def cells_of(name: str, column: NDArray[Any]) -> list[Any]:
    """What is written of each row of a column: every value with as many digits as tell it from others of its dtype.

    Raises:
        ValueError: a number is NaN or infinite, which JSON does not have.
    """
    if column.dtype.kind == "f":
        if not np.isfinite(column).all():
            raise ValueError(
                f"Detections.data[{name!r}] has NaN or infinity, which results cannot hold; "
                "give such rows a number that says so, or leave the column or the rows out"
            )
        if column.dtype != np.float64:
            column = column.astype(np.str_).astype(np.float64)  # 0.1 of float32 is 0.1, not 0.10000000149011612
    cells: list[Any] = column.tolist()
    return cells


def columns_of(items: Sequence[Record]) -> dict[str, NDArray[Any]]:
    """The columns whose fields all objects have: float64, int64, bool or texts, [N, ...].

    Fields that no column can have are left out, as a reader does with what it does not know.

    Raises:
        ValueError: one has lists of different lengths or nested too deeply, or numbers or texts that are too large.
    """
    columns: dict[str, NDArray[Any]] = {}
    for name in filter(is_column_name, items[0] if items else ()):
        cells = [item[name] for item in items if name in item]
        dtype = _dtype(name, cells)
        if dtype is not None and len(cells) == len(items):
            try:
                columns[name] = np.array(cells, dtype)
            except ValueError:
                raise ValueError(f"{name} has lists of different lengths") from None
    return columns


def without_unknown(item: Record) -> Record:
    """An object with the fields of the format and those that columns can have; errors as above."""
    if item.keys() <= OBJECT_FIELDS:
        return item
    return {
        name: value
        for name, value in item.items()
        if name in OBJECT_FIELDS or (is_column_name(name) and _dtype(name, [value]) is not None)
    }


def flat(name: str, cells: list[Any]) -> list[Any]:
    """What nested lists hold, in order.

    Raises:
        ValueError: they are nested more deeply than an array.
    """
    for _ in range(_DIMENSIONS):
        if list not in set(map(type, cells)):
            return cells
        cells = list(chain.from_iterable(cell if isinstance(cell, list) else [cell] for cell in cells))
    raise ValueError(f"{name} has lists that are nested too deeply")


def _dtype(name: str, cells: list[Any]) -> type[np.generic] | None:
    """What the values of nested lists are read as; None: no column can have them. Errors as above."""
    values = flat(name, cells)
    types = set(map(type, values))
    dtype = next((dtype for fitting, dtype in _DTYPES if types <= fitting), None)
    if dtype in _RANGES and values:
        low, high = _RANGES[dtype]
        if min(values) < low or max(values) > high:
            raise ValueError(f"{name} has a number that is too large")
    if dtype is np.str_ and 4 * len(values) * max(map(len, values)) > MAX_TEXT_BYTES:
        raise ValueError(f"{name} has texts that take more than {MAX_TEXT_BYTES >> 20} MiB as an array")
    return dtype
