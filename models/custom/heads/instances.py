"""Finished rows with a mask or points each, as the exporters of whole detectors give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....engines.spec import TensorSpec
from ....pipeline.packet import DETECTIONS, LANDMARKS, Key
from ....pipeline.types.landmarks import Landmarks
from ....pipeline.types.picture import Size
from ....stages.inference.infer import RawOutputs
from ...formats import Arrays
from ...options import PostprocessOptions
from ..description import Description
from ..head import Found, check_finite
from .boxes import Floats, GivenBoxes, output_of
from .map_masks import masks_of_boxes, masks_of_input

MASK_THRESHOLD = float(np.nextafter(np.float32(0.5), np.float32(0)))
"""Probabilities of pixels of a mask are above it: 0.5 is one, as in the code of Mask R-CNN."""
Columns = tuple[Floats, NDArray[np.int64], Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenMasks(GivenBoxes):
    """Rows with a mask.

    Attributes:
        masks: name of the output: [.., N, .., h, w], probabilities or truths.
        pasted: they cover their boxes; else the whole input.
    """

    masks: str
    pasted: bool
    task: str = "instances with masks"

    @property
    def reads(self) -> frozenset[str]:
        """Labels, scores, boxes and masks."""
        return frozenset({self.labels, self.scores, self.boxes, self.masks})

    def more(self, outputs: Mapping[str, NDArray[Any]], rows: NDArray[np.int64]) -> Arrays:
        """Their masks."""
        masks = outputs[self.masks]
        maps = masks.reshape(-1, *masks.shape[-2:])[rows].astype(np.float32)
        if len(rows) and not np.isfinite(maps).any():
            check_finite(self.masks, masks)
        return {"masks": maps}

    def decode(self, raw: RawOutputs, frame: Size, choices: PostprocessOptions, names: tuple[str, ...]) -> Found:
        """Detections, best first, with masks, which are not cut to their boxes unless they are pasted.

        Raises:
            EngineError: a label beyond the classes that are named.
        """
        found, rows = self.detections(raw, frame, choices, names)
        maps = raw.arrays["masks"][rows]
        if self.pasted:
            whole = self.form.in_frame(raw.arrays["boxes"][rows], raw)
            masks = masks_of_boxes(maps, whole, frame, MASK_THRESHOLD)
        else:
            masks = masks_of_input(maps, raw, frame, MASK_THRESHOLD)
        return {DETECTIONS: replace(found, masks=masks)}


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenDets(GivenBoxes):
    """Rows whose box and score are in one output float32 [1, N, 5], which both names are of.

    Attributes:
        one_class: there are no labels, whose name is that of the rows; all are of class 0.
    """

    one_class: bool = False

    def columns(self, outputs: Mapping[str, NDArray[Any]]) -> Columns:
        """As of :class:`GivenBoxes`."""
        return _of_dets(outputs[self.boxes], None if self.one_class else outputs[self.labels])


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedDets(GivenMasks):
    """The same with masks."""

    def columns(self, outputs: Mapping[str, NDArray[Any]]) -> Columns:
        """As of :class:`GivenBoxes`."""
        return _of_dets(outputs[self.boxes], outputs[self.labels])


@dataclass(frozen=True, slots=True, kw_only=True)
class PointDets(GivenDets):
    """The same with points.

    Attributes:
        points: name of the output, float32 [1, N, K, 3]: x, y in pixels of the input, score.
        point_names: K names.
    """

    points: str
    point_names: tuple[str, ...]
    task: str = "objects with points"
    gives: tuple[Key[Any], ...] = (DETECTIONS, LANDMARKS)

    @property
    def reads(self) -> frozenset[str]:
        """Labels, rows and points."""
        return frozenset({self.labels, self.boxes, self.points})

    def more(self, outputs: Mapping[str, NDArray[Any]], rows: NDArray[np.int64]) -> Arrays:
        """Their points."""
        points = outputs[self.points][0][rows]
        if len(rows) and not np.isfinite(points).any():
            check_finite(self.points, outputs[self.points])
        return {"points": points}

    def decode(self, raw: RawOutputs, frame: Size, choices: PostprocessOptions, names: tuple[str, ...]) -> Found:
        """Detections, best first, with the points of those that have all of them; they may lie outside of the frame.

        Raises:
            EngineError: a label beyond the classes that are named.
        """
        found, rows = self.detections(raw, frame, choices, names)
        table = raw.arrays["points"][rows]
        owners = np.flatnonzero(np.isfinite(table).all(axis=(1, 2))).astype(np.int32)
        points, scores = raw.affine.points(table[owners][..., :2]), np.clip(table[owners][..., 2], 0, 1)
        nobody = np.full_like(owners, -1)
        marks = Landmarks(points, scores, found.boxes[owners], self.point_names, owners, nobody)
        return {DETECTIONS: found, LANDMARKS: marks}


def _of_dets(dets: Floats, labels: NDArray[np.int64] | None) -> Columns:
    table = dets[0]
    ids = np.zeros(len(table), np.int64) if labels is None else labels.reshape(-1)
    return np.ascontiguousarray(table[:, 4]), ids, table[:, :4]


def dets_among(outputs: Sequence[TensorSpec], about: Description) -> TensorSpec | None:
    """The output ``dets`` [1, N, 5] of boxes and scores, or the one of its role ``predictions``."""
    dets = output_of(outputs, about, "predictions", ("dets",))
    if dets is None or len(dets.shape) != 3 or dets.shape[0] != 1 or dets.shape[2] != 5 or dets.dtype.kind != "f":
        return None
    return dets


def covers_box(masks: TensorSpec, size: Size) -> bool:
    """Whether masks are small squares that are pasted into boxes, and not as large as the input of ``size``."""
    return masks.shape[-2:] != size and masks.shape[-1] == masks.shape[-2] < min(size)
