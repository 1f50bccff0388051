"""What all parts of the results format share: records, how numbers are rounded, what reading a wrong one raises."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

PIXEL_DECIMALS = 3
SCORE_DECIMALS = 5
TIME_DECIMALS = 6

Record: TypeAlias = dict[str, Any]

DAMAGE = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError)
"""What making something of a record raises that does not fit the format."""


def rounded(array: NDArray[Any], decimals: int) -> NDArray[np.float64]:
    """Rounded in double precision, so that the shortest text has no more decimals; minus zero is zero."""
    made = array.astype(np.float64)
    np.round(made, decimals, out=made)
    made += 0.0
    return made


def what(error: Exception) -> str:
    """What an error says, as a part of a line."""
    text = f"one is without a {error.args[0]}" if isinstance(error, KeyError) else str(error)
    return text.partition("\n")[0][:200]
