"""Detectors of Detectron2 as they are traced: boxes [N, 4], classes and scores [N], and masks that are pasted.

Classes count from 0; boxes are in pixels of the input.

Source: the layout of the instances that Detectron2's tracing adapter gives.
"""

from __future__ import annotations

from collections.abc import Sequence

from ....engines.spec import TensorSpec
from ....pipeline.types.picture import Size
from ..description import Description
from ..head import Head
from .boxes import GivenBoxes
from .instances import GivenMasks, covers_box
from .torchvision import unbatched


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """A head for boxes, classes and scores of N rows, and small masks [N, 1, h, w]; see :mod:`..head`."""
    found = unbatched(outputs, about, kind="detectron2", first_class=1 if about.background == "first" else 0)
    if found is None:
        return None
    known, masks = found
    if masks is not None:
        return GivenMasks(**known, masks=masks.name, pasted=True) if covers_box(masks, size) else None
    return GivenBoxes(**known) if about.head == "detectron2" else None
