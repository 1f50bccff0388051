"""Arrays that lie on a device: what is known of them, how they get there and back, and that nothing does so silently.

Host arrays are plain ``numpy.ndarray``. What lies elsewhere is a :class:`DeviceArray`, which NumPy cannot read: it
moves with :meth:`DeviceArray.to_host` and :func:`to_device` alone, which ask the device's row of :data:`DEVICES`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from math import prod
from typing import Any, NamedTuple, NoReturn, Protocol, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ("HOST", "Device", "DeviceArray", "to_device", "to_host")

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Device:
    """Where an array lies: ``str()`` reads ``cpu`` or ``cuda:0``."""

    kind: str
    index: int = 0

    def __str__(self) -> str:
        return self.kind if self.kind == "cpu" else f"{self.kind}:{self.index}"

    @classmethod
    def of(cls, text: str) -> Device:
        """The device of a text such as ``cpu`` or ``cuda:0``."""
        kind, _, index = text.partition(":")
        return HOST if kind == "cpu" else cls(kind, int(index or 0))


HOST = Device("cpu")


class DeviceFailure(RuntimeError):
    """A device cannot be used. The message says why, and what to do instead."""


class Flags(NamedTuple):
    """As those of a NumPy array."""

    c_contiguous: bool
    aligned: bool
    writeable: bool


@dataclass(frozen=True, slots=True, eq=False)
class DeviceArray:
    """An array in memory of a device. Python cannot see its numbers; :meth:`to_host` copies them.

    Attributes:
        owner: what owns the memory and lives as long as this.
        pointer: address of the first number, on the device.
        shape, dtype: as of a NumPy array.
        device: where it lies; never the host.
        strides: bytes from one number to the next along each axis; by default C-contiguous.
        stream: handle of the stream on which it is written; None: what is written has been.
        writeable: whether a kernel may write to it.

    On CUDA it exports ``__cuda_array_interface__`` (version 3) with its stream, and ``__dlpack__``, which has the
    stream that asks wait; the memory is used again behind what a default stream (None, 1, 2) that has asked reads. Who
    reads it on any other stream keeps the array until that is done.

    Raises:
        ValueError: ``device`` is the host, or ``strides`` are not as many as ``shape``.
    """

    owner: Any
    pointer: int
    shape: Shape
    dtype: np.dtype[Any]
    device: Device
    strides: Shape = ()
    stream: int | None = None
    writeable: bool = True

    def __post_init__(self) -> None:
        if self.device == HOST:
            raise ValueError("a DeviceArray must lie on a device; in host memory, use a NumPy array")
        object.__setattr__(self, "dtype", np.dtype(self.dtype))
        if not self.strides:
            object.__setattr__(self, "strides", _packed(self.shape, self.dtype.itemsize))
        if len(self.strides) != len(self.shape):
            raise ValueError(
                f"a DeviceArray of shape {self.shape} must have a stride for each axis, got {self.strides}"
            )

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes of a number."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all numbers."""
        return self.size * self.itemsize

    @property
    def flags(self) -> Flags:
        """What a kernel has to know before it reads or writes."""
        packed = _packed(self.shape, self.itemsize)
        dense = all(n == 1 or got == want for n, got, want in zip(self.shape, self.strides, packed, strict=True))
        aligned = all(place % self.dtype.alignment == 0 for place in (self.pointer, *self.strides))
        return Flags(dense or self.size == 0, aligned, self.writeable)

    @property
    def begin(self) -> int:
        """The lowest address of a number: ``pointer``, unless a stride is negative."""
        return self.pointer + self._reach(min)

    @property
    def end(self) -> int:
        """Address behind the number that lies highest."""
        return self.pointer + (self._reach(max) + self.itemsize if self.size else 0)

    def _reach(self, furthest: Callable[[int, int], int]) -> int:
        """Bytes from the first number to the one that lies furthest up (max) or down (min)."""
        lengths = zip(self.shape, self.strides, strict=True)
        return sum(furthest((n - 1) * step, 0) for n, step in lengths) if self.size else 0

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> DeviceArray:
        """Rows of the first axis, a slice of step 1, without a copy."""
        if not isinstance(rows, slice) or rows.step not in (None, 1):
            raise TypeError(f"an array on {self.device} takes a slice of rows; copy it with .to_host() for more")
        start, stop, _ = rows.indices(len(self))
        shape = (max(stop - start, 0), *self.shape[1:])
        return replace(self, owner=self, pointer=self.pointer + start * self.strides[0], shape=shape)

    def copy(self) -> DeviceArray:
        """The same numbers in memory of their own, C-contiguous, on the same device."""
        return back_end(self.device).copy(self)

    def to_host(self) -> NDArray[Any]:
        """The same numbers in host memory; waits for what is still being written."""
        return back_end(self.device).to_host(self)

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError(f"an array on {self.device} is not in host memory; copy it with .to_host()")

    # What NumPy and Python would read numbers with. Without ``__array__``, NumPy made an array of one object.
    __array__ = __array_function__ = __iter__ = __bool__ = __int__ = __float__ = __index__ = __contains__ = _refuse
    __array_ufunc__ = None

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        if self.device.kind != "cuda":
            raise AttributeError(f"an array on {self.device} has no __cuda_array_interface__")
        return {
            "version": 3, "shape": self.shape, "typestr": self.dtype.str, "strides": self.strides,
            "data": (self.pointer, not self.writeable), "stream": self.stream,
        }  # fmt: skip

    def __dlpack_device__(self) -> tuple[int, int]:
        from .exchange import dlpack_device

        return dlpack_device(self)

    def __dlpack__(self, *, stream: int | None = None, copy: bool | None = None, **_: object) -> Any:
        from .exchange import dlpack_capsule

        if copy or not self.writeable:
            reason = "is to be copied" if copy else "is read-only"
            raise BufferError(f"an array on {self.device} that {reason} has no DLPack export; take its .copy()")
        capsule = dlpack_capsule(self, on_default_stream=stream in (None, 1, 2))  # legacy, and that of each thread
        back_end(self.device).hand_over(self, stream)
        return capsule


Tensor: TypeAlias = NDArray[Any] | DeviceArray
"""An array in host memory or on a device."""
TensorT = TypeVar("TensorT", bound=Tensor)


class BackEnd(Protocol):
    """A module that makes and moves the arrays of a kind of device."""

    def empty(self, shape: Shape, dtype: np.dtype[Any], device: Device) -> DeviceArray:
        """A new array of arbitrary content."""

    def copy(self, array: DeviceArray) -> DeviceArray:
        """A C-contiguous copy on the same device."""

    def concatenate(self, arrays: Sequence[DeviceArray]) -> DeviceArray:
        """One after the other along the first axis, on their device."""

    def to_host(self, array: DeviceArray) -> NDArray[Any]:
        """A copy in host memory."""

    def from_host(self, array: NDArray[Any], device: Device) -> DeviceArray:
        """A copy on the device."""

    def hand_over(self, array: DeviceArray, stream: int | None) -> None:
        """Have a stream of another library, as DLPack names it, wait for what is queued on that of an array."""


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """One kind of device.

    Attributes:
        kind: its name, as in ``cuda:0``.
        title: its name in messages.
        count: how many of them this machine has; asked only where an engine for them is installed.
        back_end: a module of the functions of :class:`BackEnd`, relative to this folder or absolute; empty: none yet.
    """

    kind: str
    title: str
    count: Callable[[], int]
    back_end: str = ""


def _cuda_count() -> int:
    """Asks the driver, which a process that is to be forked must not do."""
    from .cuda.libcuda import count_devices

    return count_devices()


# In the order in which ``auto`` prefers them.
DEVICES: dict[str, DeviceRow] = {
    row.kind: row
    for row in (DeviceRow("cuda", "CUDA", _cuda_count, ".cuda.memory"), DeviceRow("cpu", "CPU", lambda: 1))
}


def back_end(device: Device) -> BackEnd:
    """What makes and moves arrays of a device other than the host.

    Raises:
        ValueError: this version has none for it.
    """
    row = DEVICES.get(device.kind)
    if row is None or not row.back_end:
        known = ", ".join(["cpu", *(other.kind for other in DEVICES.values() if other.back_end)])
        raise ValueError(f"this version moves no arrays to or from {device}; it does for: {known}")
    return cast(BackEnd, import_module(row.back_end, __package__))


def device_of(array: Tensor) -> Device:
    """Where an array lies."""
    return array.device if isinstance(array, DeviceArray) else HOST


def to_host(array: Tensor) -> NDArray[Any]:
    """``array`` in host memory: itself where it lies there, else a copy."""
    return array.to_host() if isinstance(array, DeviceArray) else array


def all_to_host(arrays: Sequence[Tensor]) -> list[NDArray[Any]]:
    """Each array in host memory, as :func:`to_host`; those on a device, which is one, come in one transfer."""
    there = [array for array in arrays if isinstance(array, DeviceArray)]
    if len(there) < 2:
        return [to_host(array) for array in arrays]
    held = to_host(concatenate([_bytes_of(array) for array in there]))
    ends = np.cumsum([array.nbytes for array in there]).tolist()
    copies = iter(
        held[end - array.nbytes : end].copy().view(array.dtype).reshape(array.shape)
        for end, array in zip(ends, there, strict=True)
    )
    return [next(copies) if isinstance(array, DeviceArray) else array for array in arrays]


def _bytes_of(array: DeviceArray) -> DeviceArray:
    """The memory of an array, uint8 ``[N]``; of a copy of one that is not C-contiguous."""
    packed = array if array.flags.c_contiguous else array.copy()
    return replace(packed, owner=packed, shape=(packed.nbytes,), dtype=np.dtype(np.uint8), strides=())


def to_device(array: Tensor, device: Device) -> Tensor:
    """``array`` on ``device``: itself where it lies there, else a copy.

    Raises:
        ValueError: nothing moves arrays to or from one of the devices.
    """
    if device_of(array) == device:
        return array
    host = to_host(array)
    return host if device == HOST else back_end(device).from_host(host, device)


def empty(shape: Shape, dtype: DTypeLike, device: Device = HOST) -> Tensor:
    """A new array of arbitrary content.

    Raises:
        ValueError: nothing makes arrays on that device.
    """
    return np.empty(shape, dtype) if device == HOST else back_end(device).empty(shape, np.dtype(dtype), device)


def concatenate(arrays: Sequence[TensorT]) -> TensorT:
    """Arrays of one device, one after the other along the first axis, in new memory of it.

    Raises:
        ValueError: they lie on several devices.
    """
    devices = {device_of(array) for array in arrays}
    if len(devices) > 1:
        raise ValueError(f"cannot join arrays on {' and '.join(sorted(map(str, devices)))}; move them to one device")
    (device,) = devices
    joined: Any = np.concatenate(arrays) if device == HOST else back_end(device).concatenate(cast(Any, arrays))
    return cast(TensorT, joined)


def _packed(shape: Shape, itemsize: int) -> Shape:
    """The strides of a C-contiguous array."""
    strides = [itemsize]
    for length in shape[:0:-1]:
        strides.insert(0, strides[0] * max(length, 1))
    return tuple(strides) if shape else ()
