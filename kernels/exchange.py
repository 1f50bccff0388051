"""Device arrays of other libraries, taken in without a copy: torch, CuPy, pycuda, JAX.

Sources: the CUDA Array Interface, version 3 (Numba's documentation); DLPack 0.8 (``dlpack.h``).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any, NamedTuple

import numpy as np

from .arrays import MOST_NUMBERS
from .device import Device, DeviceArray
from .scalars import shown

__all__ = ("device_array",)

_CUDA = (2, 13)  # kDLCUDA, kDLCUDAManaged
_LETTERS = {0: "i", 1: "u", 2: "f", 5: "c", 6: "b"}  # DLDataTypeCode
_TYPESTRS = [order + np.dtype(code).str[1:] for order in ("", "<", "|") for code in "?bhiqBHIQefdFD"]


class _Imported(NamedTuple):
    """What owns memory that came by DLPack: the capsule is not used up, and frees what it holds when it goes."""

    array: Any
    capsule: Any

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()  # type: ignore[no-any-return]

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)


class _Tensor(ctypes.Structure):
    """``DLTensor``, which a ``DLManagedTensor`` begins with."""

    _fields_ = (
        ("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )  # fmt: skip


def device_array(array: Any, *, stream: int | None = None) -> DeviceArray:
    """The memory of another library's device array, as an array of ours that keeps it alive.

    Args:
        array: it has ``__cuda_array_interface__``, or ``__dlpack__`` and ``__dlpack_device__``.
        stream: of DLPack: the handle of the stream on which it will be used; the library makes it wait.

    Raises:
        TypeError: it has neither, lies in host memory, or its numbers are of a type that NumPy does not have.
        ValueError: it is masked, or its interface is not as versions 0 to 3 have it.
    """
    if isinstance(array, DeviceArray):
        return array
    interface = getattr(array, "__cuda_array_interface__", None)
    device = _device(array, interface)
    if interface is None:
        return _from_dlpack(array, device, stream)
    return _checked(array, array, device, interface if isinstance(interface, Mapping) else {})


def _device(array: Any, interface: Any) -> Device:
    """Where it lies; a library without DLPack does not say the number of the device, and means the current one."""
    place = getattr(array, "__dlpack_device__", None)
    if place is None:
        if interface is not None:
            return Device("cuda", 0)
        raise TypeError(f"a {type(array).__name__} has neither __cuda_array_interface__ nor __dlpack__")
    number, index = place()
    if int(number) not in _CUDA:
        raise TypeError(f"a {type(array).__name__} of DLPack device type {int(number)} does not lie on CUDA")
    return Device("cuda", int(index))


def _checked(array: Any, owner: Any, device: Device, given: Mapping[str, Any]) -> DeviceArray:
    """The array that ``given``, as in the CUDA Array Interface, describes."""
    for field, rule in _wrong(given):
        raise ValueError(
            f"device_array: {field} of a {type(array).__name__} must be {rule}, got "
            f"{shown(given[field]) if field in given else 'nothing'}; mend its export, or copy it with its own library"
        )
    (pointer, read_only), strides = given["data"], given.get("strides")
    return DeviceArray(
        owner, pointer, tuple(given["shape"]), np.dtype(given["typestr"]), device,
        tuple(strides or ()), given.get("stream"), not read_only,
    )  # fmt: skip


def _wrong(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Fields that are not what they must be, and what that is; those after the first one count for nothing."""
    shape: Any = given.get("shape")
    data, strides, stream = given.get("data"), given.get("strides"), given.get("stream")
    if not _all_whole([given.get("version")], 0, 3):
        yield "version", "from 0 to 3"
    if not (_all_whole(shape, 0) and prod(shape) <= MOST_NUMBERS):
        yield "shape", "lengths from 0, of at most 2^40 numbers in all"
    if given.get("typestr") not in _TYPESTRS:
        yield "typestr", "that of little-endian numbers, such as <f4"
    if not (isinstance(data, tuple) and [*map(type, data)] == [int, bool] and _all_whole(data[:1], 0 not in shape)):
        yield "data", "(address, read-only), with an address other than 0 unless the array is empty"
    if not (strides is None or (_all_whole(strides, -(2**63)) and len(strides) == len(shape))):
        yield "strides", "None, or bytes for each axis"
    if given.get("mask") is not None:
        yield "mask", "None"
    if not (stream is None or _all_whole([stream], 1)):
        yield "stream", "None, or a handle other than 0"


def _all_whole(values: Any, low: int, high: int = 2**63 - 1) -> bool:
    return isinstance(values, tuple | list) and all(type(value) is int and low <= value <= high for value in values)


def _from_dlpack(array: Any, device: Device, stream: int | None) -> DeviceArray:
    capsule = array.__dlpack__() if stream is None else array.__dlpack__(stream=stream)
    address = ctypes.pythonapi.PyCapsule_GetPointer
    address.restype, address.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    tensor = _Tensor.from_address(address(capsule, b"dltensor"))
    typestr = f"{_LETTERS.get(tensor.code)}{tensor.bits / 8:g}"
    if typestr not in _TYPESTRS or tensor.lanes != 1:
        raise TypeError(f"a {type(array).__name__} has numbers of DLPack type {tensor.code}, which NumPy does not have")
    given = {
        "version": 3, "shape": tensor.shape[: tensor.ndim], "typestr": typestr, "stream": stream,
        "data": ((tensor.data or 0) + tensor.byte_offset, False),
        "strides": [step * tensor.bits // 8 for step in tensor.strides[: tensor.ndim]] if tensor.strides else None,
    }  # fmt: skip
    return _checked(array, _Imported(array, capsule), device, given)
