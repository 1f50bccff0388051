"""What every CUDA kernel is compared with its CPU twin on, and timed with: one function a row of ``kernels/twins.py``.

To add one, write a function of the wrapper's name here; it is found by that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import FunctionType
from typing import Any

import numpy as np

from ... import kernels
from ..bench_detections import LIMIT, MAX_IOU, MIN_SCORE, TOP_K
from . import inputs
from .scale import Scale

COLOURS: dict[str, Any] = {"matrix": "bt709", "full_range": False}
NV12: dict[str, Any] = {"format": "nv12", **COLOURS}


@dataclass(frozen=True, slots=True)
class KernelCase:
    """One kernel on one input.

    Attributes:
        title: what it does, with sizes.
        call: takes the arrays, on the host or on a card.
        arrays: in host memory; those of a picture are a tuple.
        in_place: it draws on the first of them, and gives it back.
        moved: bytes that it must read and write at least; None: all arrays and results, and of a picture that is
            drawn on, twice the samples that change.
        units: in the last place that results may differ by; 0: they are the same bits.
    """

    title: str
    call: Callable[..., Any]
    arrays: tuple[Any, ...]
    in_place: bool = False
    moved: int | None = None
    units: int = 0


def assemble_masks(scale: Scale) -> KernelCase:
    call = partial(kernels.assemble_masks, size=scale.frame)
    return KernelCase(f"{scale.detections} masks of {_size(scale)}", call, inputs.shapes_of(scale).arrays)


def expected_mask_iou(scale: Scale) -> KernelCase:
    arrays = inputs.shapes_of(scale).arrays
    return KernelCase(f"expected overlaps of {scale.detections} masks", kernels.expected_mask_iou, arrays)


def best_classes(scale: Scale) -> KernelCase:
    scores = inputs.scores_of(scale.priors, scale.classes - 1)
    call = partial(kernels.best_classes, min_score=0.99)
    return KernelCase(f"{scale.priors} boxes, the best of {scale.classes - 1} classes", call, (scores,))


def changed_blocks(scale: Scale) -> KernelCase:
    now = np.random.default_rng(7).integers(0, 65536, _blocks(scale)).astype(np.uint16)
    before = (now * 0.9).astype(np.uint16)
    before[: len(now) // 3] //= 2
    arrays = now, before, np.ones(now.shape, np.bool_)
    return KernelCase(f"changes of {now.size} blocks", kernels.changed_blocks, arrays)


def luma_means(scale: Scale) -> KernelCase:
    planes = inputs.noise_planes(scale)
    call = partial(kernels.luma_means, format="nv12", block=8)
    moved = planes[0].nbytes // 2 + 2 * int(np.prod(_blocks(scale)))  # every second row of the luma
    return KernelCase(f"mean luma of {_size(scale)} in blocks of 8", call, (planes,), moved=moved)


def class_nms(scale: Scale) -> KernelCase:
    ids = np.random.default_rng(8).integers(0, scale.classes - 1, scale.candidates).astype(np.int32)
    arrays = inputs.boxes_px(scale, scale.candidates), inputs.scores_of(scale.candidates), ids
    call = partial(kernels.class_nms, max_iou=MAX_IOU, limit=300)
    return KernelCase(f"suppression by class of {scale.candidates} boxes", call, arrays)


def nms(scale: Scale) -> KernelCase:
    arrays = inputs.boxes_px(scale, scale.candidates), inputs.scores_of(scale.candidates)
    return KernelCase(f"suppression of {scale.candidates} boxes", partial(kernels.nms, max_iou=MAX_IOU), arrays)


def confident_rows(scale: Scale) -> KernelCase:
    call = partial(kernels.confident_rows, min_score=MIN_SCORE, limit=scale.priors)
    title = f"softmax and threshold of {scale.priors} x {scale.classes} logits"
    return KernelCase(title, call, (inputs.raw_outputs(scale).logits,))


def top_scores(scale: Scale) -> KernelCase:
    call = partial(kernels.top_scores, min_score=0.9, limit=scale.candidates)
    return KernelCase(f"the best of {scale.priors} scores", call, (inputs.scores_of(scale.priors),))


def decode_boxes(scale: Scale) -> KernelCase:
    raw = inputs.raw_outputs(scale)
    return KernelCase(f"{scale.priors} boxes from anchors", kernels.decode_boxes, (raw.loc, raw.priors), units=1)


def decode_points(scale: Scale) -> KernelCase:
    raw = np.random.default_rng(9).normal(size=(scale.priors, 5, 2)).astype(np.float32)
    arrays = raw, inputs.raw_outputs(scale).priors
    return KernelCase(f"{scale.priors} times five points from anchors", kernels.decode_points, arrays)


def fast_nms(scale: Scale) -> KernelCase:
    return _suppression(scale, "Fast NMS", partial(kernels.fast_nms, top_k=TOP_K, limit=LIMIT))


def cross_class_fast_nms(scale: Scale) -> KernelCase:
    return _suppression(scale, "Fast NMS over all classes", partial(kernels.cross_class_fast_nms, top_k=TOP_K))


def traditional_nms(scale: Scale) -> KernelCase:
    size = (scale.side, scale.side)
    call = partial(kernels.traditional_nms, limit=LIMIT, min_score=MIN_SCORE, size=size)
    return _suppression(scale, "greedy NMS by class", call)


def _suppression(scale: Scale, title: str, call: Callable[..., Any]) -> KernelCase:
    boxes, scores = inputs.candidates(scale)
    arrays = boxes, np.ascontiguousarray(scores)
    return KernelCase(
        f"{title}: {len(boxes)} boxes of {scores.shape[1]} classes", partial(call, max_iou=MAX_IOU), arrays
    )


def label_map(scale: Scale) -> KernelCase:
    call, title = partial(kernels.label_map, size=scale.frame), " x ".join(map(str, scale.labels))
    return KernelCase(f"labels of {_size(scale)} from {title} logits", call, (inputs.label_logits(scale),))


def label_runs(scale: Scale) -> KernelCase:
    labels, _ = kernels.label_map(inputs.label_logits(scale), size=scale.frame)
    return KernelCase(f"runs of the labels of {_size(scale)}", kernels.label_runs, (labels,))


def preprocess(scale: Scale) -> KernelCase:
    height, width = scale.frame
    call = partial(
        kernels.preprocess, **NV12, size=(scale.side, scale.side), scale=(width / scale.side, height / scale.side),
        offset=(0.0, 0.0), mean=(123.7, 116.8, 103.9), std=(58.4, 57.1, 57.4), dtype="float16",
    )  # fmt: skip
    title = f"{_size(scale)} NV12 to float16 [1, 3, {scale.side}, {scale.side}]"
    return KernelCase(title, call, (inputs.noise_planes(scale),))


def to_rgb(scale: Scale) -> KernelCase:
    call = partial(kernels.to_rgb, **NV12)
    return KernelCase(f"{_size(scale)} NV12 to RGB", call, (inputs.noise_planes(scale),))


def eight_bits(scale: Scale) -> KernelCase:
    random = np.random.default_rng(15)
    planes = tuple(random.integers(0, 1024, plane.shape).astype(np.uint16) << 6 for plane in inputs.noise_planes(scale))
    call = partial(kernels.eight_bits, format="p010le")
    return KernelCase(f"{_size(scale)} P010 to NV12", call, (planes,))


def rotate(scale: Scale) -> KernelCase:
    call = partial(kernels.rotate, format="nv12", degrees=90)
    return KernelCase(f"{_size(scale)} NV12 turned by 90 degrees", call, (inputs.noise_planes(scale),))


def warp_features(scale: Scale) -> KernelCase:
    random, shape = np.random.default_rng(10), scale.feature
    feature, factor, bias = random.normal(size=(3, *shape)).astype(np.float32)
    flow = random.normal(0, 0.3, (2, *shape[1:])).astype(np.float32)

    def call(feature: Any, flow: Any, factor: Any, bias: Any) -> Any:
        return kernels.warp_features(feature, flow, scale=factor, bias=bias)

    title = " x ".join(map(str, shape))
    return KernelCase(f"warp of {title} features", call, (feature, flow, factor, bias))


def draw_boxes(scale: Scale) -> KernelCase:
    return _drawing(scale, "boxes", partial(kernels.draw_boxes, thickness=3), inputs.boxes_px(scale, scale.detections))


def draw_points(scale: Scale) -> KernelCase:
    places = np.ascontiguousarray(inputs.boxes_px(scale, scale.detections)[:, :2])
    return _drawing(scale, "points", partial(kernels.draw_points, radius=4.0), places)


def draw_masks(scale: Scale) -> KernelCase:
    found = kernels.assemble_masks(*inputs.shapes_of(scale).arrays, size=scale.frame)
    return _drawing(scale, "masks", partial(kernels.draw_masks, alpha=0.45), *found)


def draw_labels(scale: Scale) -> KernelCase:
    height, width = scale.frame[0] // 45, scale.frame[1] // 16
    text = np.random.default_rng(11).integers(0, 256, (height, width), np.uint8)
    origins = np.ascontiguousarray(inputs.boxes_px(scale, scale.detections)[:, :2].astype(np.int32))

    def call(planes: Any, text: Any, origins: Any, colors: Any) -> Any:
        shades = {"colors": colors, "text_colors": colors}
        kernels.draw_labels(planes, masks=[text] * len(origins), origins=origins, **shades, **NV12)
        return planes

    arrays = inputs.noise_planes(scale), text, origins, inputs.colors_of(len(origins))
    return KernelCase(f"{len(origins)} labels drawn on {_size(scale)} NV12", call, arrays, in_place=True)


def draw_segments(scale: Scale) -> KernelCase:
    labels, _ = kernels.label_map(inputs.label_logits(scale), size=scale.frame)
    return _drawing(scale, "segments", partial(kernels.draw_segments, alpha=0.45), labels, count=scale.labels[0])


def _drawing(scale: Scale, what: str, draw: Callable[..., None], *arrays: Any, count: int | None = None) -> KernelCase:
    def call(planes: Any, *drawn: Any) -> Any:
        draw(planes, "nv12", *drawn, **COLOURS)
        return planes

    colors = inputs.colors_of(len(arrays[0]) if count is None else count)
    title = f"{len(colors)} {what} drawn on {_size(scale)} NV12"
    return KernelCase(title, call, (inputs.noise_planes(scale), *arrays, colors), in_place=True)


def shade_surfaces(scale: Scale) -> KernelCase:
    random, (height, width), count = np.random.default_rng(12), scale.frame, 9
    coarse = random.integers(0, count, (-(-height // 60), -(-width // 60)), dtype=np.uint16)
    surfaces = np.ascontiguousarray(coarse.repeat(60, axis=0).repeat(60, axis=1)[:height, :width])
    inverse = random.normal(0, 2, (count, 3, 3)).astype(np.float32)
    inverse[:, 2] = (0, 0.01, 0.5)
    table = kernels.SurfaceTable(
        random.uniform(0, 255, (count, 3)).astype(np.float32), inverse,
        random.uniform(0, 1.5, count).astype(np.float32), np.array([0, 0.5, 3.0] * 3, np.float32),
        random.integers(0, 3, count, dtype=np.int32), random.integers(0, 2, count, dtype=np.uint8),
        np.array([0, 0, 0, 1, 2, 3, 5, 12, 40], np.int32),
    )  # fmt: skip
    arrays = (
        surfaces, random.integers(0, 256, surfaces.shape, dtype=np.uint8),
        random.integers(0, 256, (3, 256, 256), dtype=np.uint8),
    )  # fmt: skip

    def call(surfaces: Any, shadow: Any, textures: Any) -> Any:
        return kernels.shade_surfaces(surfaces, shadow, table, textures, noise=17, seed=3)

    return KernelCase(f"a synthetic picture of {_size(scale)}", call, arrays)


def _size(scale: Scale) -> str:
    return f"{scale.frame[1]}x{scale.frame[0]}"


def _blocks(scale: Scale) -> tuple[int, int]:
    return -(-scale.frame[0] // 8), -(-scale.frame[1] // 8)


CASES: dict[str, Callable[[Scale], KernelCase]] = {
    name: found
    for name, found in sorted(globals().items())
    if isinstance(found, FunctionType) and found.__module__ == __name__ and name[0] != "_"
}
"""Kernel -> its case."""
