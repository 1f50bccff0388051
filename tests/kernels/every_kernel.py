"""Runs every kernel on fixed inputs and prints, as JSON, the instruction set and a hash of each result.

A script of its own: the instruction set is chosen when the process starts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from vidgraph import kernels

COLOURS: dict[str, Any] = {"matrix": "bt709", "full_range": False}


def planes_of(format: str, height: int, width: int) -> tuple[np.ndarray, ...]:
    layout, random = kernels.PIXEL_FORMATS[format], np.random.default_rng(7)
    shapes = layout.shapes(height, width)
    return tuple(
        (random.integers(0, 2**layout.bits, shape) << layout.low_bits).astype(layout.dtype) for shape in shapes
    )


def pictures() -> Iterator[tuple[str, Any]]:
    for format in kernels.PIXEL_FORMATS:
        planes = planes_of(format, 75, 333)
        yield f"to_rgb/{format}", kernels.to_rgb(planes, format, **COLOURS)
        for degrees in (90, 180, 270):
            yield f"rotate/{format}/{degrees}", kernels.rotate(planes, format, degrees)
        for ratio in (0.4, 1.0, 3.0, 11.0):
            size = (int(75 / ratio), int(333 / ratio))
            geometry: dict[str, Any] = {"size": size, "scale": (333 / size[1], 75 / size[0]), "offset": (0.2, -0.1)}
            numbers: dict[str, Any] = {"mean": (104.0, 117.0, 123.0), "std": (57.1, 58.3, 59.7)}
            yield f"preprocess/{format}/{ratio}", kernels.preprocess(planes, format, **COLOURS, **geometry, **numbers)


def drawings() -> Iterator[tuple[str, Any]]:
    random = np.random.default_rng(8)
    colors = random.integers(0, 256, (20, 3)).astype(np.uint8)
    boxes = random.uniform(-20, 150, (20, 4)).astype(np.float32)
    whole = np.sort(boxes.reshape(20, 2, 2), axis=1).reshape(20, 4).astype(np.int32)
    masks = [random.random((b[3] - b[1], b[2] - b[0])) < 0.5 for b in whole]
    rows = [np.packbits(mask, axis=1).ravel() for mask in masks]
    offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    glyphs = [random.integers(0, 256, (12, 40)).astype(np.uint8)] * 20
    for format in ("yuv420p", "nv12", "yuv422p", "yuv444p", "rgb24"):
        planes = planes_of(format, 91, 133)
        kernels.draw_masks(planes, format, whole, np.concatenate(rows), offsets, colors, 0.4, **COLOURS)
        kernels.draw_boxes(planes, format, boxes, colors, **COLOURS, thickness=3)
        kernels.draw_points(planes, format, boxes[:, :2].copy(), colors, **COLOURS, radius=4.2)
        kernels.draw_labels(planes, format, glyphs, whole[:, :2].copy(), colors=colors, text_colors=colors, **COLOURS)
        yield f"draw/{format}", planes


def boxes() -> Iterator[tuple[str, Any]]:
    random = np.random.default_rng(9)
    min_sizes = [[16, 32], [64, 128], [256, 512]]
    priors = kernels.ssd_priors((190, 253), strides=[8, 16, 32], min_sizes=min_sizes)
    raw = random.normal(size=(len(priors), 14)).astype(np.float32)
    scores = random.random(len(priors)).astype(np.float32)
    scores[::17] = np.nan
    decoded = kernels.decode_boxes(raw[:, :4].copy(), priors)
    yield "ssd", (priors, decoded, kernels.decode_points(raw[:, 4:].copy(), priors))
    yield (
        "top_scores",
        (
            kernels.top_scores(scores, min_score=0.3, limit=500),
            kernels.top_scores(scores[::2], min_score=0.9, limit=500),
        ),
    )
    for legacy in (False, True):
        yield f"nms/{legacy}", kernels.nms(decoded, scores, max_iou=0.4, legacy=legacy)


def digest(result: Any) -> str:
    arrays = result if isinstance(result, tuple) else (result,)
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()


if __name__ == "__main__":
    hashes = {name: digest(result) for cases in (pictures(), drawings(), boxes()) for name, result in cases}
    print(json.dumps({"instruction_set": kernels.instruction_set(), "hashes": hashes}))
