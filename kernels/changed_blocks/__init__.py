"""Where a picture differs from an earlier one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..arrays import output, require
from ..device import HOST
from ..twins import twin

__all__ = ("changed_blocks",)


def changed_blocks(
    current: NDArray[np.uint16],
    reference: NDArray[np.uint16],
    counted: NDArray[np.bool_],
    *,
    out: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """The blocks that differ between two pictures of one camera, beyond light, noise and a slight shift.

    Light is taken out first: a gain of 0.5 to 2 and an offset, by least squares through the blocks that do not differ
    by more than 16 steps of 8 bits from the rest. A block has changed where what is left of its difference is more than
    the threshold and a quarter of the contrast that the reference has around it, which an edge reaches when it moves by
    a quarter of a block. The threshold is six standard deviations of the noise, estimated from the median, but at least
    3 and at most 12 steps of 8 bits. Three of the nine blocks around it, itself included, must have changed so.

    Args:
        current: uint16 ``[rows, columns]``, see :func:`luma_means`.
        reference: uint16 ``[rows, columns]``, of the earlier picture.
        counted: bool ``[rows, columns]``; the other blocks tell nothing of light and noise, and never change.
        out: bool ``[rows, columns]`` to write to instead of a new array.

    Returns:
        bool ``[rows, columns]``: ``out``, or a new array. None has changed where none counts.

    Raises:
        ValueError: a dtype, shape, memory layout or device does not fit the above, or ``out`` shares memory with an
            input.
    """
    owner = "changed_blocks"
    device = require(current, f"{owner}: current", np.uint16, (None, None))
    shape = current.shape
    require(reference, f"{owner}: reference", np.uint16, shape, device)
    require(counted, f"{owner}: counted", np.bool_, shape, device)
    changed: NDArray[np.bool_] = output(owner, out, np.bool_, shape, (current, reference, counted), device)
    if device is not HOST:
        return twin(changed_blocks, device)(current, reference, counted, out=changed)
    _native.changed_blocks(current, reference, counted.view(np.uint8), changed.view(np.uint8))
    return changed
