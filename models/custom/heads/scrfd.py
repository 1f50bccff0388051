"""SCRFD: faces by the distances to the sides of their boxes, with five points perhaps.

Source: Guo et al., SCRFD, ICLR 2022; InsightFace's exports, of three maps with two boxes a cell or five with one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ....engines.spec import TensorSpec
from ....pipeline.ground_truth import FACE_POINTS
from ....pipeline.types.picture import Size
from ..description import Description
from ..head import Head
from .cell_outputs import fit_cells
from .cells import Layout

THREE = Layout(
    strides=(8, 16, 32),
    anchors=(2, 2, 2),
    outputs=(("scores",), ("boxes",)),
    box="distances",
    score="given",
    classes=1,
    min_score=0.5,
    max_iou=0.4,
)
FIVE = replace(THREE, strides=(8, 16, 32, 64, 128), anchors=(1, 1, 1, 1, 1))
LAYOUTS = (
    THREE,
    FIVE,
    *(replace(each, outputs=(*each.outputs, ("points",)), points=FACE_POINTS) for each in (THREE, FIVE)),
)


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """The head for 6, 9, 10 or 15 outputs; see :mod:`..head`."""
    return fit_cells("scrfd", LAYOUTS, outputs, about, size)
