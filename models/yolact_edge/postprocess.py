"""From raw outputs to instances with masks in displayed pixels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from ...kernels import (
    assemble_masks,
    confident_rows,
    cross_class_fast_nms,
    decode_boxes,
    expected_mask_iou,
    fast_nms,
    traditional_nms,
)
from ...pipeline.errors import UsageError
from ...pipeline.packet import DETECTIONS, SKIPPED, Key, Packet
from ...pipeline.results.format import ResultKeys
from ...pipeline.stage import Stage
from ...pipeline.types.detections import Detections
from ...pipeline.types.masks import Masks
from ...pipeline.types.picture import Size
from ...stages.inference.infer import RawOutputs
from ..formats import Arrays
from ..options import PostprocessOptions
from .config import VARIANCES, YolactConfig
from .priors import priors_of

Nms = Literal["fast", "cross-class", "traditional"]

MIN_SCORE, NMS_IOU, MAX_DETECTIONS = 0.15, 0.5, 100
"""Of results; the official code's demonstrations use this score, its evaluation 0."""
MIN_CONFIDENCE = 0.05
"""A row whose best class is not above this is background, whatever ``min_score``, as in the official code."""
TOP_K = 200
"""Boxes per class (cross-class: in all) that take part in a fast suppression, as in the official code."""


@dataclass(frozen=True, slots=True)
class SelectRows:
    """Picks the rows in which some class scores more than ``min_score`` from an engine's outputs.

    Rows that score less could only suppress rows that score less still, so that leaving them out changes no
    result above ``min_score``. Calling it gives ``index`` int64 [K] (the prior, ascending), ``scores`` float32
    [K, classes], ``loc`` float32 [K, 4], ``coeff`` float32 [K, 32] and ``proto`` float32 [Hp, Wp, 32] (32 or what the
    variant has), all owned.
    """

    min_score: float = MIN_CONFIDENCE

    def __call__(self, outputs: Mapping[str, NDArray[Any]]) -> Arrays:
        logits = outputs["logits"][0]
        index, scores = confident_rows(logits, min_score=self.min_score, limit=len(logits))
        loc, coeff = (outputs[name][0][index] for name in ("loc", "coeff"))
        return {"index": index, "scores": scores, "loc": loc, "coeff": coeff, "proto": outputs["proto"][0].copy()}


@dataclass(frozen=True)
class DecodeInstances(Stage):
    """Decode the rows, suppress what overlaps, and assemble the masks of what is left.

    Reads ``raw``; creates the detections of ``keys``, best first. Boxes are as the official code gives them: clipped
    to the frame and rounded down to whole pixels (in float32, as all boxes are). A mask may reach some
    pixels beyond its box, and may be empty. Frames that were dropped or that the network skips pass unchanged.

    Attributes:
        config: the variant, with the classes of the weights.
        raw: what :class:`SelectRows` kept.
        keys: where results go.
        nms: ``fast`` and ``cross-class`` let suppressed boxes suppress others too; ``traditional`` is greedy, by class.
        min_score: detections score more than this, in [0, 1].
        max_iou: boxes that overlap a better one by more than this are dropped (``traditional``: this or more).
        max_detections: best rows that are kept; None: 100, ``cross-class`` 200.
        classes: numbers of the classes to keep; None: all.
        class_names: in results.
    """

    config: YolactConfig
    raw: Key[RawOutputs]
    keys: ResultKeys = field(default_factory=ResultKeys)
    nms: Nms = "fast"
    min_score: float = MIN_SCORE
    max_iou: float = NMS_IOU
    max_detections: int | None = None
    classes: tuple[int, ...] | None = None
    class_names: tuple[str, ...] = ()
    name: str = "decode_instances"

    stateless = True

    @classmethod
    def of(
        cls,
        config: YolactConfig,
        choices: PostprocessOptions,
        *,
        raw: Key[RawOutputs],
        keys: ResultKeys,
        stage_name: str,
    ) -> DecodeInstances:
        """For the variant ``config`` with the caller's choices.

        Raises:
            UsageError: there is no such suppression.
        """
        nms = choices.nms or "fast"
        if nms not in get_args(Nms):
            raise UsageError(f"unknown suppression {nms!r}; known: {', '.join(get_args(Nms))}")
        return cls(
            config,
            raw,
            keys,
            cast("Nms", nms),
            MIN_SCORE if choices.min_score is None else choices.min_score,
            NMS_IOU if choices.nms_iou is None else choices.nms_iou,
            choices.max_detections,
            choices.classes,
            choices.labels or config.class_names,
            stage_name,
        )

    @property
    def reads(self) -> frozenset[Key[RawOutputs]]:
        """What is kept of the network's outputs."""
        return frozenset({self.raw})

    @property
    def creates(self) -> frozenset[Key[Any]]:
        """Instances."""
        return frozenset({self.keys.to(DETECTIONS)})

    def process(self, packet: Packet) -> Iterable[Packet]:
        """Add the instances."""
        if packet.drop_cause is not None or packet.get(SKIPPED):
            return (packet,)
        picture = packet.frame.picture
        detections = self.decode(packet[self.raw], (picture.height, picture.width))
        return (packet.without(self.raw).with_item(self.keys.to(DETECTIONS), detections),)

    def decode(self, raw: RawOutputs, frame: Size) -> Detections:
        """Instances in a frame of (height, width) ``frame`` from what :class:`SelectRows` kept."""
        boxes = relative_boxes(self.config, raw)
        rows, class_ids, scores = self.suppress(boxes, raw.arrays["scores"], raw.size)
        boxes, coeff, proto = boxes[rows], raw.arrays["coeff"][rows], raw.arrays["proto"]
        if self.config.mask_scores:
            scores = scores * expected_mask_iou(proto, coeff, boxes)
            order = np.argsort(-scores, kind="stable")
            order = order[scores[order] > self.min_score]
            boxes, coeff, class_ids, scores = boxes[order], coeff[order], class_ids[order], scores[order]
        masks = assemble_masks(proto, coeff, boxes, size=frame)
        names = self.class_names or self.config.class_names
        return Detections(frame_boxes(boxes, frame), scores, class_ids, names, Masks(*masks, frame))

    def suppress(
        self, boxes: NDArray[np.float32], scores: NDArray[np.float32], size: Size
    ) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
        """Rows, classes and scores of the detections, best first; the scores are those of the classes alone.

        Args:
            boxes: float32 [K, 4], relative to the network's input.
            scores: float32 [K, classes].
            size: (height, width) of the network's input.
        """
        limit = self.max_detections or (TOP_K if self.nms == "cross-class" else MAX_DETECTIONS)
        if self.nms == "cross-class":
            rows, class_ids, best = cross_class_fast_nms(
                boxes, scores, max_iou=self.max_iou, top_k=TOP_K, min_score=self.min_score
            )
            wanted = np.flatnonzero(np.isin(class_ids, self.classes) if self.classes is not None else class_ids >= 0)
            wanted = wanted[:limit]
            return rows[wanted], class_ids[wanted], best[wanted]
        columns = None if self.classes is None else np.array(self.classes, np.int32)
        if columns is not None:
            scores = np.ascontiguousarray(scores[:, columns])
        if self.nms == "fast":
            rows, class_ids, best = fast_nms(
                boxes, scores, max_iou=self.max_iou, top_k=TOP_K, limit=limit, min_score=self.min_score
            )
        else:
            floor = max(MIN_CONFIDENCE, self.min_score)
            rows, class_ids, best = traditional_nms(
                boxes, scores, max_iou=self.max_iou, limit=limit, min_score=floor, size=size
            )
        return rows, class_ids if columns is None else columns[class_ids], best


def relative_boxes(config: YolactConfig, raw: RawOutputs) -> NDArray[np.float32]:
    """Boxes of all rows, float32 [K, 4], (x1, y1, x2, y2) relative to the input (and so to the frame), not clipped."""
    return decode_boxes(raw.arrays["loc"], priors_of(config, raw.size)[raw.arrays["index"]], variances=VARIANCES)


def frame_boxes(boxes: NDArray[np.float32], frame: Size) -> NDArray[np.float32]:
    """Relative boxes [N, 4] in pixels of a frame of (height, width): corners in order, clipped, rounded down."""
    corners = boxes.reshape(-1, 2, 2)
    ordered = np.stack([corners.min(axis=1), corners.max(axis=1)], axis=1)
    extent = np.array(frame[::-1], np.float32)
    inside: NDArray[np.float32] = np.floor(np.clip(ordered * extent, 0, extent))
    return inside.reshape(-1, 4)
