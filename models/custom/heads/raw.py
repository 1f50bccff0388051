"""The outputs themselves: nothing is known of them, or somebody else wants to make something of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ....engines.spec import TensorSpec
from ....pipeline.packet import TENSORS
from ....pipeline.types.picture import Size
from ....pipeline.types.tensors import Tensors
from ....stages.inference.infer import RawOutputs, copy_outputs
from ...formats import OutputSelector
from ...options import PostprocessOptions
from ..description import Description
from ..head import Found


@dataclass(frozen=True, slots=True)
class RawHead:
    """Gives every output as it is; ``reads`` are their names."""

    reads: frozenset[str]
    kind = "raw"
    task = "raw tensors"
    class_count = None
    point_names = ()
    gives = (TENSORS,)
    device_outputs = ()

    def select_outputs(self, choices: PostprocessOptions) -> OutputSelector:
        """Everything."""
        return copy_outputs

    def decode(self, raw: RawOutputs, frame: Size, choices: PostprocessOptions, names: tuple[str, ...]) -> Found:
        """The same arrays."""
        return {TENSORS: Tensors(raw.arrays, raw.size, raw.affine)}


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> RawHead | None:
    """Any outputs, where it is asked for by name."""
    return RawHead(frozenset(spec.name for spec in outputs)) if about.head == "raw" else None
