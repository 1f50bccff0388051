"""Random inputs of kernels, in the sizes of a :class:`.scale.Scale`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...kernels import confident_rows, decode_boxes
from ..bench_detections import MIN_SCORE, Raw, random_raw
from .scale import Scale

Planes = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def noise_planes(scale: Scale) -> Planes:
    """An NV12 picture of noise."""
    height, width = scale.frame
    random = np.random.default_rng(1)
    return (
        random.integers(0, 256, (height, width), np.uint8),
        random.integers(0, 256, (height // 2, width // 2, 2), np.uint8),
    )


def smooth_planes(scale: Scale) -> Planes:
    """An NV12 picture without edges, in which it hardly matters where exactly a sample is taken."""
    height, width = scale.frame
    y, x = np.mgrid[0:height, 0:width] / np.array([height, width])[:, None, None]
    luma = 125 + 60 * np.sin(9 * x) * np.cos(6 * y)
    chroma = np.stack([128 + 40 * np.sin(x), 128 + 40 * np.cos(y)], axis=2)[::2, ::2]
    return luma.astype(np.uint8), chroma.astype(np.uint8)


def boxes_px(scale: Scale, count: int, seed: int = 2) -> NDArray[np.float32]:
    """Boxes (x1, y1, x2, y2) of a twentieth to a quarter of the frame's sides, some across its borders."""
    random = np.random.default_rng(seed)
    extent = np.array(scale.frame[::-1])
    corners = random.uniform(-0.1, 0.9, (count, 2)) * extent
    sides = random.uniform(0.05, 0.25, (count, 2)) * extent
    return np.concatenate([corners, corners + sides], axis=1).astype(np.float32)


def scores_of(*shape: int) -> NDArray[np.float32]:
    """Scores in [0, 1), some of them equal."""
    return (np.random.default_rng(3).integers(0, 1000, shape) / 1000).astype(np.float32)


def colors_of(count: int) -> NDArray[np.uint8]:
    """RGB [N, 3]."""
    return np.random.default_rng(4).integers(0, 256, (count, 3), np.uint8)


def raw_outputs(scale: Scale) -> Raw:
    """What a network gives for a frame in which every candidate is an object of its own."""
    return random_raw(scale.candidates, scale.candidates, scale.priors, scale.classes)


def candidates(scale: Scale) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes [K, 4] and scores [K, classes - 1] of the rows above the threshold."""
    raw = raw_outputs(scale)
    rows, scores = confident_rows(raw.logits, min_score=MIN_SCORE, limit=scale.priors)
    return decode_boxes(raw.loc[rows], raw.priors[rows]), scores


@dataclass(frozen=True, slots=True)
class Shapes:
    """Prototypes float32 [side, side, channels], coefficients [N, channels], relative boxes [N, 4]."""

    proto: NDArray[np.float32]
    coeff: NDArray[np.float32]
    boxes: NDArray[np.float32]

    @property
    def arrays(self) -> tuple[NDArray[np.float32], ...]:
        """As ``assemble_masks`` takes them."""
        return self.proto, self.coeff, self.boxes


def shapes_of(scale: Scale) -> Shapes:
    """Objects with a coarse outline; a hundred boxes cover about six frames."""
    random, side = np.random.default_rng(5), scale.proto
    coarse = random.normal(size=(8, 8, scale.channels)).astype(np.float32)
    step = -(-side // 8)
    proto = np.maximum(coarse.repeat(step, axis=0).repeat(step, axis=1)[:side, :side], 0)
    corners = random.uniform(-0.05, 0.8, (scale.detections, 2))
    boxes = np.concatenate([corners, corners + random.uniform(0.1, 0.4, (scale.detections, 2))], axis=1)
    coeff = np.tanh(random.normal(size=(scale.detections, scale.channels)))
    return Shapes(np.ascontiguousarray(proto), coeff.astype(np.float32), boxes.astype(np.float32))


def label_logits(scale: Scale) -> NDArray[np.float32]:
    """Logits [classes, h, w] of regions."""
    classes, height, width = scale.labels
    coarse = np.random.default_rng(6).normal(size=(classes, -(-height // 8), -(-width // 8))).astype(np.float32)
    return np.ascontiguousarray(coarse.repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width])


def fresh(arrays: Any) -> Any:
    """Copies, for kernels that change what they are given."""
    return tuple(map(fresh, arrays)) if isinstance(arrays, tuple) else arrays.copy()
