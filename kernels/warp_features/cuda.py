"""Launches the CUDA twin of ``warp_features``."""

from __future__ import annotations

from ctypes import c_int

from ..cuda.driver import blocks_for, launch
from ..device import DeviceArray

_THREADS = 256  # as in warp_features.cu
_CHANNELS = 8  # of a thread, which share the place that the flow points to
_MOST_BLOCKS = 65535  # along y


def warp_features(
    feature: DeviceArray, flow: DeviceArray, *, scale: DeviceArray | None, bias: DeviceArray | None, out: DeviceArray
) -> DeviceArray:
    """See :func:`vidgraph.kernels.warp_features`."""
    channels, height, width = feature.shape
    blocks = (blocks_for(height * width, _THREADS), min(blocks_for(channels, _CHANNELS), _MOST_BLOCKS), 1)
    launch(
        "warp_pixels", out.device, _THREADS, blocks,
        feature, flow, c_int(channels), c_int(height), c_int(width), scale, bias, out,
    )  # fmt: skip
    return out
