"""A data set of moving shapes, made on the spot: enough for a network to learn from, and exact."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from vidgraph.pipeline.ground_truth import FACE_POINTS, GroundTruth
from vidgraph.pipeline.packet import Frame
from vidgraph.pipeline.types.detections import Detections
from vidgraph.pipeline.types.landmarks import Landmarks
from vidgraph.pipeline.types.masks import Masks
from vidgraph.pipeline.types.picture import Picture
from vidgraph.training.datasets.dataset import Clip, DataSample

COLOURS = np.array([[220, 40, 40], [40, 200, 60], [60, 60, 230], [230, 220, 40], [210, 60, 220]])


class Shapes:
    """Discs and boxes of one colour for each class that move over noise; discs also count as faces."""

    name = "shapes"
    class_names = ("person", "car", "bicycle", "ball", "animal")
    stuff_names: tuple[str, ...] = ()

    def __init__(self, clips: int = 4, frames: int = 5, size: tuple[int, int] = (180, 320), objects: int = 4) -> None:
        self.clips = tuple(Clip(f"clip{number}", frames, size, 25.0) for number in range(clips))
        self._objects = objects

    def samples(self, clip: Clip) -> Iterator[DataSample]:
        random = np.random.default_rng(int(clip.name[4:]))
        height, width = clip.size
        class_ids = random.integers(0, len(self.class_names), self._objects).astype(np.int32)
        radius = random.uniform(0.05, 0.2, self._objects) * height
        start = random.uniform(0.15, 0.85, (self._objects, 2)) * (width, height)
        speed = random.uniform(-3, 3, (self._objects, 2)).round()
        for index in range(clip.frames):
            yield self._sample(clip, index, class_ids, radius, (start + index * speed, speed), random)

    def _sample(self, clip, index, class_ids, radius, motion, random) -> DataSample:  # type: ignore[no-untyped-def]
        centres, speed = motion
        height, width = clip.size
        y, x = np.indices(clip.size) + 0.5
        rgb = random.integers(60, 140, (height, width, 3)).astype(np.uint8)
        flow = np.zeros((height, width, 2), np.float32)
        masks = np.zeros((self._objects, height, width), np.bool_)
        for row in range(self._objects):
            dx, dy = np.abs(x - centres[row, 0]), np.abs(y - centres[row, 1])
            inside = np.hypot(dx, dy) < radius[row] if class_ids[row] % 2 else np.maximum(dx, dy) < radius[row]
            masks[:row] &= ~inside
            masks[row] = inside
            rgb[inside] = COLOURS[class_ids[row]]
            flow[inside] = -speed[row]
        kept = np.flatnonzero(masks.sum((1, 2)) > 20)
        packed = Masks.from_full(masks[kept])
        boxes = packed.boxes.astype(np.float32)
        ones = np.ones(len(kept), np.float32)
        objects = Detections(boxes, ones, class_ids[kept], self.class_names, packed, kept.astype(np.int32))
        round_ones = np.flatnonzero(class_ids[kept] % 2 == 1)
        faces = face_landmarks(boxes[round_ones])
        truth = GroundTruth(
            objects,
            np.zeros(len(kept), np.bool_),
            np.zeros(len(kept), np.float32),
            faces=faces,
            faces_ignored=np.zeros(len(faces), np.bool_),
            flow=flow if index else None,
        )
        frame = Frame(clip.name, index, 0, index * 40_000_000, 40_000_000, Picture.from_rgb(rgb))
        return DataSample(frame, truth)


def face_landmarks(boxes: np.ndarray) -> Landmarks:
    """Five points at the same places of every box."""
    places = np.array([[0.3, 0.35], [0.7, 0.35], [0.5, 0.55], [0.35, 0.75], [0.65, 0.75]], np.float32)
    points = boxes[:, None, :2] + places * (boxes[:, None, 2:] - boxes[:, None, :2])
    none = np.full(len(boxes), -1, np.int32)
    return Landmarks(points, np.ones((len(boxes), 5), np.float32), boxes, FACE_POINTS, none, none)
