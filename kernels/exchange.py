"""Device arrays of other libraries, taken in and given without a copy: torch, CuPy, pycuda, JAX, PyAV.

Sources: the CUDA Array Interface, version 3 (Numba's documentation); DLPack 0.8 (``dlpack.h``).
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .arrays import MOST_NUMBERS
from .device import Device, DeviceArray, DeviceFailure
from .scalars import shown

if TYPE_CHECKING:
    from .cuda.driver import Driver

__all__ = ("device_array", "dlpack_capsule")

_CUDA = (2, 13)  # kDLCUDA, kDLCUDAManaged
_DEFAULT_STREAM = 1  # of DLPack and of the driver: CU_STREAM_LEGACY
_STREAM_SAID = 3  # the first version of the CUDA Array Interface with a stream; libraries before it use the default one
_LETTERS = {0: "i", 1: "u", 2: "f", 5: "c", 6: "b"}  # DLDataTypeCode
_TYPESTRS = [order + np.dtype(code).str[1:] for order in ("", "<", "|") for code in "?bhiqBHIQefdFD"]


class _Imported(NamedTuple):
    """What owns memory that came by DLPack: the capsule is not used up, and frees what it holds when it goes."""

    array: Any
    capsule: Any


class _Tensor(ctypes.Structure):
    """``DLTensor``, which a ``DLManagedTensor`` begins with."""

    _fields_ = (
        ("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )  # fmt: skip


class _Managed(ctypes.Structure):
    """``DLManagedTensor``."""

    _fields_ = (("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p))


_NAME = b"dltensor"  # of a capsule that nobody has taken
_address_in = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
_is_named = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)(("PyCapsule_IsValid", ctypes.pythonapi))
_new_capsule = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)(
    ("PyCapsule_New", ctypes.pythonapi)
)
_given: dict[int, _Given] = {}
"""By the address of a ``DLManagedTensor``."""


class _Given(NamedTuple):
    """What has to live as long as somebody uses an array, and the driver, where a default stream reads it."""

    array: DeviceArray
    tensor: tuple[Any, ...]
    opened: Driver | None


def _delete(address: int) -> None:
    """Called by whoever took an array, from any thread, perhaps while what it has queued still reads there."""
    given = _given.pop(address, None)
    if given is not None and given.opened is not None:
        opened, device = given.opened, given.array.device
        with suppress(DeviceFailure):  # whoever asks a card next that has failed is told
            opened.wait_for(opened.stream(device), _DEFAULT_STREAM, device)


def _drop(capsule: int) -> None:
    """Called when a capsule goes; where it was taken, it has another name."""
    if _is_named(capsule, _NAME):
        _given.pop(_address_in(capsule, _NAME), None)


_deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(_delete)
_destructor = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(_drop)


def dlpack_device(array: DeviceArray) -> tuple[int, int]:
    """Where an array lies, as DLPack says it.

    Raises:
        BufferError: on a device that has no DLPack export.
    """
    if array.device.kind != "cuda":
        raise BufferError(f"an array on {array.device} has no DLPack export; copy it with .to_host()")
    return _CUDA[0], array.device.index


def dlpack_capsule(array: DeviceArray, *, on_default_stream: bool = False) -> Any:
    """An array on CUDA as a DLPack capsule, without a copy; the capsule, or who takes it, keeps the array.

    Nobody is made to wait for what is still being written, as by ``array.__dlpack__(stream=…)``; nor does it say that
    an array is read-only. Memory is given away again in the order of our stream. By the rule of DLPack, who reads it on
    another one keeps what was taken until that is done: streams are their owners', and may be gone by then. The default
    stream is always there, so that ours can wait for it.

    Args:
        on_default_stream: it is read on CUDA's default stream, or one that waits for that and is waited for by it.

    Raises:
        BufferError: it does not lie on CUDA, or its numbers do not lie at multiples of their size.
    """
    device = dlpack_device(array)
    if not array.flags.aligned:
        raise BufferError(f"an array on {array.device} at odd addresses has no DLPack export; take its .copy()")
    numbers = ctypes.c_int64 * array.ndim
    shape, strides = numbers(*array.shape), numbers(*(step // array.itemsize for step in array.strides))
    code = next(code for code, letter in _LETTERS.items() if letter == array.dtype.kind)
    places = (ctypes.cast(each, ctypes.POINTER(ctypes.c_int64)) for each in (shape, strides))
    tensor = _Tensor(array.pointer, *device, array.ndim, code, 8 * array.itemsize, 1, *places, 0)
    managed = _Managed(tensor, None, ctypes.cast(_deleter, ctypes.c_void_p))
    opened = None
    if on_default_stream:
        from .cuda.driver import driver

        opened = driver()
    _given[ctypes.addressof(managed)] = _Given(array, (managed, shape, strides), opened)
    return _new_capsule(ctypes.addressof(managed), _NAME, ctypes.cast(_destructor, ctypes.c_void_p))


def device_array(array: Any) -> DeviceArray:
    """The memory of another library's device array, as an array of ours that keeps it alive.

    Does not wait: what is queued on the device from now on waits for what the library has queued on its stream. When
    the last array of that memory goes, that stream waits for what is queued on the device; where the library does not
    name its stream, as in DLPack, the default stream does.

    Args:
        array: it has ``__cuda_array_interface__``, or ``__dlpack__`` and ``__dlpack_device__``.

    Raises:
        TypeError: it has neither, lies in host memory, or its numbers are of a type that NumPy does not have.
        ValueError: it is masked, or its interface is not as versions 0 to 3 have it.
        CudaError: there is no driver, or no such device.
    """
    if isinstance(array, DeviceArray):
        return array
    interface = getattr(array, "__cuda_array_interface__", None)
    device, given = _device(array, interface), interface if isinstance(interface, Mapping) else {}
    if device is not None and "stream" not in given and hasattr(array, "__dlpack__"):
        return _from_dlpack(array, device)  # torch says its stream by DLPack alone
    return _taken(_checked(array, array, device, given))


class _Loan:
    """Owns memory of another library, which has it back with the last array of it."""

    __slots__ = ("__weakref__",)


def _taken(array: DeviceArray, theirs: int | None = None) -> DeviceArray:
    """The same memory, as work on the stream of its device has it, which waits for what another library has queued.

    Work of that library waits for ours in turn when it has the memory back: that on the stream of the array, or on
    ``theirs``, or else on the default stream.
    """
    from .cuda.driver import address_of, driver

    address_of(array)
    loan = _Loan()
    stream = theirs or array.stream or _DEFAULT_STREAM
    weakref.finalize(loan, _give_back, array.owner, stream, array.device).atexit = False
    return replace(array, owner=loan, stream=driver().stream(array.device))


def _give_back(owner: Any, stream: int, device: Device) -> None:
    """Called with the last array, from any thread. What refers to ``owner`` here goes when this returns."""
    from .cuda.driver import driver

    with suppress(DeviceFailure):  # whoever asks a card next that has failed is told
        driver().wait_for(stream, driver().stream(device), device)


def _device(array: Any, interface: Any) -> Device | None:
    """Where it lies; None: a library without DLPack does not say the number of the device."""
    place = getattr(array, "__dlpack_device__", None)
    if place is None:
        if interface is not None:
            return None
        raise TypeError(f"a {type(array).__name__} has neither __cuda_array_interface__ nor __dlpack__")
    number, index = place()
    if int(number) not in _CUDA:
        raise TypeError(f"a {type(array).__name__} of DLPack device type {int(number)} does not lie on CUDA")
    return Device("cuda", int(index))


def _checked(array: Any, owner: Any, device: Device | None, given: Mapping[str, Any]) -> DeviceArray:
    """The array that ``given``, as in the CUDA Array Interface, describes; the driver knows where it lies."""
    from .cuda.driver import driver

    for field, rule in _wrong(given):
        raise ValueError(
            f"device_array: {field} of a {type(array).__name__} must be {rule}, got "
            f"{shown(given[field]) if field in given else 'nothing'}; mend its export, or copy it with its own library"
        )
    (pointer, read_only), strides = given["data"], given.get("strides")
    stream = given.get("stream") if given["version"] >= _STREAM_SAID else _DEFAULT_STREAM
    if device is None:
        device = driver().device_at(pointer) if pointer else Device("cuda", 0)
    return DeviceArray(
        owner, pointer, tuple(given["shape"]), np.dtype(given["typestr"]), device,
        tuple(strides or ()), stream, not read_only,
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


def _from_dlpack(array: Any, device: Device) -> DeviceArray:
    from .cuda.driver import driver

    stream = driver().stream(device)
    try:
        capsule = array.__dlpack__(stream=stream)
    except NotImplementedError:  # PyAV, whose arrays are for the default stream
        capsule, stream = array.__dlpack__(), _DEFAULT_STREAM
    tensor = _Tensor.from_address(_address_in(id(capsule), _NAME))
    typestr = f"{_LETTERS.get(tensor.code)}{tensor.bits / 8:g}"
    if typestr not in _TYPESTRS or tensor.lanes != 1:
        raise TypeError(f"a {type(array).__name__} has numbers of DLPack type {tensor.code}, which NumPy does not have")
    given = {
        "version": 3, "shape": tensor.shape[: tensor.ndim], "typestr": typestr, "stream": stream,
        "data": ((tensor.data or 0) + tensor.byte_offset, False),
        "strides": [step * tensor.bits // 8 for step in tensor.strides[: tensor.ndim]] if tensor.strides else None,
    }  # fmt: skip
    return _taken(_checked(array, _Imported(array, capsule), device, given), _DEFAULT_STREAM)
