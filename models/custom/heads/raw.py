"""The outputs themselves: nothing is known of them, or somebody else wants to make something of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ....engines.spec import TensorSpec
from ....pipeline.packet import Key
from ....pipeline.types.tensors import Tensors
from ....stages.inference.infer import RawOutputs, copy_all
from ....stages.inference.preprocess import Size
from ...family import Choices, OutputKeys, OutputSelector
from ..description import Description
from ..head import HeadResults


@dataclass(frozen=True, slots=True)
class RawHead:
    """Gives every output as it is."""

    kind = "raw"
    task = "raw tensors"
    class_count = None
    point_names = ()

    def select_outputs(self, choices: Choices) -> OutputSelector:
        """Everything."""
        return copy_all

    def creates(self, keys: OutputKeys) -> frozenset[Key[Any]]:
        """Tensors."""
        return frozenset({keys.tensors})

    def decode(self, raw: RawOutputs, frame: Size, choices: Choices, names: tuple[str, ...]) -> HeadResults:
        """The same arrays."""
        return HeadResults(tensors=Tensors(raw.arrays, raw.size, raw.affine))


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> RawHead | None:
    """Any outputs, where it is asked for by name."""
    return RawHead() if about.head == "raw" else None
