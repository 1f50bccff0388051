"""What the runs of a map are, pixel by pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def label_runs_reference(labels: NDArray[np.int32]) -> tuple[list[int], list[int]]:
    """Labels and lengths of the runs down the columns, from left to right."""
    values: list[int] = []
    lengths: list[int] = []
    for label in labels.T.reshape(-1).tolist():
        if not values or values[-1] != label:
            values.append(label)
            lengths.append(0)
        lengths[-1] += 1
    return values, lengths
