"""Launches the CUDA twins of ``decode_boxes`` and ``decode_points``."""

from __future__ import annotations

from ctypes import Structure, c_float, c_int, c_int64

import numpy as np

from ..cuda.driver import blocks_for, launch
from ..cuda.memory import empty
from ..device import DeviceArray

_THREADS = 256  # as in ssd.cu
_MOST_BLOCKS = 1024  # which take turns

Pair = tuple[float, float]


class _Point(Structure):
    _fields_ = (("x", c_float), ("y", c_float))


class _FrameMap(Structure):
    _fields_ = (("used", c_int), ("size", _Point), ("scale", _Point), ("offset", _Point))


def decode_boxes(loc: DeviceArray, priors: DeviceArray, *, variances: Pair) -> DeviceArray:
    """See :func:`vidgraph.kernels.decode_boxes`. The exponential is CUDA's: within one unit in the last place."""
    return queue_decode_boxes(loc, priors, None, variances=variances)


def decode_points(raw: DeviceArray, priors: DeviceArray, *, variance: float) -> DeviceArray:
    """See :func:`vidgraph.kernels.decode_points`."""
    points = raw.shape[1] if raw.ndim == 3 else raw.shape[1] // 2
    return queue_decode_points(raw, priors, None, points=points, variance=variance)


def queue_decode_boxes(
    loc: DeviceArray,
    priors: DeviceArray,
    rows: DeviceArray | None,
    *,
    variances: Pair,
    to_frame: tuple[Pair, Pair, Pair] | None = None,
    count: DeviceArray | None = None,
) -> DeviceArray:
    """As :func:`decode_boxes`, of as many of ``loc`` as ``count`` says; the prior of each is the one at ``rows``.

    ``to_frame``: corners are multiplied by the first (x, y), then by the second, and the third is added.
    """
    out = empty(loc.shape, np.float32, loc.device)
    launch(
        "ssd_decode_boxes", loc.device, _THREADS, _blocks(len(loc)),
        loc, priors, rows, count, c_int64(len(loc)), c_float(variances[0]), c_float(variances[1]), _map(to_frame), out,
    )  # fmt: skip
    return out


def queue_decode_points(
    raw: DeviceArray,
    priors: DeviceArray,
    rows: DeviceArray | None,
    *,
    points: int,
    variance: float,
    to_frame: tuple[Pair, Pair, Pair] | None = None,
    count: DeviceArray | None = None,
) -> DeviceArray:
    """As :func:`decode_points`, ``points`` a row; the rest as in :func:`queue_decode_boxes`."""
    out = empty((len(raw), points, 2), np.float32, raw.device)
    launch(
        "ssd_decode_points", raw.device, _THREADS, _blocks(len(raw) * points),
        raw, priors, rows, count, c_int64(len(raw)), c_int(points), c_float(variance), _map(to_frame), out,
    )  # fmt: skip
    return out


def _blocks(count: int) -> int:
    return min(blocks_for(count, _THREADS), _MOST_BLOCKS)


def _map(to_frame: tuple[Pair, Pair, Pair] | None) -> _FrameMap:
    return _FrameMap(0) if to_frame is None else _FrameMap(1, *(_Point(*pair) for pair in to_frame))
