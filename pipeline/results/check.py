"""What a line of a results file may hold: types, ranges and sizes, checked before anything is made of them.

Lists of an object's fields are checked as a whole, which is as quick as reading them one by one without a check.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..limits import MAX_CLASSES, MAX_SIDE
from .parse_json import shown
from .record import Record

_LARGEST = 2**53
"""Of whole numbers: what JSON numbers hold exactly everywhere."""
_LATEST_S = 1e9
"""Seconds of a time: thirty years."""
_LEVELS = 64
"""Of lists and objects in each other; a header has five or so."""


def header_problem(header: Any) -> str:
    """What is wrong with a first line: models and sources have names, those of classes are texts; empty if nothing."""
    try:
        fits = (
            all(_is_named(model, "name") and _are_names(model) for model in header["models"])
            and all(_is_named(source, "stream") for source in header["sources"])
            and isinstance(header.get("settings", {}), dict)
        )
    except (KeyError, TypeError):
        fits = False
    if not fits:
        return "it must have models and sources with names"
    return "" if _is_shallow(header) else "lists or objects are nested too deeply"


def _is_shallow(value: Any) -> bool:
    """Whether lists and objects are nested less deeply than what goes through them can bear."""
    level = [value]
    for _ in range(_LEVELS):
        several = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = list(chain.from_iterable(several))
        if not level:
            return True
    return False


def _is_named(record: Any, key: str) -> bool:
    return isinstance(record, dict) and isinstance(record[key], str)


def _are_names(model: Record) -> bool:
    lists = [model.get(part, []) for part in ("classes", "points")]
    return all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in lists)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST


def _is_time(value: Any) -> bool:
    return type(value) in (float, int) and -_LATEST_S < value < _LATEST_S


def _is_size(value: Any) -> bool:
    if type(value) is not list or len(value) != 2:
        return False
    width, height = value
    return type(width) is int and type(height) is int and 0 <= width <= MAX_SIDE and 0 <= height <= MAX_SIDE


def _is_list_of_records(value: Any) -> bool:
    return type(value) is list and set(map(type, value)) <= _RECORD


_RECORD = {dict}
_FIELDS: Mapping[str, Callable[[Any], bool]] = MappingProxyType(
    {
        "stream": _is_text,
        "frame": _is_count,
        "time_s": _is_time,
        "captured_at": _is_text,
        "capture_clock": _is_text,
        "file": _is_text,
        "epoch": _is_count,
        "size": _is_size,
        "held_from": _is_count,
        "key_frame": _is_count,
        "dropped": _is_text,
        "damaged": lambda value: isinstance(value, bool),
    }
)
_NEEDED = frozenset(("stream", "frame", "time_s", "epoch", "size"))


def frame_problem(record: Any, results: Container[str]) -> str:
    """Why a line is not a frame; empty where it is one. ``results`` are the fields that have lists of records."""
    if not isinstance(record, dict) or not record.keys() >= _NEEDED:
        return "it must have stream, frame, time_s, epoch and size"
    for name, value in record.items():
        fits = _is_list_of_records if name in results else _FIELDS.get(name)
        if fits is not None and not fits(value):
            return f"{name} cannot be {shown(value)}"
    return ""


def numbers(what: str, values: Iterable[Any]) -> NDArray[np.float32]:
    """float32 [N] of numbers.

    Raises:
        ValueError: one is too large for float32.
        TypeError: one is something else.
    """
    try:
        found = array("f", values)  # which takes numbers only, where NumPy would read texts too
    except OverflowError:
        raise ValueError(f"{what} has a number that is too large") from None
    if not math.isfinite(sum(found)):  # in double precision, where finite ones cannot come to more
        raise ValueError(f"{what} has a number that is too large")
    return np.frombuffer(found, np.float32)


def check_lengths(boxes: Iterable[Any], points: Iterable[Any]) -> None:
    """Raise ValueError where a box has not 4 numbers, or a point 3; TypeError where it is no list."""
    if not set(map(len, boxes)) <= {4} or not set(map(len, points)) <= {3}:
        raise ValueError("a box has 4 numbers and a point 3")


def whole_numbers(what: str, values: Iterable[Any], low: int) -> NDArray[np.int32]:
    """int32 [N], none below ``low``.

    Raises:
        ValueError, TypeError: they are something else.
    """
    try:
        found = array("i", values)
    except OverflowError:
        raise ValueError(f"{what} has a number of more than 31 bits") from None
    if found and min(found) < low:
        raise ValueError(f"{what} must be {low} or more, got {min(found)}")
    return np.frombuffer(found, np.int32)


def tracks_of(items: Iterable[Record]) -> NDArray[np.int32]:
    """The tracks of objects, int32 [N]; -1 for none. Errors as for :func:`whole_numbers`."""
    return whole_numbers("track", [item.get("track", -1) for item in items], -1)


def check_objects(items: Sequence[Record], classes: Mapping[str, int]) -> None:
    """Check the objects of a frame: types and ranges of all fields but masks.

    Args:
        items: the objects.
        classes: by the name of a model, how many it has; 0 where the header names none.

    Raises:
        KeyError, ValueError, TypeError: one does not fit the format.
    """
    boxes = [item["box"] for item in items]
    points = list(chain.from_iterable([item["points"] for item in items if "points" in item]))
    scores = [item["score"] for item in items if "score" in item]
    check_lengths(boxes, points)
    numbers("an object", chain(chain.from_iterable(boxes), chain.from_iterable(points), scores))
    check_labels(items, classes)


def check_labels(items: Sequence[Record], classes: Mapping[str, int]) -> None:
    """Check classes, models and tracks of objects or segments; arguments and errors as for :func:`check_objects`."""
    tracks = [item["track"] for item in items if "track" in item]
    if tracks:
        whole_numbers("track", tracks, 0)
    only = next(iter(classes.values())) if len(classes) == 1 else 0
    for item in items:
        model = item.get("model")
        if model is not None and not isinstance(model, str):
            raise TypeError(f"model cannot be {shown(model)}")
        if "class_id" in item:
            check_class(item, only if model is None else classes.get(model, 0))


def check_count(what: str, value: Any) -> None:
    """Raise ValueError where ``value`` is no whole number from 0."""
    if not _is_count(value):
        raise ValueError(f"{what} cannot be {shown(value)}")


def check_class(item: Record, known: int) -> None:
    """Check the class of an object whose model has ``known`` of them, or (0) does not say how many.

    Raises:
        ValueError, TypeError: there is no such class, or its name is no text.
    """
    number, name = item["class_id"], item.get("class", "")
    if type(number) is not int or not 0 <= number < (known or MAX_CLASSES):
        limit = f"the model has {known} classes" if known else f"it must be below {MAX_CLASSES}"
        raise ValueError(f"class_id {shown(number)}, and {limit}")
    if not isinstance(name, str):
        raise TypeError(f"class cannot be {shown(name)}")
