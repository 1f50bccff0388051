"""Takes in frames with what is true and what was found, and gives the figures of all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...pipeline.ground_truth import FACE_POINTS, MPII_JOINTS, GroundTruth
from ...pipeline.packet import DETECTIONS, HELD_FROM, KEY_FRAME, LANDMARKS, PANOPTIC, SKIPPED, Packet
from ...pipeline.results.format import ResultKeys
from ...pipeline.types.detections import Detections
from ...pipeline.types.landmarks import Landmarks
from ..datasets.files import things
from .classes import FACE, ClassMap
from .coco import CocoAp, Kind, Objects
from .faces import WiderAp
from .mot import MIN_OVERLAP, MotCounts, Step, count_sequence
from .overlap import box_iou
from .panoptic import FramePair, StableIds, class_iou, mean_of, panoptic_quality, video_panoptic_quality
from .points import BodyPoints, FacePoints
from .report import DistanceRow, Figures
from .tracks import TrackAp, mask_iou
from .wider_subsets import WiderSubsets

MOT_MIN_SCORE = 0.5
"""Of objects that count as followed; below, they are only candidates."""


@dataclass(frozen=True, slots=True, eq=False)
class KnownFrame:
    """The truth of a frame, prepared once for all that are judged by it.

    Attributes:
        clip: its name.
        size: (height, width).
        truth: as the data set gives it.
        objects: of judged classes.
        tracks: int32 [N], of ``objects``; None where the data set has none.
    """

    clip: str
    size: tuple[int, int]
    truth: GroundTruth
    objects: Objects
    tracks: NDArray[np.int32] | None

    @classmethod
    def of(cls, clip: str, size: tuple[int, int], truth: GroundTruth, classes: ClassMap) -> KnownFrame:
        """Prepare the truth of a frame."""
        class_ids = classes.of_data[truth.objects.class_ids]
        ids = truth.objects.track_ids
        tracks = None if ids is None else ids[class_ids >= 0]
        return cls(clip, size, truth, Objects.of(truth.objects, class_ids, truth.ignored), tracks)


@dataclass(slots=True)
class Evaluator:
    """Collects one model's frames; which figures there are depends on what it and the data set give.

    Attributes:
        keys: where the model's results are.
        classes: that are judged; none: a model of faces or bodies.
        class_names: of the model.
        things: names of the data set's classes of things.
        stuff: names of its classes of stuff.
        faces: the model finds faces.
        chosen: the only classes whose segments are judged, names of the data set; None: all.
        subsets: WIDER FACE's easy, medium and hard faces, where they are at hand.
    """

    keys: ResultKeys
    classes: ClassMap
    class_names: tuple[str, ...]
    things: tuple[str, ...]
    stuff: tuple[str, ...]
    faces: bool
    subsets: WiderSubsets | None = None
    chosen: tuple[str, ...] | None = None
    frames: int = 0
    _objects: CocoAp = field(init=False)
    _tracks: TrackAp = field(init=False)
    _steps: dict[tuple[str, int], list[Step]] = field(default_factory=dict)
    _distances: dict[int, list[int]] = field(default_factory=dict)
    _panoptic: dict[str, list[FramePair]] = field(default_factory=dict)
    _ids: dict[tuple[str, str], StableIds] = field(default_factory=dict)
    _faces: CocoAp = field(default_factory=lambda: CocoAp((FACE,)))
    _wider: WiderAp = field(init=False)
    _points: FacePoints = field(default_factory=FacePoints)
    _bodies: BodyPoints = field(default_factory=lambda: BodyPoints(MPII_JOINTS))
    _has_bodies: bool = False

    def __post_init__(self) -> None:
        self._objects, self._tracks = CocoAp(self.classes.names), TrackAp(self.classes.names)
        self._wider = WiderAp(("WIDER",) if self.subsets is None else self.subsets.names)

    def add(self, known: KnownFrame, packet: Packet, *, stream: str = "") -> None:
        """Take in a frame; ``stream`` tells passes over the same clip apart."""
        self.frames += 1
        clip = f"{stream}{known.clip}"
        found, points = self.keys.found(packet, DETECTIONS), self.keys.found(packet, LANDMARKS)
        if self.classes.names:
            given = found if found is not None else Detections.empty(self.class_names)
            self._add_objects(known, given, clip, _distance(packet))
        if self.faces and known.truth.faces is not None:
            self._add_faces(known, found if found is not None else Detections.empty(self.class_names), points)
        if points is not None and known.truth.bodies is not None and points.names == MPII_JOINTS:
            self._has_bodies = True
            self._bodies.add(known.truth.bodies, points, points.scores.mean(axis=1))
        panoptic = self.keys.found(packet, PANOPTIC)
        if panoptic is not None and known.truth.panoptic is not None:
            class_ids = {name: number for number, name in enumerate((*self.things, *self.stuff))}
            (true_map, true_ids), (found_map, found_ids) = (
                self._ids.setdefault((clip, side), StableIds(class_ids)).apply(given_map)
                for side, given_map in (("true", known.truth.panoptic), ("found", panoptic))
            )
            self._panoptic.setdefault(clip, []).append(FramePair.of(true_map, true_ids, found_map, found_ids))

    def _add_objects(self, known: KnownFrame, found: Detections, clip: str, distance: int | None) -> None:
        class_ids = self.classes.of_model[found.class_ids]
        objects = Objects.of(found, class_ids)
        number = self._objects.add(known.size, known.objects, objects)
        if distance is not None:
            self._distances.setdefault(distance, []).append(number)
        if known.tracks is None or found.track_ids is None:
            return
        ids = found.track_ids[class_ids >= 0]
        self._tracks.add(clip, known.size, (known.objects, known.tracks), (objects, ids))
        for class_id in range(len(self.classes.names)):
            step = _step(known, objects, ids, class_id)
            self._steps.setdefault((clip, class_id), []).append(step)

    def _add_faces(self, known: KnownFrame, found: Detections, points: Landmarks | None) -> None:
        faces, ignored = known.truth.faces, known.truth.faces_ignored
        assert faces is not None
        assert ignored is not None
        rows = np.isin(found.class_ids, [number for number, name in enumerate(self.class_names) if name == FACE])
        boxes, scores = found.boxes[rows], found.scores[rows]
        truth = things(faces.boxes, [0] * len(faces), (FACE,))
        true = Objects.of(truth, truth.class_ids, ignored)
        alone = Detections(boxes, scores, np.zeros(len(boxes), np.int32), (FACE,))
        self._faces.add(known.size, true, Objects.of(alone, alone.class_ids))
        if self.subsets is None:
            self._wider.add(faces.boxes, ~ignored[:, None], boxes, scores)
        else:
            self._wider.add(*self.subsets.of(known.clip), boxes, scores)
        if points is not None and faces.names == FACE_POINTS and points.names == FACE_POINTS:
            self._points.add(faces, ignored, points, found.scores[points.detection_rows])

    @property
    def masks_missing(self) -> bool:
        """The model's objects have masks, and those of the data set have not."""
        return bool(self._objects.truth_count) and self._objects.found_has_masks and not self._objects.truth_has_masks

    def notes(self) -> list[str]:
        """About what is not judged."""
        said = []
        if self.classes.left_out and self.classes.names:
            said.append(f"{len(self.classes.left_out)} classes of the model are none of the data set's: not judged")
        if self.masks_missing:
            said.append("masks are not judged: the data set has none")
        return said

    def figures(self) -> Figures:
        """All figures so far; those that there is nothing for are left out.

        Raises:
            MissingExtraError: a library of the extra ``eval`` is not installed.
        """
        result = Figures()
        if self._objects.truth_count:
            self._object_figures(result)
        if self._faces.truth_count:
            precision = self._faces.precision("box")
            result.add("face AP50", precision.ap50)
            result.add("face AP", precision.ap)
            for name, value in self._wider.result().items():
                result.add(f"face AP {name}", value)
            error = self._points.result()
            result.add("face NME", error.by_box)
            result.add("face NME by eyes", error.by_eyes)
            result.add("face NME above 10 %", error.failed)
            if error.matched:
                result.notes.append(
                    "NME: mean distance of the five points over the square root of the area of the true box "
                    f"(by eyes: over the distance of the eyes), of {error.matched} faces found at IoU 0.5"
                )
        if self._has_bodies:
            correct = self._bodies.result()
            result.add("PCKh@0.5", correct.every)
            result.add("PCKh@0.5 without pelvis and thorax", correct.without_trunk)
            for name, value in correct.joints.items():
                result.add_class(name, "PCKh@0.5", value)
        if self._panoptic:
            self._panoptic_figures(result)
        return result

    def _object_figures(self, result: Figures) -> None:
        both = self._objects.truth_has_masks and self._objects.found_has_masks
        kinds: tuple[Kind, ...] = ("mask", "box") if both else ("box",)
        for kind in kinds:
            precision = self._objects.precision(kind)
            for name, value in precision.figures().items():
                result.add(f"{kind} {name}", value)
            for name, (ap, ap50) in precision.classes.items():
                result.add_class(name, f"{kind} AP", ap)
                result.add_class(name, f"{kind} AP50", ap50)
        if len(self._distances) > 1:
            for distance, numbers in sorted(self._distances.items()):
                part = self._objects.precision(kinds[0], numbers)
                result.distances.append(DistanceRow(distance, len(numbers), kinds[0], part.ap, part.ap50))
        if self._steps:
            self._track_figures(result)

    def _track_figures(self, result: Figures) -> None:
        precision = self._tracks.precision()
        result.add("track AP", precision.ap)
        result.add("track AP50", precision.ap50)
        result.add("track AP75", precision.ap75)
        by_class: dict[int, MotCounts] = {}
        for (_, class_id), steps in self._steps.items():
            by_class[class_id] = by_class.get(class_id, MotCounts()) + count_sequence(steps)
        total = sum(by_class.values(), MotCounts())
        for name, figure in total.figures().items():
            result.add(name, figure)
        for class_id, counts in by_class.items():
            each = counts.figures()
            for name in ("MOTA", "IDF1", "HOTA"):
                result.add_class(self.classes.names[class_id], name, each[name])
            result.add_class(self.classes.names[class_id], "track AP", list(precision.classes.values())[class_id][0])
        result.notes.append(f"MOTA, IDF1, HOTA: objects that score {MOT_MIN_SCORE} or more; all classes together")

    def _panoptic_figures(self, result: Figures) -> None:
        clips, things = list(self._panoptic.values()), range(len(self.things))
        names = (*self.things, *self.stuff)
        judged = frozenset(range(len(names)) if self.chosen is None else map(names.index, self.chosen))
        quality = panoptic_quality(clips, things, classes=judged)
        for name, value in (("PQ", quality.every), ("PQ things", quality.things), ("PQ stuff", quality.stuff)):
            result.add(name, value)
        shares = {number: value for number, value in class_iou(clips).items() if number in judged}
        result.add("mIoU", mean_of(shares.values()))
        for number, value in quality.classes.items():
            result.add_class(names[number], "PQ", value)
            result.add_class(names[number], "IoU", shares.get(number))
        if max(map(len, clips)) == 1:
            return
        if not all(ids.tracked for ids in self._ids.values()):
            result.notes.append("no VPQ: things without tracks are others in every frame")
            return
        windows = video_panoptic_quality(clips, things, classes=judged)
        for name, values in (
            ("VPQ", [one.every for one in windows.values()]),
            ("VPQ things", [one.things for one in windows.values()]),
            ("VPQ stuff", [one.stuff for one in windows.values()]),
        ):
            result.add(name, mean_of(values))
        for window, one in windows.items():
            result.add(f"VPQ of {window} frame{'s' if window > 1 else ''}", one.every)


def _distance(packet: Packet) -> int | None:
    """Frames since the one that the result comes from; None where every frame is looked at by itself."""
    source = packet.get(HELD_FROM)
    if source is None:
        source = packet.get(KEY_FRAME)
    if source is None and SKIPPED in packet:  # results are held, and this frame has its own
        source = packet.frame.index
    return None if source is None else packet.frame.index - source


def _step(known: KnownFrame, found: Objects, ids: NDArray[np.int32], class_id: int) -> Step:
    """One class of a frame for MOT figures; what is found where an object does not count is left out."""
    assert known.tracks is not None
    truth = known.objects
    same = truth.class_ids == class_id
    real, void = np.flatnonzero(same & ~truth.ignored & (known.tracks >= 0)), np.flatnonzero(same & truth.ignored)
    rows = np.flatnonzero((found.class_ids == class_id) & (found.scores >= MOT_MIN_SCORE) & (ids >= 0))
    overlaps = _overlaps(truth, real, found, rows, known.size)
    if len(void):
        excused = _overlaps(truth, void, found, rows, known.size).max(axis=0, initial=0.0) >= MIN_OVERLAP
        keep = ~excused | (overlaps.max(axis=0, initial=0.0) >= MIN_OVERLAP)
        rows, overlaps = rows[keep], overlaps[:, keep]
    return Step(known.tracks[real], ids[rows], overlaps)


def _overlaps(
    truth: Objects, true_rows: NDArray[np.int64], found: Objects, rows: NDArray[np.int64], size: tuple[int, int]
) -> NDArray[np.float64]:
    """IoU, float64 [true rows, rows], of masks where both have them, else of boxes."""
    if truth.masks is None or found.masks is None:
        return box_iou(truth.boxes[true_rows], found.boxes[rows])
    return mask_iou(_picked(truth.masks, true_rows), _picked(found.masks, rows), size)


def _picked(masks: tuple[bytes, ...], rows: Iterable[int]) -> list[bytes]:
    return [masks[row] for row in rows]
