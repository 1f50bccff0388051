"""YOLOX as its authors export it: rows of a box that is not decoded, objectness and scores.

Nothing in such an output tells it from one whose boxes are decoded, which is for head ``yolo``; the end of the graph
does.

Source: Ge et al., YOLOX, 2021; its exporter's layout and its demonstration's thresholds.
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
from .yolo_rows import how_left

LAYOUT = Layout(
    strides=(8, 16, 32),
    outputs=(("boxes", "objectness", "scores"),),
    joined=True,
    box="exponential",
    score="product",
)


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """The head where the graph shows, or it is said, that boxes are not decoded; see :mod:`..head`."""
    if len(outputs) != 1 or (about.head != "yolox" and how_left(outputs[0], about, size) != "yolox"):
        return None
    layout = replace(LAYOUT, classes=max(0, outputs[0].shape[-1] - 5) if outputs[0].shape else 0)
    return fit_cells("yolox", (layout,), outputs, about, size)
