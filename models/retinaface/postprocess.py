"""From raw outputs to faces in displayed pixels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...kernels import queued, ssd_priors
from ...kernels.device import device_of
from ...pipeline.packet import DETECTIONS, LANDMARKS, SKIPPED, Key, Packet
from ...pipeline.results.format import ResultKeys
from ...pipeline.stage import Stage
from ...pipeline.types.detections import Detections
from ...pipeline.types.landmarks import Landmarks
from ...stages.inference.constants import DeviceConstants
from ...stages.inference.infer import RawOutputs
from ..formats import Arrays
from ..options import PostprocessOptions
from .config import CLASS_NAMES, POINT_NAMES, RetinaFaceConfig

MIN_SCORE, NMS_IOU, MAX_DETECTIONS = 0.5, 0.4, 750
MAX_CANDIDATES = 5000
"""Rows that take part in the suppression, as in the official code."""


@lru_cache(maxsize=16)
def priors_of(config: RetinaFaceConfig, size: tuple[int, int]) -> NDArray[np.float32]:
    """Priors of an input of ``size``: float32 [N, 4], (cx, cy, w, h), normalised; read-only."""
    priors: NDArray[np.float32] = ssd_priors(size, strides=config.strides, min_sizes=config.min_sizes)
    priors.flags.writeable = False
    return priors


@dataclass(frozen=True, slots=True)
class SelectCandidates:
    """Picks the rows that score more than ``min_score`` from an engine's outputs, best first.

    Calling it gives ``index`` int64 [M] (the prior), ``scores`` float32 [M], ``loc`` float32 [M, 4] and
    ``landm`` float32 [M, 10], all owned; only these few rows leave the thread of the engine. Of outputs on a
    device they lie there, have as many rows as there may be, and ``count`` int32 [1] says how many of them count; see
    :mod:`vidgraph.kernels.queued`.
    """

    min_score: float = MIN_SCORE

    def __call__(self, outputs: Mapping[str, Any]) -> Arrays:
        conf, loc, landm = (queued.first(outputs[name]) for name in ("conf", "loc", "landm"))
        face = queued.column(conf, 1)
        index, count = queued.top_scores(face, min_score=self.min_score, limit=MAX_CANDIDATES)
        # Read before the next run of this thread writes the outputs again: on a device too, as all is on one stream.
        scores, loc, landm = queued.take_rows((face, loc, landm), index, count)
        kept: dict[str, Any] = {"index": index, "scores": scores, "loc": loc, "landm": landm}
        if count is not None:
            kept["count"] = count
        return kept


@dataclass(frozen=True)
class DecodeFaces(Stage):
    """Decode the candidates, map them to the frame, and suppress what overlaps.

    Reads ``raw``; creates the detections of ``keys`` and its landmarks, row for row the same faces, best
    first. Boxes are as the network gives them: a face at the border may reach beyond the frame.
    Frames that were dropped or that the network skips pass unchanged.

    All is computed where ``raw`` lies; from a device, nothing but the faces comes to the host, in one transfer, the
    only wait.
    """

    config: RetinaFaceConfig
    raw: Key[RawOutputs]
    keys: ResultKeys = field(default_factory=ResultKeys)
    max_iou: float = NMS_IOU
    max_detections: int = MAX_DETECTIONS
    class_names: tuple[str, ...] = CLASS_NAMES
    name: str = "decode_faces"
    constants: DeviceConstants = field(default_factory=DeviceConstants, repr=False, compare=False)

    stateless = True

    @classmethod
    def of(
        cls,
        config: RetinaFaceConfig,
        choices: PostprocessOptions,
        *,
        raw: Key[RawOutputs],
        keys: ResultKeys,
        stage_name: str,
    ) -> DecodeFaces:
        """For the variant ``config`` with the caller's choices."""
        most = MAX_DETECTIONS if choices.max_detections is None else choices.max_detections
        return cls(
            config,
            raw,
            keys,
            max_iou=NMS_IOU if choices.nms_iou is None else choices.nms_iou,
            max_detections=most if choices.classes is None or 0 in choices.classes else 0,
            class_names=choices.labels or CLASS_NAMES,
            name=stage_name,
        )

    @property
    def reads(self) -> frozenset[Key[RawOutputs]]:
        """What is kept of the network's outputs."""
        return frozenset({self.raw})

    @property
    def creates(self) -> frozenset[Key[Any]]:
        """Faces and their points."""
        return frozenset({self.keys.to(DETECTIONS), self.keys.to(LANDMARKS)})

    def process(self, packet: Packet) -> Iterable[Packet]:
        """Add the faces."""
        if packet.drop_cause is not None or packet.get(SKIPPED):
            return (packet,)
        detections, landmarks = self.decode(packet[self.raw])
        packet = packet.without(self.raw)
        return (packet.with_item(self.keys.to(DETECTIONS), detections).with_item(self.keys.to(LANDMARKS), landmarks),)

    def decode(self, raw: RawOutputs) -> tuple[Detections, Landmarks]:
        """Faces and points of one frame from what :class:`SelectCandidates` kept."""
        boxes, points = self._in_frame(raw)
        scores, count = raw.arrays["scores"], raw.arrays.get("count")
        # Suppression is in frame pixels, because the legacy rule adds one pixel of that unit.
        rows, count = queued.nms(
            boxes, scores, max_iou=self.max_iou, legacy=True, limit=self.max_detections, count=count
        )
        boxes, points, scores = queued.fetch(queued.take_rows((boxes, points, scores), rows, count), count)
        faces = len(boxes)
        detections = Detections(boxes, scores, np.zeros(faces, np.int32), self.class_names)
        landmarks = Landmarks(
            points,
            np.ones((faces, len(POINT_NAMES)), np.float32),
            boxes,
            POINT_NAMES,
            np.arange(faces, dtype=np.int32),
            np.full(faces, -1, np.int32),
        )
        return detections, landmarks

    def _in_frame(self, raw: RawOutputs) -> tuple[Any, Any]:
        """Boxes float32 [M, 4] and points float32 [M, 5, 2] of the candidates, in displayed pixels."""
        arrays, variances = raw.arrays, self.config.variances
        priors = self.constants.on(device_of(arrays["loc"]), raw.size, priors_of(self.config, raw.size))
        rows, count = arrays["index"], arrays.get("count")
        to_frame = (float(raw.size[1]), float(raw.size[0])), raw.affine.scale, raw.affine.offset
        boxes = queued.decode_boxes(arrays["loc"], priors, rows, variances=variances, to_frame=to_frame, count=count)
        points = queued.decode_points(
            arrays["landm"], priors, rows, variance=variances[0], to_frame=to_frame, count=count
        )
        return boxes, points
