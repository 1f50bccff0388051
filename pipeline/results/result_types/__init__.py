"""The types of results: what a model finds, from the key in a packet to the file that is read back."""

from __future__ import annotations

from typing import Any

from ...packet import Key
from .base import ResultType
from .depth import DepthResults
from .detections import DetectionResults
from .embedding import EmbeddingResults
from .landmarks import LandmarkResults
from .matte import MatteResults
from .panoptic import PanopticResults
from .picture import PictureResults
from .tensors import TensorResults

RESULT_TYPES: dict[Key[Any], ResultType[Any]] = {
    row.key: row
    for row in (
        DetectionResults(),
        LandmarkResults(),
        PanopticResults(),
        TensorResults(),
        DepthResults(),
        PictureResults(),
        MatteResults(),
        EmbeddingResults(),
    )
}
"""One row for each type, by its key; lines and messages have them in this order."""
