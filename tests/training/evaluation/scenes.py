"""Small data sets with planted objects, and a model that answers from a list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from vidgraph import Detections, Frame, Key, Packet, Picture
from vidgraph.pipeline.ground_truth import GroundTruth
from vidgraph.pipeline.packet import DETECTIONS, KEY_FRAME, LANDMARKS, PANOPTIC, SKIPPED
from vidgraph.pipeline.results.format import ModelInfo, ResultKeys
from vidgraph.pipeline.stage import EndReason, Stage
from vidgraph.pipeline.types.landmarks import Landmarks
from vidgraph.pipeline.types.masks import Masks
from vidgraph.pipeline.types.panoptic import PanopticMap
from vidgraph.stages.inference.key_frames import FixedInterval, KeyPolicy, PolicyOf
from vidgraph.training.datasets.dataset import Clip, DataSample

SIZE = (120, 160)
NAMES = ("person", "car")

Box = tuple[float, float, float, float]


def rectangles(
    boxes: Sequence[Box],
    class_ids: Sequence[int],
    *,
    scores: Sequence[float] | None = None,
    names: tuple[str, ...] = NAMES,
    tracks: Sequence[int] | None = None,
    masks: bool = True,
    size: tuple[int, int] = SIZE,
) -> Detections:
    """Objects that fill their boxes."""
    count = len(boxes)
    full = np.zeros((count, *size), np.bool_)
    for row, (x1, y1, x2, y2) in enumerate(boxes):
        full[row, int(y1) : int(y2), int(x1) : int(x2)] = True
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.ones(count, np.float32) if scores is None else np.array(scores, np.float32),
        np.array(class_ids, np.int32),
        names,
        Masks.from_full(full) if masks else None,
        None if tracks is None else np.array(tracks, np.int32),
    )


def points_of(
    boxes: Sequence[Box],
    points: np.ndarray,
    names: tuple[str, ...],
    *,
    scores: np.ndarray | None = None,
    rows: Sequence[int] | None = None,
) -> Landmarks:
    """Named points [N, K, 2] of objects with these boxes."""
    count = len(boxes)
    return Landmarks(
        np.asarray(points, np.float32).reshape(count, len(names), 2),
        np.ones((count, len(names)), np.float32) if scores is None else np.asarray(scores, np.float32),
        np.array(boxes, np.float32).reshape(-1, 4),
        names,
        np.arange(count, dtype=np.int32) if rows is None else np.array(rows, np.int32),
        np.full(count, -1, np.int32),
    )


@dataclass(frozen=True)
class Scene:
    """A data set in memory: clip -> truths of its frames; None: nothing is known of a frame."""

    truths: dict[str, list[GroundTruth | None]]
    name: str = "scene"
    class_names: tuple[str, ...] = NAMES
    stuff_names: tuple[str, ...] = ()
    size: tuple[int, int] = SIZE

    @property
    def clips(self) -> tuple[Clip, ...]:
        return tuple(Clip(name, len(frames), self.size, 25.0) for name, frames in self.truths.items())

    def samples(self, clip: Clip) -> Iterator[DataSample]:
        picture = Picture.from_rgb(np.zeros((*self.size, 3), np.uint8))
        for index, truth in enumerate(self.truths[clip.name]):
            frame = Frame(clip.name, index, 0, index * 40_000_000, 40_000_000, picture)
            known = truth if truth is not None else GroundTruth.of(Detections.empty(self.class_names))
            yield DataSample(frame, known, truth is not None)


@dataclass(frozen=True)
class Found:
    """What the model finds in a frame."""

    detections: Detections
    landmarks: Landmarks | None = None
    panoptic: PanopticMap | None = None


Answer = Callable[[str, int, int], Found]
"""What is found, by clip, frame, and key frame."""


@dataclass
class _Answers(Stage):
    """The one stage of the model; with key frames where it has a policy."""

    answer: Answer
    policy: PolicyOf | None
    ran: list[tuple[str, int, int]]
    name: str = "answers"
    creates: frozenset[Key[Any]] = frozenset({DETECTIONS, LANDMARKS, PANOPTIC, KEY_FRAME})
    _keys: dict[str, tuple[KeyPolicy, int]] = field(default_factory=dict)

    def process(self, packet: Packet) -> Iterable[Packet]:
        frame = packet.frame
        if packet.get(SKIPPED):
            return (packet,)
        key = frame.index
        if self.policy is not None:
            image = np.zeros((1, 3, 8, 8), np.float32)
            policy, last = self._keys.get(frame.stream_id, (None, -1))
            if policy is not None and not policy.is_key(frame, image, last):
                key = last
            else:
                policy = policy or self.policy(frame.stream_id)
            self._keys[frame.stream_id] = policy, key
            packet = packet.with_item(KEY_FRAME, key)
        self.ran.append((frame.stream_id, frame.index, key))
        found = self.answer(frame.stream_id, frame.index, key)
        packet = packet.with_item(DETECTIONS, found.detections)
        if found.landmarks is not None:
            packet = packet.with_item(LANDMARKS, found.landmarks)
        if found.panoptic is not None:
            packet = packet.with_item(PANOPTIC, found.panoptic)
        return (packet,)

    def end_stream(self, stream_id: str, reason: EndReason) -> Iterable[Packet]:
        self._keys.pop(stream_id, None)
        return ()


@dataclass
class Oracle:
    """A model that answers from a function; ``ran`` has (clip, frame, key frame) of every run."""

    answer: Answer
    class_names: tuple[str, ...] = NAMES
    name: str = "yolact-edge-vid-resnet50"
    video: bool = False
    ran: list[tuple[str, int, int]] = field(default_factory=list)

    @property
    def key_frames(self) -> bool:
        return self.video

    def stages(self, *, policy: PolicyOf | None = None) -> list[Stage]:
        chosen = (policy or (lambda stream: FixedInterval(5))) if self.video else None
        return [_Answers(self.answer, chosen, self.ran)]  # type: ignore[list-item]

    def result_keys(self) -> ResultKeys:
        return ResultKeys(self.name)

    def describe(self) -> ModelInfo:
        return ModelInfo(self.name, weights_sha256="0" * 64, engine="oracle", precision="fp32")


def crowded(truth: GroundTruth, ignored: Sequence[bool]) -> GroundTruth:
    """The same truth with these objects ignored."""
    return replace(truth, ignored=np.array(ignored, np.bool_))
