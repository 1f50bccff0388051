"""COCO's average precision of boxes and masks, with its own protocol, by faster-coco-eval.

Source: Lin et al., ECCV 2014, as COCO's public tools compute it: IoU 0.50 to 0.95 in steps of 0.05, 101 recall
points, 100 detections of a class in an image, sizes by the area of the object. A test holds it against pycocotools.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...pipeline.errors import import_extra
from ...pipeline.types.detections import Detections
from ...pipeline.types.picture import Size

Kind = Literal["box", "mask"]

MAX_DETECTIONS = 100
"""Of one class in one image, as COCO has it."""


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """What is kept of a frame's objects until the end: small, with masks as COCO's compressed text.

    Attributes:
        boxes: float32 [N, 4], (x1, y1, x2, y2), pixels.
        scores: float32 [N].
        class_ids: int32 [N], of the data set.
        areas: float64 [N], pixels: of the mask, or of the box where there are no masks.
        ignored: bool [N], COCO's ``iscrowd``.
        masks: compressed run lengths of each mask, or None.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int32]
    areas: NDArray[np.float64]
    ignored: NDArray[np.bool_]
    masks: tuple[bytes, ...] | None

    @classmethod
    def of(cls, given: Detections, class_ids: NDArray[np.int32], ignored: NDArray[np.bool_] | None = None) -> Objects:
        """The rows of ``given`` whose ``class_ids`` int32 [N] are not negative.

        Raises:
            MissingExtraError: there are masks, and faster-coco-eval is not installed.
        """
        rows = np.flatnonzero(class_ids >= 0)
        boxes = given.boxes[rows]
        sides = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64)
        masks, areas = given.masks, sides[:, 0] * sides[:, 1]
        texts = None
        if masks is not None:
            texts = tuple(masks.rle(row)["counts"].encode("ascii") for row in rows.tolist())
            coded = [{"size": list(masks.size), "counts": text} for text in texts]
            areas = np.asarray(coco_library().mask.area(coded), np.float64).reshape(len(texts))
        none = np.zeros(len(rows), np.bool_)
        return cls(boxes, given.scores[rows], class_ids[rows], areas, none if ignored is None else ignored[rows], texts)

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True, slots=True)
class Precision:
    """COCO's figures, in [0, 1]; None where there is nothing to be found.

    Attributes:
        ap: mean over IoU thresholds and classes.
        ap50, ap75: at one threshold.
        small, medium, large: ``ap`` of objects below 32x32 pixels, up to 96x96, and above.
        recall: average recall with 100 detections.
        classes: (ap, ap50) by class.
    """

    ap: float | None
    ap50: float | None
    ap75: float | None
    small: float | None
    medium: float | None
    large: float | None
    recall: float | None
    classes: dict[str, tuple[float | None, float | None]]

    def figures(self) -> dict[str, float | None]:
        """Name -> value, as reports call them."""
        return {
            "AP": self.ap,
            "AP50": self.ap50,
            "AP75": self.ap75,
            "AP small": self.small,
            "AP medium": self.medium,
            "AP large": self.large,
            "AR100": self.recall,
        }


@dataclass(slots=True)
class CocoAp:
    """Collects frames, and gives the precision of all of them or of some."""

    class_names: tuple[str, ...]
    _sizes: list[Size] = field(default_factory=list)
    _truth: list[Objects] = field(default_factory=list)
    _found: list[Objects] = field(default_factory=list)

    def add(self, size: Size, truth: Objects, found: Objects) -> int:
        """Take in a frame of (height, width) ``size``; gives its number."""
        self._sizes.append(size)
        self._truth.append(truth)
        self._found.append(found)
        return len(self._sizes) - 1

    def __len__(self) -> int:
        return len(self._sizes)

    @property
    def truth_count(self) -> int:
        """Objects there are."""
        return sum(map(len, self._truth))

    @property
    def truth_has_masks(self) -> bool:
        """The data set has masks, wherever it has objects."""
        return all(one.masks is not None for one in self._truth if len(one))

    @property
    def found_has_masks(self) -> bool:
        """The model gives masks."""
        return all(one.masks is not None for one in self._found)

    def precision(self, kind: Kind, frames: Iterable[int] | None = None) -> Precision:
        """The precision over the frames with these numbers (None: all).

        Raises:
            MissingExtraError: faster-coco-eval is not installed.
        """
        numbers = range(len(self)) if frames is None else sorted(frames)
        images = [{"id": n + 1, "height": self._sizes[n][0], "width": self._sizes[n][1]} for n in numbers]
        truth = [row for n in numbers for row in self._rows(n, self._truth[n], kind)]
        found = [row for n in numbers for row in self._rows(n, self._found[n], kind, by_kind=True)]
        return precision_of(images, truth, found, self.class_names, kind)

    def _rows(self, number: int, objects: Objects, kind: Kind, *, by_kind: bool = False) -> list[dict[str, Any]]:
        """COCO's annotations of one frame; ``by_kind``: a box has its own area, even where there is a mask."""
        size = list(self._sizes[number])
        corners = objects.boxes.astype(np.float64)
        boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
        areas = boxes[:, 2] * boxes[:, 3] if by_kind and kind == "box" else objects.areas
        columns = (objects.class_ids, objects.scores.astype(np.float64), areas, objects.ignored)
        rows = []
        for row, (box, class_id, score, area, ignored) in enumerate(
            zip(boxes.tolist(), *(column.tolist() for column in columns), strict=True)
        ):
            one = {
                "image_id": number + 1, "category_id": class_id + 1, "bbox": box, "score": score, "area": area,
                "iscrowd": int(ignored),
            }  # fmt: skip
            if kind == "mask":
                assert objects.masks is not None
                one["segmentation"] = {"size": size, "counts": objects.masks[row]}
            rows.append(one)
        return rows


def precision_of(
    images: Sequence[dict[str, Any]],
    truth: list[dict[str, Any]],
    found: list[dict[str, Any]],
    class_names: Sequence[str],
    kind: Kind,
    *,
    evaluator: Any = None,
) -> Precision:
    """The precision of annotations in COCO's form, with an ``area`` each; ``category_id`` counts from 1.

    Args:
        images: with id, height and width.
        truth, found: ids are given here.
        class_names: of the categories.
        kind: what overlaps are measured of.
        evaluator: a class to use in place of faster-coco-eval's; it measures overlaps in another way.

    Raises:
        MissingExtraError: faster-coco-eval is not installed.
    """
    library = coco_library()
    categories = [{"id": number, "name": name} for number, name in enumerate(class_names, 1)]
    sides = []
    for rows in (truth, found):
        side = library.COCO(print_function=_say)
        numbered = [{**row, "id": number} for number, row in enumerate(rows, 1)]
        side.dataset = {"images": list(images), "categories": categories, "annotations": numbered}
        side.createIndex()
        sides.append(side)
    run = (evaluator or library.COCOeval_faster)(
        *sides, "segm" if kind == "mask" else "bbox", print_function=_say, extra_calc=False
    )
    run.params.maxDets = [1, 10, MAX_DETECTIONS]
    run.evaluate()
    run.accumulate()
    return _precision(run.eval["precision"], run.eval["recall"], class_names)


def _precision(precision: Any, recall: Any, class_names: Sequence[str]) -> Precision:
    """Means over COCO's tables: precision [thresholds, recalls, classes, sizes, limits], recall without recalls."""
    best, found = np.asarray(precision)[..., -1], np.asarray(recall)[..., -1]
    small, medium, large = (_mean(best[..., area]) for area in (1, 2, 3))
    return Precision(
        _mean(best[..., 0]),
        _mean(best[0, ..., 0]),
        _mean(best[5, ..., 0]),
        small,
        medium,
        large,
        _mean(found[..., 0]),
        {name: (_mean(best[:, :, number, 0]), _mean(best[0, :, number, 0])) for number, name in enumerate(class_names)},
    )


def _mean(values: NDArray[np.float64]) -> float | None:
    """The mean of what is there; -1 stands for nothing."""
    there = values[values > -1]
    return float(there.mean()) if there.size else None


def _say(*words: object) -> None:
    logging.getLogger(__name__).debug(" ".join(map(str, words)))


def coco_library() -> Any:
    """faster-coco-eval.

    Raises:
        MissingExtraError: it is not installed.
    """
    return import_extra("faster_coco_eval", "COCO's average precision", "eval")
