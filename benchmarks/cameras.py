"""``vidgraph bench --streams``: how many cameras one machine holds, at which latency.

A video is played as that many cameras at once, each decoded on its own, at its own rate, over and over. What the
network between camera and machine costs is not measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..models.load import load_model
from ..models.model import Model
from ..models.pace import Overload, Pace
from ..models.resolve import resolve_model
from ..pipeline.execution.stats import Samples, Summary
from ..pipeline.execution.threads import ThreadBudget
from ..pipeline.graph import Graph
from ..pipeline.limits import MAX_PIXELS
from ..pipeline.packet import Packet
from ..pipeline.redaction import redact_address
from ..pipeline.stage import Sink, Source
from ..stages.sample import Sample
from ..stages.sources.played import PlayedCamera
from ..stages.sources.registry import open_sources

WARM_S = 2.0
"""Of each measurement, so much at the start does not count."""
KEPT = 0.99
"""A camera is held where so large a share of its frames goes through."""


class _Latency(Sink):
    """Milliseconds from when a frame was due until its results are there, by stream, after a while."""

    name = "latency"

    def __init__(self, names: list[str], from_s: float) -> None:
        self.samples = {name: Samples(10_000) for name in names}
        self.frames = dict.fromkeys(names, 0)
        self._from_ns = time.time_ns() + round(from_s * 1e9)

    def write(self, packet: Packet) -> None:
        captured_ns = packet.frame.capture_ns or 0
        if captured_ns >= self._from_ns:
            self.frames[packet.frame.stream_id] += 1
            if packet.drop_cause is None:
                self.samples[packet.frame.stream_id].add((time.time_ns() - captured_ns) * 1e-6)


@dataclass(frozen=True, slots=True)
class Held:
    """One measurement with so many cameras.

    Attributes:
        streams: how many.
        kept: the share of frames that went through, of the camera that fared worst.
        latency_ms: of the camera that fared worst.
        fps: frames per second that went through, of each camera.
        jain: Jain's index of these rates: 1 where they are equal. Source: Jain, Chiu and Hawe, DEC-TR-301, 1984.
        cpu_cores: cores that were busy.
    """

    streams: int
    kept: float
    latency_ms: Summary
    fps: tuple[float, ...]
    jain: float
    cpu_cores: float

    def within(self, target_s: float | None) -> bool:
        """Whether every camera was held: 95 % of its results within the target, hardly a frame dropped."""
        return self.kept >= KEPT and (target_s is None or self.latency_ms.p95 <= target_s * 1e3)

    def to_dict(self) -> dict[str, Any]:
        """All figures, JSON-able."""
        return {
            "streams": self.streams,
            "kept": round(self.kept, 4),
            "latency_ms": {name: round(getattr(self.latency_ms, name), 1) for name in ("p50", "p95", "p99", "max")},
            "fps": [round(min(self.fps), 2), round(max(self.fps), 2)],
            "jain": round(self.jain, 4),
            "cpu_cores": round(self.cpu_cores, 2),
        }


@dataclass(frozen=True, slots=True)
class CameraFigures:
    """What was measured, with one count of cameras or several.

    Attributes:
        about: source, model, engine, rate.
        target_s: of latency; None: there was none.
        measured: in the order in which it was measured.
    """

    about: dict[str, Any]
    target_s: float | None
    measured: tuple[Held, ...]

    @property
    def most(self) -> int:
        """The most cameras that were held; 0: not one."""
        return max((one.streams for one in self.measured if one.within(self.target_s)), default=0)

    def to_dict(self) -> dict[str, Any]:
        """All figures, JSON-able."""
        rows = [one.to_dict() for one in sorted(self.measured, key=lambda one: one.streams)]
        target = None if self.target_s is None else round(self.target_s * 1e3, 3)
        return {"about": self.about, "target_latency_ms": target, "cameras_held": self.most, "measured": rows}

    def table(self) -> str:
        """The figures as text."""
        columns = ("cameras", "p50 ms", "p95 ms", "p99 ms", "kept", "fps each", "Jain", "cores")
        lines = ["".join(f"{column:>10}" for column in columns)]
        for one in sorted(self.measured, key=lambda one: one.streams):
            latency = one.latency_ms
            lines.append(
                f"{one.streams:>10}{latency.p50:>10.1f}{latency.p95:>10.1f}{latency.p99:>10.1f}{one.kept:>10.1%}"
                f"{min(one.fps):>10.2f}{one.jain:>10.4f}{one.cpu_cores:>10.2f}"
            )
        target = "" if self.target_s is None else f" with 95 % of their results within {self.target_s * 1e3:g} ms"
        lines.append(f"cameras held{target}, of the worst camera {KEPT:.0%} of the frames: {self.most}")
        return "\n".join(lines)


def bench_cameras(
    source: str,
    model: str,
    *,
    streams: int,
    target_latency: float | None = None,
    seconds: float = 8.0,
    max_fps: float | None = None,
    overload: Overload | None = None,
    max_latency: float | None = None,
    weights: str | None = None,
    threads: int | None = None,
    max_pixels: int = MAX_PIXELS,
    **choices: Any,
) -> CameraFigures:
    """Measure a model on a video that is played as many cameras.

    Args:
        source: the video; its size and rate are those of the cameras.
        model, weights: as for :func:`load_model`; ``choices`` too.
        streams: how many cameras; with a target, at most so many.
        target_latency: seconds; find how many cameras are held within it, by doubling and halving.
        seconds: of each measurement, besides 2 s at its start.
        max_fps, overload, max_latency: as for :func:`vidgraph.run`.
        threads: in all; None: the cores this process may use.
        max_pixels: larger pictures are refused.

    Raises:
        VidgraphError: as a run.
    """
    pace = Pace(overload=overload, max_latency=max_latency)
    budget = ThreadBudget.share_out(threads, live=True)
    with ExitStack() as opened:
        shares: dict[str, Any] = {"requests": budget.requests, "threads": budget.requests * budget.request_threads}
        loaded = opened.enter_context(load_model(resolve_model(model, weights=weights), **choices, **shares))
        shared = budget.for_batches(loaded.engine_choice.batch)

        def measure(count: int) -> Held:
            return _measure(source, loaded, count, shared, pace, seconds, max_fps, max_pixels)

        measured = _search(measure, streams, target_latency)
        about = {
            "source": redact_address(source) if "://" in source else Path(source).name,
            "model": loaded.name,
            "engine": loaded.describe().engine,
            "precision": loaded.describe().precision,
            "max_fps": max_fps,
            "overload": pace.gives_way,
            "seconds": seconds,
            "threads": budget.total,
        }
    return CameraFigures(about, target_latency, tuple(measured.values()))


def _search(measure: Callable[[int], Held], most: int, target_s: float | None) -> dict[int, Held]:
    """Measure ``most`` cameras, or, with a target, find the largest count up to it that is held."""
    measured: dict[int, Held] = {}

    def held(count: int) -> bool:
        measured[count] = measure(count)
        return measured[count].within(target_s)

    if target_s is None:
        held(most)
        return measured
    low, high = 0, 1  # held; the next to try, and then the least that was not
    while high <= most and held(high):
        low, high = high, min(2 * high, most) if high < most else most + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if held(middle) else (low, middle)
    return measured


def _measure(
    source: str,
    model: Model,
    count: int,
    budget: ThreadBudget,
    pace: Pace,
    seconds: float,
    max_fps: float | None,
    max_pixels: int,
) -> Held:
    names = [f"camera-{number}" for number in range(1, count + 1)]
    cameras = [_camera(source, name, number / count, max_pixels) for number, name in enumerate(names)]
    sample = None if max_fps is None else Sample(max_fps=max_fps)
    sink = _Latency(names, WARM_S)
    graph = Graph(cameras, pace.stages(model, sample=sample), [sink])
    running = graph.prepare(threads=budget, max_in_flight=pace.frames_in_flight)
    with running:
        running.start()
        time.sleep(WARM_S)
        before, started = time.process_time(), time.perf_counter()
        while time.perf_counter() - started < seconds:
            if running.done:
                break
            time.sleep(0.05)
        busy, wall = time.process_time() - before, time.perf_counter() - started
    if running.error is not None:
        raise running.error
    done = {name: sink.samples[name].summary() for name in names}
    rates = tuple(done[name].count / wall for name in names)
    squares = sum(rate * rate for rate in rates)
    return Held(
        streams=count,
        kept=min(done[name].count / max(1, sink.frames[name]) for name in names),
        latency_ms=max(done.values(), key=lambda summary: summary.p95),
        fps=rates,
        jain=min(1.0, sum(rates) ** 2 / (count * squares)) if squares else 0.0,  # 1 + 2e-16 is rounding
        cpu_cores=busy / wall,
    )


def _camera(source: str, name: str, share: float, max_pixels: int) -> Source:
    video = open_sources([source], latest=True, threads=1, max_pixels=max_pixels)[0]
    return PlayedCamera(video, name, late_s=share * 0.04)
