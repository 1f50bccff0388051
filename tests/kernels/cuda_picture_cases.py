"""What the CUDA kernels on pictures are held against their CPU twins with; see ``cuda_cases.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from vidgraph import kernels
from vidgraph.kernels import PIXEL_FORMATS

from .cases import Planes, random_planes
from .hostile import misplaced

Case = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]
Cases = Callable[[], Iterator[Case]]


def odd_planes(format: str, height: int, width: int) -> Planes:
    """A picture upside down, with padded rows, at odd places, and samples with bits that the format does not use."""
    random = np.random.default_rng(height + width)
    planes = []
    for plane in random_planes(format, height, width):
        wide = np.zeros((plane.shape[0], plane.shape[1] + 3, *plane.shape[2:]), plane.dtype)
        wide[...] = random.integers(0, 2 ** (8 * plane.itemsize), wide.shape)
        planes.append(misplaced(wide, plane.itemsize)[::-1, : plane.shape[1]])
    return tuple(planes)


def preprocess() -> Iterator[Case]:
    """Sizes around that of a tile; numbers beyond single precision."""
    sizes = [((7, 5), (16, 64)), ((1, 70), (17, 65)), ((33, 1), (15, 63)), ((19, 23), (1, 130)), ((9, 9), (33, 7))]
    outputs = [("float32", "nchw"), ("float16", "nhwc"), ("uint8", "nchw"), ("float32", "nhwc"), ("float16", "nchw")]
    for index, format in enumerate(PIXEL_FORMATS):
        for turn in (0, 2):
            source, size = sizes[(index + turn) % 5]
            dtype, layout = outputs[(index + turn) % 5]
            yield kernels.preprocess, (odd_planes(format, *source),), {
                "format": format, "matrix": "bt2020", "full_range": index % 2 == 0, "torch_resize": turn == 0,
                "size": size, "scale": (source[1] / 60, source[0] / 14), "offset": (-0.7, 0.3), "bgr": index % 3 == 0,
                "mean": (104, 1e300, 123), "std": (57, 1, 1e-310 if turn else 3), "pad": (114, 1, 255),
                "content": (1, 2, size[0], size[1] - 1) if turn else None, "dtype": dtype, "layout": layout,
            }  # fmt: skip


def to_rgb() -> Iterator[Case]:
    """Widths around multiples of four."""
    for format in PIXEL_FORMATS:
        for index, size in enumerate([(1, 1), (2, 3), (3, 4), (5, 5), (4, 6), (33, 15), (9, 130)]):
            options = {"format": format, "matrix": "bt709", "full_range": index % 2 == 0}
            yield kernels.to_rgb, (odd_planes(format, *size),), options


def rotate() -> Iterator[Case]:
    """Sizes around that of a tile."""
    for index, format in enumerate(PIXEL_FORMATS):
        for turn, size in enumerate([(1, 1), (67, 1), (33, 63)]):
            for degrees in (90, 180, 270) if "422" in format else ((90, 180, 270)[(index + turn) % 3],):
                yield kernels.rotate, (odd_planes(format, *size),), {"format": format, "degrees": degrees}


def eight_bits() -> Iterator[Case]:
    """Rows shorter and longer than the part of a block; samples beyond the bits of the format."""
    for format in PIXEL_FORMATS:
        for size in ((1, 1), (5, 7), (3, 520), (2, 1030)):
            yield kernels.eight_bits, (odd_planes(format, *size),), {"format": format}


def luma_means() -> Iterator[Case]:
    """Sums beyond 16 bits; blocks that fill those of the threads, or all but; parts of blocks."""
    for format in ("nv12", "p010le", "yuv422p10le", "rgb24"):
        for size, block in (
            ((9, 300), 7),
            ((33, 70), 8),
            ((25, 513), 24),
            ((130, 140), 128),
            ((70, 5), 31),
            ((2, 257), 1),
        ):
            yield kernels.luma_means, (odd_planes(format, *size),), {"format": format, "block": block}


def warp_features() -> Iterator[Case]:
    """Flow far outside; numbers that are not finite, which reach other pixels by a weight of 0."""
    odd = np.array([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45, -0.0], np.float32)
    for number, size in enumerate(
        [(0, 4, 5), (3, 0, 5), (3, 4, 0), (1, 1, 1), (19, 1, 257), (20, 16, 16), (1, 19, 27)]
    ):
        random = np.random.default_rng(number)
        feature, scale, bias = random.normal(size=(3, *size)).astype(np.float32)
        flow = random.normal(0, 4, (2, *size[1:])).astype(np.float32)
        for further in ({}, {"scale": scale}, {"bias": bias, "scale": scale}):
            yield kernels.warp_features, (feature, flow), further
        mixed = [np.where(random.random(a.shape) < 0.1, random.choice(odd, a.shape), a) for a in (feature, flow)]
        yield kernels.warp_features, tuple(mixed), {"bias": bias}


def changed_blocks() -> Iterator[Case]:
    """Sizes around that of a block of threads, flat pictures, truths of any byte."""
    shapes = [(0, 5), (1, 15), (1, 1), (1, 512), (27, 19), (64, 33)]
    for number, shape in enumerate(shapes):
        random = np.random.default_rng(number)
        before = random.integers(0, 65536, shape).astype(np.uint16)
        now = np.where(random.random(shape) < 0.1, 65535 - before, before).astype(np.uint16)
        if number % 3 == 0:
            before[...] = now[...] = 65535
            now[: shape[0] // 2] = 0
        counted = random.integers(0, 256, shape).astype(np.uint8) if number % 2 else np.ones(shape, np.uint8)
        yield kernels.changed_blocks, (now, before, counted.view(np.bool_)), {}
    grid = np.add.outer(np.arange(40), np.arange(50)).astype(np.uint16) * 500
    moved = grid * 0.8 + 3000 + np.random.default_rng(9).normal(0, 256, grid.shape)  # noise that sets the threshold
    moved[9:21, 20:32] += np.linspace(600, 3200, 144).reshape(12, 12)
    for counts in (np.ones(grid.shape, np.bool_), np.zeros(grid.shape, np.bool_), grid % 3000 < 2500):
        yield kernels.changed_blocks, (moved.astype(np.uint16), grid, counts), {}
    for power in (0.5, 2.0):  # light that is no line, so that each fit finds another
        bent = (65535 * (grid / 65535) ** power).astype(np.uint16)
        yield kernels.changed_blocks, (bent, grid, np.ones(grid.shape, np.bool_)), {}


CASES: dict[str, Cases] = {
    cases.__name__: cases
    for cases in (changed_blocks, eight_bits, luma_means, preprocess, rotate, to_rgb, warp_features)
}
"""Stem of a source -> its cases."""
