"""Queries with a class and a mask each, merged to a panoptic map: MaskFormer, Mask2Former, EoMT, DETR's segmentation.

A query counts whose best class is one and scores enough. A pixel belongs to the query whose mask, times its score, is
the highest there; a query keeps its pixels if they are more than a share of those where its mask is one. What is left
of other queries is void. Segments of a class that is stuff are one.

Sources: Cheng et al., Per-Pixel Classification is Not All You Need for Semantic Segmentation (MaskFormer), NeurIPS
2021; Kerssies et al., Your ViT is Secretly an Image Segmentation Model (EoMT), CVPR 2025; thresholds, and for which
networks a mask is weighted with the score before it is compared with 0.5, as Hugging Face's postprocessing has them.
Probabilities are resized, once; those that are not weighted are compared with 0.5 as resized logits, as theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....engines.spec import TensorSpec
from ....kernels import label_map
from ....pipeline.errors import UsageError
from ....pipeline.packet import PANOPTIC
from ....pipeline.types.panoptic import PanopticMap, Segment
from ....pipeline.types.picture import Size
from ....stages.inference.infer import RawOutputs
from ...formats import Arrays, OutputSelector
from ...options import PostprocessOptions
from ..description import Description
from ..head import Found, Head, check_finite
from .boxes import class_columns, output_of, sigmoid, softmax, wrong_count
from .map_masks import masks_of_input
from .semantic import covered

MIN_SCORE_WEIGHTED, MIN_SCORE = 0.5, 0.8
"""Of a query: MaskFormer's, Mask2Former's and DETR's, and EoMT's."""
LEAST_SHARE = 0.8
"""Of the pixels where a mask is one, that must be the query's."""
_BELOW_HALF, _BELOW_ZERO = float(np.nextafter(np.float32(0.5), np.float32(0))), -1e-30  # 0.5 itself is above it
_NOWHERE = -100.0
"""The logit of what is no number."""
NAMES = (("class_queries_logits", "masks_queries_logits"), ("logits", "pred_masks"), ("cls_logits", "mask_logits"))
"""Of Hugging Face's exports (the second DETR's), and of mmdeploy's."""
NEEDLESS = "pred_boxes"
"""The boxes of DETR's masks."""
COCO_PANOPTIC, COCO_THINGS = 133, 80
"""Classes of COCO's panoptic task, of which the first are things."""


@dataclass(frozen=True, slots=True)
class MaskQueries:
    """A class and a mask for each query.

    Attributes:
        logits, masks: names of the outputs: float32 [1, Q, C + 1], and [1, Q, h, w] of maps that cover the input.
        columns: C + 1.
        background: which column is no class.
        stuff: ids of classes whose segments are joined.
        weighted: masks count times their score where they are compared with 0.5, and pixels need no mask above it.
        needless: names of outputs that say nothing more.
    """

    logits: str
    masks: str
    columns: int
    background: str
    stuff: frozenset[int] = frozenset()
    weighted: bool = True
    needless: frozenset[str] = frozenset()
    kind: str = "mask-queries"
    task: str = "a map of things and stuff"

    point_names = ()
    device_outputs = ()
    gives = (PANOPTIC,)

    @property
    def class_count(self) -> int:
        """Columns but that of the background."""
        return self.columns - (self.background != "none")

    @property
    def reads(self) -> frozenset[str]:
        """Classes and masks."""
        return frozenset({self.logits, self.masks}) | self.needless

    def select_outputs(self, choices: PostprocessOptions) -> OutputSelector:
        """The queries that score enough, in their order, with the logits of their masks.

        Raises:
            UsageError: a choice that means nothing for this network.
        """
        given = {"nms_iou": choices.nms_iou, "max_detections": choices.max_detections}
        wrong = [name for name, value in given.items() if value is not None]
        if wrong:
            raise UsageError(
                f"{', '.join(wrong)} cannot be given for a network whose masks share out the pixels; leave it out"
            )
        default = MIN_SCORE_WEIGHTED if self.weighted else MIN_SCORE
        min_score = default if choices.min_score is None else choices.min_score

        def pick(outputs: Mapping[str, NDArray[Any]]) -> Arrays:
            logits, masks = outputs[self.logits][0], outputs[self.masks][0]
            shares = softmax(logits)
            classes = shares[:, class_columns(self.columns, self.background)]
            scores = classes.max(axis=1)
            queries = np.flatnonzero((scores > np.float32(min_score)) & (scores == shares.max(axis=1)))
            if not len(queries):
                check_finite(self.logits, logits)
            chosen = masks[queries]
            if len(queries) and not np.isfinite(chosen).any():
                check_finite(self.masks, masks)
            maps = np.nan_to_num(chosen, nan=_NOWHERE)
            ids = classes[queries].argmax(axis=1).astype(np.int32)
            return {"maps": maps, "scores": scores[queries], "class_ids": ids}

        return pick

    def decode(self, raw: RawOutputs, frame: Size, choices: PostprocessOptions, names: tuple[str, ...]) -> Found:
        """The map in frame pixels; segments count from 1, in the order of the queries."""
        count = len(raw.arrays["maps"])
        numbers = np.zeros(count + 1, np.int32)  # the segment of each query, and of none
        segments: dict[int, Segment] = {}
        owners, areas = self._shared_out(raw, frame) if count else (np.zeros(frame, np.int32), [])
        for query, area in enumerate(areas):
            if area:
                number = self._stuff(segments, int(raw.arrays["class_ids"][query]))
                segments[number] = self._segment(number, raw, query, names, area, segments.get(number))
                numbers[query] = number
        if choices.classes is not None:
            segments = {number: each for number, each in segments.items() if each.class_id in choices.classes}
            numbers[~np.isin(numbers, list(segments))] = 0
        return {PANOPTIC: PanopticMap(numbers.take(owners), tuple(segments.values()))}

    def _shared_out(self, raw: RawOutputs, frame: Size) -> tuple[NDArray[np.int32], list[int]]:
        """The query of each pixel, int32 [H, W] (as many as there are: none), and how many pixels each keeps."""
        maps = raw.arrays["maps"]
        weighted = sigmoid(maps) * raw.arrays["scores"][:, None, None]
        owners, counts = label_map(weighted, size=frame, window=covered(raw.affine, frame, raw.size))
        compared = (weighted, _BELOW_HALF) if self.weighted else (maps, _BELOW_ZERO)
        whole = masks_of_input(compared[0], raw, frame, compared[1])
        final = owners if self.weighted else np.full(frame, len(maps), np.int32)
        areas = [0] * len(maps)
        for query, count in enumerate(counts.tolist()):
            mask = whole.crop(query)
            area = int(np.count_nonzero(mask))
            if not area or count <= LEAST_SHARE * area:
                continue
            areas[query] = count
            if not self.weighted:
                x1, y1, x2, y2 = whole.boxes[query].tolist()
                mask &= owners[y1:y2, x1:x2] == query
                final[y1:y2, x1:x2][mask] = query
                areas[query] = int(np.count_nonzero(mask))
        return final, areas

    def _stuff(self, segments: Mapping[int, Segment], class_id: int) -> int:
        """The id of the segment of a class: a new one, unless the class is stuff that is there."""
        there = (each.id for each in segments.values() if each.class_id == class_id)
        number = next(there, None) if class_id in self.stuff else None
        return len(segments) + 1 if number is None else number

    def _segment(
        self, number: int, raw: RawOutputs, query: int, names: tuple[str, ...], area: int, before: Segment | None
    ) -> Segment:
        class_id, score = int(raw.arrays["class_ids"][query]), float(raw.arrays["scores"][query])
        is_thing = class_id not in self.stuff
        area += before.area_px if before else 0
        return Segment(number, class_id, names[class_id], is_thing, score if is_thing else None, area)


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """A head for classes and masks of queries; see :mod:`..head`."""
    pairs = [
        (output_of(outputs, about, "logits", (one,)), output_of(outputs, about, "masks", (other,)))
        for one, other in NAMES
    ]
    found = [(one, other) for one, other in pairs if one is not None and other is not None]
    if not found:
        return None
    logits, masks = found[0]
    if logits.name == masks.name or len(logits.shape) != 3 or len(masks.shape) != 4:
        return None
    if logits.shape[:2] != masks.shape[:2] or logits.shape[0] != 1 or {logits.dtype.kind, masks.dtype.kind} != {"f"}:
        return (
            f"outputs {logits.name!r} {logits} and {masks.name!r} {masks} must be float32 [1, queries, classes + 1] "
            "and [1, queries, h, w]"
        )
    if about.scores not in (None, "softmax"):
        return f"output {logits.name!r} {logits} has a softmax over the classes and no object (`scores`)"
    columns, background = logits.shape[2], about.background or "last"
    needless = {each.name for each in outputs if each.name == NEEDLESS and each.shape == (*logits.shape[:2], 4)}
    head = MaskQueries(
        logits.name, masks.name, columns, background, weighted=about.masks_weighted is not False,
        needless=frozenset(needless),
    )  # fmt: skip
    stuff = _stuff_of(about)
    if isinstance(stuff, str):
        return stuff
    return wrong_count(logits, head.class_count, about) or replace(head, stuff=stuff)


def _stuff_of(about: Description) -> frozenset[int] | str:
    """Ids of the classes that are stuff: as described, or those of COCO; else none is known to be."""
    names = about.classes or ()
    if about.stuff is None:
        is_coco = len(names) == COCO_PANOPTIC and names[:COCO_THINGS][-1] == "toothbrush"
        return frozenset(range(COCO_THINGS, COCO_PANOPTIC) if is_coco else ())
    unknown = sorted(set(about.stuff) - set(names))
    if unknown:
        return f"`stuff` has {unknown[0]!r}, which is none of the {len(names)} classes that are named"
    return frozenset(number for number, name in enumerate(names) if name in about.stuff)
