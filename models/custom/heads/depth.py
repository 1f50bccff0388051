"""A map of depth: relative (a larger number is nearer), or metres.

Source: the outputs that Depth Anything, DPT and ZoeDepth are exported with: ``depth`` or ``predicted_depth`` [1, h, w],
which their code resizes to the picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....engines.spec import TensorSpec
from ....pipeline.packet import DEPTH
from ....pipeline.types.maps import DepthMap
from ....pipeline.types.picture import Size
from ....stages.inference.infer import RawOutputs
from ...formats import Arrays, OutputSelector
from ...options import PostprocessOptions
from ..description import Description
from ..head import Found, Head, check_finite
from .choices import refuse_choices
from .maps import in_frame, map_among, values_of

NAMES = ("depth", "predicted_depth")


@dataclass(frozen=True, slots=True)
class DepthHead:
    """The map, in the frame's pixels.

    Attributes:
        output: its name.
        metric: it is metres.
    """

    output: str
    metric: bool = False
    kind: str = "depth"
    task: str = "depth"

    class_count = 0
    point_names = ()
    gives = (DEPTH,)
    device_outputs = ()

    @property
    def reads(self) -> frozenset[str]:
        """The one output."""
        return frozenset({self.output})

    def select_outputs(self, choices: PostprocessOptions) -> OutputSelector:
        """The map as it is.

        Raises:
            UsageError: a choice that means nothing for this network.
        """
        refuse_choices(choices, "gives depth")

        def pick(outputs: Mapping[str, NDArray[Any]]) -> Arrays:
            check_finite(self.output, outputs[self.output])
            return {"depth": values_of(outputs[self.output])}

        return pick

    def decode(self, raw: RawOutputs, frame: Size, choices: PostprocessOptions, names: tuple[str, ...]) -> Found:
        """The map at the frame's pixels; next to a number that is not finite there are such ones."""
        with np.errstate(invalid="ignore"):
            return {DEPTH: DepthMap(in_frame(raw.arrays["depth"], raw, frame), self.metric)}


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """The head for a map by one of the names, or where it is said to be depth; see :mod:`..head`."""
    found = map_among(outputs, about, "depth", NAMES, said="depth" in (about.head, about.task))
    if found is None or isinstance(found, str):
        return found
    return DepthHead(found.name, about.depth == "metres")
