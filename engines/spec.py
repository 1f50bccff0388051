"""What an engine takes and gives, and the one check of feeds that all engines share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..kernels.device import HOST, Device, DeviceArray, Tensor, device_of
from ..pipeline.errors import EngineError

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Name, dtype and fixed shape of one input or output; ``str()`` reads ``float32 NCHW [1, 3, 550, 550]``.

    Raises:
        ValueError: a dimension is not a positive whole number.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtype", np.dtype(self.dtype))
        if any(length < 1 for length in self.shape):
            raise ValueError(f"tensor {self.name!r} must have fixed positive dimensions, got {list(self.shape)}")

    def __str__(self) -> str:
        layout = " NCHW" if len(self.shape) == 4 else ""  # the only layout of ONNX's image operators
        return f"{self.dtype}{layout} {list(self.shape)}"


class NetworkRefused(EngineError):
    """An engine cannot run a network that another one may run; ``reason`` is why, for a message of several engines."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message, reason)  # both are kept, for pickling
        self.reason = reason

    def __str__(self) -> str:
        return ": ".join(self.args)


def shortened(text: str, most: int = 300) -> str:
    """On one line, of at most so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


@dataclass(frozen=True, slots=True)
class Port:
    """An output as an engine infers it without running: ``shape`` has None where a length is open."""

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None

    @property
    def fixed(self) -> bool:
        """Whether every length is known."""
        return self.shape is not None and None not in self.shape


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How a network is to run; see :func:`vidgraph.engines.open_engine` for the meaning of each field."""

    device: str = "cpu"
    precision: str = "auto"
    requests: int = 1
    threads: int = 1
    deterministic: bool = False

    def __post_init__(self) -> None:
        if self.requests < 1 or self.threads < 1:
            raise ValueError(f"requests and threads must be at least 1, got {self.requests} and {self.threads}")

    @property
    def threads_per_request(self) -> int:
        """Threads that one request may use; one where results must not depend on how work is split."""
        return 1 if self.deterministic else max(1, self.threads // self.requests)


@dataclass(frozen=True, slots=True)
class EngineDescription:
    """What an installed engine can do on this machine."""

    version: str
    devices: tuple[str, ...]
    precisions: tuple[str, ...]


@runtime_checkable
class Engine(Protocol):
    """A compiled network.

    ``run`` checks its feeds with :func:`check_feeds` and may be called from several threads at once;
    more callers than requests wait for one another. Its outputs are leases: they stay as they are
    until the **same thread** runs the **same engine** again, whatever other threads do, and are
    copied by whoever needs them longer. Feeds are only read, and only during the call. Where both lie is
    said by the engine's row: in host memory, or on ``device``.

    ``close`` waits for runs under way, may be called twice, and makes later runs an ``EngineError``.
    """

    @property
    def name(self) -> str:
        """The network's file name, for messages."""

    @property
    def engine(self) -> str:
        """The row of ``ENGINES`` it came from, e.g. ``openvino``."""

    @property
    def device(self) -> str:
        """``cpu`` or ``cuda:N``."""

    @property
    def precision(self) -> str:
        """What it computes in: ``fp32``, ``bf16``, ``fp16`` or ``int8``; inputs and outputs keep their dtype."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...

    def run(self, feeds: Mapping[str, Tensor]) -> Mapping[str, Tensor]: ...

    def close(self) -> None: ...


NOT_QUANTISED = (
    "{}: precision 'int8' needs a quantised network, and this one is not; "
    "make one with: vidgraph export NAME=WEIGHTS -o FILE.onnx --precision int8 --calibrate VIDEO"
)
"""Message of the ``EngineError`` for a network of that name."""


def check_quantised(name: str, asked: str) -> None:
    """Raise where a quantised network is asked to compute in something else than int8.

    Raises:
        EngineError: ``asked`` is neither ``auto`` nor ``int8``.
    """
    if asked not in ("auto", "int8"):
        raise EngineError(
            f"{name} is quantised and computes in int8; precision {asked!r} needs the weights it was made of"
        )


def fixed_spec(owner: str, name: str, dtype: DTypeLike, shape: Sequence[int | str | None]) -> TensorSpec:
    """An input or output of the network ``owner`` whose every length is known.

    Raises:
        EngineError: one is open, or none at all.
    """
    lengths = tuple(length for length in shape if isinstance(length, int) and length >= 0)
    text = "[" + ", ".join("?" if length is None else str(length) for length in shape) + "]"
    if len(lengths) < len(shape):
        raise EngineError(
            f"cannot open {owner}: {name!r} has no fixed shape ({text}); export it for one batch size and resolution"
        )
    if 0 in lengths:
        raise EngineError(f"cannot open {owner}: {name!r} is always empty ({text}); export the network without it")
    return TensorSpec(name, np.dtype(dtype), lengths)


def check_feeds(
    owner: str, specs: tuple[TensorSpec, ...], feeds: Mapping[str, Tensor], device: Device | None = HOST
) -> Mapping[str, Any]:
    """Raise unless ``feeds`` has exactly the arrays that ``specs`` ask for; gives them back.

    Args:
        owner: who is asked, named first in the message.
        specs: the engine's inputs.
        feeds: input name -> array.
        device: where they have to lie; None: anywhere.

    Raises:
        EngineError: an input is missing or unknown, lies elsewhere, or has another dtype or shape.
    """
    for spec in specs:
        array = feeds.get(spec.name)
        if array is None:
            given = ", ".join(repr(name) for name in feeds) or "nothing"
            raise EngineError(f"{owner}: input {spec.name!r} ({spec}) is missing; given: {given}")
        if not isinstance(array, np.ndarray) and not isinstance(array, DeviceArray):
            raise EngineError(f"{owner}: input {spec.name!r} must be {spec}, got a {type(array).__name__}")
        if device is not None and device_of(array) != device:
            where, got = ("in host memory" if place == HOST else f"on {place}" for place in (device, device_of(array)))
            raise EngineError(f"{owner}: input {spec.name!r} must lie {where}, got one {got}; copy it with to_device()")
        if array.shape != spec.shape or array.dtype != spec.dtype:
            raise EngineError(f"{owner}: input {spec.name!r} must be {spec}, got {array.dtype} {list(array.shape)}")
    if len(feeds) != len(specs):
        known = {spec.name for spec in specs}
        extra = ", ".join(repr(name) for name in feeds if name not in known)
        raise EngineError(f"{owner}: unknown input {extra}; takes: {', '.join(repr(s.name) for s in specs)}")
    return feeds
