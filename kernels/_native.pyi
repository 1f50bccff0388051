"""The compiled module. Arguments are checked by the wrappers, not here; the GIL is released while a kernel runs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Planes = Sequence[NDArray[Any]]
_Layout = tuple[int, int, int, int, int]
_Pair = tuple[float, float]
_Triple = tuple[float, float, float]

def instruction_set() -> str: ...
def to_rgb(planes: _Planes, layout: _Layout, weights: _Pair, full_range: bool, out: NDArray[np.uint8], /) -> None: ...
def preprocess(
    planes: _Planes,
    layout: _Layout,
    weights: _Pair,
    full_range: bool,
    size: tuple[int, int],
    content: tuple[int, int, int, int],
    affine: tuple[float, float, float, float],
    mean: _Triple,
    std: _Triple,
    pad: _Triple,
    bgr: bool,
    single_positions: bool,
    element: int,
    interleaved: bool,
    out: NDArray[Any],
    /,
) -> None: ...
def rotate_plane(plane: NDArray[Any], pixel_bytes: int, degrees: int, out: NDArray[Any], /) -> None: ...
def rotate_chroma_422(plane: NDArray[Any], degrees: int, height: int, width: int, out: NDArray[Any], /) -> None: ...
def ssd_priors(
    height: int, width: int, strides: list[int], anchors: list[list[float]], out: NDArray[np.float32], /
) -> None: ...
def decode_boxes(
    loc: NDArray[np.float32],
    priors: NDArray[np.float32],
    variance_centre: float,
    variance_size: float,
    out: NDArray[np.float32],
    /,
) -> None: ...
def decode_points(
    raw: NDArray[np.float32], priors: NDArray[np.float32], variance: float, out: NDArray[np.float32], /
) -> None: ...
def top_scores(scores: NDArray[np.float32], min_score: float, limit: int, out: NDArray[np.int64], /) -> int: ...
def confident_rows(
    logits: NDArray[np.float32],
    min_score: float,
    limit: int,
    rows: NDArray[np.int64],
    scores: NDArray[np.float32],
    /,
) -> int: ...
def best_classes(
    scores: NDArray[np.float32],
    objectness: NDArray[np.float32] | None,
    min_score: float,
    sigmoid: bool,
    rows: NDArray[np.int64],
    class_ids: NDArray[np.int32],
    out: NDArray[np.float32],
    /,
) -> int: ...
def fast_nms(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    max_iou: float,
    top_k: int,
    limit: int,
    floor: float,
    flags: tuple[bool, bool, bool, bool],
    rows: NDArray[np.int64],
    class_ids: NDArray[np.int32],
    out: NDArray[np.float32],
    /,
) -> int: ...
def class_nms(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    class_ids: NDArray[np.int32],
    max_iou: float,
    limit: int,
    out: NDArray[np.int64],
    /,
) -> int: ...
def assemble_masks(
    proto: NDArray[np.float32],
    coefficients: NDArray[np.float32],
    boxes: NDArray[np.float32],
    size: tuple[int, int],
    window: tuple[float, float, float, float],
    limits: NDArray[np.int32] | None,
    tight: NDArray[np.int32],
    offsets: NDArray[np.int64],
    /,
) -> NDArray[np.uint8]: ...
def expected_mask_iou(
    proto: NDArray[np.float32],
    coefficients: NDArray[np.float32],
    boxes: NDArray[np.float32],
    iou: NDArray[np.float32],
    /,
) -> None: ...
def label_map(
    logits: NDArray[np.float32],
    window: tuple[float, float, float, float],
    first: int,
    labels: NDArray[np.int32],
    counts: NDArray[np.int64],
    /,
) -> None: ...
def rle_counts(
    bits: NDArray[np.uint8], origin: tuple[int, int], width: int, height: int, size: tuple[int, int], /
) -> str: ...
def encode_runs(runs: NDArray[np.int64], /) -> str: ...
def mask_outlines(
    bits: NDArray[np.uint8], origin: tuple[int, int], width: int, height: int, /
) -> list[list[float]]: ...
def warp_features(
    feature: NDArray[np.float32],
    flow: NDArray[np.float32],
    scale: NDArray[np.float32] | None,
    bias: NDArray[np.float32] | None,
    out: NDArray[np.float32],
    /,
) -> None: ...
def nms(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    max_iou: float,
    legacy: bool,
    out: NDArray[np.int64],
    /,
) -> int: ...
def draw_boxes(
    planes: _Planes,
    layout: _Layout,
    weights: _Pair,
    full_range: bool,
    boxes: NDArray[np.float32],
    colors: NDArray[np.uint8],
    thickness: int,
    /,
) -> None: ...
def draw_points(
    planes: _Planes,
    layout: _Layout,
    weights: _Pair,
    full_range: bool,
    points: NDArray[np.float32],
    colors: NDArray[np.uint8],
    radius: float,
    /,
) -> None: ...
def draw_label(
    planes: _Planes,
    layout: _Layout,
    weights: _Pair,
    full_range: bool,
    mask: NDArray[np.uint8],
    origin: tuple[int, int],
    background: tuple[int, int, int],
    text: tuple[int, int, int],
    alpha: int,
    /,
) -> None: ...
def draw_masks(
    planes: _Planes,
    layout: _Layout,
    weights: _Pair,
    full_range: bool,
    boxes: NDArray[np.int32],
    bits: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    colors: NDArray[np.uint8],
    alpha: int,
    /,
) -> None: ...
def draw_segments(
    planes: _Planes,
    layout: _Layout,
    weights: _Pair,
    full_range: bool,
    segment_ids: NDArray[np.int32],
    colors: NDArray[np.uint8],
    alpha: int,
    /,
) -> None: ...
def count_label_runs(labels: NDArray[np.int32], counts: NDArray[np.int64], /) -> None: ...
def list_label_runs(
    labels: NDArray[np.int32],
    next: NDArray[np.int64],
    starts: NDArray[np.int64],
    run_labels: NDArray[np.int32],
    /,
) -> None: ...
def shade_surfaces(
    surfaces: NDArray[np.uint16],
    shadow: NDArray[np.uint8],
    colours: NDArray[np.float32],
    inverse: NDArray[np.float32],
    amplitude: NDArray[np.float32],
    fade: NDArray[np.float32],
    texture: NDArray[np.int32],
    shaded: NDArray[np.uint8],
    blur: NDArray[np.int32],
    textures: NDArray[np.uint8],
    noise: int,
    seed: int,
    out: NDArray[np.uint8],
    /,
) -> None: ...
