"""Every CUDA kernel: the same results as its CPU twin, the time it takes, and how near that is to copying."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...kernels.cuda.driver import driver
from ...kernels.device import Device, DeviceArray, empty, to_device, to_host
from .clock import Clock, call_times, kernel_times, rounded
from .inputs import fresh
from .kernel_cases import CASES, KernelCase
from .report import Report
from .scale import Bench


def measure(bench: Bench, report: Report) -> None:
    """A row a kernel; one that fails does not keep the others from running."""
    copy = 0.0
    if not bench.parity_only:
        copy = copy_gb_per_s(bench.device, bench.clock, bench.scale.copied, bench.scale.rounds)
        report.note(copy_gb_per_s=copy, empty_span_ms=empty_span_ms(bench.clock, bench.scale.rounds))
    for name, make in CASES.items():
        with report.going_on(name):
            _measure(bench, report, name, make(bench.scale), copy)


def _measure(bench: Bench, report: Report, name: str, case: KernelCase, copy: float) -> None:
    want = flat(case.call(*fresh(case.arrays)))
    there = on(case.arrays, bench.device)
    got = [to_host(array) for array in flat(case.call(*on(case.arrays, bench.device)))]
    row: dict[str, Any] = {"kernel": name, "task": case.title, **parity(got, want, case.units)}
    if row["same"] < row["of"]:
        report.fault(f"{name}: {row['of'] - row['same']} of {row['of']} numbers differ, by up to {row['worst']}")
    if not bench.parity_only:
        times = kernel_times(lambda: case.call(*there), bench.clock, bench.scale.rounds)
        calls = call_times(lambda: case.call(*there), bench.clock, bench.scale.rounds)
        moved = case.moved if case.moved is not None else least_bytes(case, want)
        rate = gb_per_s(moved, times["kernels_ms"])
        row |= {**times, **calls, "bytes": moved, "gb_per_s": rate}
        row["share_of_copy"] = round(rate / copy, 4) if copy else None
    report.row(**row)


def on(arrays: Any, device: Device) -> Any:
    """Arrays, and tuples of them, on a device."""
    return tuple(on(each, device) for each in arrays) if isinstance(arrays, tuple) else to_device(arrays, device)


def flat(results: Any) -> list[Any]:
    """The arrays of a result: one, or a tuple of them."""
    return list(results) if isinstance(results, tuple) else [results]


def parity(got: list[NDArray[Any]], want: list[NDArray[Any]], units: int) -> dict[str, Any]:
    """How many numbers are the same, of how many, and by how much the others differ at most.

    Args:
        units: in the last place of floats, within which they count as the same.
    """
    same, count, worst = 0, 0, 0.0
    for ours, theirs in zip(got, want, strict=True):
        count += theirs.size
        if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
            return {"same": 0, "of": max(count, 1), "worst": None}
        equal = (ours == theirs) | ((ours != ours) & (theirs != theirs))
        if units and theirs.dtype.kind == "f":
            gap = np.abs(ours.astype(np.float64) - theirs)
            equal |= gap <= units * np.spacing(np.maximum(np.abs(ours), np.abs(theirs)))
        same += int(equal.sum())
        if not equal.all():
            worst = max(worst, float(np.abs(ours[~equal].astype(np.float64) - theirs[~equal]).max()))
    return {"same": same, "of": count, "worst": worst}


def least_bytes(case: KernelCase, results: list[NDArray[Any]]) -> int:
    """What must be read and written at least."""
    if case.in_place:
        before, *drawn = case.arrays
        changed = sum(int(old[old != new].nbytes) for old, new in zip(flat(before), results, strict=True))
        return 2 * changed + sum(int(array.nbytes) for array in drawn)
    return sum(int(array.nbytes) for array in (*_each(case.arrays), *results))


def _each(arrays: Any) -> Iterator[NDArray[Any]]:
    if isinstance(arrays, tuple):
        for array in arrays:
            yield from _each(array)
    else:
        yield arrays


def copy_gb_per_s(device: Device, clock: Clock, nbytes: int, rounds: int) -> float:
    """Bytes read and written a second, in units of 1e9, of a copy from one place of the card to another."""
    source, target = (empty((nbytes,), np.uint8, device) for _ in range(2))
    assert isinstance(source, DeviceArray)
    assert isinstance(target, DeviceArray)
    opened, spans = driver(), []
    for _ in range(rounds):
        start = clock.mark()
        opened.copy(target.pointer, source.pointer, nbytes, device)
        spans.append((start, clock.mark()))
    return gb_per_s(2 * nbytes, statistics.median(clock.spans_ms(spans)))


def gb_per_s(nbytes: int, milliseconds: float) -> float:
    """To four digits."""
    return float(f"{nbytes / 1e6 / max(milliseconds, 1e-9):.4g}")


def empty_span_ms(clock: Clock, rounds: int) -> float:
    """Between two events with nothing between them: what every launch seems to take at least."""
    clock.hold()
    spans = [(clock.mark(), clock.mark()) for _ in range(rounds)]
    return rounded(statistics.median(clock.spans_ms(spans)))
