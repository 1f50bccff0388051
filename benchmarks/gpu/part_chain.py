"""Post-processing of one frame on the card: from raw outputs to a hundred detections with masks at 1080p.

Softmax and threshold, boxes, Fast NMS and masks, as a run of an instance model has them. Picking rows between these
steps is no kernel: each is given the rows that the CPU picked, which lie on the card beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import kernels
from ...kernels.device import to_host
from ..bench_detections import MAX_IOU, MIN_SCORE, TOP_K
from . import inputs
from .clock import call_times, kernel_times
from .part_kernels import flat, on, parity
from .report import Report
from .scale import Bench, Scale

TARGET_MS = 0.3
"""For all of it, by the card's own clock."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Raw outputs and what the CPU makes of them, on the host or on a card.

    Attributes:
        logits: float32 [priors, classes].
        loc, priors: float32 [K, 4], of the rows above the threshold.
        proto, coeff, boxes: as ``assemble_masks`` takes them, of the detections.
        priors_in_all: how many rows there are.
        detections: at most.
        frame: (height, width).
    """

    logits: Any
    loc: Any
    priors: Any
    proto: Any
    coeff: Any
    boxes: Any
    priors_in_all: int
    detections: int
    frame: tuple[int, int]

    @property
    def arrays(self) -> tuple[Any, ...]:
        """All of them."""
        return self.logits, self.loc, self.priors, self.proto, self.coeff, self.boxes

    def with_arrays(self, *arrays: Any) -> Chain:
        """The same of other arrays."""
        logits, loc, priors, proto, coeff, boxes = arrays
        return replace(self, logits=logits, loc=loc, priors=priors, proto=proto, coeff=coeff, boxes=boxes)

    def rows(self) -> Any:
        """Rows and scores above the threshold."""
        return kernels.confident_rows(self.logits, min_score=MIN_SCORE, limit=self.priors_in_all)

    def decode(self) -> Any:
        """Their boxes."""
        return kernels.decode_boxes(self.loc, self.priors)

    def suppress(self, boxes: Any, scores: Any) -> Any:
        """The detections: rows, classes, scores."""
        return kernels.fast_nms(boxes, scores, max_iou=MAX_IOU, top_k=TOP_K, limit=self.detections)

    def masks(self) -> Any:
        """Of the detections: boxes, bits, offsets."""
        return kernels.assemble_masks(self.proto, self.coeff, self.boxes, size=self.frame)

    def run(self) -> tuple[Any, ...]:
        """All of it."""
        rows, scores = self.rows()
        boxes = self.decode()
        return (rows, scores, boxes, *self.suppress(boxes, scores), *self.masks())


def chain_of(scale: Scale) -> tuple[Chain, NDArray[np.float32]]:
    """The chain on the host, and coefficients [priors, channels] of all rows, for who picks rows by himself."""
    raw, shapes = inputs.raw_outputs(scale), inputs.shapes_of(scale)
    coeff = np.tanh(np.random.default_rng(13).normal(size=(scale.priors, scale.channels))).astype(np.float32)
    rows, scores = kernels.confident_rows(raw.logits, min_score=MIN_SCORE, limit=scale.priors)
    loc, priors = raw.loc[rows], raw.priors[rows]
    boxes = kernels.decode_boxes(loc, priors)
    kept, _, _ = kernels.fast_nms(boxes, scores, max_iou=MAX_IOU, top_k=TOP_K, limit=scale.detections)
    picked = shapes.proto, coeff[rows][kept], boxes[kept]
    return Chain(raw.logits, loc, priors, *picked, scale.priors, scale.detections, scale.frame), coeff


def measure(bench: Bench, report: Report) -> None:
    """A row a step, and one for all of them."""
    host, _ = chain_of(bench.scale)
    there, want = host.with_arrays(*on(host.arrays, bench.device)), flat(host.run())
    found = _same(want, [to_host(array) for array in there.run()])
    if found["same"] < found["of"]:
        report.fault(f"{found['of'] - found['same']} of {found['of']} numbers differ, by up to {found['worst']}")
    if len(host.boxes) != bench.scale.detections:
        report.fault(f"{len(host.boxes)} detections, expected {bench.scale.detections}")
    report.note(detections=len(host.boxes), frame=list(bench.scale.frame), target_ms=TARGET_MS, **found)
    _, scores = there.rows()
    boxes = there.decode()
    steps = {
        "softmax, threshold": there.rows, "boxes": there.decode,
        "Fast NMS": lambda: there.suppress(boxes, scores), "masks": there.masks, "all": there.run,
    }  # fmt: skip
    for title, step in steps.items():
        times = {
            **kernel_times(step, bench.clock, bench.scale.rounds),
            **call_times(step, bench.clock, bench.scale.rounds),
        }
        report.row(
            step=title, **times, within_target={name: times[name] <= TARGET_MS for name in times if "ms" in name}
        )


def _same(want: list[Any], got: list[Any]) -> dict[str, Any]:
    """As :func:`.part_kernels.parity`; the boxes, which are third, may differ by the exponential's last place."""
    boxes = parity(got[2:3], want[2:3], units=1)
    others = parity(got[:2] + got[3:], want[:2] + want[3:], units=0)
    worst = None if None in (boxes["worst"], others["worst"]) else max(boxes["worst"], others["worst"])
    return {"same": boxes["same"] + others["same"], "of": boxes["of"] + others["of"], "worst": worst}
