"""Checking what a caller chose about the results of a model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..pipeline.errors import UsageError
from .class_names import names_from_file
from .registry import nearest
from .variant import ModelRow

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


def validate_options(
    row: ModelRow,
    own: tuple[str, ...],
    min_score: float | None = None,
    nms_iou: float | None = None,
    max_detections: int | None = None,
    *,
    classes: Sequence[str | int] | None = None,
    labels: Sequence[str] | str | os.PathLike[str] | None = None,
) -> PostprocessOptions:
    """The choices, with classes as numbers; ``own`` are the names that the weights' classes have.

    Raises:
        UsageError: a value out of its range, an unknown class, or not one label per class.
    """
    check_numbers(min_score, nms_iou, max_detections)
    names = own if labels is None else _labels(row, own, labels)
    numbers = None
    if classes is not None:
        numbers = tuple(dict.fromkeys(number for each in classes for number in _class_ids(row, names, each)))
    return PostprocessOptions(min_score, nms_iou, max_detections, numbers, None if labels is None else names)


def check_head(name: str, head: str | None, given: Mapping[str, object]) -> None:
    """Refuse a head that a model of ours has not, and choices about detections where there are none.

    Args:
        name: of the model.
        head: None: the model's own; ``raw``: the network's tensors.
        given: option -> value, those about detections; None where it is not given.

    Raises:
        UsageError: with what there is, or what to leave out.
    """
    if head is None:
        return
    if head != RAW:
        raise UsageError(f"{name} has no head {head!r}; leave it out for the model's own, or give {RAW!r} for tensors")
    unused = [option for option, value in given.items() if value is not None]
    if unused:
        raise UsageError(f"{', '.join(unused)} cannot be given with head 'raw', which gives tensors and no detections")


def check_numbers(min_score: float | None, nms_iou: float | None, max_detections: int | None) -> None:
    """Raise UsageError where one is out of its range."""
    for what, value in (("min_score", min_score), ("nms_iou", nms_iou)):
        if value is not None and not 0.0 <= value <= 1.0:
            raise UsageError(f"{what} must be in [0, 1], got {value}")
    if max_detections is not None and max_detections < 1:
        raise UsageError(f"max_detections must be at least 1, got {max_detections}")


def read_labels(labels: Sequence[str] | str | os.PathLike[str]) -> tuple[str, ...]:
    """Names as given, or of a file; see :func:`.class_names.names_from_file`.

    Raises:
        UsageError: the file cannot be read, or is none of names.
    """
    if isinstance(labels, str | os.PathLike):
        try:
            return names_from_file(Path(labels))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"cannot read labels {os.fspath(labels)!r}: {reason}") from error
    return tuple(labels)


def _labels(row: ModelRow, own: tuple[str, ...], labels: Sequence[str] | str | os.PathLike[str]) -> tuple[str, ...]:
    labels = read_labels(labels)
    if len(labels) != len(own):
        raise UsageError(f"{row.name} has {len(own)} classes ({', '.join(own[:5])}), got {len(labels)} labels")
    return labels


def _class_ids(row: ModelRow, names: tuple[str, ...], wanted: str | int) -> tuple[int, ...]:
    """The number of a class given by name or number; of a name that several have, the numbers of all."""
    text = str(wanted).strip()
    named = tuple(number for number, name in enumerate(names) if name == text)
    if named:
        return named
    if text.isdecimal() and len(text) < 10 and int(text) < len(names):
        return (int(text),)
    raise UsageError(f"{row.name} has no class {text!r}; {nearest(text, names)}")
