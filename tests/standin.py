"""A device that is not there: memory that nothing in Python can read, twins of some kernels, and an engine.

``DeviceArray.pointer`` leads nowhere, and the bytes are kept inverted in a table of this module, so that whoever reads
them in another way than by asking ``to_host`` fails or sees nonsense. ``TRANSFERS`` counts what was asked.
This module is the back end, the module of the twins and the module of the engine, each by one row.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph import kernels
from vidgraph.engines import ENGINES, EngineOptions, EngineRow, TensorSpec, check_feeds
from vidgraph.engines.spec import EngineDescription
from vidgraph.kernels.device import DEVICES, Device, DeviceArray, DeviceRow, to_device
from vidgraph.kernels.twins import TWINS
from vidgraph.pipeline.errors import EngineError

DEVICE = Device("standin", 0)
KERNELS = ("preprocess", "nms", "fast_nms", "decode_boxes", "top_scores", "assemble_masks")
TRANSFERS: Counter[str] = Counter()

_BASE = 1 << 60  # no address of a process
_addresses = itertools.count(_BASE, 1 << 40)


class Memory:
    """Bytes of the device, inverted; freed with the last array of them."""

    def __init__(self, size: int) -> None:
        self.address = next(_addresses)
        self._inverted = bytearray(size)

    def write(self, start: int, data: bytes) -> None:
        self._inverted[start : start + len(data)] = bytes(255 - byte for byte in data)

    def read(self, start: int, end: int) -> bytes:
        return bytes(255 - byte for byte in self._inverted[start:end])


def _memory(array: DeviceArray) -> Memory:
    owner = array.owner
    while isinstance(owner, DeviceArray):
        owner = owner.owner
    assert isinstance(owner, Memory)
    return owner


def _read(array: DeviceArray) -> np.ndarray:
    """On the device: the numbers of an array."""
    memory = _memory(array)
    data = memory.read(array.pointer - memory.address, array.end - memory.address)
    return np.ndarray(array.shape, array.dtype, data, 0, array.strides).copy()


def _write(array: DeviceArray, numbers: np.ndarray) -> None:
    assert array.flags.c_contiguous
    assert (array.shape, array.dtype) == (numbers.shape, numbers.dtype)
    memory = _memory(array)
    memory.write(array.pointer - memory.address, numbers.tobytes())


def _made(numbers: np.ndarray, device: Device = DEVICE) -> DeviceArray:
    array = empty(numbers.shape, numbers.dtype, device)
    _write(array, numbers)
    return array


# The back end.


def empty(shape: tuple[int, ...], dtype: np.dtype[Any], device: Device) -> DeviceArray:
    memory = Memory(int(np.prod(shape)) * dtype.itemsize)
    return DeviceArray(memory, memory.address, shape, dtype, device)


def copy(array: DeviceArray) -> DeviceArray:
    return _made(_read(array), array.device)


def concatenate(arrays: Sequence[DeviceArray]) -> DeviceArray:
    return _made(np.concatenate([_read(array) for array in arrays]), arrays[0].device)


def to_host(array: DeviceArray) -> np.ndarray:
    TRANSFERS["to host"] += 1
    return _read(array)


def from_host(array: np.ndarray, device: Device) -> DeviceArray:
    TRANSFERS["to device"] += 1
    return _made(np.ascontiguousarray(array), device)


# The twins: the kernels of the host, on numbers that are read and written on the device.


def _read_all(value: Any) -> Any:
    if isinstance(value, DeviceArray):
        return _read(value)
    return tuple(map(_read_all, value)) if isinstance(value, tuple) else value


def _twin(name: str) -> Callable[..., Any]:
    def run(*values: Any, out: DeviceArray | None = None, **named: Any) -> Any:
        result = getattr(kernels, name)(*map(_read_all, values), **{key: _read_all(v) for key, v in named.items()})
        if out is not None:
            _write(out, result)
            return out
        return tuple(map(_made, result)) if isinstance(result, tuple) else _made(result)

    return run


preprocess, nms, fast_nms, decode_boxes, top_scores, assemble_masks = map(_twin, KERNELS)


# The engine.


class BoxesOfMeans:
    """A network in NumPy that takes and gives arrays on the device: boxes and prototypes from an image."""

    engine, precision = "standin", "fp32"
    inputs = (TensorSpec("image", np.dtype(np.float32), (1, 3, 16, 16)),)
    outputs = (
        TensorSpec("loc", np.dtype(np.float32), (6, 4)),
        TensorSpec("scores", np.dtype(np.float32), (6,)),
        TensorSpec("coeff", np.dtype(np.float32), (6, 2)),
        TensorSpec("proto", np.dtype(np.float32), (8, 8, 2)),
    )

    def __init__(self, name: str, device: str) -> None:
        self.name, self.device, self._closed = name, device, False

    def run(self, feeds: Mapping[str, Any]) -> dict[str, DeviceArray]:
        given = check_feeds(self.name, self.inputs, feeds, Device.of(self.device))
        if self._closed:
            raise EngineError(f"{self.name}: run() after close()")
        return {name: _made(array) for name, array in self.answer(_read(given["image"])).items()}

    @staticmethod
    def answer(image: np.ndarray) -> dict[str, np.ndarray]:
        """The definition."""
        level = np.float32(image.mean())
        loc = np.linspace(-1, 1, 24, dtype=np.float32).reshape(6, 4) * level
        scores = np.linspace(0.9, 0.4, 6, dtype=np.float32)
        proto = image[0, :2, ::2, ::2].transpose(1, 2, 0) - level / 2
        coeff = np.ascontiguousarray(loc[:, :2] + 1)
        return {"loc": loc, "scores": scores, "coeff": coeff, "proto": np.ascontiguousarray(proto)}

    def close(self) -> None:
        self._closed = True


def open_network(path: Path, options: EngineOptions) -> BoxesOfMeans:
    return BoxesOfMeans(path.name, options.device)


def describe() -> EngineDescription:
    return EngineDescription("1.0", ("standin",), ("fp32",))


def plug_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device, its twins and its engine are there: a row each."""
    monkeypatch.setitem(DEVICES, "standin", DeviceRow("standin", "stand-in", lambda: 1, back_end=__name__))
    for kernel in KERNELS:
        monkeypatch.setitem(TWINS, (kernel, "standin"), __name__)
    row = EngineRow("standin", __name__, package="numpy", extra="standin", devices=("standin",), wants="device")
    monkeypatch.setitem(ENGINES, "standin", row)
    TRANSFERS.clear()


def put(*arrays: np.ndarray) -> list[Any]:
    """Arrays on the device."""
    return [to_device(array, DEVICE) for array in arrays]
