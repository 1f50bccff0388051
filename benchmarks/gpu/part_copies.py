"""How many bytes a second go from one place of the card to another, and to and from host memory."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ...kernels.device import DeviceArray, empty, to_device, to_host
from .part_kernels import copy_gb_per_s, gb_per_s
from .report import Report
from .scale import Bench


def measure(bench: Bench, report: Report) -> None:
    """A row a direction."""
    size, rounds, clock = bench.scale.copied, min(bench.scale.rounds, 10), bench.clock
    rate = copy_gb_per_s(bench.device, clock, size, rounds)
    report.row(copy="on the card, read and written", bytes=size, gb_per_s=rate)
    place = empty((size,), np.uint8, bench.device)
    assert isinstance(place, DeviceArray)
    pinned, pageable = clock.pinned(size), np.empty(size, np.uint8)
    copies: dict[str, Callable[[], Any]] = {}
    for kind, host in (("pinned", pinned), ("pageable", pageable)):
        host.fill(1)
        copies[f"to the card, {kind}"] = partial(clock.copy_to, place.pointer, host)
        copies[f"from the card, {kind}"] = partial(clock.copy_from, place.pointer, host)
    copies["to the card, as a run does it"] = partial(to_device, pageable, bench.device)
    copies["from the card, as a run does it"] = partial(to_host, place)
    for title, copy in copies.items():
        report.row(copy=title, bytes=size, gb_per_s=_rate(bench, copy, rounds))


def _rate(bench: Bench, copy: Callable[[], Any], rounds: int) -> float:
    copy()
    spans = []
    for _ in range(rounds):
        bench.clock.synchronise()
        start = bench.clock.mark()
        copy()
        spans.append((start, bench.clock.mark()))
    return gb_per_s(bench.scale.copied, statistics.median(bench.clock.spans_ms(spans)))
