"""A network's raw outputs for one frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from .affine import Affine


@dataclass(frozen=True, slots=True, eq=False)
class Tensors:
    """What the network gave for one frame, as the engine gave it.

    Attributes:
        arrays: name of the output -> array in host memory with a batch axis of one; owned, nothing else writes to them.
        input_size: (height, width) of the network's input.
        affine: from pixels of that input to frame pixels.
    """

    arrays: Mapping[str, NDArray[Any]]
    input_size: tuple[int, int]
    affine: Affine

    def __len__(self) -> int:
        return len(self.arrays)
