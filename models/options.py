"""What a caller may choose about the results of a model, and its validation."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..pipeline.errors import UsageError, nearest
from ..pipeline.options import check_options, filled
from .class_names import names_from_file
from .known_classes import NAMED

RAW = "raw"
"""The head that gives the network's tensors as they are."""


@dataclass(frozen=True, slots=True)
class PostprocessOptions:
    """What a caller may choose about the results; None is the model's default.

    Attributes:
        min_score: rows must score more than this, in [0, 1].
        nms_iou: boxes that overlap a better one by more than this are dropped, in [0, 1].
        max_detections: rows kept at most.
        classes: numbers of the classes to keep.
        labels: names to use in place of the model's own, one per class.
        nms: which suppression, where the model has several.
    """

    min_score: float | None = None
    nms_iou: float | None = None
    max_detections: int | None = None
    classes: tuple[int, ...] | None = None
    labels: tuple[str, ...] | None = None
    nms: str | None = None


_NAMES = tuple(one.name for one in fields(PostprocessOptions))


def validate_options(model: str, own: tuple[str, ...], given: Mapping[str, Any]) -> PostprocessOptions:
    """The options with classes as numbers.

    Args:
        model: its name.
        own: names of the classes that the weights have.
        given: option -> value, as for ``load_model``; others than those of postprocessing are not looked at.

    Raises:
        UsageError: a value of another type or out of its range, an unknown class, or not one label per class.
    """
    check_options(given)
    labels = None if given.get("labels") is None else _labels(model, own, given["labels"])
    classes = None
    if given.get("classes") is not None:
        numbers = (number for each in given["classes"] for number in _class_ids(model, labels or own, each))
        classes = tuple(dict.fromkeys(numbers))
    return filled(PostprocessOptions, {**given, "labels": labels, "classes": classes})


def check_head(name: str, head: str | None, given: Mapping[str, Any]) -> None:
    """Refuse a head that a built-in model has not, and with the head ``raw`` options of postprocessing.

    Args:
        name: of the model.
        head: None: the model's own; ``raw``: the network's tensors.
        given: option -> value, None where it is not given.

    Raises:
        UsageError: with what there is, or what to leave out.
    """
    if head is None:
        return
    if head != RAW:
        raise UsageError(f"{name} has no head {head!r}; leave it out for the model's own, or give {RAW!r} for tensors")
    unused = [option for option in _NAMES if given.get(option) is not None]
    if unused:
        raise UsageError(f"{', '.join(unused)} cannot be given with head 'raw', which gives tensors and no detections")


def read_labels(labels: Sequence[str] | str | os.PathLike[str]) -> tuple[str, ...]:
    """Names as given, of a list by its name (``coco80``), or of a file; see :func:`.class_names.names_from_file`.

    Raises:
        UsageError: the file cannot be read, or is none of names.
    """
    if isinstance(labels, str) and labels in NAMED:
        return NAMED[labels]
    if isinstance(labels, str | os.PathLike):
        try:
            return names_from_file(Path(labels))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"cannot read labels {os.fspath(labels)!r}: {reason}") from error
    return tuple(labels)


def _labels(model: str, own: tuple[str, ...], labels: Sequence[str] | str | os.PathLike[str]) -> tuple[str, ...]:
    labels = read_labels(labels)
    if len(labels) != len(own):
        raise UsageError(f"{model} has {len(own)} classes ({', '.join(own[:5])}), got {len(labels)} labels")
    return labels


def _class_ids(model: str, names: tuple[str, ...], wanted: str | int) -> tuple[int, ...]:
    """The number of a class given by name or number; of a name that several have, the numbers of all."""
    text = str(wanted).strip()
    named = tuple(number for number, name in enumerate(names) if name == text)
    if named:
        return named
    if text.isdecimal() and len(text) < 10 and int(text) < len(names):
        return (int(text),)
    raise UsageError(f"{model} has no class {text!r}; {nearest(text, names)}")
