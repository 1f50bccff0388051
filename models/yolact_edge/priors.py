"""Anchors of an input size."""

from __future__ import annotations

from functools import lru_cache
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from ...pipeline.types.picture import Size
from .config import SIZE, YolactConfig, map_size


@lru_cache(maxsize=16)
def priors_of(config: YolactConfig, size: Size) -> NDArray[np.float32]:
    """Priors of an input of ``size`` (height, width), in the order (level, y, x, anchor).

    Anchors of most published variants are as high as they are wide, whatever their aspect: the official code has
    it so, and the weights are trained with it. For another size than 550x550 the side of an anchor is
    ``int(scale * length / 550)`` pixels along each axis, as in the official configurations of other sizes, which
    are all square. Those of compact variants have as many pixels whatever the input's size, and lie where the
    convolutions have the middles of their cells, also where a stride does not divide the input.

    Returns:
        float32 [P, 4], (cx, cy, w, h), relative to the input; read-only.
    """
    roots = [sqrt(aspect) for aspect in config.aspects]
    levels = []
    for stride, scale in zip(config.strides, config.scales_px, strict=True):
        height, width = map_size(size, stride)
        if config.compact:
            side_h, side_w = (scale / length for length in size)
            step_h, step_w = (stride / length for length in size)
        else:
            step_h, step_w = 1 / height, 1 / width
            side_h, side_w = (int(scale * length / SIZE) / length for length in size)
        level = np.empty((height, width, len(roots), 4), np.float64)
        level[..., 0] = ((np.arange(width) + 0.5) * step_w)[None, :, None]
        level[..., 1] = ((np.arange(height) + 0.5) * step_h)[:, None, None]
        level[..., 2] = [side_w * root for root in roots]
        level[..., 3] = [side_h / root if config.compact or config.true_aspects else side_h * root for root in roots]
        levels.append(level.reshape(-1, 4))
    priors = np.concatenate(levels).astype(np.float32)
    priors.flags.writeable = False
    return priors
