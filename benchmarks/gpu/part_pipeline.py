"""Whole runs on the card: what the pipeline costs beside its engine, and frames a second of many streams."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from ...engines import ENGINES
from ...engines.compare import random_feeds
from ...models.model import Model
from ...models.run import run
from ...pipeline.execution.threads import ThreadBudget
from ...pipeline.graph import Graph
from ...pipeline.packet import Frame, Packet
from ...pipeline.stage import EndReason, Source
from ...pipeline.types.picture import Picture
from ...stages.sinks.addresses import OutputStream
from ...stages.sinks.registry import open_sink
from ...stages.sources.registry import open_source
from .part_engines import engine_times, load_network
from .report import Report
from .scale import Bench

MOST_OVERHEAD = 0.1
"""Of the time of the engine alone, at batch 1."""
CLIP_FRAMES = 48


class Again(Source):
    """Pictures that lie in memory, over and over: a source that costs nothing."""

    def __init__(self, pictures: list[Picture], count: int) -> None:
        self.stream_id, self._pictures, self._count = "again", pictures, count

    def frames(self) -> Iterator[Frame]:
        """So many of them."""
        for index in range(self._count):
            yield Frame(
                self.stream_id, index, 0, index * 40_000_000, 40_000_000, self._pictures[index % len(self._pictures)]
            )


def measure(bench: Bench, report: Report) -> None:
    """The overhead, and a row for each model and number of streams and of pictures in a run of the network."""
    with tempfile.TemporaryDirectory(prefix="vidgraph-bench-") as folder:
        clip = synthetic_clip(bench, Path(folder, "street.mp4"))
        for name in bench.models:
            with report.going_on(f"{name}, every frame"), _loaded(bench, name, every_frame=True) as model:
                report.note(**{f"overhead {name}": overhead(bench, model, clip)})
        for name in bench.models:
            for batch in bench.scale.batches:
                with report.going_on(f"{name}, batch {batch}"), _loaded(bench, name, batch=batch) as model:
                    _streams(bench, report, model, clip, batch, Path(folder))


def _streams(bench: Bench, report: Report, model: Model, clip: Path, batch: int, folder: Path) -> None:
    info = model.describe(bench.scale.frame)
    for streams in bench.scale.streams:
        figures = many_streams(bench, model, clip, streams, folder / f"{model.name}-{batch}-{streams}.jsonl")
        report.row(model=model.name, engine=info.engine, precision=info.precision, batch=batch, **figures)


def _loaded(bench: Bench, name: str, *, batch: int = 1, every_frame: bool = False) -> Model:
    """With the threads of a run on files, so that no run opens engines; or one frame at a time, each whole."""
    budget = ThreadBudget.share_out()
    choices: dict[str, Any] = {"engine": bench.engine, "precision": bench.precision, "device": str(bench.device)}
    shares: dict[str, Any] = {"requests": budget.requests, "threads": budget.requests * budget.request_threads}
    if every_frame:
        shares = {"requests": 1, "threads": 1}
    model = load_network(bench, name, batch=batch, **shares, **choices)
    if not (every_frame and model.key_frames):
        return model
    model.close()
    return load_network(bench, name, keyframes="all", **shares, **choices)


def synthetic_clip(bench: Bench, path: Path) -> Path:
    """A video of the synthetic street in the size of the scale."""
    height, width = bench.scale.frame
    count = min(CLIP_FRAMES, bench.scale.frames)
    (source,) = open_source(f"synth:street?size={width}x{height}&frames={count}")
    sink = open_sink(path, streams=[OutputStream(stream_id=source.stream_id)], preset="ultrafast")
    sink.open()
    try:
        for frame in source.frames():
            sink.write(Packet(frame))
        sink.end_stream(source.stream_id, EndReason.FINISHED)
    finally:
        sink.close()
    return path


def overhead(bench: Bench, model: Model, clip: Path) -> dict[str, Any]:
    """The wall time a frame of a run whose pictures lie in host memory, and that of its engine alone.

    Every frame goes through the whole network, one at a time; the engine runs back to back on what lies where it takes
    it. Decoding and writing do not count.
    """
    (source,) = open_source(str(clip))
    source.open()
    with closing(source):
        pictures = [frame.picture for frame in source.frames()]
    info = model.describe(bench.scale.frame)
    with closing(model.open_engine(model.input_size(bench.scale.frame), engine=info.engine)) as engine:
        alone = engine_times(bench, engine, ENGINES[engine.engine], random_feeds(engine.inputs), 1)["back_to_back_ms"]
    count = bench.scale.frames // 2
    _run_from_memory(model, pictures, min(count, 8))
    started = time.perf_counter()
    _run_from_memory(model, pictures, count)
    whole = (time.perf_counter() - started) * 1e3 / count
    share = whole / max(alone, 1e-9) - 1
    return {
        "engine": info.engine, "precision": info.precision, "device": info.device, "frames": count,
        "engine_ms": alone, "run_ms": round(whole, 4), "share": round(share, 4),
        "target_share": MOST_OVERHEAD, "within_target": share <= MOST_OVERHEAD,
    }  # fmt: skip


def _run_from_memory(model: Model, pictures: list[Picture], count: int) -> None:
    Graph([Again(pictures, count)], model.stages(), [_ignore]).run(strict=True)


def _ignore(packet: Packet) -> None:
    """The end of a run that writes nothing."""


def decoder_of(out: Path) -> str:
    """What decoded the first video of a run, by the header of its results."""
    with out.open(encoding="utf-8") as lines:
        return str(json.loads(lines.readline())["sources"][0].get("decoder", "cpu"))


def many_streams(bench: Bench, model: Model, clip: Path, streams: int, out: Path) -> dict[str, Any]:
    """From ``streams`` videos to JSON lines: frames a second of all, and how long a frame is under way."""
    each = max(1, min(bench.scale.frames // streams, CLIP_FRAMES))
    names = [f"s{number}={clip}" for number in range(streams)]
    stats = run(names, model=model, outputs=[out], frames=each).wait()
    latency = stats.latency_ms
    return {
        "streams": streams,
        "decoder": decoder_of(out),
        "frames": stats.frames,
        "fps": round(stats.fps, 1),
        "latency_ms": {name: round(getattr(latency, name), 2) for name in ("p50", "p95", "p99")},
    }
