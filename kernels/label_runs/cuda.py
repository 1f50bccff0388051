"""Launches the CUDA twin of ``label_runs``."""

from __future__ import annotations

from ctypes import Structure, c_int64, c_void_p

import numpy as np

from ..cuda.driver import address_of, blocks_for, launch
from ..cuda.memory import empty
from ..device import DeviceArray

_THREADS, _SCAN_THREADS, _PART = 128, 1024, 64  # as in label_runs.cu
_LABEL, _PLACE = np.dtype(np.int32), np.dtype(np.int64)


class _Map(Structure):
    _fields_ = (("labels", c_void_p), ("height", c_int64), ("width", c_int64))


def label_runs(labels: DeviceArray) -> tuple[DeviceArray, DeviceArray]:
    """See :func:`vidgraph.kernels.label_runs`. Waits once, for how many runs there are."""
    (height, width), device, given = labels.shape, labels.device, _Map(address_of(labels), *labels.shape)
    parts = blocks_for(height, _PART)
    blocks, count = blocks_for(width, _THREADS) * parts, width * parts
    offsets = empty((count + 1,), _PLACE, device)
    launch("label_run_counts", device, _THREADS, blocks, given, offsets)
    launch("label_run_offsets", device, _SCAN_THREADS, 1, offsets, c_int64(count))
    found = int(offsets[count:].to_host()[0])
    run_labels, starts, lengths = (empty((found,), dtype, device) for dtype in (_LABEL, _PLACE, _PLACE))
    launch("label_run_starts", device, _THREADS, blocks, given, offsets, starts, run_labels)
    launch(
        "label_run_lengths", device, _THREADS, blocks_for(found, _THREADS),
        starts, c_int64(found), c_int64(height * width), lengths,
    )  # fmt: skip
    return run_labels, lengths
