"""NanoDet and NanoDet-Plus: scores, and the distances to the sides of a box as distributions.

NanoDet measures from the middle of a cell, on three maps; NanoDet-Plus from its corner, on four. Both give one output
of scores and distances; older exports of NanoDet give two a map.

Source: github.com/RangiLyu/nanodet, its heads' exports and thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ....engines.spec import TensorSpec
from ....pipeline.types.picture import Size
from ..description import Description
from ..head import Head
from .cell_outputs import fit_cells
from .cells import Layout
from .yolo_rows import end_of, how_left, shown

BINS = 8
"""Logits of a distance in most of its networks; the others have 11."""
MAPS = Layout(
    strides=(8, 16, 32),
    outputs=(("scores",), ("boxes",)),
    origin=0.5,
    box="bins",
    bins=BINS,
    score="given",
    several=True,
    max_iou=0.6,
    limit=100,
)
ROWS = replace(MAPS, outputs=(("scores", "boxes"),), joined=True)
PLUS = replace(ROWS, strides=(8, 16, 32, 64), origin=0.0)


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """A head for two outputs a map, or for one whose columns are known; see :mod:`..head`."""
    if len(outputs) > 1:
        return fit_cells("nanodet", (MAPS,), outputs, about, size)
    spec = outputs[0]
    if len(spec.shape) != 3 or spec.shape[0] != 1 or spec.dtype.kind != "f":
        return None
    found = _columns(spec, about, size)
    if found is None:
        wanted = f"{shown(spec)} is scores and distances: name the `classes`, which leave 4 x 8 or 4 x 11 numbers"
        return wanted if about.head == "nanodet" else None
    layouts = [replace(layout, classes=found[0], bins=found[1]) for layout in (ROWS, PLUS)]
    return fit_cells("nanodet", layouts, outputs, about, size)


def _columns(spec: TensorSpec, about: Description, size: Size) -> tuple[int, int] | None:
    """Classes, and logits of a distance: as the graph ends, else as classes are named; None: not known, or no such."""
    if how_left(spec, about, size) == "nanodet":
        (_, classes), (_, distances) = end_of(spec, about).columns
        return classes, distances // 4
    if about.classes is None or about.objectness is not None or about.points is not None:
        return None
    bins, left = divmod(spec.shape[2] - len(about.classes), 4)
    return (len(about.classes), bins) if left == 0 and bins in (BINS, 11) else None
