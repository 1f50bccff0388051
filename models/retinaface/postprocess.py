"""From raw outputs to faces in displayed pixels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...kernels import decode_boxes, decode_points, nms, ssd_priors, top_scores
from ...pipeline.packet import DETECTIONS, LANDMARKS, SKIPPED, Key, Packet
from ...pipeline.results.format import ResultKeys
from ...pipeline.stage import Stage
from ...pipeline.types.detections import Detections
from ...pipeline.types.landmarks import Landmarks
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
    ``landm`` float32 [M, 10], all owned; only these few rows leave the thread of the engine.
    """

    min_score: float = MIN_SCORE

    def __call__(self, outputs: Mapping[str, NDArray[Any]]) -> Arrays:
        face = np.ascontiguousarray(outputs["conf"][0, :, 1])
        index = top_scores(face, min_score=self.min_score, limit=MAX_CANDIDATES)
        loc, landm = (outputs[name][0][index] for name in ("loc", "landm"))
        return {"index": index, "scores": face[index], "loc": loc, "landm": landm}


@dataclass(frozen=True)
class DecodeFaces(Stage):
    """Decode the candidates, map them to the frame, and suppress what overlaps.

    Reads ``raw``; creates the detections of ``keys`` and its landmarks, row for row the same faces, best
    first. Boxes are as the network gives them: a face at the border may reach beyond the frame.
    Frames that were dropped or that the network skips pass unchanged.
    """

    config: RetinaFaceConfig
    raw: Key[RawOutputs]
    keys: ResultKeys = field(default_factory=ResultKeys)
    max_iou: float = NMS_IOU
    max_detections: int = MAX_DETECTIONS
    class_names: tuple[str, ...] = CLASS_NAMES
    name: str = "decode_faces"

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
        scores = raw.arrays["scores"]
        # Suppression is in frame pixels, because the legacy rule adds one pixel of that unit.
        rows = nms(boxes, scores, max_iou=self.max_iou, legacy=True)[: self.max_detections]
        boxes, points, scores = boxes[rows], points[rows], scores[rows]
        count = len(rows)
        detections = Detections(boxes, scores, np.zeros(count, np.int32), self.class_names)
        landmarks = Landmarks(
            points,
            np.ones((count, len(POINT_NAMES)), np.float32),
            boxes,
            POINT_NAMES,
            np.arange(count, dtype=np.int32),
            np.full(count, -1, np.int32),
        )
        return detections, landmarks

    def _in_frame(self, raw: RawOutputs) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Boxes float32 [M, 4] and points float32 [M, 5, 2] of the candidates, in displayed pixels."""
        height, width = raw.size
        priors = priors_of(self.config, raw.size)[raw.arrays["index"]]
        boxes = decode_boxes(raw.arrays["loc"], priors, variances=self.config.variances)
        deltas = raw.arrays["landm"].reshape(-1, len(POINT_NAMES), 2)
        points = decode_points(deltas, priors, variance=self.config.variances[0])
        model_size = np.array((width, height), np.float32)
        return raw.affine.boxes(boxes * np.tile(model_size, 2)), raw.affine.points(points * model_size)
