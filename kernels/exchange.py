"""Device arrays of other libraries, taken in without a copy: torch, CuPy, pycuda, JAX.

Sources: the CUDA Array Interface, version 3 (Numba's documentation); DLPack 0.8 (``dlpack.h``).
"""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

import numpy as np

from .device import Device, DeviceArray

__all__ = ("device_array",)

_KINDS = {2: "cuda", 13: "cuda"}  # kDLCUDA, kDLCUDAManaged
_LETTERS = {0: "i", 1: "u", 2: "f", 5: "c", 6: "b"}  # DLDataTypeCode


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
    """
    if isinstance(array, DeviceArray):
        return array
    kind, index = _device(array)
    interface = getattr(array, "__cuda_array_interface__", None)
    if interface is not None:
        pointer, read_only = interface["data"]
        return DeviceArray(
            array, pointer or 0, tuple(interface["shape"]), np.dtype(interface["typestr"]), Device("cuda", index),
            interface.get("strides") or (), interface.get("stream"), not read_only,
        )  # fmt: skip
    return _from_dlpack(array, Device(kind, index), stream)


def _device(array: Any) -> tuple[str, int]:
    """Kind and number of the device; a library without DLPack does not say the number, and means the current one."""
    place = getattr(array, "__dlpack_device__", None)
    if place is None:
        if hasattr(array, "__cuda_array_interface__"):
            return "cuda", 0
        raise TypeError(f"a {type(array).__name__} has neither __cuda_array_interface__ nor __dlpack__")
    number, index = place()
    if int(number) not in _KINDS:
        raise TypeError(f"a {type(array).__name__} of DLPack device type {int(number)} does not lie on CUDA")
    return _KINDS[int(number)], int(index)


def _from_dlpack(array: Any, device: Device, stream: int | None) -> DeviceArray:
    capsule = array.__dlpack__() if stream is None else array.__dlpack__(stream=stream)
    address = ctypes.pythonapi.PyCapsule_GetPointer
    address.restype, address.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    tensor = _Tensor.from_address(address(capsule, b"dltensor"))
    if tensor.code not in _LETTERS or tensor.lanes != 1:
        raise TypeError(f"a {type(array).__name__} has numbers of DLPack type {tensor.code}, which NumPy does not have")
    itemsize = tensor.bits // 8
    strides = tuple(tensor.strides[axis] * itemsize for axis in range(tensor.ndim)) if tensor.strides else ()
    return DeviceArray(
        _Imported(array, capsule), (tensor.data or 0) + tensor.byte_offset, tuple(tensor.shape[: tensor.ndim]),
        np.dtype(f"{_LETTERS[tensor.code]}{itemsize}"), device, strides, stream,
    )  # fmt: skip
