"""Runs every kernel on fixed inputs and prints, as JSON, the instruction set and a hash of each result.

The first call of a kind is small, because ``hostile_calls.py`` makes thousands of variants of it.
A script of its own: the instruction set is chosen when the process starts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from inspect import signature
from types import FunctionType
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
    for size in ((13, 35), (75, 333)):
        for format in kernels.PIXEL_FORMATS:
            yield from conversions(format, *size)


def conversions(format: str, height: int, width: int) -> Iterator[tuple[str, Any]]:
    planes, word = planes_of(format, height, width), f"{format}/{width}"
    yield f"to_rgb/{word}", kernels.to_rgb(planes, format, **COLOURS)
    yield f"eight_bits/{word}", kernels.eight_bits(planes, format)
    for degrees in (90, 180, 270):
        yield f"rotate/{word}/{degrees}", kernels.rotate(planes, format, degrees)
    for ratio in (0.4, 1.0, 3.0, 11.0):
        size = (int(height / ratio), int(width / ratio))
        geometry: dict[str, Any] = {"size": size, "scale": (width / size[1], height / size[0]), "offset": (0.2, -0.1)}
        numbers: dict[str, Any] = {"mean": (104.0, 117.0, 123.0), "std": (57.1, 58.3, 59.7)}
        yield f"preprocess/{word}/{ratio}", kernels.preprocess(planes, format, **COLOURS, **geometry, **numbers)
        for dtype, layout in (("float32", "nhwc"), ("float16", "nchw"), ("float16", "nhwc"), ("uint8", "nhwc")):
            kind: dict[str, Any] = {"dtype": dtype, "layout": layout}
            result = kernels.preprocess(planes, format, **COLOURS, **geometry, **numbers, **kind)
            yield f"preprocess/{word}/{ratio}/{dtype}/{layout}", result


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
        ids = random.integers(-1, 21, (91, 133)).astype(np.int32)
        kernels.draw_segments(planes, format, ids, colors, 0.4, **COLOURS)
        yield f"draw_segments/{format}", planes
        yield f"label_runs/{format}", kernels.label_runs(ids)


def boxes() -> Iterator[tuple[str, Any]]:
    for size in ((40, 53), (190, 253)):
        for name, result in suppressed(size):
            yield f"{name}/{size[1]}", result


def suppressed(size: tuple[int, int]) -> Iterator[tuple[str, Any]]:
    random = np.random.default_rng(9)
    min_sizes = [[16, 32], [64, 128], [256, 512]]
    priors = kernels.ssd_priors(size, strides=[8, 16, 32], min_sizes=min_sizes)
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
    table = random.normal(size=(len(priors) + 1, 85)).astype(np.float32)
    for layout, view in (("rows", table), ("columns", np.ascontiguousarray(table.T).T)):
        yield f"best_classes/{layout}", kernels.best_classes(view[:, 5:], min_score=2.5)
        for objectness in (None, view[:, 4]):
            found = kernels.best_classes(view[:, 5:], min_score=0.8, objectness=objectness, sigmoid=True)
            yield f"best_classes/{layout}/sigmoid/{objectness is None}", found
    for legacy in (False, True):
        yield f"nms/{legacy}", kernels.nms(decoded, scores, max_iou=0.4, legacy=legacy)
    class_ids = random.integers(-1, 3, len(priors)).astype(np.int32)
    yield "class_nms", kernels.class_nms(decoded, scores, class_ids, max_iou=0.4, limit=2000)


def instances() -> Iterator[tuple[str, Any]]:
    random = np.random.default_rng(10)
    for classes in (19, 41, 81):
        logits = random.normal(size=(700, classes)).astype(np.float32)
        logits[:, 0] += 4
        rows, scores = kernels.confident_rows(logits, min_score=0.05, limit=400)
        yield f"confident_rows/{classes}", (rows, scores)
        corners = random.random((len(rows), 2), np.float32)
        boxes = np.concatenate([corners, corners + 0.1 + 0.2 * random.random((len(rows), 2), np.float32)], axis=1)
        yield f"fast_nms/{classes}/fast", kernels.fast_nms(boxes, scores, max_iou=0.5, top_k=200, limit=100)
        yield f"fast_nms/{classes}/cross", kernels.cross_class_fast_nms(boxes, scores, max_iou=0.5, top_k=200)
        greedy: dict[str, Any] = {"limit": 100, "min_score": 0.05, "size": (550, 550)}
        yield f"fast_nms/{classes}/traditional", kernels.traditional_nms(boxes, scores, max_iou=0.5, **greedy)
    for channels, size in ((32, (270, 481)), (7, (30, 50))):
        proto = np.maximum(random.normal(size=(40, 50, channels)), 0).astype(np.float32)
        coeff = random.normal(size=(12, channels)).astype(np.float32)
        corners = np.sort(random.uniform(-0.1, 1.1, (12, 2, 2)), axis=1).reshape(12, 4).astype(np.float32)
        masks = kernels.assemble_masks(proto, coeff, corners, size=size)
        yield f"assemble_masks/{channels}", masks
        yield f"mask_codes/{channels}", codes(*masks, size)
        planes = np.ascontiguousarray(proto.transpose(2, 0, 1)).transpose(1, 2, 0)
        window = (0.0, 0.21875, 1.0, 0.78125)
        yield f"assemble_masks/{channels}/planes", kernels.assemble_masks(planes, coeff, corners, size=size)
        yield (
            f"assemble_masks/{channels}/window",
            kernels.assemble_masks(planes, coeff, corners, size=size, window=window),
        )
        yield f"assemble_masks/{channels}/expected_iou", kernels.expected_mask_iou(proto, coeff, corners)
    feature, flow = random.normal(size=(9, 35, 33)).astype(np.float32), random.normal(size=(2, 35, 33))
    yield "warp_features", kernels.warp_features(feature, flow.astype(np.float32), scale=feature, bias=feature)


def labels() -> Iterator[tuple[str, Any]]:
    random = np.random.default_rng(11)
    coarse = random.normal(size=(7, 5, 6)).astype(np.float32).repeat(8, axis=1).repeat(8, axis=2)
    for name, logits in (("noise", random.normal(size=(19, 23, 31)).astype(np.float32)), ("coarse", coarse)):
        for size in ((61, 333), (23, 31), (11, 17)):
            yield f"label_map/{name}/{size}", kernels.label_map(logits, size=size, window=(0.1, 0, 1, 0.9), first=1)
    last = np.ascontiguousarray(coarse.transpose(1, 2, 0)).transpose(2, 0, 1)
    yield "label_map/last", kernels.label_map(last, size=(100, 100))


def surfaces() -> Iterator[tuple[str, Any]]:
    random, count = np.random.default_rng(12), 9
    numbers = random.integers(0, count, (9, 40), dtype=np.uint16).repeat(5, axis=0).repeat(7, axis=1)
    inverse = random.normal(0, 2, (count, 3, 3)).astype(np.float32)
    inverse[:, 2] = (0, 0.01, 0.5)
    table = kernels.SurfaceTable(
        random.uniform(0, 255, (count, 3)).astype(np.float32),
        inverse,
        random.uniform(0, 1.5, count).astype(np.float32),
        np.array([0, 0.5, 3.0] * 3, np.float32),
        random.integers(0, 3, count, dtype=np.int32),
        random.integers(0, 2, count, dtype=np.uint8),
        np.array([0, 0, 0, 1, 2, 3, 5, 12, 40], np.int32),
    )
    shadow = random.integers(0, 256, numbers.shape, dtype=np.uint8)
    textures = random.integers(0, 256, (3, 256, 256), dtype=np.uint8)
    for noise in (0, 17, 127):
        result = kernels.shade_surfaces(numbers, shadow, table, textures, noise=noise, seed=3)
        yield f"shade_surfaces/{noise}", result


def changes() -> Iterator[tuple[str, Any]]:
    random = np.random.default_rng(13)
    for size in ((21, 40), (200, 350)):
        for format in kernels.PIXEL_FORMATS:
            for block in (8, 3):
                means = kernels.luma_means(planes_of(format, *size), format, block=block)
                yield f"luma_means/{format}/{size[1]}/{block}", means
                now = np.clip(means * 0.9 + random.normal(0, 500, means.shape), 0, 65535).astype(np.uint16)
                counted = random.random(means.shape) < 0.9
                yield f"changed_blocks/{format}/{size[1]}/{block}", kernels.changed_blocks(now, means, counted)


def codes(boxes: Any, bits: Any, offsets: Any, size: tuple[int, int]) -> np.ndarray:
    parts = [(bits[offsets[row] : offsets[row + 1]], tuple(box)) for row, box in enumerate(boxes.tolist())]
    text = json.dumps([(kernels.rle_counts(*part, size=size), kernels.mask_outlines(*part)) for part in parts])
    text += kernels.encode_runs(np.diff(offsets))
    return np.frombuffer(text.encode(), np.uint8)


def digest(result: Any) -> str:
    arrays = result if isinstance(result, tuple) else (result,)
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()


# Every function of this file that takes nothing and gives names and results.
CASES = tuple(
    function
    for name, function in list(globals().items())
    if isinstance(function, FunctionType) and not signature(function).parameters
)


if __name__ == "__main__":
    hashes = {name: digest(result) for cases in CASES for name, result in cases()}
    print(json.dumps({"instruction_set": kernels.instruction_set(), "hashes": hashes}))
