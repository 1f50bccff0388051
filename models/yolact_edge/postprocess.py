"""From raw outputs to instances with masks in displayed pixels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from ...kernels import queued
from ...kernels.device import device_of
from ...pipeline.errors import UsageError
from ...pipeline.packet import DETECTIONS, SKIPPED, Key, Packet
from ...pipeline.results.format import ResultKeys
from ...pipeline.stage import Stage
from ...pipeline.types.detections import Detections
from ...pipeline.types.masks import Masks
from ...pipeline.types.picture import Size
from ...stages.inference.constants import DeviceConstants
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
    variant has), all owned. Of outputs on a device they lie there, have as many rows as the network, and ``count``
    int32 [1] says how many of them count; see :mod:`vidgraph.kernels.queued`.
    """

    min_score: float = MIN_CONFIDENCE

    def __call__(self, outputs: Mapping[str, Any]) -> Arrays:
        logits, loc, coeff, proto = (queued.first(outputs[name]) for name in ("logits", "loc", "coeff", "proto"))
        index, scores, count = queued.confident_rows(logits, min_score=self.min_score, limit=len(logits))
        loc, coeff = queued.take_rows((loc, coeff), index, count)
        # The outputs are written again by the next run of this thread. On a device, what is queued here is done before,
        # as all is on one stream, and needs no wait. Later stages may queue their work behind that run, so they get
        # nothing but copies, the prototypes too: a copy on the card takes microseconds.
        kept: dict[str, Any] = {"index": index, "scores": scores, "loc": loc, "coeff": coeff, "proto": proto.copy()}
        if count is not None:
            kept["count"] = count
        return kept


@dataclass(frozen=True)
class DecodeInstances(Stage):
    """Decode the rows, suppress what overlaps, and assemble the masks of what is left.

    Reads ``raw``; creates the detections of ``keys``, best first. Boxes are as the official code gives them: clipped
    to the frame and rounded down to whole pixels (in float32, as all boxes are). A mask may reach some
    pixels beyond its box, and may be empty. Frames that were dropped or that the network skips pass unchanged.

    All is computed where ``raw`` lies. From a device, nothing but the instances comes to the host, in one transfer, the
    only wait; where the masks of a frame are large, in two.

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
    constants: DeviceConstants = field(default_factory=DeviceConstants, repr=False, compare=False)

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
        arrays, proto = raw.arrays, raw.arrays["proto"]
        boxes = self.relative_boxes(raw)
        rows, class_ids, scores, count = self.suppress(boxes, arrays["scores"], raw.size, arrays.get("count"))
        boxes, coeff = queued.take_rows((boxes, arrays["coeff"]), rows, count)
        if self.config.mask_scores:
            scores = queued.scores_of_masks(scores, proto, coeff, boxes, count)
            order, count = queued.top_scores(scores, min_score=self.min_score, limit=len(scores), count=count)
            boxes, coeff, class_ids, scores = queued.take_rows((boxes, coeff, class_ids, scores), order, count)
        found = boxes, scores, class_ids
        (boxes, scores, class_ids), masks = queued.fetch_masks(proto, coeff, boxes, found, size=frame, count=count)
        names = self.class_names or self.config.class_names
        return Detections(frame_boxes(boxes, frame), scores, class_ids, names, Masks(*masks, frame))

    def relative_boxes(self, raw: RawOutputs) -> Any:
        """Boxes of all rows, float32 [K, 4], (x1, y1, x2, y2) relative to the input (so to the frame), not clipped."""
        arrays = raw.arrays
        priors = self.constants.on(device_of(arrays["loc"]), raw.size, priors_of(self.config, raw.size))
        count = arrays.get("count")
        return queued.decode_boxes(arrays["loc"], priors, arrays["index"], variances=VARIANCES, count=count)

    def suppress(self, boxes: Any, scores: Any, size: Size, count: queued.Count = None) -> queued.Found:
        """Rows, classes and scores of the detections, best first; the scores are those of the classes alone.

        Args:
            boxes: float32 [K, 4], relative to the network's input.
            scores: float32 [K, classes].
            size: (height, width) of the network's input.
            count: how many of them count, and of what is given; see :mod:`vidgraph.kernels.queued`.
        """
        limit = self.max_detections or (TOP_K if self.nms == "cross-class" else MAX_DETECTIONS)
        classes = None if self.classes is None else np.array(self.classes, np.int32)
        if classes is not None:
            classes = self.constants.on(device_of(scores), "classes", classes)
        rule: dict[str, Any] = {"max_iou": self.max_iou, "limit": limit, "classes": classes, "count": count}
        if self.nms == "cross-class":
            return queued.cross_class_fast_nms(boxes, scores, **rule, top_k=TOP_K, min_score=self.min_score)
        if self.nms == "fast":
            return queued.fast_nms(boxes, scores, **rule, top_k=TOP_K, min_score=self.min_score)
        floor = max(MIN_CONFIDENCE, self.min_score)
        return queued.traditional_nms(boxes, scores, **rule, min_score=floor, size=size)


def frame_boxes(boxes: NDArray[np.float32], frame: Size) -> NDArray[np.float32]:
    """Relative boxes [N, 4] in pixels of a frame of (height, width): corners in order, clipped, rounded down."""
    corners = boxes.reshape(-1, 2, 2)
    ordered = np.stack([corners.min(axis=1), corners.max(axis=1)], axis=1)
    extent = np.array(frame[::-1], np.float32)
    inside: NDArray[np.float32] = np.floor(np.clip(ordered * extent, 0, extent))
    return inside.reshape(-1, 4)
