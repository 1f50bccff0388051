"""Checks of arrays that the kernel wrappers share: where they lie, dtype, shape, memory layout, what is written to.

What passes them is safe to hand to compiled code. A wrapper checks everything it is given, numbers with
:mod:`.scalars`; the compiled module does not check again. A kernel works where its first array lies: the check of that
one gives the device, which the checks of the others are told.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .device import HOST, Device, DeviceArray, Tensor, empty
from .twins import twin_module

# Compiled code counts along an axis in 32 bits, and multiplies sizes in 64. More than this is no array in memory but a
# view that repeats itself.
_LONGEST_AXIS = 2**31 - 1
MOST_NUMBERS = 2**40
_ndarray = np.ndarray  # looked up for each argument of each call


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


def place_of(array: Any, what: str, device: Device | None = None) -> Device:
    """Where an array lies.

    Raises:
        ValueError: elsewhere than on ``device`` (None: anywhere), or it is no array; see :func:`require_host`.
    """
    if not isinstance(array, DeviceArray):
        require_host(array, what)
        if device is None or device is HOST:
            return HOST
        raise ValueError(f"{what} must lie on {device} as the others do, got a NumPy array; copy it with to_device()")
    if device is not None and array.device != device:
        where = "in host memory" if device is HOST else f"on {device}"
        raise ValueError(
            f"{what} must lie {where} as the others do, got one on {array.device}; copy it with .to_host()"
        )
    return array.device


def _checked_place(array: Any, what: str, device: Device | None) -> Device:
    """As :func:`place_of`; the first array of a kernel lies where there is a twin of it."""
    place = place_of(array, what, device)
    if place is not HOST and device is None:
        twin_module(what.partition(":")[0], place)
    return place


def require(
    array: Any, what: str, dtype: type[np.generic], shape: tuple[int | None, ...], device: Device | None = None
) -> Device:
    """Refuse an array that is not C-contiguous, aligned, of ``dtype`` and ``shape`` (None: any size).

    Args:
        what: kernel and argument, as in ``nms: boxes``.
        device: where it has to lie; None, for a kernel's first array: in host memory, or where the kernel has a twin.

    Returns:
        Where it lies.

    Raises:
        ValueError: with what was expected and what came.
    """
    place = HOST
    if type(array) is not _ndarray or (device is not None and device is not HOST):
        place = _checked_place(array, what, device)
    got = array.shape
    if array.dtype != dtype or (got != shape and not _fits(got, shape)):
        wanted = ", ".join("N" if size is None else str(size) for size in shape)
        raise ValueError(f"{what} must be {np.dtype(dtype)} [{wanted}], got {array.dtype} {list(got)}")
    flags = array.flags
    if not flags.c_contiguous:
        copier = "numpy.ascontiguousarray" if place is HOST else ".copy()"
        raise ValueError(f"{what} must be C-contiguous, got strides {array.strides}; copy it with {copier}")
    if not flags.aligned:
        _refuse_place(array, what)
    if not 0 < array.size <= _LONGEST_AXIS:
        _check_extent(array, what)
    return place


def require_strided(
    array: Any,
    what: str,
    dtype: type[np.generic],
    axes: int,
    wanted: str,
    device: Device | None = None,
    *,
    least: int = 0,
) -> Device:
    """As :func:`require`, of an array with so many axes, each of ``least`` or more, and any strides of whole numbers.

    ``wanted`` is the shape as the message says it.
    """
    place = HOST
    if type(array) is not _ndarray or (device is not None and device is not HOST):
        place = _checked_place(array, what, device)
    shape = array.shape
    if array.dtype != dtype or len(shape) != axes or (least and min(shape) < least):
        raise ValueError(f"{what} must be {np.dtype(dtype)} {wanted}, got {array.dtype} {list(shape)}")
    if not array.flags.aligned:
        _refuse_place(array, what)
    if not 0 < array.size <= _LONGEST_AXIS:
        _check_extent(array, what)
    return place


def output(
    owner: str,
    out: Tensor | None,
    dtype: type[np.generic],
    shape: tuple[int, ...],
    inputs: Iterable[Tensor],
    device: Device = HOST,
) -> Any:
    """``out`` where it is a writable array of this dtype and shape on ``device``, a new array where it is None.

    Raises:
        ValueError: ``out`` does not fit, or shares memory with one of ``inputs``.
    """
    if out is None:
        return np.empty(shape, dtype) if device is HOST else empty(shape, dtype, device)
    require(out, f"{owner}: out", dtype, shape, device)
    if not out.flags.writeable:
        raise ValueError(f"{owner}: out must be writable")
    if any(may_share_memory(out, array) for array in inputs):
        raise ValueError(f"{owner}: out must not share memory with an input")
    return out


class _Lender:
    """The memory of a read-only array, announced as writable."""

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array
        interface = array.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}


def lent(array: NDArray[Any]) -> NDArray[Any]:
    """An array for who takes writable ones only, and reads it: DLPack, OpenVINO; a view where it is read-only."""
    return array if array.flags.writeable else np.asarray(_Lender(array))


def may_share_memory(out: Tensor, array: Tensor) -> bool:
    """Whether two arrays in host memory or on one device may overlap, by the addresses between which they lie."""
    if isinstance(out, DeviceArray) and isinstance(array, DeviceArray):
        return out.begin < array.end and array.begin < out.end
    return bool(np.may_share_memory(cast(Any, out), cast(Any, array)))


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
    if max(array.shape, default=0) > _LONGEST_AXIS or array.size > MOST_NUMBERS:
        raise ValueError(
            f"{what} must have less than 2^31 numbers along each axis and at most 2^40 in all, got {list(array.shape)}"
        )
