"""Features of another frame, moved along a flow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..arrays import output, require
from ..device import HOST
from ..twins import twin

__all__ = ("warp_features",)


def warp_features(
    feature: NDArray[np.float32],
    flow: NDArray[np.float32],
    *,
    scale: NDArray[np.float32] | None = None,
    bias: NDArray[np.float32] | None = None,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Sample a feature map where the flow points, bilinearly, then scale and shift it.

    Target pixel x takes its value from x + flow_x * (w - 1) / 16, y likewise: the flow is relative to
    the map, so the same numbers serve every level. Outside of the map features are 0; a pixel whose
    flow is not finite is 0 before the shift.

    Args:
        feature: float32 ``[C, h, w]``.
        flow: float32 ``[2, h, w]``, x then y, from the target to the source.
        scale: float32 ``[C, h, w]``, multiplied with what was sampled; None: 1.
        bias: float32 ``[C, h, w]``, added last; None: 0.
        out: where to write, float32 ``[C, h, w]``, none of the above; None: a new array.

    Returns:
        float32 ``[C, h, w]``, ``out`` where it was given. Positions and weights are float32: within 1e-5
        pixels of the exact ones on maps of up to 138 pixels.

    Raises:
        ValueError: a dtype, shape, memory layout or device does not fit the above, or ``out`` shares
            memory with an input.

    Source: Liu et al., YolactEdge, ICRA 2021, and its code; sampling as torch's ``grid_sample`` with
        bilinear mode, zeros padding and ``align_corners=True``.
    """
    owner = "warp_features"
    device = require(feature, f"{owner}: feature", np.float32, (None, None, None))
    channels, height, width = feature.shape
    require(flow, f"{owner}: flow", np.float32, (2, height, width), device)
    if height * width >= 2**31:
        raise ValueError(f"{owner}: feature must have less than 2^31 pixels, got {height} x {width}")
    inputs = [feature, flow]
    for what, array in (("scale", scale), ("bias", bias)):
        if array is not None:
            require(array, f"{owner}: {what}", np.float32, feature.shape, device)
            inputs.append(array)
    warped: NDArray[np.float32] = output(owner, out, np.float32, (channels, height, width), inputs, device)
    if device is not HOST:
        return twin(warp_features, device)(feature, flow, scale=scale, bias=bias, out=warped)
    _native.warp_features(feature, flow, scale, bias, warped)
    return warped
