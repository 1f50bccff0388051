"""The outputs themselves: nothing is known of them, or somebody else wants to make something of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ....engines.spec import TensorSpec
from ....pipeline.packet import TENSORS, Key
from ....pipeline.types.picture import Size
from ....pipeline.types.tensors import Tensors
from ....stages.inference.infer import RawOutputs, copy_outputs
from ...formats import OutputSelector
from ...options import PostprocessOptions
from ..description import Description
from ..head import Found


@dataclass(frozen=True, slots=True)
class RawHead:
    """Gives every output as it is."""

    kind = "raw"
    task = "raw tensors"
    class_count = None
    point_names = ()

    def select_outputs(self, choices: PostprocessOptions) -> OutputSelector:
        """Everything."""
        return copy_outputs

    @property
    def gives(self) -> tuple[Key[Any], ...]:
        """Tensors."""
        return (TENSORS,)

    def decode(self, raw: RawOutputs, frame: Size, choices: PostprocessOptions, names: tuple[str, ...]) -> Found:
        """The same arrays."""
        return {TENSORS: Tensors(raw.arrays, raw.size, raw.affine)}


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> RawHead | None:
    """Any outputs, where it is asked for by name."""
    return RawHead() if about.head == "raw" else None
