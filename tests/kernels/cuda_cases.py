"""What every CUDA kernel is held against its CPU twin with, by source."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from typing import Any

import numpy as np
from vidgraph import kernels

from .cases import to_device, to_host
from .cuda_drawing import draw, draw_segments, shade_surfaces
from .cuda_mask_cases import assemble_masks, label_map, label_runs
from .cuda_picture_cases import CASES as PICTURE_CASES, Case, Cases
from .cuda_queued import CASES as QUEUED_CASES

NAN, INF = np.float32(np.nan), np.float32(np.inf)


def boxes_of(count: int, seed: int = 0) -> np.ndarray:
    """Boxes float32 [N, 4] around a few places, some of them beside the image, inside out, or without a number."""
    random = np.random.default_rng(seed)
    corners = random.uniform(-0.3, 1.1, (5, 2))[random.integers(0, 5, count)] + random.normal(0, 0.03, (count, 2))
    boxes = np.concatenate([corners, corners + random.uniform(0.1, 0.3, (count, 2))], axis=1).astype(np.float32)
    for index, odd in enumerate(([3, 2, 1, 0], [NAN, 0, 1, 1], [-INF, -INF, INF, INF], [0, 0, 0, 0])):
        boxes[7 * index + 3 :: 61] = np.array(odd, np.float32)
    return boxes


def scores_of(*shape: int, seed: int = 1) -> np.ndarray:
    """Scores float32, many of them equal, some NaN, infinite, negative or zero of either sign."""
    random = np.random.default_rng(seed)
    scores = np.asarray(random.integers(0, 40, shape) / 40, np.float32).reshape(shape)
    flat = scores.reshape(-1)
    for index, odd in enumerate((NAN, -0.0, 0.0, -INF, -0.5)):
        flat[5 * index + 2 :: 97] = odd
    return scores


COUNTS = (0, 1, 2, 63, 64, 65, 200, 600)


def nms() -> Iterator[Case]:
    for count in COUNTS:
        for legacy in (False, True):
            yield kernels.nms, (boxes_of(count), scores_of(count)), {"max_iou": 0.4, "legacy": legacy}
    same = np.tile(np.array([[1, 2, 3, 4]], np.float32), (130, 1))
    yield kernels.nms, (same, np.full(130, 0.5, np.float32)), {"max_iou": 1.0}
    yield kernels.nms, (same, np.full(130, NAN)), {"max_iou": 0.3}


def class_nms() -> Iterator[Case]:
    for count in COUNTS:
        ids = np.random.default_rng(2).integers(-3, 3, count).astype(np.int32)
        for limit in (0, 1, 70, 10_000):
            arrays = (boxes_of(count), scores_of(count), ids)
            yield kernels.class_nms, arrays, {"max_iou": 0.4, "limit": limit}
    same = np.tile(np.array([[1, 2, 3, 4]], np.float32), (130, 1))
    ids = (np.arange(130) % 3).astype(np.int32)
    yield kernels.class_nms, (same, np.full(130, 0.5, np.float32), ids), {"max_iou": 0.3, "limit": 500}


def fast_nms() -> Iterator[Case]:
    for count, classes in ((0, 3), (1, 1), (70, 5), (300, 3), (17, 40)):
        arrays = boxes_of(count), scores_of(count, classes)
        for top_k, limit, floor in ((200, 100, 0.0), (65, 1000, 0.3), (1, 3, 0.0), (9, 0, 0.0)):
            rule: dict[str, Any] = {"max_iou": 0.5, "limit": limit, "min_score": floor}
            yield kernels.fast_nms, arrays, {**rule, "top_k": top_k}
            yield kernels.cross_class_fast_nms, arrays, {**rule, "top_k": top_k}
            yield kernels.traditional_nms, arrays, {**rule, "size": (300, 500)}
    same = np.tile(np.array([[0, 0, 1, 1]], np.float32), (300, 1))
    equal = np.full((300, 2), 0.25, np.float32)
    yield kernels.fast_nms, (same, equal), {"max_iou": 1.0, "top_k": 100, "limit": 150}


def top_scores() -> Iterator[Case]:
    for count in (*COUNTS, 2500):
        for limit in (0, 1, 33, 5000):
            yield kernels.top_scores, (scores_of(count),), {"min_score": 0.2, "limit": limit}
    yield kernels.top_scores, (scores_of(900, 2)[:, 1],), {"min_score": -1.0, "limit": 100}
    yield kernels.top_scores, (np.full(1500, 0.5, np.float32),), {"min_score": 0.0, "limit": 700}


def best_classes() -> Iterator[Case]:
    for count, classes in ((0, 3), (1, 1), (257, 5), (2100, 3)):
        scores = scores_of(count, classes)
        for floor in (-1.0, 0.5, 2.0):
            for factor in (None, scores_of(count, seed=4)):
                yield kernels.best_classes, (scores,), {"min_score": floor, "objectness": factor, "sigmoid": floor > 0}
    turned = np.ascontiguousarray(scores_of(300, 6).T).T
    yield kernels.best_classes, (turned,), {"min_score": 0.7}


def confident_rows() -> Iterator[Case]:
    for rows, columns in ((0, 2), (1, 2), (9, 3), (60, 41), (35, 81), (1100, 2)):
        logits = np.random.default_rng(rows).normal(0, 3, (rows, columns)).astype(np.float32)
        logits[3::11, 1], logits[5::13, 0], logits[6::17] = NAN, INF, -INF
        for floor, limit in ((0.05, 10_000), (0.4, 7), (0.0, 1), (-1.0, 20), (0.5, 0)):
            yield kernels.confident_rows, (logits,), {"min_score": floor, "limit": limit}


def ssd() -> Iterator[Case]:
    random = np.random.default_rng(5)
    for count in (0, 1, 255, 257):
        priors, loc = random.random((count, 4)).astype(np.float32), random.normal(0, 3, (count, 4)).astype(np.float32)
        loc[1::9] = NAN
        yield kernels.decode_boxes, (loc, priors), {"variances": (0.1, 0.2)}
        for points in (0, 1, 5):
            raw = random.normal(0, 1, (count, points, 2)).astype(np.float32)
            yield kernels.decode_points, (raw, priors), {"variance": 0.1}


_ALONE: dict[str, Cases] = {
    cases.__name__: cases
    for cases in (
        assemble_masks, best_classes, class_nms, confident_rows, draw, draw_segments, fast_nms, label_map, label_runs,
        nms, shade_surfaces, ssd, top_scores,
    )
} | PICTURE_CASES  # fmt: skip


def _with_queued(stem: str) -> Iterator[Case]:
    for cases in (_ALONE, QUEUED_CASES):
        if stem in cases:
            yield from cases[stem]()


CASES: dict[str, Cases] = {stem: partial(_with_queued, stem) for stem in sorted({*_ALONE, *QUEUED_CASES})}
"""Stem of a source -> its cases."""


def _arrays(result: Any) -> list[np.ndarray]:
    return [to_host(array) for array in (result if isinstance(result, tuple) else (result,))]


@cache
def cases_of(stem: str) -> list[tuple[Case, list[np.ndarray]]]:
    """All cases of a source, each with what the host gives. That is asked once, and may draw into what it is given."""
    answers = [_arrays(function(*arrays, **options)) for function, arrays, options in CASES[stem]()]
    return list(zip(CASES[stem](), answers, strict=True))


def compare(case: Case, wanted: list[np.ndarray]) -> None:
    """Run a case by the driver that is in place.

    Raises:
        AssertionError: its results are not ``wanted``.
    """
    function, arrays, options = case
    there = {name: to_device(v, "cuda") if isinstance(v, np.ndarray) else v for name, v in options.items()}
    for got, want in zip(_arrays(function(*to_device(arrays, "cuda"), **there)), wanted, strict=True):
        np.testing.assert_array_equal(got, want)
        assert got.dtype == want.dtype
