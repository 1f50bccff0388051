"""Panoptic quality of frames (PQ) and of windows of frames (VPQ).

A segment of a window is everything that has its id in the window's frames. A true and a found segment of one class
match where their intersection over union, without what lies in the true map's void, is above one half. What is found
and matches nothing does not count where more than half of it lies in void or in a crowd of its class.

Source: Kirillov et al., arXiv:1801.00868; Kim et al., arXiv:2006.11339, as the authors' script computes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...pipeline.errors import UsageError
from ...pipeline.types.panoptic import PanopticMap

VOID = 0
WINDOWS = (1, 2, 3, 4)
"""Frames in a window; VPQ is the mean of their four figures."""


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """What belongs to an id: its class, its pixels in the frame (None: to be counted), whether it is a crowd."""

    class_id: int
    area_px: int | None = None
    crowd: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class FramePair:
    """One frame, counted: how many pixels every pair of a true and a found id shares.

    Attributes:
        shared: (true id, found id) -> pixels; 0 is void.
        truth, found: id -> class, area, crowd.
    """

    shared: dict[tuple[int, int], int]
    truth: dict[int, SegmentInfo]
    found: dict[int, SegmentInfo]

    @classmethod
    def of(
        cls,
        truth: NDArray[np.integer],
        truth_segments: Mapping[int, SegmentInfo],
        found: NDArray[np.integer],
        found_segments: Mapping[int, SegmentInfo],
    ) -> FramePair:
        """Count two maps of ids [H, W], 0 being void.

        Raises:
            UsageError: the maps differ in size, or have ids that no segment explains.
        """
        if truth.shape != found.shape:
            raise UsageError(f"panoptic maps must have one size, got {list(truth.shape)} and {list(found.shape)}")
        true_ids, rows = _numbered(truth)
        found_ids, columns = _numbered(found)
        codes = rows * len(found_ids) + columns
        counts = np.bincount(codes, minlength=len(true_ids) * len(found_ids)).reshape(len(true_ids), len(found_ids))
        for side, ids, segments in (("true", true_ids, truth_segments), ("found", found_ids, found_segments)):
            unknown = [number for number in ids.tolist() if number != VOID and number not in segments]
            if unknown:
                raise UsageError(f"the {side} panoptic map has ids without a segment: {unknown[:5]}")
        shared = {
            (int(true_ids[row]), int(found_ids[column])): int(counts[row, column])
            for row, column in zip(*np.nonzero(counts), strict=True)
        }
        seen = dict(zip(found_ids.tolist(), counts.sum(axis=0).tolist(), strict=True))
        own = dict(zip(true_ids.tolist(), counts.sum(axis=1).tolist(), strict=True))
        return cls(
            shared,
            {
                number: SegmentInfo(one.class_id, own.get(number, 0) if one.area_px is None else one.area_px, one.crowd)
                for number, one in truth_segments.items()
            },
            {number: SegmentInfo(one.class_id, seen.get(number, 0)) for number, one in found_segments.items()},
        )


def _numbered(ids: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The ids that occur, rising, and for each pixel the place of its own among them."""
    flat = ids.reshape(-1)
    if flat.max(initial=0) >= 1 << 16:
        found, places = np.unique(flat, return_inverse=True)
        return found.astype(np.int64), places.reshape(-1)
    present = np.flatnonzero(np.bincount(flat))  # much quicker than sorting the pixels
    table = np.zeros(1 + int(flat.max(initial=0)), np.int64)
    table[present] = np.arange(len(present))
    return present, table[flat]


@dataclass(slots=True)
class _Tally:
    """Of one class: summed IoU of matches, and counts."""

    iou: float = 0.0
    matched: int = 0
    false: int = 0
    missed: int = 0

    @property
    def quality(self) -> float | None:
        """PQ of the class; None where there is nothing of it on either side."""
        total = self.matched + 0.5 * (self.false + self.missed)
        return self.iou / total if total else None


@dataclass(frozen=True, slots=True)
class Quality:
    """PQ in [0, 1], None where there is nothing: of all classes, of things, of stuff, and by class id."""

    every: float | None
    things: float | None
    stuff: float | None
    classes: dict[int, float]


def panoptic_quality(
    clips: Sequence[Sequence[FramePair]],
    things: Iterable[int],
    *,
    window: int = 1,
    classes: frozenset[int] | None = None,
) -> Quality:
    """PQ over all windows of ``window`` frames, one beginning at each frame, of all clips.

    Args:
        clips: the frames of each video, in order; ids mean the same thing in all frames of one.
        things: ids of the classes that are things.
        classes: ids of those that are judged; None: all.
    """
    tallies: dict[int, _Tally] = {}
    for frames in clips:
        for first in range(len(frames) - window + 1):
            _count(_merged(frames[first : first + window]), tallies)
    countable = {n: one.quality for n, one in tallies.items() if classes is None or n in classes}
    judged = {number: quality for number, quality in sorted(countable.items()) if quality is not None}
    are_things = set(things)
    return Quality(
        mean_of(judged.values()),
        mean_of(quality for number, quality in judged.items() if number in are_things),
        mean_of(quality for number, quality in judged.items() if number not in are_things),
        judged,
    )


def video_panoptic_quality(
    clips: Sequence[Sequence[FramePair]], things: Iterable[int], *, classes: frozenset[int] | None = None
) -> dict[int, Quality]:
    """PQ for each number of frames in a window, see :data:`WINDOWS`; VPQ is the mean over them."""
    are_things = tuple(things)
    return {window: panoptic_quality(clips, are_things, window=window, classes=classes) for window in WINDOWS}


def class_iou(clips: Sequence[Sequence[FramePair]]) -> dict[int, float]:
    """Class id -> the pixels of all frames that are of it on both sides, over those of either: in [0, 1].

    Pixels that are void in the truth are not counted. The mean is the figure of semantic segmentation (mIoU).
    Source: Everingham et al., The Pascal Visual Object Classes Challenge: A Retrospective, IJCV 2015.
    """
    both: Counter[int] = Counter()
    either: Counter[int] = Counter()
    for pair in (pair for frames in clips for pair in frames):
        for (true_id, found_id), count in pair.shared.items():
            if true_id == VOID:
                continue
            classes = {pair.truth[true_id].class_id}
            classes |= {pair.found[found_id].class_id} if found_id != VOID else set()
            either.update(dict.fromkeys(classes, count))
            if len(classes) == 1 and found_id != VOID:
                both[pair.truth[true_id].class_id] += count
    return {number: both[number] / count for number, count in sorted(either.items())}


def mean_of(values: Iterable[float | None]) -> float | None:
    """The mean of the values that there are, None where there are none."""
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None


def _merged(frames: Sequence[FramePair]) -> FramePair:
    """One pair for a window: areas and shared pixels of an id are summed; its class is that of its first frame."""
    if len(frames) == 1:
        return frames[0]
    shared: dict[tuple[int, int], int] = {}
    truth: dict[int, SegmentInfo] = {}
    found: dict[int, SegmentInfo] = {}
    for frame in frames:
        for pair, count in frame.shared.items():
            shared[pair] = shared.get(pair, 0) + count
        for side, given in ((truth, frame.truth), (found, frame.found)):
            for number, one in given.items():
                before = side.get(number, SegmentInfo(one.class_id, 0, one.crowd))
                side[number] = SegmentInfo(before.class_id, _area(before) + _area(one), before.crowd)
    return FramePair(shared, truth, found)


def _area(segment: SegmentInfo) -> int:
    return segment.area_px or 0


def _count(pair: FramePair, tallies: dict[int, _Tally]) -> None:
    """Match the segments of one window, and add it to the tallies of the classes."""

    def tally(class_id: int) -> _Tally:
        return tallies.setdefault(class_id, _Tally())

    matched_truth, matched_found = set(), set()
    for (true_id, found_id), count in pair.shared.items():
        truth, found = pair.truth.get(true_id), pair.found.get(found_id)
        if truth is None or found is None or truth.crowd or truth.class_id != found.class_id:
            continue
        union = _area(truth) + _area(found) - count - pair.shared.get((VOID, found_id), 0)
        if count > 0.5 * union:
            right = tally(truth.class_id)
            right.iou += count / union
            right.matched += 1
            matched_truth.add(true_id)
            matched_found.add(found_id)
    crowds = {one.class_id: number for number, one in pair.truth.items() if one.crowd}
    for number, one in pair.truth.items():
        if number not in matched_truth and not one.crowd:
            tally(one.class_id).missed += 1
    for number, one in pair.found.items():
        if number in matched_found:
            continue
        excused = pair.shared.get((VOID, number), 0)
        if one.class_id in crowds:
            excused += pair.shared.get((crowds[one.class_id], number), 0)
        if excused <= 0.5 * _area(one):
            tally(one.class_id).false += 1


@dataclass(slots=True)
class StableIds:
    """Gives the segments of a clip ids that mean the same in all its frames.

    A tracked thing is its track, stuff is its class; a thing without a track is another one in every frame.
    """

    class_ids: Mapping[str, int]
    tracked: bool = True
    _ids: dict[tuple[int, int], int] = field(default_factory=dict)
    _next: int = 1

    def apply(self, given: PanopticMap) -> tuple[NDArray[np.int32], dict[int, SegmentInfo]]:
        """The map with such ids, and its segments; those of classes that ``class_ids`` does not name become void."""
        table = np.zeros(1 + max((one.id for one in given.segments), default=0), np.int32)
        segments = {}
        for one in given.segments:
            class_id = self.class_ids.get(one.class_name)
            if class_id is None:
                continue
            if one.is_thing and one.track_id is None:
                number, self._next = self._next, self._next + 1
                self.tracked = False
            else:
                key = (class_id, one.track_id if one.is_thing and one.track_id is not None else -1)
                if key not in self._ids:
                    self._ids[key], self._next = self._next, self._next + 1
                number = self._ids[key]
            table[one.id] = number
            segments[number] = SegmentInfo(class_id)
        return table[given.segment_ids], segments
