"""Box kernels beside NumPy, OpenCV and torch: thresholds, NMS of one class and of many, SSD decode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import class_nms, decode_boxes, nms, ssd_priors, top_scores
from .harness import Case, Runs, cases_of, optional


def cases() -> Iterator[Case]:
    """All cases of this file."""
    yield from _top_cases()
    for count in (100, 1000):
        yield from _nms_cases(count)
    for candidates in (1000, 8400):
        yield from _class_nms_cases(candidates)
    yield from _decode_cases()


def _same(run: Callable[[], Any], expected: NDArray[Any]) -> None:
    np.testing.assert_array_equal(np.asarray(run()).ravel(), expected.ravel())


def _close(run: Callable[[], Any], expected: NDArray[Any]) -> None:
    np.testing.assert_allclose(np.asarray(run()), expected, rtol=1e-5, atol=1e-6)


def _top_cases() -> Iterator[Case]:
    task = "scores above 0.5 of 16800, best first"
    scores, torch = np.random.default_rng(0).random(16800, np.float32) ** 8, optional("torch")
    runs: Runs = {
        "vidgraph": partial(top_scores, scores, min_score=0.5, limit=5000),
        "numpy": partial(_numpy_top, scores),
        "torch": torch and partial(_torch_top, torch, torch.from_numpy(scores)),
    }
    yield from cases_of(task, runs, partial(_same, expected=_numpy_top(scores)), scores.nbytes)


def _numpy_top(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    above = np.flatnonzero(scores > 0.5)
    return above[np.argsort(-scores[above], kind="stable")]


def _torch_top(torch: Any, scores: Any) -> Any:
    above = torch.nonzero(scores > 0.5)[:, 0]
    return above[torch.argsort(scores[above], descending=True, stable=True)]


def _nms_cases(count: int) -> Iterator[Case]:
    task = f"greedy NMS of {count} boxes at IoU 0.4"
    generator = np.random.default_rng(1)
    corner = generator.random((count, 2), np.float32) * 1000
    boxes = np.concatenate([corner, corner + 20 + 180 * generator.random((count, 2), np.float32)], axis=1)
    scores = ((1 + generator.permutation(count)) / count).astype(np.float32)
    cv2, torch = optional("cv2"), optional("torch")
    runs: Runs = {
        "vidgraph": partial(nms, boxes, scores, max_iou=0.4),
        "numpy": partial(_numpy_nms, boxes, scores),
        "opencv": cv2 and partial(cv2.dnn.NMSBoxes, corner_and_sides(boxes), scores, 0.0, 0.4),
        "torch": torch and partial(_torch_nms, torch, torch.from_numpy(boxes), torch.from_numpy(scores)),
    }
    yield from cases_of(task, runs, partial(_same, expected=_numpy_nms(boxes, scores)))


def corner_and_sides(boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    """Boxes as OpenCV takes them: float64 [N, 4], (x, y, width, height)."""
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).astype(np.float64)


def _numpy_nms(boxes: NDArray[np.float32], scores: NDArray[np.float32], max_iou: float = 0.4) -> NDArray[np.int64]:
    """The loop of py-faster-rcnn, with continuous widths."""
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    order, kept = np.argsort(-scores, kind="stable"), []
    while len(order):
        first, rest = order[0], order[1:]
        kept.append(first)
        low, high = np.maximum(boxes[first, :2], boxes[rest, :2]), np.minimum(boxes[first, 2:], boxes[rest, 2:])
        shared = np.prod(np.maximum(high - low, 0), axis=1)
        order = rest[shared / (areas[first] + areas[rest] - shared) <= max_iou]
    return np.array(kept, np.int64)


def _torch_nms(torch: Any, boxes: Any, scores: Any, max_iou: float = 0.4) -> Any:
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    order, kept = torch.argsort(scores, descending=True), []
    while len(order):
        first, rest = order[0], order[1:]
        kept.append(int(first))
        low, high = torch.maximum(boxes[first, :2], boxes[rest, :2]), torch.minimum(boxes[first, 2:], boxes[rest, 2:])
        shared = (high - low).clamp_(min=0).prod(1)
        order = rest[shared / (areas[first] + areas[rest] - shared) <= max_iou]
    return kept


CLASSES, LIMIT = 80, 300


def _class_nms_cases(count: int) -> Iterator[Case]:
    task = f"NMS by class of {count} boxes: the {LIMIT} best"
    random = np.random.default_rng(4)
    objects = random.uniform(0, 600, (50, 2))[random.integers(0, 50, count)]
    corner = objects + random.normal(0, 4, (count, 2))
    boxes = np.concatenate([corner, corner + random.uniform(20, 40, (count, 2))], axis=1).astype(np.float32)
    scores = ((1 + random.permutation(count)) / count).astype(np.float32)
    class_ids = random.integers(0, CLASSES, count).astype(np.int32)
    cv2, torch = optional("cv2"), optional("torch")
    with_numpy = partial(_by_class, partial(_numpy_nms, max_iou=0.5), boxes, scores, class_ids)
    runs: Runs = {
        "vidgraph": partial(class_nms, boxes, scores, class_ids, max_iou=0.5, limit=LIMIT),
        "numpy": with_numpy,
        "opencv": cv2 and partial(_opencv_by_class, cv2, corner_and_sides(boxes), scores, class_ids),
        "torch": torch and partial(_by_class, partial(_torch_nms_of_arrays, torch), boxes, scores, class_ids),
    }
    yield from cases_of(task, runs, partial(_same, expected=with_numpy()))


def _by_class(
    suppress: Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.int64]],
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    class_ids: NDArray[np.int32],
) -> NDArray[np.int64]:
    rows = [np.flatnonzero(class_ids == class_id) for class_id in np.unique(class_ids)]
    kept = np.concatenate([of_class[suppress(boxes[of_class], scores[of_class])] for of_class in rows])
    return np.asarray(kept[np.argsort(-scores[kept], kind="stable")][:LIMIT])


def _torch_nms_of_arrays(torch: Any, boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.array(_torch_nms(torch, torch.from_numpy(boxes), torch.from_numpy(scores), 0.5), np.int64)


def _opencv_by_class(
    cv2: Any, sides: NDArray[np.float64], scores: NDArray[np.float32], class_ids: NDArray[np.int32]
) -> NDArray[np.int64]:
    return np.asarray(cv2.dnn.NMSBoxesBatched(sides, scores, class_ids, 0.0, 0.5))[:LIMIT]


def _decode_cases() -> Iterator[Case]:
    task = "SSD decode of all 9440 anchors"
    priors = ssd_priors((360, 640), strides=(8, 16, 32), min_sizes=((16, 32), (64, 128), (256, 512)))
    loc = np.random.default_rng(2).standard_normal((len(priors), 4)).astype(np.float32)
    expected, torch = numpy_decode(loc, priors), optional("torch")
    runs: Runs = {
        "vidgraph": partial(decode_boxes, loc, priors),
        "numpy": partial(numpy_decode, loc, priors),
        "torch": torch and partial(torch_decode, torch, torch.from_numpy(loc), torch.from_numpy(priors)),
    }
    moved = loc.nbytes + priors.nbytes + expected.nbytes
    yield from cases_of(task, runs, partial(_close, expected=expected), moved)


def numpy_decode(loc: NDArray[np.float32], priors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Corners [N, 4] of SSD's offsets from priors, both [N, 4]."""
    centre = priors[:, :2] + loc[:, :2] * np.float32(0.1) * priors[:, 2:]
    size = priors[:, 2:] * np.exp(loc[:, 2:] * np.float32(0.2))
    return np.concatenate([centre - size / 2, centre + size / 2], axis=1)


def torch_decode(torch: Any, loc: Any, priors: Any) -> Any:
    """The same in torch."""
    centre = priors[:, :2] + loc[:, :2] * 0.1 * priors[:, 2:]
    size = priors[:, 2:] * torch.exp(loc[:, 2:] * 0.2)
    return torch.cat([centre - size / 2, centre + size / 2], 1)
