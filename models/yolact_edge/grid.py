"""The tables that the warp needs of a map's size; without torch, so that an exported file can be resized without it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...pipeline.types.picture import Size

FLOW_UNIT = 16.0
"""A flow of 16 is the whole width (from the first column to the last), on every level."""


def grid_tables(size: Size, batch: int) -> dict[str, NDArray[Any]]:
    """For maps of ``size`` (height, width), by the field of :class:`.flow.WarpGrid`."""
    height, width = size
    y, x = np.indices(size)
    axes = (1, 2, 1, 1)
    return {
        "cells": np.stack([x, y])[None].astype(np.int64),
        "last": np.array([width - 1, height - 1], np.int64).reshape(axes),
        "strides": np.array([1, width], np.int64).reshape(axes),
        "starts": (np.arange(batch, dtype=np.int64) * height * width).reshape(-1, 1, 1, 1),
        "reach": np.array([(width - 1) / FLOW_UNIT, (height - 1) / FLOW_UNIT], np.float32).reshape(axes),
    }
