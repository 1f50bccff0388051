"""Which outputs of a network are those of a layout of :mod:`.cells`: by their numbers of rows and columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from ....engines.spec import TensorSpec
from ....pipeline.types.picture import Size
from ..description import Description
from .boxes import Floats, wrong_count
from .cells import CellsHead, Columns, Group, Layout
from .yolo_rows import Extras, end_of, shown

BOX = 4
_NAMES = {
    "boxes": ("bbox", "box", "reg", "dis", "loc"),
    "objectness": ("obj", "iou"),
    "scores": ("cls", "score", "conf", "prob"),
    "points": ("kps", "landm", "point"),
}
"""What names of outputs have in them, which count where rows and columns leave several ways."""


@dataclass(frozen=True, slots=True)
class _Way:
    """One way of reading a group: the outputs in the order of the layout, and what that makes of open numbers."""

    outputs: tuple[TensorSpec, ...]
    classes: int
    bins: int
    named: int


def fit_cells(
    kind: str, layouts: Sequence[Layout], outputs: Sequence[TensorSpec], about: Description, size: Size
) -> CellsHead | str | None:
    """The head of the one of ``layouts`` that all ``outputs`` are of, what is wrong, or None.

    Args:
        kind: of the head; where the description names it, it is said what was wanted.
        layouts: that are tried.
        outputs, about, size: as for ``fit``, see :mod:`..head`.
    """
    answers = [_fitting(kind, layout, outputs, about, size) for layout in layouts]
    heads = [answer for answer in answers if isinstance(answer, CellsHead)]
    if len(heads) == 1:
        return heads[0]
    problem = next((answer for answer in answers if isinstance(answer, str)), None)
    return problem or (_wanted(layouts, size) if about.head == kind else None)


def _fitting(
    kind: str, layout: Layout, outputs: Sequence[TensorSpec], about: Description, size: Size
) -> CellsHead | str | None:
    cells = layout.maps(size)
    groups = [np.concatenate(cells)] if layout.joined else cells
    if len(outputs) != len(groups) * len(layout.outputs):
        return None
    found = [list(_ways(layout, rows, outputs)) for rows in groups]
    counts = set.intersection(*({(way.classes, way.bins) for way in ways} for ways in found))
    if not counts:
        return None
    named = len(about.classes or ())
    counts = {each for each in counts if each[0] == named} or counts
    counts = {each for each in counts if each[1] == layout.bins} or counts
    if len(counts) > 1:
        read = " or ".join(f"{classes} classes" for classes, _ in sorted(counts))
        return f"{shown(outputs[0])} and the others may be of {read}; name the `classes`"
    chosen = [max((way for way in ways if (way.classes, way.bins) in counts), key=_named) for ways in found]
    if len({spec.name for way in chosen for spec in way.outputs}) != len(outputs):
        return None
    return _made(kind, layout, [way.outputs for way in chosen], groups, chosen[0].classes, about)


def _named(way: _Way) -> int:
    return way.named


def _ways(layout: Layout, cells: Floats, outputs: Sequence[TensorSpec]) -> Iterator[_Way]:
    """All ways of reading the outputs that have the rows of ``cells`` as one group."""
    alike = [spec for spec in outputs if _rows(spec) == len(cells) and spec.dtype.kind == "f"]
    if len(alike) > len(layout.outputs):
        return
    for order in permutations(alike, len(layout.outputs)):
        numbers = _numbers(layout, order)
        if numbers is None:
            continue
        hints = sum(
            any(hint in spec.name.lower() for part in parts for hint in _NAMES[part])
            for spec, parts in zip(order, layout.outputs, strict=True)
        )
        yield _Way(order, *numbers, hints)


def _rows(spec: TensorSpec) -> int:
    """Of [1, A, columns] or [A, columns]; -1 of others."""
    return spec.shape[-2] if len(spec.shape) == 2 or (len(spec.shape) == 3 and spec.shape[0] == 1) else -1


def _numbers(layout: Layout, order: Sequence[TensorSpec]) -> tuple[int, int] | None:
    """How many classes, and logits of a distance, the columns of outputs make; None where they do not fit."""
    classes, bins = layout.classes, None if layout.box == "bins" else 1
    for spec, parts in zip(order, layout.outputs, strict=True):
        left = spec.shape[-1] - ("objectness" in parts) - 2 * len(layout.points) * ("points" in parts)
        if "scores" in parts:
            if classes is None:
                classes = left - BOX * layout.bins * ("boxes" in parts)
            left -= classes
        if "boxes" in parts:
            if bins is None:
                bins = left // BOX
            left -= BOX * bins
        if left:
            return None
    if classes is None or classes < 1 or bins is None or (layout.box == "bins" and bins < 2):
        return None
    return classes, bins


def _made(
    kind: str,
    layout: Layout,
    outputs: Sequence[Sequence[TensorSpec]],
    groups: Sequence[Floats],
    classes: int,
    about: Description,
) -> CellsHead | str:
    """The head of a layout on the outputs of each group, in the order of the layout."""
    if about.scores == "softmax":
        return f"{shown(outputs[0][0])} has scores of their own for each class, not a softmax over them (`scores`)"
    at = next(place for place, of_output in enumerate(layout.outputs) if "scores" in of_output)
    problem = wrong_count(outputs[0][at], classes, about)
    if problem is not None:
        return problem
    names = about.point_names or layout.points
    if len(names) != len(layout.points):
        return f"there are {len(layout.points)} points, but {len(names)} names (`point_names`)"
    parts = [
        Group(
            {
                part: (spec.name, columns)
                for spec, of_output in zip(order, layout.outputs, strict=True)
                for part, columns in _columns(layout, of_output, spec.shape[-1], classes).items()
            },
            cells,
        )
        for order, cells in zip(outputs, groups, strict=True)
    ]
    logits = _are_logits(layout, outputs[0][at], about)
    extras = Extras(points=(len(names), 2), point_names=names) if names else Extras()
    return CellsHead(kind, layout, tuple(parts), classes, logits, extras)


def _are_logits(layout: Layout, spec: TensorSpec, about: Description) -> bool:
    """Whether scores still need their sigmoid: as is said, as the graph ends, or as is usual."""
    if about.scores is not None:
        return about.scores == "sigmoid"
    columns = end_of(spec, about).columns
    return columns[0][0] == "" if len(columns) == 1 else layout.score == "sigmoid"


def _columns(layout: Layout, parts: Columns, width: int, classes: int) -> dict[str, slice]:
    """Where the parts of one output of ``width`` columns are."""
    lengths = {"objectness": 1, "scores": classes, "points": 2 * len(layout.points)}
    lengths["boxes"] = width - sum(lengths[part] for part in parts if part != "boxes")
    found, first = {}, 0
    for part in parts:
        found[part] = slice(first, first + lengths[part])
        first += lengths[part]
    return found


def _wanted(layouts: Sequence[Layout], size: Size) -> str:
    """What a layout's outputs must be for an input of ``size``, for people."""
    said = []
    for layout in layouts:
        rows = [len(cells) for cells in layout.maps(size)]
        rows = [sum(rows)] if layout.joined else rows
        counts = ", ".join(map(str, rows))
        each = "" if layout.joined else f", {len(layout.outputs)} outputs a map"
        said.append(f"{counts} rows (strides {', '.join(map(str, layout.strides))}{each})")
    return f"for an input of {size[1]}x{size[0]} it must have {' or '.join(said)}"
