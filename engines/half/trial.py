"""What a network does in fp16, tried on a machine that has no card: its arithmetic is rounded as a card's would be.

The engines of a CPU compute networks of fp16 in fp32 and hide what overflows; so the network is given to ONNX Runtime
with the rounding written out (:func:`.network.rounded_network`), and every node is run as it stands.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...kernels.device import Tensor, to_host
from ..onnx_file import read_network
from ..open import ENGINES
from ..spec import Array, Engine, EngineOptions, TensorSpec
from .network import observed, rounded_network
from .plan import LARGEST, around, name_of, plan_half, with_constants

if TYPE_CHECKING:
    from onnx import ModelProto

CALLS = 4
"""So many runs are recorded, and compared with in :meth:`Recording.noise`."""


@dataclass(slots=True)
class Call:
    """A run in fp32: its feeds and outputs."""

    feeds: dict[str, Array]
    outputs: dict[str, Array]


@dataclass
class Recording:
    """What a network was fed, what it gave in fp32, and how large its tensors were meanwhile.

    Attributes:
        path: of the network.
        options: how ONNX Runtime runs it.
        calls: the first runs.
        largest: tensor that may be in fp16 -> its largest magnitude over all runs.
    """

    path: Path
    options: EngineOptions
    calls: list[Call] = field(default_factory=list)
    largest: dict[str, float] = field(default_factory=dict)

    @cached_property
    def model(self) -> ModelProto:
        """The network, with its constants as initial values."""
        return with_constants(read_network(self.path), self._folder)

    @property
    def _folder(self) -> str:
        return str(self.path.parent)

    @property
    def overflowing(self) -> tuple[str, ...]:
        """Tensors that are above 65504 in fp32, or no numbers: in fp16 they would be infinite."""
        return tuple(sorted(name for name, value in self.largest.items() if not value <= LARGEST))

    @property
    def layers(self) -> list[str]:
        """Names of the nodes that may compute in fp16, in order."""
        half = plan_half(self.model).half
        return [name for node in self.model.graph.node if (name := name_of(node)) in half]

    def around(self, tensors: Collection[str]) -> frozenset[str]:
        """Names of the nodes that give and take any of ``tensors``."""
        return around(self.model, tensors)

    def noise(self, keep: Collection[str]) -> float:
        """Of the worst output in fp16, the root mean square of its error over that of its value in fp32.

        Args:
            keep: names of the nodes that stay in fp32.
        """
        engine = open_rounded(self.path, keep, self.options)
        try:
            return max((_noise(call.outputs, engine.run(call.feeds)) for call in self.calls), default=0.0)
        finally:
            engine.close()


def open_rounded(path: Path, keep: Collection[str], options: EngineOptions) -> Engine:
    """An engine that computes as a card does in fp16.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        EngineError: the network cannot be read, or ONNX Runtime does not take it.
    """
    made = rounded_network(read_network(path), str(path.parent), keep)
    engine: Engine = ENGINES["onnxruntime"].load().open_exact(path.name, made, options)
    return engine


class RecordingEngine:
    """A network in fp32 that writes into a :class:`Recording`; see :class:`vidgraph.engines.Engine`."""

    engine, device, precision = "onnxruntime", "cpu", "fp32"

    def __init__(self, recording: Recording) -> None:
        path, self._recording = recording.path, recording
        made, self._largest = observed(read_network(path), str(path.parent))
        self._inner: Engine = ENGINES["onnxruntime"].load().open_exact(path.name, made, recording.options)
        self.name = path.name

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Of the network."""
        return self._inner.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Of the network."""
        return tuple(spec for spec in self._inner.outputs if spec.name not in self._watching)

    @cached_property
    def _watching(self) -> frozenset[str]:
        return frozenset(self._largest.values())

    def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Array]:
        """Run the network once.

        Raises:
            EngineError: as ONNX Runtime's.
        """
        given = {name: to_host(array) for name, array in self._inner.run(feeds).items()}
        largest = self._recording.largest
        for name, output in self._largest.items():
            value = float(given[output])
            before = largest.get(name, 0.0)
            largest[name] = value if value > before or np.isnan(value) else before
        outputs = {name: array for name, array in given.items() if name not in self._watching}
        if len(self._recording.calls) < CALLS:
            fed = {name: to_host(array).copy() for name, array in feeds.items()}
            self._recording.calls.append(Call(fed, {name: array.copy() for name, array in outputs.items()}))
        return outputs

    def close(self) -> None:
        """Free the network."""
        self._inner.close()


def _noise(expected: Mapping[str, Array], got: Mapping[str, Any]) -> float:
    return max(_relative_errors(expected, got), default=0.0)


def _relative_errors(expected: Mapping[str, Array], got: Mapping[str, Any]) -> Iterator[float]:
    for name, array in expected.items():
        if array.dtype != np.float32:
            continue
        value = np.asarray(array, np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            error = np.sqrt(np.mean((np.asarray(got[name], np.float64) - value) ** 2))
        scale = float(np.sqrt(np.mean(value**2)))
        relative = float(error) / scale if scale else float("inf" if error else 0.0)
        yield relative if np.isfinite(relative) else float("inf")
