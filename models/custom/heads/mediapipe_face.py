"""MediaPipe's detector of near faces (BlazeFace), with six points.

Source: Bazarevsky et al., BlazeFace, 2019; MediaPipe's graph of its short range model.
"""

from __future__ import annotations

from collections.abc import Sequence

from ....engines.spec import TensorSpec
from ....pipeline.types.picture import Size
from ..description import Description
from ..head import Head
from .cell_outputs import fit_cells
from .cells import Layout

POINTS = ("left_eye", "right_eye", "nose", "mouth", "left_ear", "right_ear")
"""In its order; left and right as seen in the picture, as those of all faces here."""
LAYOUT = Layout(
    strides=(8, 16),
    anchors=(2, 6),
    outputs=(("boxes", "points"), ("scores",)),
    joined=True,
    origin=0.5,
    box="linear",
    in_strides=False,
    score="sigmoid",
    classes=1,
    points=POINTS,
    min_score=0.5,
    max_iou=0.3,
)


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """The head for an output of 16 numbers a row and one of a score; see :mod:`..head`."""
    return fit_cells("mediapipe-face", (LAYOUT,), outputs, about, size)
