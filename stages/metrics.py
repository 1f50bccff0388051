"""Metrics for Prometheus: what a run's statistics say, put into text when somebody asks. Frames pay nothing for it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..engines.queue import batches_run
from ..kernels.cuda.driver import memory_in_use
from ..pipeline.errors import MissingExtraError, OutputError, UsageError
from ..pipeline.execution.stats import BUCKETS_MS, RunStats, StageStats, StreamStats, Summary

if TYPE_CHECKING:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

MOST_CAUSES = 16
"""So many labels of causes, at most, of one stream; further ones are counted as ``other``."""
_PLACE = re.compile(r"(?:(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):)?(?P<port>\d{1,5})")
BATCH_SIZES = (1, 2, 4, 8, 16, 32)
"""Upper bounds of the histogram of batches."""
_PREFIX = "vidgraph_"


def metrics_place(text: str) -> tuple[str, int]:
    """``9100`` and ``HOST:9100`` -> host and port; without a host, this machine alone (127.0.0.1).

    Raises:
        ValueError: it is neither.
    """
    found = _PLACE.fullmatch(text)
    if found is None or int(found["port"]) > 65535:
        raise ValueError(f"expected PORT or HOST:PORT, such as 127.0.0.1:9100, got {text!r}")
    return (found["host"] or "127.0.0.1").strip("[]"), int(found["port"])


class MetricsServer:
    """Serves the metrics of a run at ``http://HOST:PORT/metrics`` until it is closed.

    Args:
        address: ``PORT`` or ``HOST:PORT``; port 0 takes a free one, which :attr:`address` has.

    Raises:
        UsageError: it is no such address.
        MissingExtraError: prometheus_client is not installed.
        OutputError: it cannot be bound.
    """

    def __init__(self, address: str) -> None:
        try:
            host, port = metrics_place(address)
        except ValueError as error:
            raise UsageError(f"metrics: {error}") from error
        try:
            from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
        except ImportError as error:
            raise MissingExtraError("metrics", "metrics") from error
        self._collector = _Collector()
        registry = CollectorRegistry()
        registry.register(self._collector)
        ProcessCollector(registry=registry)  # descriptors, memory and processor time, where the system tells them
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise OutputError(
                f"cannot serve metrics at {host}:{port}: {reason.lower()}; choose another port or address"
            ) from error
        shown = f"[{host}]" if ":" in host else host
        self.address = f"http://{shown}:{self._server.server_port}/metrics"

    def watch(self, stats: Callable[[], RunStats]) -> None:
        """Serve the metrics of a run that begins; ``stats`` gives its statistics so far."""
        self._collector.stats = stats

    def close(self) -> None:
        """Stop serving; again does no harm."""
        self._server.shutdown()
        self._server.server_close()
        if self._thread is not threading.current_thread():
            self._thread.join()


class _Collector:
    """Makes the metrics of statistics whenever they are asked for."""

    def __init__(self) -> None:
        self.stats: Callable[[], RunStats] | None = None

    def describe(self) -> list[Metric]:
        """Nothing: names are not checked against other collectors."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All metrics."""
        if self.stats is None:
            return
        stats = self.stats()
        yield from _of_streams(stats.streams)
        yield from _of_cameras([stream for stream in stats.streams if stream.camera is not None])
        yield from _of_stages(stats)
        yield from _of_batches()
        yield from _of_cards()


def _of_streams(streams: tuple[StreamStats, ...]) -> Iterator[Metric]:
    frames = _counter("frames", "Frames that went through, dropped ones included.", "source")
    dropped = _counter("frames_dropped", "Frames that were dropped.", "source", "cause")
    problems = _counter("problems", "Problems of sources, as damaged frames.", "source", "cause")
    fps = _gauge("fps", "Frames per second of the whole run that were not dropped.")
    depth = _gauge("queue_depth", "Frames in the graph.")
    latency = _histogram("e2e_seconds", "From the source's hand-over of a frame until outputs are done.", "source")
    capture = _histogram(
        "capture_latency_seconds", "From the capture of a frame until outputs are done.", "source", "clock"
    )
    for stream in streams:
        frames.add_metric([stream.stream_id], stream.frames)
        fps.add_metric([stream.stream_id], stream.fps)
        depth.add_metric([stream.stream_id], stream.in_flight)
        for cause, count in _bounded(stream.dropped).items():
            dropped.add_metric([stream.stream_id, cause], count)
        for cause, count in _bounded(stream.problems).items():
            problems.add_metric([stream.stream_id, cause], count)
        _add(latency, [stream.stream_id], stream.latency_ms)
        if stream.capture_latency_ms.count:
            _add(capture, [stream.stream_id, stream.capture_clock], stream.capture_latency_ms)
    yield from (frames, dropped, problems, fps, depth, latency, capture)


def _of_cameras(cameras: list[StreamStats]) -> Iterator[Metric]:
    up = _gauge("source_up", "1 while a camera sends pictures, else 0.")
    age = _gauge("last_frame_age_seconds", "Since a camera's last frame.")
    lag = _gauge("stream_lag_seconds", "How much later than at its best a camera's stream comes.")
    rate = _gauge("source_fps", "Frames per second as a camera sends them.")
    errors = _counter("decode_errors", "Packets and pictures of a camera that are damaged.", "source")
    lost = _counter("lost_packets", "Packets of a camera that the network lost.", "source")
    again = _counter("reconnects", "How often a camera was connected again.", "source", "reason")
    for stream in cameras:
        name, camera = [stream.stream_id], stream.camera
        up.add_metric(name, camera.state == "up")
        lag.add_metric(name, camera.lag_s)
        errors.add_metric(name, camera.decode_errors)
        for family, value in ((age, camera.frame_age_s), (rate, camera.rate), (lost, camera.lost_packets)):
            if value is not None:
                family.add_metric(name, value)
        for reason, count in camera.reconnects.items():
            again.add_metric([*name, reason], count)
    yield from (up, age, lag, rate, errors, lost, again)


def _of_stages(stats: RunStats) -> Iterator[Metric]:
    seconds = _histogram("stage_seconds", "Time of each call of a source, stage or output.", "kind", "stage")
    failed = _counter("stage_failures", "Frames on which a stage or output failed.", "kind", "stage")
    left_out = _counter("output_frames_left_out", "Frames that an output did not use.", "stage", "cause")
    for kind, parts in (("source", stats.sources), ("stage", stats.stages), ("output", stats.sinks)):
        for name, part in _numbered(parts):
            _add(seconds, [kind, name], part.busy_ms)
            failed.add_metric([kind, name], part.failed)
            for cause, count in _bounded(part.left_out).items():
                left_out.add_metric([name, cause], count)
    yield from (seconds, failed, left_out)


def _of_batches() -> Iterator[Metric]:
    """Nothing where this process runs no network in batches."""
    ran = batches_run()
    if not ran:
        return
    sizes = _histogram("batch_size", "Inputs in each run of a network that this process runs in batches.", "network")
    for network, counts in ran.items():
        bounds = [(str(float(bound)), float(_up_to(counts, bound))) for bound in BATCH_SIZES]
        buckets: Any = [*bounds, ("+Inf", float(sum(counts.values())))]
        sizes.add_metric([network], buckets, sum(size * count for size, count in counts.items()))
    yield sizes


def _up_to(counts: Mapping[int, int], bound: int) -> int:
    return sum(count for size, count in counts.items() if size <= bound)


def _of_cards() -> Iterator[Metric]:
    """Nothing where this process uses no card."""
    used = memory_in_use()
    if not used:
        return
    from ..engines.tensorrt.build import BUILT

    memory = _gauge("gpu_mem_bytes", "Memory in use on a card, by all processes.", "device")
    builds = _counter("engine_builds", "Engines that this process has built rather than found in the cache.", "engine")
    for device, size in used.items():
        memory.add_metric([str(device)], size)
    for engine, count in BUILT.items():
        builds.add_metric([engine], count)
    yield from (memory, builds)


def _numbered(parts: tuple[StageStats, ...]) -> Iterator[tuple[str, StageStats]]:
    """The parts with names that differ: two outputs of a kind are ``encode`` and ``encode 2``."""
    seen: dict[str, int] = {}
    for part in parts:
        seen[part.name] = number = seen.get(part.name, 0) + 1
        yield (part.name if number == 1 else f"{part.name} {number}"), part


def _bounded(counts: Mapping[str, int]) -> dict[str, int]:
    """At most :data:`MOST_CAUSES` of ``counts``, and the others together."""
    if len(counts) <= MOST_CAUSES:
        return dict(counts)
    items = list(counts.items())
    kept, others = items[:MOST_CAUSES], items[MOST_CAUSES:]
    return {**dict(kept), "other": sum(count for _, count in others)}


def _counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    from prometheus_client.core import CounterMetricFamily

    return CounterMetricFamily(_PREFIX + name, text, labels=labels)


def _gauge(name: str, text: str, label: str = "source") -> GaugeMetricFamily:
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(_PREFIX + name, text, labels=[label])


def _histogram(name: str, text: str, *labels: str) -> HistogramMetricFamily:
    from prometheus_client.core import HistogramMetricFamily

    return HistogramMetricFamily(_PREFIX + name, text, labels=labels)


def _add(family: HistogramMetricFamily, labels: list[str], summary: Summary) -> None:
    bounds = [(str(bound / 1000), float(count)) for bound, count in zip(BUCKETS_MS, summary.within, strict=True)]
    buckets: Any = [*bounds, ("+Inf", float(summary.count))]
    family.add_metric(labels, buckets, summary.total / 1000)
