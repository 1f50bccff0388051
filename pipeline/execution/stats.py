"""Statistics of a run: always on, exact percentiles, memory that does not grow."""

from __future__ import annotations

import math
import threading
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np

from ..redaction import printable

CAPACITY = 100_000
"""Newest samples that percentiles are computed from; counts, totals and maxima cover all of them."""
STREAM_CAPACITY = 10_000
"""The same, of one stream: there may be many."""
BUCKETS_MS = (1.0, 2.0, 5.0, 10.0, 20.0, 33.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
"""Upper bounds of the counts that every summary has, for histograms that are added up elsewhere."""
_RECONNECT = "reconnect_"  # a problem of cameras


@dataclass(frozen=True, slots=True)
class Summary:
    """Durations in milliseconds; all are 0 where there is none.

    ``total``, ``mean`` and ``max`` are of all ``count`` samples, percentiles of the newest CAPACITY ones.
    A percentile is a sample that occurred (nearest rank), never an interpolation.
    ``within``: of all samples, how many were at most as long as each of :data:`BUCKETS_MS`.
    """

    count: int = 0
    total: float = 0.0
    mean: float = 0.0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    max: float = 0.0
    within: tuple[int, ...] = (0,) * len(BUCKETS_MS)


class Samples:
    """A ring of float32 milliseconds, allocated once. ``add`` may be called from any thread."""

    __slots__ = ("_buckets", "_capacity", "_count", "_lock", "_max", "_ring", "_total")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._ring = array("f", [0.0]) * capacity  # written now, so that memory does not grow during the run
        self._capacity = capacity
        self._buckets = [0] * (len(BUCKETS_MS) + 1)
        self._count, self._total, self._max = 0, 0.0, 0.0
        self._lock = threading.Lock()

    def add(self, milliseconds: float) -> None:
        """Keep one duration; the oldest gives way where the ring is full."""
        with self._lock:
            count = self._count
            self._ring[count % self._capacity] = milliseconds
            self._count = count + 1
            self._total += milliseconds
            self._buckets[bisect_left(BUCKETS_MS, milliseconds)] += 1
            if milliseconds > self._max:
                self._max = milliseconds

    @property
    def count(self) -> int:
        """How many were added."""
        return self._count

    def summary(self) -> Summary:
        """What was added so far."""
        with self._lock:
            count, total, largest = self._count, self._total, self._max
            newest = self._ring[: min(count, self._capacity)]
            within = tuple(accumulate(self._buckets[:-1]))
        if not count:
            return Summary()
        ordered = np.sort(np.frombuffer(newest, np.float32))  # which lets others run meanwhile: there may be many
        p50, p95, p99 = (float(ordered[max(0, math.ceil(share * len(ordered)) - 1)]) for share in (0.50, 0.95, 0.99))
        return Summary(count, total, total / count, p50, p95, p99, largest, within)


@dataclass(frozen=True, slots=True)
class StageStats:
    """One source, stage or sink of a run.

    Attributes:
        name: of the stage or sink; of a source, its stream id.
        frames: packets that came out of it (a sink: that it has taken).
        failed: frames on which it raised.
        busy_ms: wall time of each call, waiting for others not included.
        left_out: of a sink: cause -> frames that it was given and did not use.
    """

    name: str
    frames: int
    failed: int
    busy_ms: Summary
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """How often it was called."""
        return self.busy_ms.count


@dataclass(frozen=True, slots=True)
class StreamStats:
    """One stream of a run.

    Attributes:
        frames: frames that every sink is done with, dropped ones included.
        dropped: cause -> frames that no longer went through the stages.
        problems: cause -> frames, as the source counted them (damaged, …).
        expected_frames: how many the source announced, or None.
        latency_ms: from the source's hand-over of a frame until its last sink is done; dropped frames excluded.
        wall_s: from the first read until now or the stream's end.
        peak_in_flight: most frames that were in the graph at one time.
        ended: ``finished``, ``cancelled``, ``failed``, or None while it runs.
        error: why it failed, or None.
        live: its frames come in real time.
        in_flight: frames that are in the graph now.
        capture_latency_ms: of a live stream whose frames say when they were captured: from then until the last sink
            is done.
        capture_clock: whose clock that is: ``camera``, or ``arrival``: when the frame came here; "" if not known.
        camera: of a camera, its :class:`~vidgraph.stages.sources.camera.status.CameraStatus`; None of other sources.
    """

    stream_id: str
    frames: int
    dropped: dict[str, int]
    problems: dict[str, int]
    expected_frames: int | None
    latency_ms: Summary
    wall_s: float
    peak_in_flight: int
    ended: str | None
    error: str | None
    live: bool = False
    in_flight: int = 0
    capture_latency_ms: Summary = Summary()
    capture_clock: str = ""
    camera: Any = None

    @property
    def reconnects(self) -> dict[str, int]:
        """Reason -> how often a camera was connected again."""
        found = self.problems.items()
        return {cause.removeprefix(_RECONNECT): count for cause, count in found if cause.startswith(_RECONNECT)}

    @property
    def processed(self) -> int:
        """Frames that were not dropped."""
        return self.frames - sum(self.dropped.values())

    @property
    def fps(self) -> float:
        """Frames per second that were not dropped."""
        return self.processed / self.wall_s if self.wall_s > 0 else 0.0


@dataclass(frozen=True, slots=True)
class RunStats:
    """A whole run, or a snapshot of one that goes on.

    Attributes:
        streams: one row per source, in the graph's order.
        sources, stages, sinks: busy time; stages in the order in which they run.
        latency_ms: from the source's hand-over of a frame until its last sink is done; dropped frames excluded.
        wall_s: from the first read until now or the last sink's end; opening is not included.
        errors: one line for each stage that failed on a frame and each stream that failed.
    """

    streams: tuple[StreamStats, ...]
    sources: tuple[StageStats, ...]
    stages: tuple[StageStats, ...]
    sinks: tuple[StageStats, ...]
    latency_ms: Summary
    wall_s: float
    errors: tuple[str, ...] = ()

    @property
    def frames(self) -> int:
        """Frames that every sink is done with, dropped ones included, of all streams."""
        return sum(stream.frames for stream in self.streams)

    @property
    def fps(self) -> float:
        """Frames per second of wall time, of all streams together."""
        return self.frames / self.wall_s if self.wall_s > 0 else 0.0

    @property
    def dropped(self) -> dict[str, int]:
        """Cause -> frames, of all streams."""
        return _sum_by_cause(stream.dropped for stream in self.streams)

    @property
    def problems(self) -> dict[str, int]:
        """Cause -> frames that the sources counted, of all streams."""
        return _sum_by_cause(stream.problems for stream in self.streams)

    @property
    def peak_in_flight(self) -> int:
        """Most frames of one stream that were in the graph at one time."""
        return max((stream.peak_in_flight for stream in self.streams), default=0)

    @property
    def complete(self) -> bool:
        """No frame was damaged or failed, and no stream failed (exit code 3 of the command line where False)."""
        failed = any(stream.error is not None or "failed" in stream.dropped for stream in self.streams)
        return not failed and not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain dicts, lists, numbers and strings, for JSON."""
        return {
            **asdict(self),
            "frames": self.frames,
            "fps": self.fps,
            "dropped": self.dropped,
            "problems": self.problems,
            "peak_in_flight": self.peak_in_flight,
            "complete": self.complete,
        }

    def table(self) -> str:
        """The closing table: text of at most 100 columns, without a final newline."""
        lines = [f"{'stream':<34} {'frames':>8} {'dropped':>9} {'damaged':>9}   ended"]
        lines += [
            f"{_fit(stream.stream_id, 34)} {stream.frames:>8} {sum(stream.dropped.values()):>9} "
            f"{sum(stream.problems.values()) - sum(stream.reconnects.values()):>9}   {stream.ended or 'running'}"
            for stream in self.streams
        ]
        lines += self._live_rows()
        columns = " ".join(f"{column:>9}" for column in ("mean", "p50", "p95", "p99", "total s"))
        lines += ["", f"{'busy, ms per call':<34} {'calls':>8} {columns}"]
        for kind, rows in (("read ", self.sources), ("", self.stages), ("-> ", self.sinks)):
            lines += [_row(_fit(kind + row.name, 34), row.busy_ms) for row in rows]
        lines += [_row(_fit("end to end", 34), self.latency_ms)] if self.latency_ms.count else []
        causes = _causes("dropped", self.dropped) + _causes("damaged", self.problems)
        causes += _causes("left out by outputs", _sum_by_cause(sink.left_out for sink in self.sinks))
        lines += ["", f"{self.frames} frames in {self.wall_s:.2f} s = {self.fps:.1f} fps" + "".join(causes)]
        return "\n".join(lines)

    def _live_rows(self) -> list[str]:
        """What counts for cameras: rate, reconnections, time from capture to result, and why frames were dropped."""
        live = [stream for stream in self.streams if stream.live]
        if not live:
            return []
        head = f"{'live: result after capture, ms':<34} {'fps':>6} {'reconn.':>7} {'p50':>7} {'p95':>7} {'p99':>7}"
        lines = ["", f"{head}   dropped"]
        for stream in live:
            latency = stream.capture_latency_ms if stream.capture_latency_ms.count else stream.latency_ms
            times = " ".join(f"{value:>7.1f}" for value in (latency.p50, latency.p95, latency.p99))
            causes = ", ".join(f"{cause} {count}" for cause, count in stream.dropped.items()) or "none"
            row = f"{_fit(stream.stream_id, 34)} {stream.fps:>6.1f} {sum(stream.reconnects.values()):>7} {times}"
            lines.append(f"{row}   {causes[:24]}")
        return lines


def _sum_by_cause(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    """Add up dicts of cause -> frames; causes in the order in which they first occur."""
    total: dict[str, int] = {}
    for count in counts:
        for cause, frames in count.items():
            total[cause] = total.get(cause, 0) + frames
    return total


def _causes(what: str, counts: dict[str, int]) -> list[str]:
    """``; dropped: failed 3, mailbox_full 12``, or nothing; the three largest, so that the line stays short."""
    largest = sorted(counts.items(), key=lambda item: -item[1])[:2]
    more = ", …" if len(counts) > len(largest) else ""
    return [f"; {what}: " + ", ".join(f"{cause[:16]} {frames}" for cause, frames in largest) + more] if counts else []


def _fit(text: str, width: int) -> str:
    """``text`` in exactly ``width`` columns, the middle left out where it is longer."""
    text = printable(str(text))
    if len(text) > width:
        text = text[: width // 2 - 1] + "…" + text[len(text) - (width - width // 2) :]
    return f"{text:<{width}}"


def _row(name: str, busy: Summary) -> str:
    numbers = " ".join(f"{value:>9.3f}" for value in (busy.mean, busy.p50, busy.p95, busy.p99))
    return f"{name} {busy.count:>8} {numbers} {busy.total / 1e3:>9.2f}"
