"""The two kernels of the motion gate on 1920x1080, beside NumPy and OpenCV."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import changed_blocks, luma_means
from ..kernels.changed_blocks.reference import changed_blocks_reference
from .harness import Case
from .optional import optional

HEIGHT, WIDTH, BLOCK = 1080, 1920, 12


def cases() -> Iterator[Case]:
    """All cases of this file."""
    random = np.random.default_rng(0)
    waves = np.sin(np.arange(WIDTH) / 97) + np.cos(np.arange(HEIGHT) / 61)[:, None]
    luma = (128 + 50 * waves + random.integers(-5, 6, (HEIGHT, WIDTH))).astype(np.uint8)
    means = partial(luma_means, (luma,), "gray", block=BLOCK)
    task = f"luma of {WIDTH}x{HEIGHT} in blocks of {BLOCK}"
    yield Case(task, "vidgraph", means, _close(means, means), luma.size // 3)
    yield Case(task, "numpy", partial(numpy_means, luma), _close(partial(numpy_means, luma), means), luma.size // 3)
    cv2 = optional("cv2")
    if cv2 is not None:
        size = (WIDTH // BLOCK, HEIGHT // BLOCK)
        shrink = partial(cv2.resize, luma, size, interpolation=cv2.INTER_AREA)
        yield Case(task, "opencv, all rows", shrink, _close(lambda: shrink().astype(np.uint16) * 256, means, 4 * 256))
    before = means()
    now = np.clip(before * 0.95 + random.normal(0, 150, before.shape), 0, 65535).astype(np.uint16)
    now[40:50, 40:60] += 5000
    counted = np.ones(before.shape, np.bool_)
    task = f"what changed in {before.shape[1]}x{before.shape[0]} blocks"
    ours = partial(changed_blocks, now, before, counted)
    plain = partial(changed_blocks_reference, now, before, counted)
    yield Case(task, "vidgraph", ours, partial(np.testing.assert_array_equal, ours(), plain()))
    yield Case(task, "numpy", plain, lambda: None)


def numpy_means(luma: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Every third row, as sums over axes."""
    rows = luma[:: BLOCK // 4].reshape(HEIGHT // BLOCK, 4, WIDTH // BLOCK, BLOCK)
    means: NDArray[np.uint16] = (rows.sum((1, 3), np.uint32) * 256 // (4 * BLOCK)).astype(np.uint16)
    return means


def _close(run: Callable[[], Any], expected: Callable[[], Any], steps: int = 0) -> Callable[[], None]:
    return lambda: np.testing.assert_allclose(run(), expected(), rtol=0, atol=steps)
