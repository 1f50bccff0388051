"""What a picture looks like, as a vector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .detections import check_array


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """A vector of one frame, to be compared with those of others of the same network.

    Attributes:
        values: float32 [D], of length 1, so that a product of two is the cosine of the angle between them.

    Raises:
        ValueError: a dtype or shape does not fit the above.
    """

    values: NDArray[np.float32]

    def __post_init__(self) -> None:
        check_array("Embedding", "values", self.values, np.float32, (None,))
