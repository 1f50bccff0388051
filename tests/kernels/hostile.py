"""What no caller should hand to a kernel: variants of an argument, each with a word for it.

The variants of a value are of its own kind (an array, a number, a text, a sequence of these, a dataclass of arrays),
and things that are of no kind at all.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

Variant = tuple[str, Any]

WHOLE = [0, 1, -1, 2, 7, 127, 128, 255, 2**20 + 1, 2**24 + 1, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64, 10**400]
FLOATS = [0.0, -0.0, 0.5, 1.5, -1.5, 1e-45, 5e-324, 1e30, 3.5e38, 1e300, float("inf"), float("nan")]
DTYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", "c8", "O", "S3", "U2", "M8[s]", "V4"]
TEXTS = ["", "nothing", "x" * 10_000, "nul\0", "rgb24", "gray", "nv12", "yuv420p", "p010le", "bt709", "rgb", "float16"]
HUGE = (2**31, 2**40, 2**59)


class OnDevice:
    """Says that it lies on a card."""

    __cuda_array_interface__ = {"version": 3}
    dtype, ndim, shape = np.dtype(np.uint8), 2, (2, 2)


class Plain(np.ndarray):
    """A subclass that adds nothing."""


class Unspeakable:
    """Has no representation."""

    def __repr__(self) -> str:
        raise RuntimeError("no representation")


def strangers() -> Iterator[Variant]:
    """Of no kind."""
    for value in (None, "text", b"bytes", (), [], {}, {1: 2}, {3}, object(), 1j, OnDevice(), Unspeakable(), range(3)):
        yield type(value).__name__, value
    yield "a 0-d array", np.array(2.0)
    yield "an array of two", np.array([1.0, 2.0])
    yield "a generator", (value for value in (1, 2))
    yield "nested", [[[[1]]]]


def variants(value: Any, random: np.random.Generator) -> Iterator[Variant]:
    """Of any value."""
    yield from strangers()
    if isinstance(value, np.ndarray):
        yield from arrays(value, random)
    elif isinstance(value, (bool, int, float, type(None))):
        yield from scalars()
    elif isinstance(value, str):
        yield from ((f"text {text[:9]!r}", text) for text in TEXTS)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            for word, other in variants(getattr(value, field.name), random):
                yield f"{field.name}: {word}", dataclasses.replace(value, **{field.name: other})
    elif isinstance(value, (tuple, list)):
        yield from sequences(value, random)


def scalars() -> Iterator[Variant]:
    """In place of a number or a switch, or of nothing."""
    for number in [
        *WHOLE,
        *(-number for number in WHOLE[2:]),
        *FLOATS,
        *(-number for number in FLOATS[2:]),
        True,
        False,
    ]:
        yield f"number {str(number)[:12] if abs(number) < 2**70 else 'beyond all'}", number
    for scalar in (np.int8(-1), np.uint64(2**64 - 1), np.float16("nan"), np.float32(0.5), np.float64(1e300), np.True_):
        yield f"{scalar!r}", scalar
    yield "four huge", (0, 0, 2**40, 2**40)
    yield "two huge", (2**31, 2**31)


def sequences(value: Any, random: np.random.Generator) -> Iterator[Variant]:
    """More, fewer and others in place of a sequence; each of its members."""
    kept = list(value)
    yield "without the last", kept[:-1]
    yield "without the first", kept[1:]
    yield "the last twice", [*kept, *kept[-1:]]
    yield "a list", kept
    yield "a thousand", (kept * 1000)[:1000]
    yield "65536 in each place", [2**16 for _ in kept]
    if kept:
        yield "the first only, in all places", [kept[0]] * len(kept)
        yield "reversed", kept[::-1]
    for place, member in enumerate(kept[:4]):
        for word, other in variants(member, random):
            yield f"[{place}] {word}", type(value)([*kept[:place], other, *kept[place + 1 :]])


def arrays(value: np.ndarray, random: np.random.Generator) -> Iterator[Variant]:
    """Another type, shape, place in memory or content."""
    yield from _types(value)
    yield from _shapes(value)
    yield from _places(value)
    yield from _contents(value, random)


def _types(value: np.ndarray) -> Iterator[Variant]:
    for dtype in DTYPES:
        if np.dtype(dtype) != value.dtype:
            yield f"of {dtype}", np.zeros(value.shape, dtype)
    yield "of the other byte order", value.astype(value.dtype.newbyteorder())
    yield "a masked array", np.ma.masked_array(value, mask=np.ones(value.shape, bool))
    yield "a subclass", value.view(Plain)
    if value.ndim == 2:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            yield "a matrix", np.matrix(value)
    if value.size < 1000:
        yield "a list of its numbers", value.tolist()


def _shapes(value: np.ndarray) -> Iterator[Variant]:
    yield "one axis more", value[None]
    yield "flat", value.ravel()
    yield "transposed", value.T
    for axis, size in enumerate(value.shape):
        for other in {0, 1, size - 1, size + 1, 2 * size} - {size, -1}:
            shape = (*value.shape[:axis], other, *value.shape[axis + 1 :])
            yield f"axis {axis} of {other}", np.resize(value, shape) if value.size else np.zeros(shape, value.dtype)
        for huge in HUGE:
            yield from _repeated(f"axis {axis} of {huge}", value, {axis: huge})
            if value.ndim > 1:
                empty = [huge if n == axis else 0 for n in range(value.ndim)]
                yield f"empty, axis {axis} of {huge}", np.zeros(empty, value.dtype)
        for second in range(axis):
            yield from _repeated(f"axes {second} and {axis} of 2^20", value, {axis: 2**20, second: 2**20 + 1})


def _repeated(word: str, value: np.ndarray, sizes: dict[int, int]) -> Iterator[Variant]:
    """A view that shows what is there again and again, where NumPy lets it be made."""
    if not value.size:
        return
    shape = [sizes.get(axis, size) for axis, size in enumerate(value.shape)]
    strides = [0 if axis in sizes else stride for axis, stride in enumerate(value.strides)]
    try:
        yield word, as_strided(value, shape, strides)
    except ValueError:
        return


def _places(value: np.ndarray) -> Iterator[Variant]:
    yield "in the order of Fortran", np.asfortranarray(value)
    for offset in (1, 2, 4):
        yield f"at {offset} bytes past a whole place", misplaced(value, offset)
    records = np.zeros(value.shape, np.dtype([("first", "u1"), ("value", value.dtype), ("last", "u2")]))
    records["value"] = value
    yield "a field of records", records["value"]
    for axis in range(value.ndim):
        mirror = tuple(slice(None, None, -1) if n == axis else slice(None) for n in range(value.ndim))
        yield f"axis {axis} mirrored", value[mirror]
        every = tuple(slice(None, None, 2) if n == axis else slice(None) for n in range(value.ndim))
        yield f"axis {axis} with gaps", np.repeat(value, 2, axis=axis)[every]
        first = tuple(slice(0, 1) if n == axis else slice(None) for n in range(value.ndim))
        yield f"axis {axis} in one place", np.broadcast_to(value[first], value.shape) if value.size else value
    frozen = value.copy()
    frozen.flags.writeable = False
    yield "read-only", frozen


def misplaced(value: np.ndarray, offset: int) -> np.ndarray:
    """A copy that begins ``offset`` bytes after a place that suits any type."""
    memory = np.zeros(value.nbytes + 128, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    moved: np.ndarray = memory[start : start + value.nbytes].view(value.dtype).reshape(value.shape)
    moved[...] = value
    return moved


def _contents(value: np.ndarray, random: np.random.Generator) -> Iterator[Variant]:
    if value.dtype.kind == "f":
        extreme = np.array([np.nan, np.inf, -np.inf, 1e-45, -1e-45, 3.4e38, -3.4e38, 0, -0.0, 2**31, -(2**31), 1e9, 1])
        for number in extreme:
            with np.errstate(over="ignore"):
                yield f"all {number}", np.full(value.shape, number, value.dtype)
        for part in (0.02, 0.3, 1.0):
            with np.errstate(over="ignore"):
                mixed = np.where(random.random(value.shape) < part, random.choice(extreme, value.shape), value)
                yield f"{part} of them extreme", mixed.astype(value.dtype)
        return
    if value.dtype.kind == "b":  # any byte may stand for a truth
        yield from ((word, numbers.view(np.bool_)) for word, numbers in _contents(value.view(np.uint8), random))
        return
    lowest, highest = np.iinfo(value.dtype).min, np.iinfo(value.dtype).max
    for whole in {lowest, lowest + 1, 0, 1, 2, highest // 2, highest - 1, highest, max(lowest, -1)}:
        yield f"all {whole}", np.full(value.shape, whole, value.dtype)
    for part in (0.02, 0.3, 1.0):
        any_number = random.integers(lowest, highest, value.shape, value.dtype, endpoint=True)
        yield f"{part} of them random", np.where(random.random(value.shape) < part, any_number, value)
    yield "sorted backwards", np.sort(value, axis=None)[::-1].reshape(value.shape).copy()
