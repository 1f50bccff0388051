"""Which class of a model is which class of a data set: by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...pipeline.errors import UsageError

FACE = "face"


@dataclass(frozen=True, slots=True, eq=False)
class ClassMap:
    """Classes that are judged.

    Attributes:
        names: of them, in the order of the data set.
        of_model, of_data: int32 [classes], the number in ``names`` of each class; -1: not judged.
        left_out: names of the model that the data set lacks.
    """

    names: tuple[str, ...]
    of_model: NDArray[np.int32]
    of_data: NDArray[np.int32]
    left_out: tuple[str, ...]

    @classmethod
    def nothing(cls, model_classes: int, data_classes: int) -> ClassMap:
        """No class is judged."""
        return cls((), np.full(model_classes, -1, np.int32), np.full(data_classes, -1, np.int32), ())


def match_classes(
    model: str, model_names: Sequence[str], data: str, data_names: Sequence[str], only: Sequence[str] | None = None
) -> ClassMap:
    """Match classes by name; ``_`` and blanks are alike, and so are capitals and small letters.

    Classes of one name are judged as one.

    Args:
        model, data: for the message.
        only: names of the data set to judge; None: all.

    Raises:
        UsageError: a class is not known to the data set, or one that is to be judged is none of the model's.
    """
    known = {_plain(name): number for number, name in enumerate(model_names)}
    plain_data = [_plain(name) for name in data_names]
    wanted = plain_data if only is None else [_plain(name) for name in only]
    strange = [name for name in wanted if name not in plain_data]
    if strange:
        raise UsageError(f"{data} has no class {_listed(strange)}; it has {', '.join(data_names) or 'none'}")
    missing = [name for name in plain_data if name in wanted and name not in known]
    if missing:
        there = [name for name in data_names if _plain(name) in wanted and _plain(name) in known]
        cure = f"--classes {','.join(there)} judges the others" if there else "they have no class in common"
        raise UsageError(f"{model} has no class {_listed(missing)}, which {data} has; {cure}")
    named = {_plain(name): name for name in reversed(data_names)}  # of several the first
    names = [named[plain] for plain in dict.fromkeys(plain_data) if plain in wanted]
    places = {_plain(name): place for place, name in enumerate(names)}
    return ClassMap(
        tuple(names),
        np.array([places.get(_plain(name), -1) for name in model_names], np.int32),
        np.array([places.get(name, -1) for name in plain_data], np.int32),
        tuple(name for name in model_names if _plain(name) not in plain_data),
    )


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", " ")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
