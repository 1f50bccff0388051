"""What a network says of every pixel of a frame, other than a class: depth, and how much of it is foreground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .detections import check_array


@dataclass(frozen=True, slots=True, eq=False)
class DepthMap:
    """How far away everything in one frame is.

    Attributes:
        values: float32 [H, W], displayed pixels, as the network gives them; not finite where it gives no number.
        metric: they are metres. Otherwise they are relative, of any unit and zero: a larger one is nearer.

    Raises:
        ValueError: a dtype or shape does not fit the above.
    """

    values: NDArray[np.float32]
    metric: bool = False

    def __post_init__(self) -> None:
        check_array("DepthMap", "values", self.values, np.float32, (None, None))

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the largest finite value; 0 and 0 where there is none."""
        values = self.values
        if not values.size:
            return 0.0, 0.0
        least, most = float(values.min()), float(values.max())
        if np.isfinite(least) and np.isfinite(most):
            return least, most
        finite = values[np.isfinite(values)]
        return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class AlphaMatte:
    """How much of every pixel of one frame is foreground.

    Attributes:
        alpha: uint8 [H, W], displayed pixels; 255 is foreground, 0 background.

    Raises:
        ValueError: a dtype or shape does not fit the above.
    """

    alpha: NDArray[np.uint8]

    def __post_init__(self) -> None:
        check_array("AlphaMatte", "alpha", self.alpha, np.uint8, (None, None))

    @property
    def share(self) -> float:
        """Of the frame that is foreground, in [0, 1]."""
        return float(self.alpha.mean(dtype=np.float64) / 255) if self.alpha.size else 0.0
