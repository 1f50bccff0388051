"""Average precision of tracks, as YouTube-VIS has it: COCO's protocol, with overlaps in space and time.

The overlap of two tracks is the sum over frames of what they share, over the sum of what they cover together.

Source: Yang et al., Video Instance Segmentation, ICCV 2019.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .coco import Objects, Precision, coco_library, precision_of
from .overlap import box_intersection


@dataclass(slots=True)
class _Track:
    """One object through a clip."""

    classes: Counter[int] = field(default_factory=Counter)
    scores: list[float] = field(default_factory=list)
    areas: list[float] = field(default_factory=list)
    ignored: bool = False

    @property
    def area(self) -> float:
        """Over all frames."""
        return float(sum(self.areas))


@dataclass(slots=True)
class _Clip:
    """The tracks of one clip by their id, and what pairs (found, true) share, summed over frames."""

    size: tuple[int, int]
    truth: dict[int, _Track] = field(default_factory=dict)
    found: dict[int, _Track] = field(default_factory=dict)
    shared: dict[tuple[int, int], float] = field(default_factory=dict)


@dataclass(slots=True)
class TrackAp:
    """Collects frames of clips. A found track has the class that most of its rows have, and their mean score."""

    class_names: tuple[str, ...]
    _clips: dict[str, _Clip] = field(default_factory=dict)

    def add(
        self,
        clip: str,
        size: tuple[int, int],
        truth: tuple[Objects, NDArray[np.int32]],
        found: tuple[Objects, NDArray[np.int32]],
    ) -> None:
        """Take in a frame of (height, width) ``size``: objects with their track ids; rows with id -1 are left out."""
        here = self._clips.setdefault(clip, _Clip(size))
        for tracks, (objects, ids) in ((here.truth, truth), (here.found, found)):
            for row, number in enumerate(ids.tolist()):
                if number < 0:
                    continue
                track = tracks.setdefault(number, _Track())
                track.classes[int(objects.class_ids[row])] += 1
                track.scores.append(float(objects.scores[row]))
                track.areas.append(float(objects.areas[row]))
                track.ignored = track.ignored or bool(objects.ignored[row])
        shared = _shared(found[0], truth[0], size)
        for row, column in zip(*np.nonzero(shared), strict=True):
            pair = int(found[1][row]), int(truth[1][column])
            if min(pair) >= 0:
                here.shared[pair] = here.shared.get(pair, 0.0) + float(shared[row, column])

    def precision(self) -> Precision:
        """The precision over all clips; sizes are by the mean area of a track.

        Raises:
            MissingExtraError: faster-coco-eval is not installed.
        """
        images: list[dict[str, Any]] = []
        truth: list[dict[str, Any]] = []
        found: list[dict[str, Any]] = []
        overlaps: dict[tuple[int, int, int], float] = {}
        for number, clip in enumerate(self._clips.values(), 1):
            images.append({"id": number, "height": clip.size[0], "width": clip.size[1]})
            for tracks, rows in ((clip.truth, truth), (clip.found, found)):
                rows += [_row(number, track_id, track) for track_id, track in tracks.items()]
            for (found_id, true_id), shared in clip.shared.items():
                first, second = clip.found[found_id], clip.truth[true_id]
                union = first.area if second.ignored else first.area + second.area - shared
                overlaps[number, found_id, true_id] = shared / union if union else 0.0
        return precision_of(images, truth, found, self.class_names, "box", evaluator=_evaluator(overlaps))


def _row(image: int, track_id: int, track: _Track) -> dict[str, Any]:
    """A track as COCO's annotation; the box is only there because it must be."""
    return {
        "image_id": image, "category_id": track.classes.most_common(1)[0][0] + 1, "bbox": [0.0, 0.0, 1.0, 1.0],
        "score": float(np.mean(track.scores)), "area": track.area / max(1, len(track.areas)),
        "iscrowd": int(track.ignored), "track": track_id,
    }  # fmt: skip


def _evaluator(overlaps: dict[tuple[int, int, int], float]) -> Any:
    """COCO's evaluation with these overlaps of (clip, found track, true track) in place of those of boxes."""

    class Tracks(coco_library().COCOeval_faster):  # type: ignore[misc]
        def computeIoU(self, imgId: int, catId: int) -> NDArray[np.float64] | list[float]:
            truth, found = (
                side.get_instances([imgId], [catId], True)[0][0] for side in (self.gt_dataset, self.dt_dataset)
            )
            if not truth or not found:
                return []
            order = np.argsort([-one["score"] for one in found], kind="mergesort")
            best = [found[place] for place in order][: self.params.maxDets[-1]]
            table = [[overlaps.get((imgId, one["track"], other["track"]), 0.0) for other in truth] for one in best]
            return np.array(table, np.float64)

    return Tracks


def _shared(found: Objects, truth: Objects, size: tuple[int, int]) -> NDArray[np.float64]:
    """Shared areas, float64 [N, M]: of masks where both have them, else of boxes."""
    if not len(found) or not len(truth):
        return np.zeros((len(found), len(truth)))
    if found.masks is None or truth.masks is None:
        return box_intersection(found.boxes, truth.boxes)
    ious = mask_iou(found.masks, truth.masks, size)
    sums = found.areas[:, None] + truth.areas[None]
    shared: NDArray[np.float64] = np.rint(ious * sums / (1.0 + ious))  # whole pixels
    return shared


def mask_iou(first: Sequence[bytes], second: Sequence[bytes], size: tuple[int, int]) -> NDArray[np.float64]:
    """Intersection over union, float64 [N, M], of masks in COCO's compressed text."""
    if not len(first) or not len(second):
        return np.zeros((len(first), len(second)))
    sides = [[{"size": list(size), "counts": text} for text in texts] for texts in (first, second)]
    return np.asarray(coco_library().mask.iou(*sides, [0] * len(second)), np.float64)
