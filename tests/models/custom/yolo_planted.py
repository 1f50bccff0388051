"""Objects that the tests plant into the outputs of a YOLO, and what must come out in frame pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from vidgraph.pipeline.packet import DETECTIONS, LANDMARKS

CLASSES = ("cat", "dog", "cup", "car", "kite")
MASKS, JOINTS = 32, 4


def places(size: tuple[int, int]) -> int:
    """Places of the usual three maps of an input of (height, width) ``size``."""
    return sum(-(-size[0] // stride) * -(-size[1] // stride) for stride in (8, 16, 32))


@dataclass(frozen=True)
class Objects:
    """N objects: boxes [N, 4] (x1, y1, x2, y2) in input pixels, best first; all numbers are exact in half precision."""

    size: tuple[int, int]
    boxes: np.ndarray
    scores: np.ndarray
    class_ids: np.ndarray
    coefficients: np.ndarray
    points: np.ndarray  # [N, 4, 3]: x, y, score
    prototypes: np.ndarray  # [32, h / 4, w / 4]
    hidden: np.ndarray = field(default_factory=lambda: np.zeros((0, 4), np.float32))  # suppressed by the first


def make_objects(size: tuple[int, int], *, count: int = 6, seed: int = 0) -> Objects:
    """Objects well inside of the middle of the input, so that they lie in a frame of any shape."""
    random = np.random.default_rng(seed)
    height, width = size
    centre = np.array([width, height]) * random.uniform(0.42, 0.58, (count, 2))
    half = np.array([width, height]) * random.uniform(0.04, 0.12, (count, 2))
    boxes = np.floor(np.concatenate([centre - half, centre + half], axis=1) / 4) * 4 + 2  # between two prototypes
    scores = (60 - 5 * np.arange(count)) / 64
    class_ids = np.arange(count) % len(CLASSES)
    points = np.concatenate([np.round(centre[:, None] + random.uniform(-9, 9, (count, JOINTS, 2))),
                             random.integers(0, 65, (count, JOINTS, 1)) / 64], axis=2)  # fmt: skip
    y, x = np.mgrid[: height // 4, : width // 4]
    waves = [np.sin(x * random.uniform(0.1, 0.5) + k) * np.cos(y * random.uniform(0.1, 0.5)) for k in range(MASKS)]
    coefficients = random.normal(size=(count, MASKS)) * 2
    middle = (np.stack([boxes[:, 1] + boxes[:, 3], boxes[:, 0] + boxes[:, 2]]) / 8).astype(int)
    logits = np.einsum("nm,mn->n", coefficients, np.stack(waves)[:, middle[0], middle[1]])
    coefficients *= np.where(logits < 0, -1, 1)[:, None]  # no mask is empty within its box
    halves = [np.asarray(array, np.float16).astype(np.float32) for array in (coefficients, points, np.stack(waves))]
    shifted = boxes[:1] + np.array([2, 0, 2, 0])
    return Objects(
        size,
        boxes.astype(np.float32),
        scores.astype(np.float32),
        class_ids.astype(np.int32),
        halves[0],
        halves[1],
        halves[2],
        shifted.astype(np.float32),
    )


def rows_of(
    objects: Objects,
    *,
    objectness: bool = False,
    extras: str = "",
    rows: int | None = None,
    order: str = "cxcywh",
    seed: int = 1,
) -> np.ndarray:
    """float32 [A, R]: the objects in some of the rows, one worse row for each of ``hidden``, the rest background.

    ``extras``: ``masks``, ``points`` or ``flat points`` (without their scores).
    """
    random = np.random.default_rng(seed)
    count = places(objects.size) if rows is None else rows
    columns = len(CLASSES) + (5 if objectness else 4)
    behind = {"": 0, "masks": MASKS, "points": 3 * JOINTS, "flat points": 2 * JOINTS}[extras]
    table = (random.integers(0, 14, (count, columns + behind)) / 64).astype(np.float32)
    all_boxes = np.concatenate([objects.boxes, objects.hidden])
    at = np.sort(random.choice(count, len(all_boxes), replace=False))[random.permutation(len(all_boxes))]
    for place, box, row in zip(at, all_boxes, range(len(all_boxes)), strict=True):
        source = row if row < len(objects.boxes) else row - len(objects.boxes)
        score = objects.scores[source] - (0 if row < len(objects.boxes) else 1 / 32)
        table[place, :4] = reordered(box, order)
        if objectness:
            table[place, 4] = 1.0
        table[place, columns - len(CLASSES) + objects.class_ids[source]] = score
        if extras == "masks":
            table[place, columns:] = objects.coefficients[source]
        elif extras:
            joints = objects.points[source]
            table[place, columns:] = (joints if extras == "points" else joints[:, :2]).reshape(-1)
    return table


def reordered(box: np.ndarray, order: str) -> np.ndarray:
    """(x1, y1, x2, y2) in another order."""
    low, high = box[:2], box[2:]
    pairs = {"cxcywh": ((low + high) / 2, high - low), "xywh": (low, high - low), "xyxy": (low, high)}
    return np.concatenate(pairs[order])


def finished_rows(objects: Objects, *, extras: str = "", rows: int = 30) -> np.ndarray:
    """float32 [N, 6 + extras]: as a graph that suppresses by itself gives them, with rows of zeros behind."""
    behind = {"": 0, "masks": MASKS, "points": 3 * JOINTS, "flat points": 2 * JOINTS}[extras]
    table = np.zeros((rows, 6 + behind), np.float32)
    count = len(objects.boxes)
    table[:count, :4], table[:count, 4], table[:count, 5] = objects.boxes, objects.scores, objects.class_ids
    if extras == "masks":
        table[:count, 6:] = objects.coefficients
    elif extras:
        joints = objects.points if extras == "points" else objects.points[:, :, :2]
        table[:count, 6:] = joints.reshape(count, -1)
    return table


@dataclass(frozen=True)
class Mapping:
    """frame = scale * input + offset, (x, y)."""

    scale: tuple[float, float]
    offset: tuple[float, float]

    def points(self, points: np.ndarray) -> np.ndarray:
        return np.asarray(points.astype(np.float64) * self.scale + self.offset)

    def boxes(self, boxes: np.ndarray, frame: tuple[int, int]) -> np.ndarray:
        placed = boxes.astype(np.float64) * (self.scale * 2) + self.offset * 2
        return np.clip(placed, 0, (frame[1], frame[0]) * 2)


def letterboxed(size: tuple[int, int], frame: tuple[int, int]) -> Mapping:
    """The aspect is kept, the frame lies in the middle."""
    scale = max(frame[0] / size[0], frame[1] / size[1])
    return Mapping((scale, scale), ((frame[1] - scale * size[1]) / 2, (frame[0] - scale * size[0]) / 2))


def stretched(size: tuple[int, int], frame: tuple[int, int]) -> Mapping:
    """The frame fills the input."""
    return Mapping((frame[1] / size[1], frame[0] / size[0]), (0.0, 0.0))


def probabilities(
    prototypes: np.ndarray,
    coefficients: np.ndarray,
    box: np.ndarray,
    mapping: Mapping,
    size: tuple[int, int],
    frame: tuple[int, int],
) -> np.ndarray:
    """float64 [H, W]: sigmoid(coefficients x prototypes) where each pixel lies, 0 where its centre is not in the box,
    1/2 (undecided) where it is on the edge.

    ``box`` is in frame pixels, ``prototypes`` [M, Hp, Wp] cover an input of ``size``; those farther than one pixel
    from the box count as 0.
    """
    sampled = 1 / (1 + np.exp(-np.tensordot(coefficients.astype(np.float64), prototypes.astype(np.float64), 1)))
    for axis in (0, 1):
        cells, (x_or_y, length) = sampled.shape[axis], (1 - axis, size[axis])
        scale, offset = mapping.scale[x_or_y], mapping.offset[x_or_y]
        low, high = (((edge - offset) / scale) * cells / length for edge in (box[x_or_y], box[x_or_y + 2]))
        at = np.arange(cells)
        inside = (at >= max(low - 1, 0)) & (at < min(high + 1, cells))
        sampled = np.where(inside[None, :] if axis else inside[:, None], sampled, 0)
    for axis in (0, 1):
        cells, (x_or_y, length) = sampled.shape[axis], (1 - axis, size[axis])
        scale, offset = mapping.scale[x_or_y], mapping.offset[x_or_y]
        place = ((np.arange(frame[axis]) + 0.5 - offset) / scale) * cells / length - 0.5
        place = np.clip(place, 0, cells - 1)
        first = np.floor(place).astype(int)
        second = np.minimum(first + 1, cells - 1)
        share = (place - first)[None, :] if axis else (place - first)[:, None]
        sampled = sampled.take(first, axis) * (1 - share) + sampled.take(second, axis) * share
    y, x = np.arange(frame[0])[:, None] + 0.5, np.arange(frame[1]) + 0.5
    inward = np.minimum(np.minimum(x - box[0], box[2] - x), np.minimum(y - box[1], box[3] - y))
    return np.where(np.abs(inward) < 1e-4, 0.5, np.where(inward > 0, sampled, 0))


def check_masks(masks: Any, expected: Sequence[np.ndarray], *, undecided: float = 1e-4) -> None:
    """That the masks are where probabilities exceed 1/2; those so near to it may fall on either side."""
    assert len(masks) == len(expected)
    for row, exact in enumerate(expected):
        wrong = (masks.full(row) != (exact > 0.5)) & (np.abs(exact - 0.5) > undecided)
        assert not wrong.any(), f"mask {row} differs in {wrong.sum()} pixels"


def check(
    found: Any,
    objects: Objects,
    mapping: Mapping,
    frame: tuple[int, int],
    *,
    extras: str = "",
    rows: Sequence[int] = (),
) -> None:
    """That a frame's result, or what a head gives, are the objects, or those at ``rows``, in order."""
    chosen = list(rows) or list(range(len(objects.boxes)))
    given = found if isinstance(found, dict) else {DETECTIONS: found.detections, LANDMARKS: found.landmarks}
    detections, landmarks = given[DETECTIONS], given.get(LANDMARKS)
    assert detections.class_ids.tolist() == objects.class_ids[chosen].tolist()
    assert detections.class_names == CLASSES
    np.testing.assert_array_equal(detections.scores, objects.scores[chosen])
    np.testing.assert_allclose(detections.boxes, mapping.boxes(objects.boxes, frame)[chosen], atol=1e-3)
    assert detections.boxes.dtype == np.float32
    assert (detections.masks is not None) == (extras == "masks")
    assert (landmarks is not None) == ("points" in extras)
    if extras == "masks":
        boxes = mapping.boxes(objects.boxes, frame)
        check_masks(
            detections.masks,
            [
                probabilities(objects.prototypes, objects.coefficients[row], boxes[row], mapping, objects.size, frame)
                for row in chosen
            ],
        )
        assert all(0 < detections.masks.area(row) < frame[0] * frame[1] for row in range(len(chosen)))
    if landmarks is not None:
        points = mapping.points(objects.points[chosen][:, :, :2])
        np.testing.assert_allclose(landmarks.points, points, atol=1e-3)
        scores = objects.points[chosen][:, :, 2] if extras == "points" else np.ones((len(chosen), JOINTS))
        np.testing.assert_array_equal(landmarks.scores, scores)
        np.testing.assert_array_equal(landmarks.boxes, detections.boxes)
        assert landmarks.detection_rows.tolist() == list(range(len(chosen)))
