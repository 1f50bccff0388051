"""Cases of the CUDA kernels that draw and shade; see ``cuda_cases.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from vidgraph import kernels

from .cases import DRAWABLE, random_planes

Case = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]

COLOURS: dict[str, Any] = {"matrix": "bt2020", "full_range": True}
FARTHEST_PX, MOST, LEAST = 1 << 24, (1 << 31) - 1, -(1 << 31)


def drawing(kernel: Callable[..., None]) -> Callable[..., Any]:
    """A kernel that draws, as a function that gives the planes."""

    def run(planes: Any, *arrays: Any, format: str, **options: Any) -> Any:
        kernel(planes, format, *arrays, **options)
        return planes

    return run


def colors_of(random: np.random.Generator, count: int) -> np.ndarray:
    return random.integers(0, 256, (count, 3)).astype(np.uint8)


def boxes(random: np.random.Generator, count: int) -> Case:
    """Inside, across the borders, all the same, without area, not finite."""
    corners = random.uniform(-20, 90, (count, 2, 2)).astype(np.float32)
    corners[::3].sort(axis=1)
    corners[1::7] = ((3, 5), (40, 30))
    corners[2::11, 0, 0] = np.nan
    corners[4::13] = ((-np.inf, 4.5), (np.inf, 9))
    arrays = corners.reshape(-1, 4), colors_of(random, count)
    return drawing(kernels.draw_boxes), arrays, {"thickness": int(random.integers(1, 7))}


def points(random: np.random.Generator, count: int) -> Case:
    """Inside, across the borders, on one another, not finite."""
    places = random.uniform(-9, 90, (count, 2)).astype(np.float32)
    places[1::7] = (12.25, 20)
    places[2::11, 1] = np.nan
    places[4::13, 0] = -np.inf
    return drawing(kernels.draw_points), (places, colors_of(random, count)), {"radius": float(random.uniform(0.1, 9))}


def labels(random: np.random.Generator, count: int) -> Case:
    """Inside, across the borders, outside; empty ones, and one text on many."""
    texts = [random.integers(0, 256, (h, w)).astype(np.uint8) for h, w in ((5, 21), (8, 3), (0, 4), (40, 90))]
    origins = random.integers(-30, 90, (count, 2)).astype(np.int32)
    origins[1::7] = -FARTHEST_PX
    origins[3::7, 0] = FARTHEST_PX
    masks = tuple(texts[text] for text in random.integers(0, len(texts), count).tolist())
    colors, text_colors = colors_of(random, count), colors_of(random, count)
    options = {"colors": colors, "text_colors": text_colors, "opacity": float(random.random())}
    return drawing(kernels.draw_labels), (masks, origins), options


def masks(random: np.random.Generator, count: int) -> Case:
    """Inside, across the borders, outside, and empty."""
    corners = random.integers(-20, (90, 50), (count, 2))
    rows = np.concatenate([corners, corners + random.integers(0, (70, 20), (count, 2))], axis=1).astype(np.int32)
    offsets = np.cumsum([0, *map(bytes_of, rows.tolist())]).astype(np.int64)
    bits = (random.integers(0, 256, offsets[-1]) | random.integers(0, 256, offsets[-1])).astype(np.uint8)
    arrays = rows, bits, offsets, colors_of(random, count)
    return drawing(kernels.draw_masks), arrays, {"alpha": float(random.random())}


def bytes_of(box: list[int]) -> int:
    """Of the bits of a mask."""
    return (box[3] - box[1]) * ((box[2] - box[0] + 7) // 8)


def unfit_masks(planes: Any, rows: Any, bits: Any, offsets: Any, colors: Any, *, format: str) -> Any:
    """On the host, those that fit, one after the other; on a device, all."""
    options: dict[str, Any] = {"alpha": 0.5, **COLOURS}
    if not isinstance(rows, np.ndarray):
        kernels.draw_masks(planes, format, rows, bits, offsets, colors, **options)
        return planes
    for row, (box, start) in enumerate(zip(rows.tolist(), offsets.tolist(), strict=False)):
        near = max(map(abs, box)) <= FARTHEST_PX and box[0] <= box[2] and box[1] <= box[3]
        if near and 0 <= start <= len(bits) - bytes_of(box):
            own, ends = bits[start : start + bytes_of(box)], np.array([0, bytes_of(box)], np.int64)
            kernels.draw_masks(planes, format, rows[row : row + 1], own, ends, colors[row : row + 1], **options)
    return planes


def unfit_labels(planes: Any, origins: Any, *, format: str) -> Any:
    """As ``unfit_masks``."""
    text, colors = np.full((5, 9), 200, np.uint8), np.full((1, 3), 70, np.uint8)
    if isinstance(origins, np.ndarray):
        origins = origins[(np.abs(origins.astype(np.int64)) <= FARTHEST_PX).all(axis=1)]
    count = len(origins)
    options: dict[str, Any] = {name: np.repeat(colors, count, axis=0) for name in ("colors", "text_colors")}
    kernels.draw_labels(planes, format, [text] * count, origins, **options, **COLOURS)
    return planes


def unfit(random: np.random.Generator) -> Iterator[Case]:
    """Rows that the host would refuse: far away, inside out, or with bits that are not there."""
    far = FARTHEST_PX
    rows = [
        ([3, 2, 30, 5], 0), ([0, 0, 64, 3], 1), ([0, 0, 64, 3], -1), ([5, 9, 4, 11], 0), ([5, 9, 6, 8], 0),
        ([LEAST, 0, MOST, 1], 0), ([0, LEAST, 8, MOST], 0), ([0, 0, far + 1, 1], 0), ([-far, 0, far, 1], 0),
        ([0, 0, 8, 1], 24), ([0, 0, 8, 1], LEAST << 32), ([9, 4, 17, 6], 22), ([40, 4, 48, 6], 23),
        ([MOST, 1, LEAST, 3], 0), ([2, MOST, 5, LEAST], 0), ([-far - 1, 7, 3, 8], 0), ([1, -far - 1, 3, 8], 0),
    ]  # fmt: skip
    boxes, starts = np.array([box for box, _ in rows], np.int32), np.array([*(at for _, at in rows), 24], np.int64)
    arrays = boxes, np.full(24, 255, np.uint8), starts, colors_of(random, len(rows))
    yield unfit_masks, (random_planes("nv12", 11, 70), *arrays), {"format": "nv12"}
    origins = np.array([[LEAST, 3], [3, MOST], [far + 1, 0], [4, -far - 1], [7, 3], [MOST, LEAST]], np.int32)
    yield unfit_labels, (random_planes("yuv422p", 11, 70), origins), {"format": "yuv422p"}


def widest() -> Iterator[Case]:
    """Masks from as far away as they may reach."""
    rows = np.array([[-FARTHEST_PX, 3, 9, 4], [60, 5, FARTHEST_PX, 6]], np.int32)
    offsets = np.cumsum([0, *map(bytes_of, rows.tolist())]).astype(np.int64)
    arrays = rows, np.full(offsets[-1], 0xB5, np.uint8), offsets, np.full((2, 3), 200, np.uint8)
    options = {"alpha": 0.5, "format": "yuv420p", **COLOURS}
    yield drawing(kernels.draw_masks), (random_planes("yuv420p", 9, 70), *arrays), options


KINDS = (boxes, points, labels, masks)


def draw_cases(count: int, formats: list[str], size: tuple[int, int]) -> Iterator[Case]:
    """Of each kind, one on each format."""
    for number, kind in enumerate(KINDS):
        for format in formats:
            function, arrays, options = kind(np.random.default_rng([number, count]), count)
            planes = random_planes(format, *size, padding=5)
            yield function, (planes, *arrays), {**options, "format": format, **COLOURS}


def draw() -> Iterator[Case]:
    for count, formats in ((0, ["nv12"]), (1, ["rgb24"]), (2, ["yuv422p"]), (23, DRAWABLE)):
        yield from draw_cases(count, formats, (37, 83))
    yield from draw_cases(23, ["nv12", "rgb24"], (1, 1))
    yield from draw_cases(300, ["nv12"], (9, 140))  # more than a block looks at at once
    yield from widest()
    yield from unfit(np.random.default_rng(6))


def draw_segments() -> Iterator[Case]:
    random, function = np.random.default_rng(7), drawing(kernels.draw_segments)
    for size in ((1, 1), (17, 65), (16, 64), (5, 131)):
        for format in DRAWABLE:
            known = int(random.choice([0, 1, 2, 7, 300]))
            ids = random.integers(-2, known + 3, size).astype(np.int32)
            ids[:1, :1], ids[-1:, -1:] = MOST, LEAST
            planes = random_planes(format, *size, padding=5)
            options = {"alpha": float(random.random()), "format": format, **COLOURS}
            yield function, (planes, ids, colors_of(random, known)), options


def shade(surfaces: Any, shadow: Any, textures: Any, *, table: kernels.SurfaceTable, **options: Any) -> Any:
    return kernels.shade_surfaces(surfaces, shadow, table, textures, **options)


def refused(surfaces: Any, *arrays: Any, **options: Any) -> Any:
    """The text with which a map is refused, in bytes."""
    with pytest.raises(ValueError, match="surfaces must be below") as caught:
        shade(surfaces, *arrays, **options)
    return np.frombuffer(str(caught.value).encode(), np.uint8)


def missing_surfaces() -> Iterator[Case]:
    """Numbers that no surface has: the first and the last of them, with motion blur and without."""
    for blur in (0, 3):
        four, shaded = np.full(4, 0.5, np.float32), np.ones(4, np.uint8)
        looks = np.full((4, 3), 100, np.float32), np.ones((4, 3, 3), np.float32), four, four
        table = kernels.SurfaceTable(*looks, np.zeros(4, np.int32), shaded, np.full(4, blur, np.int32))
        for number in (4, 65535):
            surfaces = np.zeros((9, 40), np.uint16)
            surfaces[8, 39] = number
            maps = surfaces, np.full(surfaces.shape, 255, np.uint8), np.full((1, 256, 256), 128, np.uint8)
            yield refused, maps, {"table": table}


def shade_surfaces() -> Iterator[Case]:
    yield from missing_surfaces()
    for seed, size in enumerate(((1, 1), (1, 300), (9, 1), (8, 32), (9, 33), (0, 4), (21, 70), (4, 257))):
        random, count = np.random.default_rng(seed), 7
        inverse = random.normal(0, 2, (count, 3, 3)).astype(np.float32)
        inverse[:, 2] = random.choice(np.array([-0.25, 0, 0.5], np.float32), (count, 3))  # w is 0 at the horizon
        table = kernels.SurfaceTable(
            random.uniform(0, 255, (count, 3)).astype(np.float32),
            inverse,
            np.array([0, 0, 1.5, 1, 0.5, 0.7, 1.2], np.float32),
            np.array([0, 3, 0, 0.5, 3, 0, -1], np.float32),
            random.integers(0, 2, count, dtype=np.int32),
            random.integers(0, 2, count, dtype=np.uint8),
            np.array([0, 0, 1, 7, 40, 2, 0], np.int32) * (seed % 3 != 2),
        )
        surfaces = random.integers(0, count, size, dtype=np.uint16)
        shadow = random.integers(0, 256, size, dtype=np.uint8)
        textures = random.integers(0, 256, (2, 256, 256), dtype=np.uint8)
        yield shade, (surfaces, shadow, textures), {"table": table, "noise": 20 * seed % 128, "seed": -seed}
