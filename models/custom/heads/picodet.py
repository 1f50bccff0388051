"""PicoDet exported without its post-processing: scores and distances of each of four maps.

Source: Yu et al., PP-PicoDet, 2021; PaddleDetection's export of its head, and its thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence

from ....engines.spec import TensorSpec
from ....pipeline.types.picture import Size
from ..description import Description
from ..head import Head
from .cell_outputs import fit_cells
from .cells import Layout

LAYOUT = Layout(
    strides=(8, 16, 32, 64),
    outputs=(("scores",), ("boxes",)),
    origin=0.5,
    box="bins",
    bins=8,
    score="given",
    several=True,
    min_score=0.4,
    max_iou=0.6,
    limit=100,
)


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """The head for two outputs a map; see :mod:`..head`."""
    return fit_cells("picodet", (LAYOUT,), outputs, about, size)
