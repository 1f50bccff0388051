"""Every engine that runs on the card: the same outputs as ONNX Runtime on the CPU, latency and throughput by batch."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from ...engines import ENGINES, Engine
from ...engines.compare import difference, random_feeds
from ...engines.open import EngineRow
from ...kernels.device import to_device, to_host
from ...models.load import load_model
from ...models.model import Model
from ...pipeline.errors import VidgraphError
from .clock import WARM, Clock
from .report import Absent, Report
from .scale import Bench

BOUNDS = {"fp32": 1e-3, "fp16": 5e-2}
"""The largest difference of an output from ONNX Runtime's in fp32, over its largest magnitude: other orders of sums,
and numbers of 11 bits."""

Arrays = Mapping[str, np.ndarray[Any, Any]]


def measure(bench: Bench, report: Report) -> None:
    """A row an engine, precision and batch.

    Raises:
        Absent: no engine for the card is installed, or runs.
    """
    rows = [row for row in ENGINES.values() if bench.device.kind in row.devices]
    for row in rows:
        if not row.installed:
            report.skip(row.name, f"it is not installed: pip install 'vidgraph[{row.extra}]'")
    if not any(row.installed for row in rows):
        raise Absent("no engine for the card is installed")
    with load_network(bench, bench.models[0]) as model:  # says what is wrong with its name, whatever the engine
        report.note(model=model.name, weights=model.weights.path.name)
    for batch in bench.scale.batches:
        _batch(bench, report, [row for row in rows if row.installed], batch)
    if not report.rows:
        raise Absent("no engine runs on the card; the reasons are beside it")


def load_network(bench: Bench, name: str, **choices: Any) -> Model:
    """A model with the input of the scale."""
    return load_model(name, size=bench.scale.network, **choices)


def _open(bench: Bench, batch: int, **choices: Any) -> Engine:
    """An engine of the first graph of the first model."""
    with load_network(bench, bench.models[0], **choices) as model:
        return model.open_engine(model.input_size(bench.scale.frame), batch)


def _batch(bench: Bench, report: Report, rows: Sequence[EngineRow], batch: int) -> None:
    feeds, want = _reference(bench, report, batch)
    for precision in BOUNDS:
        for row in rows:
            what = f"{row.name} in {precision}, batch {batch}"
            try:
                engine = _open(bench, batch, engine=row.name, device=str(bench.device), precision=precision)
            except Exception as error:  # another library's too, of any class
                report.skip(what, f"{type(error).__name__}: {error}")
                continue
            with closing(engine), report.going_on(what):
                _measure(bench, report, engine, row, batch, feeds, want)


def _measure(
    bench: Bench, report: Report, engine: Engine, row: EngineRow, batch: int, feeds: Arrays, want: Arrays
) -> None:
    given = feeds or random_feeds(engine.inputs)
    worst = _parity(bench, engine, row, given, want) if want else None
    bound = BOUNDS.get(engine.precision, BOUNDS["fp16"])
    if worst is not None and not worst[1] <= bound:
        report.fault(
            f"{row.name} in {engine.precision}, batch {batch}: output {worst[0]!r} differs by {worst[1]:.2e} of its "
            f"largest magnitude, more than {bound:g}"
        )
    report.row(
        model=bench.models[0],
        engine=row.name,
        precision=engine.precision,
        batch=batch,
        worst_relative=None if worst is None else f"{worst[1]:.2e}",
        **engine_times(bench, engine, row, given, batch),
    )


def _reference(bench: Bench, report: Report, batch: int) -> tuple[Arrays, Arrays]:
    """Feeds, and what ONNX Runtime makes of them on the CPU; nothing where it is not installed."""
    try:
        engine = _open(bench, batch, engine="onnxruntime", device="cpu", precision="fp32")
    except VidgraphError as error:
        report.skip(f"the outputs of batch {batch} are compared with nothing", error)
        return {}, {}
    with closing(engine):
        feeds = random_feeds(engine.inputs)
        return feeds, {name: to_host(array).copy() for name, array in engine.run(feeds).items()}


def _parity(bench: Bench, engine: Engine, row: EngineRow, feeds: Arrays, want: Arrays) -> tuple[str, float]:
    """The output that differs most, and by how much of its largest magnitude; infinity where only one is a number."""
    got = {name: to_host(array) for name, array in engine.run(placed(bench, row, feeds)).items()}
    found = [difference(name, want[name], got[name]) for name in want]
    worst = max(found, key=lambda one: (one.disagree > 0, one.relative))
    return worst.output, float("inf") if worst.disagree else worst.relative


def placed(bench: Bench, row: EngineRow, feeds: Arrays) -> dict[str, Any]:
    """Feeds where the engine takes them."""
    on_card = row.wants == "device"
    return {name: to_device(array, bench.device) if on_card else array for name, array in feeds.items()}


def engine_times(bench: Bench, engine: Engine, row: EngineRow, feeds: Arrays, batch: int) -> dict[str, Any]:
    """Latency of a run that is waited for, and pictures a second of runs that are not.

    Feeds lie where the engine takes them; where that is the host, their way to the card and back counts.
    """
    given = placed(bench, row, feeds)
    latency = sorted(_latencies(bench.clock, engine, given, bench.scale.runs))
    started = time.perf_counter()
    for _ in range(bench.scale.runs):
        engine.run(given)
    bench.clock.synchronise()
    seconds = (time.perf_counter() - started) / bench.scale.runs
    return {
        "latency_ms": {
            f"p{p}": round(latency[min(len(latency) - 1, len(latency) * p // 100)], 4) for p in (50, 95, 99)
        },
        "mean_ms": round(statistics.fmean(latency), 4),
        "back_to_back_ms": round(seconds * 1e3, 4),
        "pictures_per_s": round(batch / max(seconds, 1e-9), 1),
    }


def _latencies(clock: Clock, engine: Engine, feeds: Mapping[str, Any], runs: int) -> Iterator[float]:
    for number in range(runs + WARM):
        clock.synchronise()
        started = time.perf_counter()
        engine.run(feeds)
        clock.synchronise()
        if number >= WARM:
            yield (time.perf_counter() - started) * 1e3
