"""Objects at cells of the maps of a network, as each kind leaves them, and what must come of them in frame pixels.

The decoding is written once more here, for one object at a time, from the papers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Size = tuple[int, int]
SIZE = (96, 160)
OBJECTS = ((0, 5, 5, 0.9375, 2), (1, 3, 5, 0.875, 0), (0, 6, 13, 0.75, 1), (2, 1, 2, 0.625, 2))
"""Map, row, column, score and class of each, best first and apart from one another; all of the one class where
there is no other."""


def exponential(stride: int, x: int, y: int, numbers: np.ndarray) -> list[float]:
    """(centre in cells from the corner, logarithms of the sides in cells)."""
    cx, cy = (x + numbers[0]) * stride, (y + numbers[1]) * stride
    width, height = math.exp(numbers[2]) * stride, math.exp(numbers[3]) * stride
    return [cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2]


def distances(stride: int, x: int, y: int, numbers: np.ndarray) -> list[float]:
    """Left, top, right, bottom in cells from the corner."""
    left, top, right, bottom = (float(number) * stride for number in numbers)
    return [x * stride - left, y * stride - top, x * stride + right, y * stride + bottom]


def expected(logits: np.ndarray) -> list[float]:
    """The expectation of each of four distributions."""
    found = []
    for row in logits.reshape(4, -1).astype(np.float64):
        shares = [math.exp(value) for value in row]
        found.append(sum(at * share for at, share in enumerate(shares)) / sum(shares))
    return found


def bins(middle: float) -> Callable[[int, int, int, np.ndarray], list[float]]:
    """Distances as distributions, from ``middle`` of the cell."""

    def box(stride: int, x: int, y: int, numbers: np.ndarray) -> list[float]:
        left, top, right, bottom = (number * stride for number in expected(numbers))
        cx, cy = (x + middle) * stride, (y + middle) * stride
        return [cx - left, cy - top, cx + right, cy + bottom]

    return box


def linear(stride: int, x: int, y: int, numbers: np.ndarray) -> list[float]:
    """Centre from the middle of the cell and sides, in pixels."""
    cx, cy = (x + 0.5) * stride + numbers[0], (y + 0.5) * stride + numbers[1]
    return [cx - numbers[2] / 2, cy - numbers[3] / 2, cx + numbers[2] / 2, cy + numbers[3] / 2]


@dataclass(frozen=True)
class Kind:
    """One kind of network: its outputs, for tests.

    Attributes:
        head: the head that reads it.
        strides, anchors: of its maps.
        box: one box, and ``low`` and ``high`` of the numbers that are planted for it, ``columns`` of them.
        outputs: what each output of a map has in a row.
        names: of the outputs, with ``{}`` for the stride where maps are apart.
        classes: how many.
        points: how many, in cells from the corner, or in pixels from the middle of the cell.
        flat: without a batch.
        toml: what must be said.
    """

    head: str
    strides: tuple[int, ...]
    box: Callable[[int, int, int, np.ndarray], list[float]]
    outputs: tuple[tuple[str, ...], ...]
    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    anchors: tuple[int, ...] = (1, 1, 1, 1, 1)
    joined: bool = False
    classes: int = 3
    columns: int = 4
    points: int = 0
    points_in_pixels: bool = False
    score: str = "given"
    flat: bool = False
    toml: str = ""


_CENTRE: dict[str, Any] = {"low": (-1.0, -1.0, 0.5, 0.5), "high": (1.0, 1.0, 1.0, 1.0)}
_SIDES: dict[str, Any] = {"low": (0.5,) * 4, "high": (1.5,) * 4}
_BINS: dict[str, Any] = {"low": (-2.0,) * 32, "high": (2.0,) * 32, "columns": 32}
_NANODET: dict[str, Any] = {"head": "nanodet", "box": bins(0.5), **_BINS}
_SCRFD: dict[str, Any] = {"head": "scrfd", "box": distances, "classes": 1, **_SIDES}
_SCRFD_POINTS: dict[str, Any] = _SCRFD | {
    "outputs": (("scores",), ("boxes",), ("points",)), "points": 5,
}  # fmt: skip
_APART = (("scores",), ("boxes",))
KINDS: dict[str, Kind] = {
    "yolox": Kind(
        "yolox", (8, 16, 32), exponential, (("boxes", "objectness", "scores"),), ("output",), joined=True,
        score="product", toml='head = "yolox"\n', **_CENTRE,
    ),
    "nanodet": Kind(
        strides=(8, 16, 32), outputs=_APART, names=("cls_pred_stride_{}", "dis_pred_stride_{}"), **_NANODET
    ),
    "nanodet, joined": Kind(
        strides=(8, 16, 32), outputs=(("scores", "boxes"),), names=("output",), joined=True,
        toml='classes = ["a", "b", "c"]\n', **_NANODET,
    ),
    "nanodet plus": Kind(
        strides=(8, 16, 32, 64), outputs=(("scores", "boxes"),), names=("output",), joined=True,
        toml='classes = ["a", "b", "c"]\n', **(_NANODET | {"box": bins(0.0)}),
    ),
    "picodet": Kind(
        "picodet", (8, 16, 32, 64), bins(0.5), _APART, ("transpose_{}.tmp_0", "transpose_{}.tmp_1"), **_BINS
    ),
    "scrfd, 6": Kind(
        strides=(8, 16, 32), anchors=(2, 2, 2), outputs=_APART, names=("score_{}", "bbox_{}"), **_SCRFD
    ),
    "scrfd, 9": Kind(
        strides=(8, 16, 32), anchors=(2, 2, 2), names=("a{}", "b{}", "c{}"), flat=True, **_SCRFD_POINTS
    ),
    "scrfd, 10": Kind(strides=(8, 16, 32, 64, 128), outputs=_APART, names=("a{}", "b{}"), flat=True, **_SCRFD),
    "scrfd, 15": Kind(strides=(8, 16, 32, 64, 128), names=("a{}", "b{}", "c{}"), **_SCRFD_POINTS),
    "yunet": Kind(
        "yunet", (8, 16, 32), exponential, (("scores",), ("objectness",), ("boxes",), ("points",)),
        ("cls_{}", "obj_{}", "bbox_{}", "kps_{}"), classes=1, points=5, score="root", **_CENTRE,
    ),
    "mediapipe-face": Kind(
        "mediapipe-face", (8, 16), linear, (("boxes", "points"), ("scores",)), ("regressors", "classificators"),
        low=(-3.0, -3.0, 12.0, 12.0), high=(3.0, 3.0, 24.0, 24.0), anchors=(2, 6), joined=True, classes=1, points=6,
        points_in_pixels=True, score="sigmoid",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Planted:
    """What was planted: outputs by name, and the objects: boxes [N, 4] and points [N, P, 2] in input pixels."""

    outputs: dict[str, np.ndarray]
    boxes: np.ndarray
    points: np.ndarray
    scores: np.ndarray
    class_ids: np.ndarray


def plant(kind: Kind, size: Size = SIZE, seed: int = 0, *, spoiled: float | None = None) -> Planted:
    """The objects in outputs whose other rows score little; ``spoiled`` stands in place of the box of the best one."""
    random = np.random.default_rng(seed)
    maps = [(stride, -(-size[0] // stride), -(-size[1] // stride)) for stride in kind.strides]
    widths = {"scores": kind.classes, "objectness": 1, "boxes": kind.columns, "points": 2 * kind.points}
    tables = []
    for (_, rows, columns), anchors in zip(maps, kind.anchors, strict=False):
        count = rows * columns * anchors
        tables.append({part: random.uniform(0.01, 0.1, (count, width)) for part, width in widths.items()})
        if kind.score == "sigmoid":
            tables[-1]["scores"] = random.uniform(-6, -4, (count, kind.classes))
    boxes, points, class_ids = [], [], []
    for level, y, x, score, number in OBJECTS[: 4 if len(maps) > 2 else 3]:
        stride, anchors = maps[level][0], kind.anchors[level]
        table, row = tables[level], (y * maps[level][2] + x) * anchors + anchors - 1
        numbers = random.uniform(kind.low, kind.high).astype(np.float32)
        moved = random.uniform(-1, 1, (kind.points, 2)).astype(np.float32) * (stride if kind.points_in_pixels else 1)
        table["boxes"][row], table["points"][row] = numbers, moved.reshape(-1)
        table["objectness"][row] = score if kind.score == "root" else 1
        class_ids.append(number if kind.classes > 1 else 0)
        planted = math.log(score / (1 - score)) if kind.score == "sigmoid" else score
        table["scores"][row, class_ids[-1]] = planted
        boxes.append(kind.box(stride, x, y, numbers))
        if spoiled is not None and len(boxes) == 1:
            table["boxes"][row] = spoiled
        middle = 0.5 if kind.points_in_pixels else 0.0
        unit = 1 if kind.points_in_pixels else stride
        points.append([[(x + middle) * stride + dx * unit, (y + middle) * stride + dy * unit] for dx, dy in moved])
    outputs: dict[str, np.ndarray] = {}
    for columns_of, name in zip(kind.outputs, kind.names, strict=True):
        each = [np.concatenate([table[part] for part in columns_of], axis=1).astype(np.float32) for table in tables]
        named = (
            {name: np.concatenate(each)}
            if kind.joined
            else dict(zip(map(name.format, kind.strides), each, strict=True))
        )
        outputs |= {key: array if kind.flat else array[None] for key, array in named.items()}
    scores = np.array([score for *_, score, _ in OBJECTS[: len(boxes)]])
    return Planted(outputs, np.array(boxes), np.array(points), scores, np.array(class_ids))
