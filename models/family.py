"""What a model's folder gives to the rest: one object that answers for all names of the folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from ..pipeline.packet import DETECTIONS, LANDMARKS, Key
from ..pipeline.stage import Stage
from ..stages.infer import RawOutputs

if TYPE_CHECKING:
    from torch import nn

    from ..pipeline.detections import Detections
    from ..pipeline.landmarks import Landmarks

Arrays = dict[str, NDArray[Any]]
Take = Callable[[Mapping[str, NDArray[Any]]], Arrays]


@dataclass(frozen=True, slots=True)
class InputFormat:
    """How the network wants its picture: float32 [B, 3, H, W], ``(value - mean) / std``.

    Attributes:
        name: of the graph's input.
        mean, std: of values 0..255, in the order of the channels that the network sees.
        bgr: the channels are blue, green, red.
        pad: RGB colour of what the picture does not cover.
        long_side: default length of the longer side, in pixels.
    """

    name: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bgr: bool
    pad: tuple[int, int, int]
    long_side: int


@dataclass(frozen=True, slots=True)
class GraphShape:
    """Everything in an exported graph that depends on the input's size and on the batch.

    Attributes:
        inputs, outputs: name -> shape.
        constants: name -> int64 values that the graph uses as the sizes of resizes.
    """

    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]
    constants: dict[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choices:
    """What a caller may choose about the results; None is the model's default.

    Attributes:
        min_score: rows must score more than this, in [0, 1].
        nms_iou: boxes that overlap a better one by more than this are dropped, in [0, 1].
        max_detections: rows kept at most.
        classes: numbers of the classes to keep.
        labels: names to use in place of the model's own, one per class.
    """

    min_score: float | None = None
    nms_iou: float | None = None
    max_detections: int | None = None
    classes: tuple[int, ...] | None = None
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class OutputKeys:
    """Under which keys a model puts its results, so that two models coexist in one graph."""

    detections: Key[Detections] = DETECTIONS
    landmarks: Key[Landmarks] = LANDMARKS


class Family(Protocol):
    """The implementation of one folder of models."""

    def network(self, name: str) -> nn.Module:
        """The torch network in evaluation mode with fresh weights; imports torch."""

    def settings(self, name: str) -> dict[str, object]:
        """What must be the same in an exported file for it to mean the same thing; plain JSON values."""

    def input_format(self, name: str) -> InputFormat:
        """How the network wants its picture."""

    def graph_shape(self, name: str, size: tuple[int, int], batch: int) -> GraphShape:
        """The shapes of the graph for an input of ``size`` (height, width)."""

    def class_names(self, name: str) -> tuple[str, ...]:
        """Names of the classes."""

    def point_names(self, name: str) -> tuple[str, ...]:
        """Names of the points of each object; empty where the model gives none."""

    def take(self, name: str, choices: Choices) -> Take:
        """What to keep of the engine's outputs (batch of one), as arrays of their own."""

    def postprocess(
        self, name: str, choices: Choices, *, raw: Key[RawOutputs], keys: OutputKeys, stage_name: str
    ) -> Stage:
        """The stage that makes results in displayed pixels of what :meth:`take` kept."""
