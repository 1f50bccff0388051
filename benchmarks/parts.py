"""``vidgraph bench``: each part of a run alone on one thread, then the whole, in the same process.

S is the sum of the single-thread CPU milliseconds a frame of decode, preprocessing, engine and
post-processing. A runtime without overhead needs S / cores of wall time a frame.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ..models.load import load_model
from ..models.model import Model
from ..models.resolve import resolve_model
from ..models.run import run
from ..pipeline.errors import UsageError
from ..pipeline.execution.stats import RunStats
from ..pipeline.execution.threads import ThreadBudget
from ..pipeline.limits import MAX_PIXELS
from ..pipeline.packet import Packet
from ..pipeline.redaction import redact_address
from ..pipeline.stage import EndReason, Sink, Source, Stage
from ..stages.drawing.draw import Draw
from ..stages.sinks.addresses import OutputStream
from ..stages.sinks.registry import open_sink
from ..stages.sources.registry import open_source

PASSES = 5
"""How often parts and whole are measured in turn; medians are reported."""

COUNTED = ("decode", "preprocess", "infer", "postprocess")
"""The parts of S; drawing and encoding are reported beside it."""

Samples = dict[str, tuple[list[float], list[float]]]
"""Part -> CPU and wall milliseconds, one of each for every frame."""


@dataclass(slots=True)
class PartTimes:
    """Milliseconds a frame of one part: one list for each pass."""

    cpu_ms: list[list[float]] = field(default_factory=list)
    wall_ms: list[list[float]] = field(default_factory=list)

    def row(self) -> dict[str, float]:
        """The mean of the median pass, and percentiles over all frames."""
        wall = sorted(sample for one in self.wall_ms for sample in one)
        return {
            "cpu_ms": statistics.median(statistics.fmean(one) for one in self.cpu_ms),
            "wall_ms": statistics.median(statistics.fmean(one) for one in self.wall_ms),
            **{f"wall_ms_p{p}": wall[min(len(wall) - 1, len(wall) * p // 100)] for p in (50, 95, 99)},
        }


@dataclass(slots=True)
class Figures:
    """What was measured.

    Attributes:
        about: source, model, engine, precision, sizes, threads.
        parts: name -> times of each part alone.
        whole: ``json`` and ``video`` -> statistics of each pass end to end.
    """

    about: dict[str, Any]
    parts: dict[str, PartTimes] = field(default_factory=dict)
    whole: dict[str, list[RunStats]] = field(default_factory=dict)

    @property
    def sum_ms(self) -> float:
        """S."""
        return sum(self.parts[name].row()["cpu_ms"] for name in COUNTED)

    def wall_ms(self, output: str) -> float:
        """Wall milliseconds a frame, end to end, of the median pass."""
        return statistics.median(1e3 * stats.wall_s / stats.frames for stats in self.whole[output])

    def to_dict(self) -> dict[str, Any]:
        """All figures, JSON-able."""
        rows = {name: {k: round(v, 3) for k, v in times.row().items()} for name, times in self.parts.items()}
        cores = self.about["threads"]
        others = sum(rows[name]["cpu_ms"] for name in COUNTED if name not in ("decode", "infer"))
        whole = {
            output: {
                "wall_ms_per_frame": round(self.wall_ms(output), 3),
                "fps": round(1e3 / self.wall_ms(output), 1),
                "latency_ms_p50": round(statistics.median(s.latency_ms.p50 for s in passes), 2),
                "latency_ms_p95": round(statistics.median(s.latency_ms.p95 for s in passes), 2),
                "latency_ms_p99": round(statistics.median(s.latency_ms.p99 for s in passes), 2),
                "passes_ms_per_frame": [round(1e3 * s.wall_s / s.frames, 3) for s in passes],
            }
            for output, passes in self.whole.items()
        }
        return {
            "about": self.about,
            "parts": rows,
            "S_ms": round(self.sum_ms, 3),
            "S_over_cores_ms": round(self.sum_ms / cores, 3),
            "json_wall_over_S_per_core": round(self.wall_ms("json") * cores / self.sum_ms, 3),
            "besides_decode_and_engine_share_of_S": round(others / self.sum_ms, 4),
            "whole": whole,
        }

    def table(self) -> str:
        """The figures as text."""
        facts = self.to_dict()
        lines = [f"{'alone, one thread':<22} {'CPU ms':>8} {'wall ms':>8} {'p50':>8} {'p95':>8} {'p99':>8}"]
        for name, row in facts["parts"].items():
            numbers = (row["cpu_ms"], row["wall_ms"], row["wall_ms_p50"], row["wall_ms_p95"], row["wall_ms_p99"])
            lines.append(f"{name:<22} " + " ".join(f"{number:8.3f}" for number in numbers))
        lines.append(f"S = {' + '.join(COUNTED)} = {facts['S_ms']:.3f} CPU ms a frame")
        lines.append(f"besides decode and engine: {facts['besides_decode_and_engine_share_of_S']:.1%} of S")
        for output, row in facts["whole"].items():
            lines.append(
                f"decode to {output}: {row['wall_ms_per_frame']:.3f} ms a frame = {row['fps']:.1f} fps; latency p50 "
                f"{row['latency_ms_p50']:.1f}, p95 {row['latency_ms_p95']:.1f}, p99 {row['latency_ms_p99']:.1f} ms"
            )
        lines.append(f"wall to json / (S / {self.about['threads']} threads) = {facts['json_wall_over_S_per_core']:.3f}")
        return "\n".join(lines)


def bench(
    source: str,
    model: str,
    *,
    weights: str | None = None,
    frames: int = 300,
    preset: str = "veryfast",
    threads: int | None = None,
    passes: int | None = None,
    max_pixels: int = MAX_PIXELS,
    **choices: Any,
) -> Figures:
    """Measure a model on a video.

    Args:
        source: the video.
        model, weights: as for :func:`load_model`; ``choices`` too.
        frames: how many frames of it, from the start.
        preset: of the encoder.
        threads: for the whole; None: the cores this process may use.
        passes: how often everything is measured in turn; None: ``PASSES``.
        max_pixels: larger pictures are refused.

    Raises:
        UsageError: the head ``raw``, of which nothing can be drawn.
        VidgraphError: as a run.
    """
    budget, resolved = ThreadBudget.share_out(threads), resolve_model(model, weights=weights)
    with ExitStack() as opened, tempfile.TemporaryDirectory(prefix="vidgraph-bench-") as folder:
        alone = opened.enter_context(load_model(resolved, requests=1, threads=1, **choices))
        if alone.head == "raw":
            raise UsageError("bench draws what is found, and the head 'raw' finds nothing; leave it out")
        whole = opened.enter_context(load_model(resolved, requests=budget.requests, threads=budget.total, **choices))
        run_whole = partial(_end_to_end, source, whole, preset=preset, threads=threads, max_pixels=max_pixels)
        run_parts = partial(_parts, source, alone, preset=preset, max_pixels=max_pixels)
        run_whole(Path(folder, "warm.jsonl"), min(frames, 10))
        run_parts(Path(folder, "warm.mp4"), min(frames, 10))
        figures = Figures(_about(source, alone, budget, frames, preset))
        for number in range(passes or PASSES):
            for name, (cpu, wall) in run_parts(Path(folder, f"{number}.mp4"), frames).items():
                times = figures.parts.setdefault(name, PartTimes())
                times.cpu_ms.append(cpu)
                times.wall_ms.append(wall)
            for output in ("json", "video"):
                suffix = {"json": ".jsonl", "video": "-whole.mp4"}[output]
                stats = run_whole(Path(folder, f"{number}{suffix}"), frames)
                figures.whole.setdefault(output, []).append(stats)
        return figures


def _about(source: str, model: Model, budget: ThreadBudget, frames: int, preset: str) -> dict[str, Any]:
    info, propagation = model.describe(), model.propagation
    return {
        "source": redact_address(source) if "://" in source else Path(source).name,
        "frames": frames,
        "model": info.name,
        "engine": info.engine,
        "precision": info.precision,
        "device": info.device,
        "input": None if info.input_size is None else f"{info.input_size[1]}x{info.input_size[0]}",
        "min_score": model.choices.min_score,
        "max_detections": model.choices.max_detections,
        "nms": model.choices.nms,
        **({"keyframes": str(propagation.keyframes), "batch": propagation.batch} if model.key_frames else {}),
        "preset": preset,
        "threads": budget.total,
    }


def _end_to_end(
    source: str, model: Model, path: Path, frames: int, *, preset: str, threads: int | None, max_pixels: int
) -> RunStats:
    choices: dict[str, Any] = {"preset": preset, "threads": threads, "max_pixels": max_pixels}
    return run(source, model=model, outputs=[path], frames=frames, **choices).wait()


def _parts(source: str, model: Model, path: Path, frames: int, *, preset: str, max_pixels: int) -> Samples:
    """One pass, frame by frame, every part on one thread after the other: part -> (CPU ms, wall ms)."""
    samples: Samples = {}
    with ExitStack() as opened:
        video: Source = open_source(source, frames=frames, threads=1, max_pixels=max_pixels)[0]
        stages: list[Stage] = [*model.stages(), Draw([model.result_keys()])]
        about = OutputStream(stream_id=video.stream_id, address=source, ends_early=True)
        sink = open_sink(path, streams=[about], preset=preset)
        parts: list[Source | Stage | Sink] = [video, *stages, sink]
        for part in parts:
            opened.callback(part.close)
            part.open()
        frames_of_video = video.frames()
        while (frame := _timed(samples, "decode", partial(next, frames_of_video, None))) is not None:
            packets: list[Packet] = [Packet(frame)]
            for stage in stages:
                packets = _timed(samples, stage.name, partial(_process, stage, packets))
            _timed(samples, "encode", partial(sink.write, *packets))
        sink.end_stream(video.stream_id, EndReason.FINISHED)
    return samples


def _process(stage: Stage, packets: list[Packet]) -> list[Packet]:
    return [out for packet in packets for out in stage.process(packet)]


def _timed(samples: Samples, part: str, call: Callable[[], Any]) -> Any:
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    answer = call()
    wall_ms, cpu_ms = (time.perf_counter_ns() - wall) / 1e6, (time.process_time_ns() - cpu) / 1e6
    if answer is not None or part != "decode":
        cpus, walls = samples.setdefault(part, ([], []))
        cpus.append(cpu_ms)
        walls.append(wall_ms)
    return answer
