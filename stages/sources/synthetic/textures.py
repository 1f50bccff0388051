"""The textures of the scenes: one bank, of which stuff and things take alike."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ....kernels.shade_surfaces import TEXTURE_SIDE

FLAT, FINE, COARSE, STRIPES, BARS, CHECKS, BRICKS, LEAVES, WINDOWS, DOTS, PLANKS, CLOUDS = range(12)
ANY = (FINE, COARSE, STRIPES, BARS, CHECKS, BRICKS, LEAVES, DOTS, PLANKS)
"""Those that anything may wear."""


@lru_cache(maxsize=1)
def texture_bank() -> NDArray[np.uint8]:
    """All textures, uint8 [12, 256, 256]; 128 changes nothing; they repeat without a seam."""
    random = np.random.default_rng(20260101)
    y, x = np.mgrid[:TEXTURE_SIDE, :TEXTURE_SIDE]
    bricks = ((y % 32) < 3) | (((x + 32 * ((y // 32) % 2)) % 64) < 3)
    windows = ((x % 64) > 16) & ((x % 64) < 48) & ((y % 64) > 14) & ((y % 64) < 50)
    dots = ((x % 32) - 16) ** 2 + ((y % 32) - 16) ** 2 < 60
    leaves = np.where(_noise(random, 32) + 0.6 * _noise(random, 64) > 0, 60.0, -60.0) + 25 * _noise(random, 128)
    patterns = [
        np.zeros((TEXTURE_SIDE, TEXTURE_SIDE)),
        30 * _noise(random, 128) + 20 * _noise(random, 256),
        40 * _noise(random, 8) + 25 * _noise(random, 16) + 15 * _noise(random, 64),
        np.where((y // 16) % 2, 50, -50),
        np.where((x // 16) % 2, 50, -50),
        np.where(((x // 32) + (y // 32)) % 2, 50, -50),
        np.where(bricks, 60, -10) + 15 * _noise(random, 32),
        leaves,
        np.where(windows, -80, 10) + 6 * _noise(random, 64),
        np.where(dots, 70, -15),
        np.where((x % 43) < 3, -70, 5) + 25 * _noise(random, 256, stretch=16),
        45 * _noise(random, 4) + 20 * _noise(random, 8) + 8 * _noise(random, 16),
    ]
    bank = np.stack([np.clip(pattern + 128, 0, 255).astype(np.uint8) for pattern in patterns])
    bank.flags.writeable = False
    return bank


def _noise(random: np.random.Generator, cells: int, stretch: int = 1) -> NDArray[np.float64]:
    """Smooth noise within about -2 and 2 that repeats: random at ``cells`` places a side, in between bilinear."""
    values = random.normal(size=(max(1, cells // stretch), cells))
    for axis in (0, 1):
        step = TEXTURE_SIDE / values.shape[axis]
        place = np.arange(TEXTURE_SIDE) / step
        low = place.astype(int)
        part = (place - low).reshape((-1, 1) if axis == 0 else (1, -1))
        upper = np.take(values, (low + 1) % values.shape[axis], axis)
        values = np.take(values, low, axis) * (1 - part) + upper * part
    return values
