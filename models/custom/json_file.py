"""Small JSON files beside a network, which say how it is to be used."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...pipeline.errors import CheckpointError
from ...pipeline.results.parse_json import parse_json
from ..text_file import read_text


def read_json(path: Path) -> Mapping[str, Any] | None:
    """A JSON object of a file, or None where there is none.

    Raises:
        CheckpointError: it is no JSON, or cannot be read.
    """
    try:
        found = parse_json(read_text(path).encode(), constants=True)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    return found if isinstance(found, Mapping) else None


def triple(values: Any) -> tuple[float, float, float]:
    """Three finite numbers, or one for all three.

    Raises:
        ValueError: it is anything else.
    """
    if isinstance(values, list) and len(values) in (1, 3) and all(type(each) in (int, float) for each in values):
        numbers = [float(each) for each in values]
        if all(map(math.isfinite, numbers)):
            return numbers[0], numbers[-2:][0], numbers[-1]
    raise ValueError(f"three numbers are wanted, got {values}")


def deviations(values: Any) -> tuple[float, float, float]:
    """The same, of which none is zero: something is divided by them.

    Raises:
        ValueError: one is, or it is anything else.
    """
    numbers = triple(values)
    if 0 in numbers:
        raise ValueError(f"deviations of zero leave nothing of a picture, got {values}")
    return numbers
