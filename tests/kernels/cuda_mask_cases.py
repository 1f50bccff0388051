"""What the CUDA kernels of masks and of maps of labels are held against their CPU twins with; see ``cuda_cases.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from vidgraph import kernels

Case = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]

NAN, INF = np.float32(np.nan), np.float32(np.inf)

BOXES = np.array(
    [
        [0, 0, 1, 1], [NAN, 0, 1, 1], [-INF, -3, INF, 9], [2, 0, 3, 1], [0.4, 0.6, 0.4, 0.6], [1, 0.9, 0.1, 0],
        [0, 0, 1e38, 1], [0.7, -0.2, 0.9, 0.3],
    ],
    np.float32,
)  # fmt: skip

# (prototype height, width, channels), (frame height, width), window
MASKS = [
    ((1, 1, 1), (1, 1), (0.0, 0.0, 1.0, 1.0)),
    ((1, 5, 3), (40, 7), (0.0, 0.0, 1.0, 1.0)),
    ((7, 3, 16), (9, 130), (0.0, 0.21875, 1.0, 0.78125)),
    ((9, 9, 33), (33, 70), (0.3, 0.0, 0.55, 1.0)),
    ((20, 30, 17), (7, 11), (0.7, 0.4, 1.0, 1.0)),  # smaller than the prototypes
    ((6, 40, 32), (17, 200), (0.0, 0.0, 0.01, 0.01)),
    ((6, 40, 32), (35, 200), (0.0, 0.0, 1.0, 1.0)),
]


def in_other_memory(array: np.ndarray, number: int) -> np.ndarray:
    """The same numbers: as they are, with the first axis last or the last one first in memory, or with gaps."""
    if number % 4 == 1:
        return np.ascontiguousarray(array.transpose(1, 2, 0)).transpose(2, 0, 1)
    if number % 4 == 2:
        return np.ascontiguousarray(array.transpose(2, 0, 1)).transpose(1, 2, 0)
    return np.pad(array, 2, constant_values=NAN)[2:-2, 2:-2, 2:-2] if number % 4 == 3 else array


def both(arrays: tuple[Any, ...], **options: Any) -> Iterator[Case]:
    yield kernels.assemble_masks, arrays, options
    yield kernels.expected_mask_iou, arrays, {}


def assemble_masks() -> Iterator[Case]:
    for number, (shape, size, window) in enumerate(MASKS):
        random = np.random.default_rng(number)
        proto = np.maximum(random.normal(size=shape), 0).astype(np.float32)
        coeff = np.tanh(random.normal(size=(len(BOXES), shape[2]))).astype(np.float32)
        proto[..., 0], coeff[0] = 1, 9  # a full one
        arrays = (in_other_memory(proto, number), coeff, BOXES)
        yield from both(arrays, size=size, window=window)
        limits = random.integers(-9, 9 + max(size), (len(BOXES), 4)).astype(np.int32)
        limits[0], limits[2] = (-(2**31), 1, 2**31 - 1, size[0]), (5, 6, 1, 2)
        yield kernels.assemble_masks, arrays, {"size": size, "window": window, "limits": limits}
        odd, endless = proto.copy(), coeff.copy()
        odd[0, 0, 0], odd[-1, -1, -1], endless[6, 0] = NAN, INF, -INF
        yield from both((odd, endless, BOXES), size=size)
    for count in (0, 1, 257):
        box = np.full((count, 4), (0.1, -1, 0.9, 2), np.float32)
        yield from both((np.ones((5, 6, 2), np.float32), np.ones((count, 2), np.float32), box), size=(7, 9))


# (classes, height, width), (frame height, width)
LABELS = [
    ((1, 1, 1), (1, 1)),
    ((3, 1, 5), (7, 40)),
    ((2, 9, 1), (20, 3)),
    ((5, 8, 9), (8, 9)),
    ((21, 13, 17), (61, 83)),
    ((4, 37, 90), (11, 16)),
    ((3, 5, 33), (17, 129)),
]


def label_map() -> Iterator[Case]:
    windows = ((0.0, 0.0, 1.0, 1.0), (0.1, 0.25, 0.9, 0.75), (-900000.0, 0.3, 0.4, 1.3))
    for number, (shape, size) in enumerate(LABELS):
        random = np.random.default_rng(number)
        near = np.full(shape, 3.7, np.float32).view(np.int32) + random.integers(0, 2, shape, np.int32)
        for logits in (random.normal(size=shape).astype(np.float32), near.view(np.float32)):
            odd = random.random(shape) < 0.05
            logits[odd] = random.choice(np.array([NAN, INF, -INF, 3e38, -3e38], np.float32), int(odd.sum()))
            options = {"size": size, "window": windows[number % 3], "first": number - 2**31}
            yield kernels.label_map, (in_other_memory(logits, number),), options


def label_runs() -> Iterator[Case]:
    for size in ((0, 0), (0, 5), (5, 0), (1, 1), (64, 128), (65, 129), (63, 127), (1, 1100), (200, 3)):
        random = np.random.default_rng(size[1])
        for share in (0.0, 0.01, 1.0):
            labels = np.where(random.random(size) < share, random.integers(-(2**31), 2**31, size), 0)
            yield kernels.label_runs, (labels.astype(np.int32),), {}
