"""From raw logits to kept boxes beside torch, NumPy and OpenCV: softmax, threshold, decode and suppression."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import confident_rows, decode_boxes, fast_nms, traditional_nms, warp_features
from .bench_boxes import corner_and_sides, numpy_decode, torch_decode
from .harness import Case, Runs, cases_of, optional

PRIORS, CLASSES = 19248, 81
MIN_SCORE, MAX_IOU, TOP_K, LIMIT = 0.05, 0.5, 200, 100

Found = tuple[NDArray[Any], NDArray[Any]]
"""Boxes float32 [D, 4] and classes [D], best first."""


@dataclass(frozen=True, slots=True)
class Raw:
    """What a network gives for a frame: float32 [P, C], [P, 4], and the priors [P, 4]."""

    logits: NDArray[np.float32]
    loc: NDArray[np.float32]
    priors: NDArray[np.float32]


def cases() -> Iterator[Case]:
    """All cases of this file."""
    for candidates, objects in ((300, 40), (2000, 40), (2000, 2000)):
        yield from _suppression_cases(candidates, objects)
    yield from _warp_cases()


def random_raw(candidates: int, objects: int, count: int = PRIORS, classes: int = CLASSES) -> Raw:
    """Background, but for about so many of ``count`` priors around objects, each of one class."""
    random = np.random.default_rng(candidates)
    logits = random.normal(size=(count, classes))
    logits[:, 0] += 9
    rows, of = random.choice(count, candidates, replace=False), random.integers(0, objects, candidates)
    logits[rows, 0] -= 3
    logits[rows, random.integers(1, classes, objects)[of]] += random.uniform(6, 11, candidates)
    priors = np.concatenate([random.random((count, 2)), random.uniform(0.05, 0.2, (count, 2))], axis=1)
    priors[rows, :2] = random.random((objects, 2))[of] + random.normal(0, 0.02, (candidates, 2))
    priors[rows, 2:] = random.uniform(0.05, 0.25, (objects, 2))[of]
    loc = random.normal(0, 0.5, (count, 4))
    return Raw(logits.astype(np.float32), loc.astype(np.float32), priors.astype(np.float32))


def _suppression_cases(candidates: int, objects: int) -> Iterator[Case]:
    task = f"19248 x 81 logits: {candidates} boxes, {objects} objects"
    raw = random_raw(candidates, objects)
    cv2, torch = optional("cv2"), optional("torch")
    fast: Runs = {
        "vidgraph": partial(_ours_fast, raw),
        "numpy": partial(_numpy_fast, raw),
        "torch": torch and partial(_torch_fast, torch, Raw(*map(torch.from_numpy, (raw.logits, raw.loc, raw.priors)))),
    }
    yield from cases_of(task, fast, partial(_same_boxes, expected=_numpy_fast(raw)), raw.logits.nbytes)
    greedy: Runs = {
        "vidgraph greedy": partial(_ours_greedy, raw),
        "opencv greedy": cv2 and partial(_opencv_greedy, cv2, raw),
    }
    yield from cases_of(task, greedy, partial(_same_boxes, expected=_numpy_greedy(raw)), raw.logits.nbytes)


def _same_boxes(run: Callable[[], Found], expected: Found) -> None:
    """The same detections but for one or two: near-equal overlaps and scores fall on either side in float32."""
    boxes, classes = (np.asarray(array) for array in run())
    assert len(boxes) == len(expected[0])
    same = (np.abs(boxes[:, None] - expected[0][None]).max(axis=2) < 1e-5) & (classes[:, None] == expected[1][None])
    assert same.any(axis=1).sum() >= len(boxes) - 2


def _ours_fast(raw: Raw) -> Found:
    rows, scores = confident_rows(raw.logits, min_score=MIN_SCORE, limit=PRIORS)
    boxes = decode_boxes(raw.loc[rows], raw.priors[rows])
    kept, classes, _ = fast_nms(boxes, scores, max_iou=MAX_IOU, top_k=TOP_K, limit=LIMIT)
    return boxes[kept], classes


def _ours_greedy(raw: Raw) -> Found:
    rows, scores = confident_rows(raw.logits, min_score=MIN_SCORE, limit=PRIORS)
    boxes = decode_boxes(raw.loc[rows], raw.priors[rows])
    size = (2**20, 2**20)  # so many pixels that the one added to widths makes no difference
    kept, classes, _ = traditional_nms(boxes, scores, max_iou=MAX_IOU, limit=LIMIT, min_score=MIN_SCORE, size=size)
    return boxes[kept], classes


def _numpy_candidates(raw: Raw) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes [K, 4] and foreground scores [K, C - 1]."""
    softmax = np.exp(raw.logits - raw.logits.max(axis=1, keepdims=True))
    softmax /= softmax.sum(axis=1, keepdims=True)
    rows = np.flatnonzero(softmax[:, 1:].max(axis=1) > MIN_SCORE)
    return numpy_decode(raw.loc[rows], raw.priors[rows]), softmax[rows, 1:]


def _numpy_overlaps(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    low = np.maximum(boxes[..., :, None, :2], boxes[..., None, :, :2])
    high = np.minimum(boxes[..., :, None, 2:], boxes[..., None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=-1)
    area = np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1)
    return np.asarray(shared / (area[..., :, None] + area[..., None, :] - shared))


def _numpy_fast(raw: Raw) -> Found:
    boxes, scores = _numpy_candidates(raw)
    order = np.argsort(-scores.T, axis=1, kind="stable")[:, :TOP_K]
    overlaps = np.triu(_numpy_overlaps(boxes[order]), k=1).max(axis=1)
    classes, rank = np.nonzero(overlaps <= MAX_IOU)
    rows = order[classes, rank]
    best = np.argsort(-scores[rows, classes], kind="stable")[:LIMIT]
    return boxes[rows[best]], classes[best]


def _numpy_greedy(raw: Raw) -> Found:
    """Class by class, on the matrix of all overlaps."""
    boxes, scores = _numpy_candidates(raw)
    overlaps = _numpy_overlaps(boxes)
    rows: list[int] = []
    classes: list[int] = []
    for class_id in range(CLASSES - 1):
        left = np.flatnonzero(scores[:, class_id] > MIN_SCORE)
        left = left[np.argsort(-scores[left, class_id], kind="stable")]
        while len(left):
            rows.append(int(left[0]))
            classes.append(class_id)
            left = left[1:][overlaps[left[0], left[1:]] < MAX_IOU]
    best = np.argsort(-scores[rows, classes], kind="stable")[:LIMIT]
    return boxes[np.array(rows)[best]], np.array(classes)[best]


def _opencv_greedy(cv2: Any, raw: Raw) -> Found:
    boxes, scores = _numpy_candidates(raw)
    rows, classes = np.nonzero(scores > MIN_SCORE)
    sides = corner_and_sides(boxes)[rows]
    kept = cv2.dnn.NMSBoxesBatched(sides, scores[rows, classes], classes.astype(np.int32), MIN_SCORE, MAX_IOU)
    kept = np.asarray(kept)[:LIMIT]
    return boxes[rows[kept]], classes[kept]


def _torch_fast(torch: Any, raw: Any) -> Found:
    """As the published code writes it."""
    softmax = torch.softmax(raw.logits, dim=1).T[1:]
    keep = softmax.max(dim=0)[0] > MIN_SCORE
    boxes = torch_decode(torch, raw.loc[keep], raw.priors[keep])
    scores, order = softmax[:, keep].sort(1, descending=True)
    scores, order = scores[:, :TOP_K].contiguous(), order[:, :TOP_K].contiguous()
    sorted_boxes = boxes[order]
    low = torch.maximum(sorted_boxes[:, :, None, :2], sorted_boxes[:, None, :, :2])
    high = torch.minimum(sorted_boxes[:, :, None, 2:], sorted_boxes[:, None, :, 2:])
    shared = (high - low).clamp_(min=0).prod(3)
    area = (sorted_boxes[..., 2:] - sorted_boxes[..., :2]).prod(2)
    overlaps = (shared / (area[:, :, None] + area[:, None, :] - shared)).triu_(diagonal=1).max(dim=1)[0]
    kept = overlaps <= MAX_IOU
    classes = torch.arange(CLASSES - 1)[:, None].expand_as(kept)[kept]
    best = scores[kept].sort(0, descending=True)[1][:LIMIT]
    return sorted_boxes[kept][best].numpy(), classes[best].numpy()


def _warp_cases() -> Iterator[Case]:
    task = "warp of 256 x 35 x 35 features"
    random = np.random.default_rng(3)
    feature, scale, bias = random.normal(size=(3, 256, 35, 35)).astype(np.float32)
    flow = random.normal(0, 0.3, (2, 35, 35)).astype(np.float32)
    ours, torch = partial(warp_features, feature, flow, scale=scale, bias=bias), optional("torch")
    runs: Runs = {
        "vidgraph": ours,
        "torch": torch and partial(_torch_warp, torch, *map(torch.from_numpy, (feature, flow, scale, bias))),
    }
    yield from cases_of(task, runs, partial(_close, expected=ours()), 4 * feature.nbytes + flow.nbytes)


def _torch_warp(torch: Any, feature: Any, flow: Any, scale: Any, bias: Any) -> Any:
    y, x = torch.meshgrid(torch.linspace(-1, 1, 35), torch.linspace(-1, 1, 35), indexing="ij")
    grid = torch.stack([x, y], -1) + flow.permute(1, 2, 0) / 8
    return torch.nn.functional.grid_sample(feature[None], grid[None], align_corners=True)[0] * scale + bias


def _close(run: Callable[[], Any], expected: NDArray[np.float32]) -> None:
    np.testing.assert_allclose(np.asarray(run()), expected, atol=1e-3)
