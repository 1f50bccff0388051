"""YuNet: faces with five points, of which two numbers tell how sure they are.

Source: Wu et al., YuNet, Machine Intelligence Research 2023; libfacedetection's export and OpenCV's decoding.
"""

from __future__ import annotations

from collections.abc import Sequence

from ....engines.spec import TensorSpec
from ....pipeline.ground_truth import FACE_POINTS
from ....pipeline.types.picture import Size
from ..description import Description
from ..head import Head
from .cell_outputs import fit_cells
from .cells import Layout

LAYOUT = Layout(
    strides=(8, 16, 32),
    outputs=(("scores",), ("objectness",), ("boxes",), ("points",)),
    box="exponential",
    score="root",
    classes=1,
    points=FACE_POINTS,
    min_score=0.6,
    max_iou=0.3,
)


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """The head for four outputs a map; see :mod:`..head`."""
    return fit_cells("yunet", (LAYOUT,), outputs, about, size)
