"""A custom model as a family, and its weights, as those of a built-in model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...engines.network_file import ONNX, PROGRAM, TITLES, kind_of
from ...kernels import queued
from ...kernels.device import HOST, Device, DeviceArray
from ...pipeline.errors import CheckpointError, UsageError
from ...pipeline.packet import Key
from ...pipeline.results.format import ResultKeys
from ...pipeline.stage import Stage
from ...stages.inference.gray import GrayInput
from ...stages.inference.infer import RawOutputs
from ...stages.inference.recurrent import Memory
from ..family import Family
from ..formats import Arrays, GraphShape, InputFormat, OutputSelector
from ..inference import Inference
from ..options import PostprocessOptions
from ..variant import Variant
from ..weights.find import Weights
from .head import seen_dtype
from .inspect import CustomNetwork
from .network import digest_of
from .postprocess import DecodeCustom
from .static_shapes import with_static_shapes
from .ultralytics import trained_on

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class SelectSeen:
    """A head's ``select_outputs`` on outputs of the dtypes that it sees; those that it reads on a device have them."""

    select: OutputSelector

    def __call__(self, outputs: Mapping[str, Any]) -> Arrays:
        return self.select({name: _seen(array) for name, array in outputs.items()})


def _seen(array: Any) -> Any:
    return array if isinstance(array, DeviceArray) else np.asarray(array, seen_dtype(array.dtype))


@dataclass(frozen=True, slots=True)
class CustomFamily(Family):
    """Answers for the one network it was made of; see :class:`..family.Family`."""

    custom: CustomNetwork

    def network(self, name: str) -> nn.Module:
        """There is none.

        Raises:
            CheckpointError: always.
        """
        raise CheckpointError(f"{self.custom.path} is {TITLES[kind_of(self.custom.path)]}, which has no torch network")

    def settings(self, name: str) -> dict[str, object]:
        """None: it is not exported."""
        return {}

    def input_format(self, name: str) -> InputFormat:
        """As described."""
        made, image = self.custom.about.input, self.custom.image
        if made.mean is None or made.std is None or made.pad is None:
            raise AssertionError("the description of a looked-through network is complete")
        bgr = made.color == "bgr" and image.channels > 1
        return InputFormat(
            image.name, made.mean, made.std, bgr, made.pad, max(self.custom.size),
            dtype=image.dtype, layout=image.layout,
        )  # fmt: skip

    def memory(self, name: str) -> Memory | None:
        """Of a network that is given its own outputs, or the picture before."""
        return self.custom.memory

    def graph_shape(self, name: str, size: tuple[int, int], batch: int, graph: str = "") -> GraphShape:
        """Of the picture and the outputs."""
        outputs = {spec.name: spec.shape for spec in self.custom.outputs}
        return GraphShape({self.custom.image.name: self.custom.image.shape(size, batch)}, outputs)

    def infer(self, name: str, given: Inference) -> list[Stage]:
        """As of all families; of a network that takes one channel, the luma is made in between."""
        preprocess, *rest = Family.infer(self, name, given)
        if self.custom.image.channels > 1:
            return [preprocess, *rest]
        return [preprocess, GrayInput(given.input_key, f"{given.prefix}gray", given.device), *rest]

    def class_names(self, name: str) -> tuple[str, ...]:
        """As described, or numbered."""
        return self.custom.class_names

    def point_names(self, name: str) -> tuple[str, ...]:
        """Of the head."""
        return self.custom.head.point_names

    def postprocesses_on(self, device: Device) -> bool:
        """Where the head does; elsewhere than in host memory it has the outputs as the file gives them: float32."""
        names = self.custom.head.device_outputs
        given = {each.name: each.dtype for each in self.custom.info.outputs}
        on_device = names != () and all(given[name] == "float32" for name in names)
        return device == HOST or (on_device and queued.available(device))

    def select_outputs(self, name: str, choices: PostprocessOptions) -> OutputSelector:
        """The head's."""
        return SelectSeen(self.custom.head.select_outputs(choices))

    def postprocess(
        self, name: str, choices: PostprocessOptions, *, raw: Key[RawOutputs], keys: ResultKeys, stage_name: str
    ) -> DecodeCustom:
        """The head's decode."""
        names = choices.labels or self.custom.class_names
        return DecodeCustom(self.custom.head, raw, choices, names, keys, stage_name)


@dataclass(frozen=True, slots=True)
class CustomWeights(Weights):
    """The file, and copies of it with fixed axes."""

    engine: str = "auto"

    @classmethod
    def of(
        cls, name: str, custom: CustomNetwork, engine: str = "auto", published: Variant | None = None
    ) -> CustomWeights:
        """As the weights of a model called ``name``; ``published``: its row, where it is a published network."""
        family = CustomFamily(custom)
        row = published or replace(_ROW, name=name, task=custom.head.task, trained_on=trained_on(custom.info.metadata))
        return cls(row, custom.path, digest_of(custom.path, custom.info), family, engine)

    @property
    def custom(self) -> CustomNetwork:
        """What was found out about it."""
        family = self.family
        if not isinstance(family, CustomFamily):
            raise AssertionError("made by CustomWeights.of")
        return family.custom

    @property
    def precision(self) -> str:
        """Of the tensors: an engine says what it makes of a quantised file."""
        return "fp32"

    def check_precision(self, asked: str) -> None:
        """The engine's matter: a file of any precision may be given."""

    @property
    def kind(self) -> str:
        """Of the file."""
        return kind_of(self.path)

    def check_program(self) -> None:
        """It is none.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            f"{self.path} is {TITLES[kind_of(self.path)]}, which engines of exported programs of torch do not take; "
            "leave the engine out"
        )

    def network_file(self, size: tuple[int, int], batch: int = 1, graph: str | None = None, kind: str = ONNX) -> Path:
        """The file for pictures of (height, width) ``size``."""
        if kind == PROGRAM:
            self.check_program()
        custom = self.custom
        return with_static_shapes(self.path, custom.info, custom.image, size, batch=batch, engine=self.engine)

    def network(self, size: tuple[int, int], batch: int = 1, graph: str | None = None) -> bytes:
        """Its bytes."""
        return self.network_file(size, batch, graph).read_bytes()


_ROW = Variant(
    name="",
    aliases=(),
    folder="",
    task="",
    source="a custom model",
    licence="",
    trained_on="",
    weights=(),
    verified=False,
    verification="a custom model has no official code to compare it with",
)
