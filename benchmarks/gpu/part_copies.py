"""How many bytes a second go from one place of the card to another, and to and from host memory."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial

import numpy as np

from ...kernels.cuda.driver import driver
from ...kernels.device import DeviceArray, empty
from .part_kernels import copy_gb_per_s
from .report import Report
from .scale import Bench


def measure(bench: Bench, report: Report) -> None:
    """A row a direction."""
    size, rounds, device = bench.scale.copied, min(bench.scale.rounds, 10), bench.device
    report.row(
        copy="on the card, read and written", bytes=size, gb_per_s=copy_gb_per_s(device, bench.clock, size, rounds)
    )
    place = empty((size,), np.uint8, device)
    assert isinstance(place, DeviceArray)
    for kind, host in (("pinned", bench.clock.pinned(size)), ("pageable", np.empty(size, np.uint8))):
        host.fill(1)
        for title, copy in (
            (f"to the card, {kind}", partial(driver().write, place.pointer, host, device)),
            (f"from the card, {kind}", partial(driver().read, place.pointer, host, device)),
        ):
            report.row(copy=title, bytes=size, gb_per_s=_rate(bench, copy, rounds))


def _rate(bench: Bench, copy: Callable[[], None], rounds: int) -> float:
    copy()
    spans = []
    for _ in range(rounds):
        bench.clock.synchronise()
        start = bench.clock.mark()
        copy()
        spans.append((start, bench.clock.mark()))
    return round(bench.scale.copied / 1e6 / max(statistics.median(bench.clock.spans_ms(spans)), 1e-9), 2)
