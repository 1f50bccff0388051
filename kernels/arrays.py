"""Checks that the kernel wrappers share: host memory, dtype, shape, contiguity."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def require_host(array: Any, what: str) -> None:
    """Refuse whatever is not a NumPy array.

    Raises:
        ValueError: ``array`` lies on a device, or is no array at all.
    """
    if isinstance(array, np.ndarray):
        return
    kind = type(array).__name__
    if hasattr(array, "__cuda_array_interface__") or hasattr(array, "__dlpack__"):
        raise ValueError(f"{what} must be a NumPy array in host memory, got {kind}; copy it to the host first")
    raise ValueError(f"{what} must be a NumPy array, got {kind}")


def require(array: Any, what: str, dtype: type[np.generic], shape: tuple[int | None, ...]) -> None:
    """Refuse an array that is not host memory, C-contiguous, of ``dtype`` and ``shape`` (None: any size).

    Raises:
        ValueError: with what was expected and what came.
    """
    require_host(array, what)
    fits = array.ndim == len(shape) and all(
        want is None or want == got for want, got in zip(shape, array.shape, strict=True)
    )
    if array.dtype != dtype or not fits:
        wanted = ", ".join("N" if size is None else str(size) for size in shape)
        raise ValueError(f"{what} must be {np.dtype(dtype)} [{wanted}], got {array.dtype} {list(array.shape)}")
    if not array.flags.c_contiguous:
        raise ValueError(
            f"{what} must be C-contiguous, got strides {array.strides}; copy it with numpy.ascontiguousarray"
        )


def output(owner: str, out: NDArray[Any] | None, dtype: type[np.generic], shape: tuple[int, ...]) -> NDArray[Any]:
    """``out`` where it is a writable array of this dtype and shape, a new array where it is None.

    Raises:
        ValueError: ``out`` does not fit.
    """
    if out is None:
        return np.empty(shape, dtype)
    require(out, f"{owner}: out", dtype, shape)
    if not out.flags.writeable:
        raise ValueError(f"{owner}: out must be writable")
    return out
