"""What a network of the user's own gives to :mod:`..base`, and its weights: as a built-in model's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...pipeline.errors import CheckpointError
from ...pipeline.packet import Key
from ...stages.inference.infer import RawOutputs
from ..family import Arrays, Choices, Family, GraphShape, InputFormat, OutputKeys, OutputSelector
from ..variant import ModelRow
from ..weights.checkpoint import sha256_of
from ..weights.find import Weights
from .head import seen_dtype
from .inspect import OwnNetwork
from .postprocess import DecodeOwn
from .static_shapes import fixed_file
from .ultralytics import trained_on

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class SelectSeen:
    """A head's ``select_outputs`` on outputs of the dtypes that it sees."""

    select: OutputSelector

    def __call__(self, outputs: Mapping[str, NDArray[Any]]) -> Arrays:
        return self.select({name: np.asarray(array, seen_dtype(array.dtype)) for name, array in outputs.items()})


@dataclass(frozen=True, slots=True)
class OwnFamily(Family):
    """Answers for the one network it was made of; see :class:`..family.Family`."""

    own: OwnNetwork

    def network(self, name: str) -> nn.Module:
        """There is none.

        Raises:
            CheckpointError: always.
        """
        raise CheckpointError(f"{self.own.path} is an ONNX file, which has no torch network")

    def settings(self, name: str) -> dict[str, object]:
        """None: it is not exported."""
        return {}

    def input_format(self, name: str) -> InputFormat:
        """As described."""
        made, picture = self.own.about.input, self.own.picture
        if made.mean is None or made.std is None or made.pad is None:
            raise AssertionError("the description of a looked-through network is complete")
        return InputFormat(
            picture.name, made.mean, made.std, made.color == "bgr", made.pad, max(self.own.size),
            dtype=picture.dtype, layout=picture.layout,
        )  # fmt: skip

    def graph_shape(self, name: str, size: tuple[int, int], batch: int, graph: str = "") -> GraphShape:
        """Of the picture and the outputs."""
        outputs = {spec.name: spec.shape for spec in self.own.outputs}
        return GraphShape({self.own.picture.name: self.own.picture.shape(size, batch)}, outputs)

    def class_names(self, name: str) -> tuple[str, ...]:
        """As described, or numbered."""
        return self.own.class_names

    def point_names(self, name: str) -> tuple[str, ...]:
        """Of the head."""
        return self.own.head.point_names

    def select_outputs(self, name: str, choices: Choices) -> OutputSelector:
        """The head's."""
        return SelectSeen(self.own.head.select_outputs(choices))

    def gives(self, name: str, keys: OutputKeys) -> frozenset[Key[Any]]:
        """What the head gives."""
        return self.own.head.creates(keys)

    def postprocess(
        self, name: str, choices: Choices, *, raw: Key[RawOutputs], keys: OutputKeys, stage_name: str
    ) -> DecodeOwn:
        """The head's decode."""
        names = choices.labels or self.own.class_names
        return DecodeOwn(self.own.head, raw, choices, names, keys, stage_name)


@dataclass(frozen=True, slots=True)
class OwnWeights(Weights):
    """The file, and copies of it with fixed axes."""

    engine: str = "auto"

    @classmethod
    def of(cls, name: str, own: OwnNetwork, engine: str = "auto") -> OwnWeights:
        """As the weights of a model called ``name``."""
        family = OwnFamily(own)
        row = replace(_ROW, name=name, task=own.head.task, trained_on=trained_on(own.facts.metadata))
        return cls(row, own.path, sha256_of(own.path), family, engine)

    @property
    def own(self) -> OwnNetwork:
        """What was found out about it."""
        family = self.family
        if not isinstance(family, OwnFamily):
            raise AssertionError("made by OwnWeights.of")
        return family.own

    @property
    def precision(self) -> str:
        """Of the tensors: an engine says what it makes of a quantised file."""
        return "fp32"

    def check_precision(self, asked: str) -> None:
        """The engine's matter: a file of any precision may be given."""

    def network_file(self, size: tuple[int, int], batch: int = 1, graph: str | None = None) -> Path:
        """The file for pictures of (height, width) ``size``."""
        own = self.own
        return fixed_file(self.path, own.facts, own.picture, size, batch=batch, engine=self.engine)

    def network(self, size: tuple[int, int], batch: int = 1, graph: str | None = None) -> bytes:
        """Its bytes."""
        return self.network_file(size, batch, graph).read_bytes()


_ROW = ModelRow(
    name="",
    aliases=(),
    folder="",
    task="",
    source="a file of your own",
    licence="",
    trained_on="",
    weights=(),
    verified=False,
    verification="a file of your own",
)
