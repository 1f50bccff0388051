"""What lies in the rows of a YOLO's output: how many there are for an input, and what follows box and classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ....engines.spec import TensorSpec
from ....pipeline.types.picture import Size
from ..description import Description, OutputEnd
from ..ultralytics import EXPORTER

LEVELS = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32), (16, 32))
"""Strides of the maps that published networks look at: the usual three, P6, P2, and the two of the tiny YOLOv3."""
ANCHORS = (1, 3)
"""Boxes at each place of a map: without and with anchors."""
YOLOX_OUTPUT = "output"
"""As YOLOX's exporter names it."""
PROTOTYPE_STRIDES = (4, 2, 8)
MASK_COEFFICIENTS = 32
BODY_POINTS = (17, 3)
BODY_POINT_NAMES = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
"""COCO's, in its order; left and right are the person's own."""


@dataclass(frozen=True, slots=True)
class Extras:
    """What follows box and classes in a row.

    Attributes:
        prototypes: name of the output of prototypes [1, M, Hp, Wp]; None: no masks.
        coefficients: M, mask coefficients in a row.
        points: how many, and of how many values each (2: x y; 3: and a score); None: no points.
        point_names: one for each.
    """

    prototypes: str | None = None
    coefficients: int = 0
    points: tuple[int, int] | None = None
    point_names: tuple[str, ...] = ()

    @property
    def length(self) -> int:
        """Numbers in a row."""
        return self.coefficients + (self.points[0] * self.points[1] if self.points else 0)

    @property
    def task(self) -> str:
        """As heads say it."""
        if self.prototypes:
            return "instances with masks"
        return "objects with points" if self.points else "boxes"


def shown(spec: TensorSpec) -> str:
    """An output in a message."""
    return f"output {spec.name!r} {spec}"


def row_counts(size: Size) -> dict[int, int]:
    """Rows that a network gives for an input of (height, width) ``size`` -> boxes at each place of its maps.

    The counts of the usual three maps come last.
    """
    counts: dict[int, int] = {}
    for strides in reversed(LEVELS):
        places = sum(-(-size[0] // stride) * -(-size[1] // stride) for stride in strides)
        counts |= {places * anchors: anchors for anchors in ANCHORS}
    return counts


def end_of(spec: TensorSpec, about: Description) -> OutputEnd:
    """What the last steps of the graph are to an output; nothing where that is not known."""
    return (about.ends or {}).get(spec.name, OutputEnd())


def how_left(spec: TensorSpec, about: Description, size: Size) -> str | None:
    """Whose boxes, still to be decoded, an output of rows has, where the end of the graph shows it.

    Returns:
        ``yolox`` or ``nanodet``; ``open`` where the file is like one of YOLOX, nothing shows whether its boxes are
        decoded, and nobody says it; else None.
    """
    if len(spec.shape) != 3:
        return None
    end = end_of(spec, about)
    if sum(count for _, count in end.columns) in spec.shape[1:]:
        kinds = [activation for activation, _ in end.columns]
        if kinds == ["", "sigmoid", "sigmoid"] and [count for _, count in end.columns[:2]] == [4, 1]:
            return "yolox"
        if kinds == ["sigmoid", ""] and end.columns[1][1] % 4 == 0 and end.columns[1][1] > 4:
            return "nanodet"
    said = about.head is not None or about.objectness is not None or EXPORTER in about.sources.values()
    rows = sum(-(-size[0] // stride) * -(-size[1] // stride) for stride in LEVELS[0])
    if spec.name != YOLOX_OUTPUT or spec.shape[1] != rows or spec.shape[2] < 6 or "Exp" in end.operators or said:
        return None
    return "open"


def prototypes_among(outputs: Sequence[TensorSpec], about: Description, size: Size) -> list[TensorSpec]:
    """The outputs that may be prototypes [1, M, Hp, Wp] of an input of ``size``, likeliest first."""
    named = about.outputs.get("prototypes")
    if named is not None:
        return [spec for spec in outputs if spec.name == named and len(spec.shape) == 4]
    maps = [spec for spec in outputs if len(spec.shape) == 4 and spec.dtype == np.float32]
    return [
        spec
        for stride in PROTOTYPE_STRIDES
        for spec in maps
        if spec.shape[1] > 1 and spec.shape[2:] == (-(-size[0] // stride), -(-size[1] // stride))
    ]


def read_extras(length: int, prototypes: Sequence[TensorSpec], about: Description) -> Extras | str:
    """What ``length`` numbers behind box and classes are, or in a few words why that cannot be said."""
    if about.points is not None and about.points[0] * about.points[1] == length:
        return _with_points(about.points, about)
    if length == 0:
        return Extras()
    for spec in prototypes:
        if spec.shape[1] == length:
            return Extras(spec.name, length)
    if about.points is not None:
        count, values = about.points
        return f"{length} numbers follow the classes, but {count} points of {values} values are said (`points`)"
    if about.task == "pose":
        return _unnamed_points(length, about)
    if length == BODY_POINTS[0] * BODY_POINTS[1]:
        return _with_points(BODY_POINTS, about)
    if length == MASK_COEFFICIENTS:
        return f"{length} mask coefficients follow the classes, but no output of prototypes [1, {length}, h/4, w/4]"
    return f"{length} numbers follow the classes; say `points`, or correct `classes`"


def _unnamed_points(length: int, about: Description) -> Extras | str:
    """Points of a network that has some, but does not say how many."""
    possible = [(length // values, values) for values in (3, 2) if length > 0 and length % values == 0]
    if len(possible) == 1 or BODY_POINTS in possible:
        return _with_points(BODY_POINTS if BODY_POINTS in possible else possible[0], about)
    if possible:
        shown = " or ".join(f"{count} points of {values} values" for count, values in possible)
        return f"{length} numbers follow the classes: {shown}; say which (`points`)"
    return f"{length} numbers follow the classes, which are no points of 2 or 3 values; correct `classes`"


def _with_points(points: tuple[int, int], about: Description) -> Extras | str:
    count, values = points
    if values not in (2, 3):
        return f"points have 2 or 3 values, not {values} (`points`)"
    names = names_of_points(count, about)
    return names if isinstance(names, str) else Extras(points=points, point_names=names)


def names_of_points(count: int, about: Description) -> tuple[str, ...] | str:
    """Names of ``count`` points: as described, those of a body, or numbers; or what is wrong with those described."""
    names = about.point_names
    if names is None:
        names = BODY_POINT_NAMES if count == len(BODY_POINT_NAMES) else tuple(f"point_{i}" for i in range(count))
    return names if len(names) == count else f"there are {count} points, but {len(names)} names (`point_names`)"
