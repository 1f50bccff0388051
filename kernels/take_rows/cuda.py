"""Launches the CUDA kernel that takes rows of tables."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import Structure, c_int, c_int64, c_void_p
from math import prod

from ..cuda.driver import address_of, blocks_for, launch
from ..cuda.memory import empty
from ..device import DeviceArray

_THREADS, _MOST_TABLES, _WORD = 256, 6, 4  # as in take_rows.cu
_MOST_BLOCKS = 128  # for one table; they take turns


class _RowTable(Structure):
    _fields_ = (
        ("source", c_void_p), ("target", c_void_p), ("stride", c_int64), ("step", c_int64), ("words", c_int),
    )  # fmt: skip


class _RowTables(Structure):
    _fields_ = (("tables", _RowTable * _MOST_TABLES),)


def words_of(table: DeviceArray) -> int:
    """Words of 32 bits in a row of a table."""
    return prod(table.shape[1:]) * table.itemsize // _WORD


def queue_take_rows(
    tables: Sequence[DeviceArray],
    rows: DeviceArray | None,
    *,
    count: DeviceArray | None = None,
    out: Sequence[DeviceArray] | None = None,
    taken: DeviceArray | None = None,
    note: DeviceArray | None = None,
) -> tuple[DeviceArray, ...]:
    """Rows of tables, one after another in new memory.

    Args:
        tables: one to six of any types of whole words (of 4 bytes), ``[N, …]``; the numbers of a row are adjacent,
            unless it is of two axes and a type of one word, which may have any strides.
        rows: int64 ``[M]``, each a row of every table, in any order; None: all rows as they are.
        count: int32 ``[1]``, how many of ``rows`` count; None: all.
        out: where they go, C-contiguous ``[M, …]``; None: to new arrays.
        taken: int32 ``[1 + K]``, becomes how many they are, and the numbers of ``note``.
        note: int32 ``[K]``; None: nothing.

    Returns:
        ``out``.
    """
    room = len(tables[0] if rows is None else rows)
    if out is None:
        out = tuple(empty((room, *table.shape[1:]), table.dtype, table.device) for table in tables)
    described = _RowTables()
    for place, (table, to) in enumerate(zip(tables, out, strict=True)):
        apart = table.strides[1] if table.ndim == 2 and table.itemsize == _WORD else _WORD
        strides = table.strides[0] // _WORD, apart // _WORD
        described.tables[place] = _RowTable(address_of(table), address_of(to), *strides, words_of(table))
    blocks = min(max(blocks_for(room * max(map(words_of, tables)), _THREADS), 1), _MOST_BLOCKS)
    launch(
        "take_rows", tables[0].device, _THREADS, (blocks, len(tables), 1),
        described, rows, count, c_int64(room), note, c_int(0 if note is None else len(note)), taken,
    )  # fmt: skip
    return tuple(out)
