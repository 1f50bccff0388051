"""Checks of arrays that the kernel wrappers share: host memory, dtype, shape, memory layout, what is written to.

What passes them is safe to hand to compiled code. A wrapper checks everything it is given, numbers with
:mod:`.scalars`; the compiled module does not check again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Compiled code counts along an axis in 32 bits, and multiplies sizes in 64. More than this is no array in memory but a
# view that repeats itself.
_LONGEST_AXIS = 2**31 - 1
_MOST_NUMBERS = 2**40


def require_host(array: Any, what: str) -> None:
    """Refuse whatever is not a NumPy array.

    Raises:
        ValueError: ``array`` lies on a device, is no array at all, or is of a kind whose numbers alone are not what it
            means: a masked array, a matrix.
    """
    if type(array) is np.ndarray:
        return
    kind = type(array).__name__
    if isinstance(array, (np.ma.MaskedArray, np.matrix)):
        raise ValueError(f"{what} must be a plain NumPy array, got {kind}; convert it (a masked one with filled())")
    if isinstance(array, np.ndarray):
        return
    if hasattr(array, "__cuda_array_interface__") or hasattr(array, "__dlpack__"):
        raise ValueError(f"{what} must be a NumPy array in host memory, got {kind}; copy it to the host first")
    raise ValueError(f"{what} must be a NumPy array, got {kind}")


def require(array: Any, what: str, dtype: type[np.generic], shape: tuple[int | None, ...]) -> None:
    """Refuse an array that is not host memory, C-contiguous, aligned, of ``dtype`` and ``shape`` (None: any size).

    Raises:
        ValueError: with what was expected and what came.
    """
    if type(array) is not np.ndarray:
        require_host(array, what)
    got = array.shape
    if array.dtype != dtype or (got != shape and not _fits(got, shape)):
        wanted = ", ".join("N" if size is None else str(size) for size in shape)
        raise ValueError(f"{what} must be {np.dtype(dtype)} [{wanted}], got {array.dtype} {list(got)}")
    flags = array.flags
    if not flags.c_contiguous:
        raise ValueError(
            f"{what} must be C-contiguous, got strides {array.strides}; copy it with numpy.ascontiguousarray"
        )
    if not flags.aligned:
        _refuse_place(array, what)
    if not 0 < array.size <= _LONGEST_AXIS:
        _check_extent(array, what)


def require_strided(array: Any, what: str, dtype: type[np.generic], axes: int, wanted: str, *, least: int = 0) -> None:
    """Refuse an array that is not host memory, aligned, of ``dtype`` and with so many axes, each of ``least`` or more.

    It may have any strides of whole numbers. ``wanted`` is the shape as the message says it.

    Raises:
        ValueError: with what was expected and what came.
    """
    if type(array) is not np.ndarray:
        require_host(array, what)
    shape = array.shape
    if array.dtype != dtype or len(shape) != axes or (least and min(shape) < least):
        raise ValueError(f"{what} must be {np.dtype(dtype)} {wanted}, got {array.dtype} {list(shape)}")
    if not array.flags.aligned:
        _refuse_place(array, what)
    if not 0 < array.size <= _LONGEST_AXIS:
        _check_extent(array, what)


def output(
    owner: str,
    out: NDArray[Any] | None,
    dtype: type[np.generic],
    shape: tuple[int, ...],
    inputs: Iterable[NDArray[Any]],
) -> NDArray[Any]:
    """``out`` where it is a writable array of this dtype and shape, a new array where it is None.

    Raises:
        ValueError: ``out`` does not fit, or shares memory with one of ``inputs``.
    """
    if out is None:
        return np.empty(shape, dtype)
    require(out, f"{owner}: out", dtype, shape)
    if not out.flags.writeable:
        raise ValueError(f"{owner}: out must be writable")
    if any(np.may_share_memory(out, array) for array in inputs):
        raise ValueError(f"{owner}: out must not share memory with an input")
    return out


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(shape) == len(wanted) and all(map(_is_size, shape, wanted))


def _is_size(size: int, want: int | None) -> bool:
    return want is None or size == want


def _refuse_place(array: NDArray[Any], what: str) -> None:
    if any(stride % array.itemsize for stride in array.strides):
        raise ValueError(
            f"{what} must lie at whole numbers, got strides {array.strides}; copy it with numpy.ascontiguousarray"
        )
    raise ValueError(f"{what} must begin at a multiple of {array.itemsize} bytes in memory; copy it with numpy.copy")


def _check_extent(array: NDArray[Any], what: str) -> None:
    if max(array.shape, default=0) > _LONGEST_AXIS or array.size > _MOST_NUMBERS:
        raise ValueError(
            f"{what} must have less than 2^31 numbers along each axis and at most 2^40 in all, got {list(array.shape)}"
        )
