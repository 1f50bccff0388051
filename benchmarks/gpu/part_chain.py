"""Post-processing of one frame: from raw outputs on the card to a hundred detections with masks at 1080p on the host.

Softmax and threshold, boxes, Fast NMS and masks, queued as a run of an instance model queues them: the host waits once
for the detections, and where their masks are large once more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...kernels import queued
from ..bench_detections import MAX_IOU, MIN_SCORE, TOP_K
from . import inputs
from .clock import call_times, kernel_times
from .part_kernels import on, parity
from .report import Report
from .scale import Bench, Scale

TARGET_MS = 0.3
"""For all of it, by the card's own clock."""
VARIANCES = (0.1, 0.2)


@dataclass(frozen=True, slots=True)
class Chain:
    """Raw outputs, on the host or on a card.

    Attributes:
        logits: float32 [priors, classes].
        loc, priors: float32 [priors, 4].
        coeff: float32 [priors, channels].
        proto: float32 [side, side, channels].
        detections: at most.
        frame: (height, width).
    """

    logits: Any
    loc: Any
    priors: Any
    coeff: Any
    proto: Any
    detections: int
    frame: tuple[int, int]

    @property
    def arrays(self) -> tuple[Any, ...]:
        """All of them."""
        return self.logits, self.loc, self.priors, self.coeff, self.proto

    def with_arrays(self, *arrays: Any) -> Chain:
        """The same of other arrays."""
        logits, loc, priors, coeff, proto = arrays
        return replace(self, logits=logits, loc=loc, priors=priors, coeff=coeff, proto=proto)

    def suppress(self) -> tuple[Any, ...]:
        """Of the detections: boxes, classes, scores and coefficients, and on a card how many of these rows count."""
        index, scores, count = queued.confident_rows(self.logits, min_score=MIN_SCORE, limit=len(self.logits))
        loc, coeff = queued.take_rows((self.loc, self.coeff), index, count)
        boxes = queued.decode_boxes(loc, self.priors, index, variances=VARIANCES, count=count)
        rule: dict[str, Any] = {"max_iou": MAX_IOU, "top_k": TOP_K, "limit": self.detections, "min_score": MIN_SCORE}
        rows, classes, best, count = queued.fast_nms(boxes, scores, count=count, **rule)
        boxes, coeff = queued.take_rows((boxes, coeff), rows, count)
        return boxes, classes, best, coeff, count

    def run(self) -> tuple[Any, ...]:
        """All of it, in host memory: boxes, classes, scores, and the masks' boxes, bits and offsets."""
        boxes, classes, best, coeff, count = self.suppress()
        found = boxes, classes, best
        rows, masks = queued.fetch_masks(self.proto, coeff, boxes, found, size=self.frame, count=count)
        return (*rows, *masks)


def chain_of(scale: Scale) -> Chain:
    """The chain on the host; boxes have the sizes of their anchors, so that they are the same bits on a card."""
    raw, proto = inputs.raw_outputs(scale), inputs.shapes_of(scale).proto
    coeff = np.tanh(np.random.default_rng(13).normal(size=(scale.priors, scale.channels))).astype(np.float32)
    loc = raw.loc.copy()
    loc[:, 2:] = 0  # the exponential of 0 is 1, whose ever it is
    return Chain(raw.logits, loc, raw.priors, coeff, proto, scale.detections, scale.frame)


def measure(bench: Bench, report: Report) -> None:
    """One row."""
    host = chain_of(bench.scale)
    there, want = host.with_arrays(*on(host.arrays, bench.device)), host.run()
    found = parity(list(there.run()), list(want), units=0)
    if found["same"] < found["of"]:
        report.fault(f"{found['of'] - found['same']} of {found['of']} numbers differ, by up to {found['worst']}")
    if len(want[0]) != bench.scale.detections:
        report.fault(f"{len(want[0])} detections, expected {bench.scale.detections}")
    report.note(detections=len(want[0]), frame=list(bench.scale.frame), target_ms=TARGET_MS, **found)
    for title, step in {"to boxes": there.suppress, "to boxes and masks on the host": there.run}.items():
        times = {
            **kernel_times(step, bench.clock, bench.scale.rounds),
            **call_times(step, bench.clock, bench.scale.rounds),
        }
        within = {name: times[name] <= TARGET_MS for name in times if name.endswith("_ms")}
        report.row(step=title, **times, within_target=within)
