"""Kernels run on the calling thread and let others run meanwhile."""

from __future__ import annotations

import threading
import time

import numpy as np
from vidgraph.kernels import nms


def test_other_threads_run_during_a_kernel() -> None:
    """A slow call: many boxes, none of which overlaps another."""
    count = 12_000
    corners = np.stack([np.arange(count) * 2, np.zeros(count)], axis=1).astype(np.float32)
    boxes, scores = np.concatenate([corners, corners + 1], axis=1), np.linspace(1, 0, count, dtype=np.float32)
    times: list[float] = []

    def call() -> None:
        times.append(time.perf_counter())
        nms(boxes, scores, max_iou=0.5)
        times.append(time.perf_counter())

    thread = threading.Thread(target=call)
    ticks = []
    thread.start()
    while thread.is_alive():
        ticks.append(time.perf_counter())
        time.sleep(0)
    thread.join()
    inside = [tick for tick in ticks if times[0] + 0.001 < tick < times[1] - 0.001]
    assert times[1] - times[0] > 0.004, "the call is too short to tell"
    assert len(inside) > 10
