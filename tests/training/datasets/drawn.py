"""A small drawn data set with everything that truth has: two videos and what is in them, made here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from vidgraph.pipeline.ground_truth import FACE_POINTS, MPII_JOINTS, GroundTruth
from vidgraph.pipeline.packet import Frame
from vidgraph.pipeline.types.detections import Detections
from vidgraph.pipeline.types.landmarks import Landmarks
from vidgraph.pipeline.types.masks import Masks
from vidgraph.pipeline.types.panoptic import PanopticMap, Segment
from vidgraph.pipeline.types.picture import Picture
from vidgraph.training.datasets.dataset import Clip, DataSample

SIZE = (48, 64)
FPS = 25.0


class DrawnDataset:
    """A person, a car that hides a part of it, and a crowd; sky and road; the person's joints and face."""

    name = "drawn"
    class_names = ("person", "car")
    stuff_names = ("sky", "road")

    def __init__(self, *clips: Clip) -> None:
        self.clips = clips or (Clip("street/one", 3, SIZE, FPS), Clip("photo", 1, SIZE))

    def samples(self, clip: Clip) -> Iterator[DataSample]:
        """The frames of a clip; another picture for every frame."""
        for index in range(clip.frames):
            frame = Frame(clip.name, index, 0, index * 40_000_000, 40_000_000, Picture.from_rgb(rgb(index)))
            yield DataSample(frame, truth(index))


def rgb(index: int) -> NDArray[np.uint8]:
    """uint8 [48, 64, 3]."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    return np.stack([3 * x, 5 * y, np.full_like(x, 40 * index)], axis=-1).astype(np.uint8)


def truth(index: int) -> GroundTruth:
    """What there is in frame ``index``: things move two pixels to the right each frame."""
    step = 2 * index
    full = np.zeros((3, *SIZE), np.bool_)
    full[0, 10:30, 8 + step : 16 + step] = True
    full[1, 20:34, 14 + step : 34 + step] = True
    full[0] &= ~full[1]
    full[2, 36:40, 40:60] = True
    full[2, 38, 45:50] = False
    masks = Masks.from_full(full)
    class_ids = np.array([0, 1, 0], np.int32)
    boxes = masks.boxes.astype(np.float32)
    boxes[0] += np.float32(0.25)
    objects = Detections(
        boxes, np.ones(3, np.float32), class_ids, DrawnDataset.class_names, masks, np.array([0, 4, 9], np.int32)
    )
    return GroundTruth(
        objects,
        np.array([False, False, True]),
        np.array([0.25, 0.0, -1.0], np.float32),
        panoptic(full),
        bodies(step),
        faces(step),
        np.array([False, True]),
    )


def panoptic(full: NDArray[np.bool_]) -> PanopticMap:
    """The masks as segments 300, 70000 and 7, sky and road as 1 and 2, and a void corner."""
    ids = np.ones(SIZE, np.int32)
    ids[30:] = 2
    ids[:3, :3] = 0
    segments = []
    for number, mask, (class_id, name), track in zip(
        (300, 70000, 7), full, ((0, "person"), (1, "car"), (0, "person")), (0, 4, 9), strict=True
    ):
        ids[mask] = number
        segments.append(Segment(number, class_id, name, True, 1.0, int(mask.sum()), track))
    for number, name in ((1, "sky"), (2, "road")):
        segments.append(Segment(number, 1 + number, name, False, None, int((ids == number).sum())))
    return PanopticMap(ids, tuple(segments))


def bodies(step: int) -> Landmarks:
    """16 joints of the first person: seen, hidden and unknown ones."""
    points = np.stack([np.linspace(8, 15, 16) + step, np.linspace(11.5, 29.25, 16)], axis=-1)[None].astype(np.float32)
    scores = np.resize([1.0, 0.5, 1.0, 0.0], (1, 16)).astype(np.float32)
    points[scores == 0] = 0
    boxes = np.array([[8.25 + step, 10.25, 16.25 + step, 30.25]], np.float32)
    return Landmarks(points, scores, boxes, MPII_JOINTS, np.zeros(1, np.int32), np.zeros(1, np.int32))


def faces(step: int) -> Landmarks:
    """Two faces, of which one has no points."""
    points = np.zeros((2, 5, 2), np.float32)
    points[0] = [[9, 12], [13, 12], [11, 13.5], [9.5, 15], [12.5, 15]]
    points[0, :, 0] += step
    scores = np.array([[1, 1, 1, 0.5, 1], [0] * 5], np.float32)
    boxes = np.array([[8 + step, 10, 16 + step, 17], [40, 36, 43, 39]], np.float32)
    tracks = np.array([0, -1], np.int32)
    return Landmarks(points, scores, boxes, FACE_POINTS, np.full(2, -1, np.int32), tracks)


def without_panoptic(sample: DataSample) -> DataSample:
    """The sample, with no segment for every pixel."""
    return replace(sample, truth=replace(sample.truth, panoptic=None))
