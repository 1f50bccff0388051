"""What a family also gives where its models can be trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from ..pipeline.types.picture import Size
from .family import Family

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True, eq=False)
class TrainingLayout:
    """What a network's outputs look like for an input of one size.

    Attributes:
        priors: float32 [P, 4], (cx, cy, w, h), relative: the anchors, in the order of the rows of the outputs.
        variances: of boxes.
        proto, semantic, flow: (height, width) of the prototypes, of P3 and of P4, where it has them.
        flow_unit: a flow of so many is the whole width.
    """

    priors: NDArray[np.float32]
    variances: tuple[float, float]
    proto: Size = (0, 0)
    semantic: Size = (0, 0)
    flow: Size = (0, 0)
    flow_unit: float = 1.0


class TrainableFamily(Family, Protocol):
    """A family whose rows name a training; a class that inherits this has the defaults given here."""

    def for_classes(self, name: str, count: int) -> TrainableFamily:
        """This family for a data set with ``count`` classes of things."""
        return self

    def start_from(self, network: nn.Module) -> None:
        """Give a fresh network the weights that training from nothing wants, in place."""

    def part_of_frame(self, name: str, size: Size) -> float:
        """The part of each side of a frame that is to fill an input of ``size`` in training, in (0, 1]."""
        return 1.0

    def training_layout(self, name: str, size: Size) -> TrainingLayout:
        """Of an input of ``size``."""
