"""Launches the CUDA twins of ``decode_boxes`` and ``decode_points``."""

from __future__ import annotations

from ctypes import c_float, c_int, c_int64

import numpy as np

from ..cuda.driver import blocks_for, launch
from ..cuda.memory import empty
from ..device import DeviceArray

_THREADS = 256  # as in ssd.cu


def decode_boxes(loc: DeviceArray, priors: DeviceArray, *, variances: tuple[float, float]) -> DeviceArray:
    """See :func:`vidgraph.kernels.decode_boxes`. The exponential is CUDA's: within one unit in the last place."""
    count, out = len(priors), empty(priors.shape, np.float32, priors.device)
    launch(
        "ssd_decode_boxes", priors.device, _THREADS, blocks_for(count, _THREADS),
        loc, priors, c_int64(count), c_float(variances[0]), c_float(variances[1]), out,
    )  # fmt: skip
    return out


def decode_points(raw: DeviceArray, priors: DeviceArray, *, variance: float) -> DeviceArray:
    """See :func:`vidgraph.kernels.decode_points`."""
    points = raw.shape[1] if raw.ndim == 3 else raw.shape[1] // 2
    out = empty((len(priors), points, 2), np.float32, priors.device)
    count = len(priors) * points
    launch(
        "ssd_decode_points", priors.device, _THREADS, blocks_for(count, _THREADS),
        raw, priors, c_int64(count), c_int(points), c_float(variance), out,
    )  # fmt: skip
    return out
