"""The best class of each box and which boxes are kept, beside NumPy and torch, in the layouts of YOLO networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import best_classes
from .harness import Case, Runs, cases_of, optional

CLASSES = 80
MIN_SCORE = 0.25

Found = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
"""Rows, classes and scores."""


def cases() -> Iterator[Case]:
    """All cases of this file: columns as [1, 84, 8400] has them, rows as [1, 25200, 85], both without a copy."""
    columns = random_scores(8400, 84).T
    yield from _cases("8400 boxes, 80 classes in columns", np.ascontiguousarray(columns)[4:].T, None)
    rows = random_scores(25200, 85)
    yield from _cases("25200 boxes, 80 classes in rows, objectness", rows[:, 5:], rows[:, 4])


def random_scores(boxes: int, numbers: int) -> NDArray[np.float32]:
    """Background but for about 300 boxes; the last 80 numbers are scores, the one before them the objectness."""
    random = np.random.default_rng(boxes)
    table: NDArray[np.float32] = (random.random((boxes, numbers), np.float32) ** 8 / 5).astype(np.float32)
    table[:, numbers - CLASSES - 1] = 1
    rows = random.choice(boxes, 300, replace=False)
    table[rows, numbers - CLASSES + random.integers(0, CLASSES, 300)] += 0.7
    return table


def _cases(task: str, scores: NDArray[np.float32], objectness: NDArray[np.float32] | None) -> Iterator[Case]:
    torch = optional("torch")
    factor = None if objectness is None or torch is None else torch.from_numpy(objectness)
    runs: Runs = {
        "vidgraph": partial(best_classes, scores, min_score=MIN_SCORE, objectness=objectness),
        "numpy": partial(_numpy, scores, objectness),
        "torch": torch and partial(_torch, torch.from_numpy(scores), factor),
    }
    yield from cases_of(task, runs, partial(_check, expected=_numpy(scores, objectness)), 4 * scores.size)


def _check(run: Callable[[], Found], expected: Found) -> None:
    for found, wanted in zip(run(), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def _numpy(scores: NDArray[np.float32], objectness: NDArray[np.float32] | None) -> Found:
    best = scores.max(axis=1)
    if objectness is not None:
        best = best * objectness
    rows = np.flatnonzero(best > MIN_SCORE)
    return rows, scores[rows].argmax(axis=1), best[rows]


def _torch(scores: Any, objectness: Any) -> Found:
    best, classes = scores.max(dim=1)
    if objectness is not None:
        best = best * objectness
    kept = best > MIN_SCORE
    return kept.nonzero()[:, 0].numpy(), classes[kept].numpy(), best[kept].numpy()
