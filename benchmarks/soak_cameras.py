"""Cameras for a long time: memory, latency, threads and descriptors of the process that reads them.

    export MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=131072
    python -m vidgraph.benchmarks.soak_cameras --cameras 16 --minutes 30 -o results/soak_cameras.json

A process of its own is that many RTSP cameras (:mod:`vidgraph.testing`); this one reads and decodes them all and runs a
model on them. With ``--outage`` all connections are cut now and then. At the end the cameras are let go, which is
timed.
"""

from __future__ import annotations

import argparse
import ctypes
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ..models.live import Hub, live
from .harness import save
from .soak import resident_kib

LOOKED_EVERY_S = 5.0
WARM_UP = 0.2  # of the time, which the lines leave out
_BUSY = 0.1  # of the time, at the beginning: other processes leave little of the machine, now and then
_BURST_S, _BURSTS_EVERY_S = 3.0, 8.0  # too short for a camera to be given up for falling behind
_DAYS_S = 7 * 24 * 3600
_MINUTE_S = 60.0
_Z_95 = 1.96
_MALLOC = ("MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_")  # as docs/cameras.md has them set

_SERVER = """
import sys, threading
from vidgraph.testing import RtspCamera, make_clip
count, width, height, fps, outage_s = (int(word) for word in sys.argv[1:6])
clip = make_clip(4 * fps, (height, width), fps, gop=fps, noise=6)  # 1.6 Mb/s, and 3 ms a frame to decode, as real video
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
with RtspCamera(clip, cameras=count) as camera:
    print(*camera.urls, flush=True)
    while not ended.wait(outage_s or None):
        camera.disconnect("rst")
"""


_LOAD = """
import time
end = time.monotonic() + {seconds}
while time.monotonic() < end:
    if time.monotonic() % {every_s} >= {busy_s}:
        time.sleep(0.01)
"""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at one time, ``seconds`` after the start."""

    seconds: float
    resident_kib: int
    live_kib: int
    threads: int
    descriptors: int
    frames: int
    dropped: int
    latency_p50_ms: float
    latency_p99_ms: float


def slope_with_interval(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """The median of the slopes between any two points, and its 95 % interval.

    A value that rises from beginning to end, by however little, has a slope; one that is flat and steps up once by the
    picture that a decoder had never needed before does not. What it rose by in all is told beside it.

    Source: Sen, Estimates of the regression coefficient based on Kendall's tau, 1968.
    """
    xs, ys = np.asarray(x, np.float64), np.asarray(y, np.float64)
    count = len(xs)
    first, second = np.triu_indices(count, 1)
    slopes = np.sort((ys[second] - ys[first]) / (xs[second] - xs[first]))
    half = _Z_95 * math.sqrt(count * (count - 1) * (2 * count + 5) / 18) / 2
    low, high = (np.clip(round(len(slopes) / 2 + side), 0, len(slopes) - 1) for side in (-half, half))
    return float(np.median(slopes)), float(slopes[low]), float(slopes[high])


def live_kib() -> int:
    """What this process has allocated and not freed, in KiB: what a leak adds to. glibc.

    Resident memory goes up and down by the frames that are under way, and the heap keeps what was freed.
    """
    library = ctypes.CDLL(None)
    text, size = ctypes.c_char_p(), ctypes.c_size_t()
    library.open_memstream.restype = ctypes.c_void_p
    stream = ctypes.c_void_p(library.open_memstream(ctypes.byref(text), ctypes.byref(size)))
    library.malloc_info(0, stream)
    library.fclose(stream)
    root = ElementTree.fromstring((text.value or b"").decode("ascii"))
    library.free(text)
    sizes = {(each.tag, each.get("type")): int(each.get("size", 0)) for each in root if each.get("size")}
    free = sizes["total", "fast"] + sizes["total", "rest"]
    return (sizes["system", "current"] + sizes["total", "mmap"] - free) // 1024


def median_of_each_minute(seconds: Sequence[float], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Beginnings of minutes, and the median in each: what it is but for the moments of a frame or of a run."""
    minutes: dict[float, list[float]] = {}
    for second, value in zip(seconds, values, strict=True):
        minutes.setdefault(second // _MINUTE_S * _MINUTE_S, []).append(value)
    return list(minutes), [median(each) for each in minutes.values()]


def summary(looks: Sequence[Look]) -> dict[str, Any]:
    """Slopes of memory and latency, and what a week of that memory would be."""
    chosen = [look for look in looks if look.seconds >= WARM_UP * looks[-1].seconds]
    seconds = [look.seconds for look in chosen]
    minutes, live_medians = median_of_each_minute(seconds, [look.live_kib for look in chosen])
    _, resident_medians = median_of_each_minute(seconds, [look.resident_kib for look in chosen])
    live, resident = slope_with_interval(minutes, live_medians), slope_with_interval(minutes, resident_medians)
    latency = slope_with_interval(*median_of_each_minute(seconds, [look.latency_p50_ms for look in chosen]))
    return {
        "live_mb_in_7_days": [round(_DAYS_S * one / 1024, 1) for one in live],
        "resident_mb_in_7_days": [round(_DAYS_S * one / 1024, 1) for one in resident],
        "latency_p50_ms_per_hour": [round(3600 * one, 3) for one in latency],
        "live_kib_of_minutes": live_medians,
        "resident_kib_of_minutes": resident_medians,
        "threads": [min(look.threads for look in chosen), max(look.threads for look in chosen)],
        "descriptors": [min(look.descriptors for look in chosen), max(look.descriptors for look in chosen)],
        "latency_p99_ms": max(look.latency_p99_ms for look in chosen),
    }


@contextmanager
def busy_machine(seconds: float) -> Iterator[None]:
    """Two processes a core that do nothing but run, in bursts, for so long.

    Decoders keep the most pictures that were ever under way: a machine that is slow for a moment makes memory grow by
    some, once. Here that comes first.
    """
    code = _LOAD.format(seconds=seconds, every_s=_BURSTS_EVERY_S, busy_s=_BURST_S)
    load = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        yield
    finally:
        for process in load:
            process.kill()
            process.wait()


@contextmanager
def camera_server(count: int, size: tuple[int, int], fps: int, outage_s: int) -> Iterator[list[str]]:
    """A process that is so many cameras and ends with this one; gives their addresses."""
    words = [sys.executable, "-c", _SERVER, *map(str, (count, *size, fps, outage_s))]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()
        finally:
            process.kill()


def descriptors_open() -> int:
    """File descriptors that this process has open. Linux."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def look_at(hub: Hub, started_s: float) -> Look:
    """The hub now."""
    stats = hub.stats
    return Look(
        round(time.monotonic() - started_s, 1),
        resident_kib(),
        live_kib(),
        threading.active_count(),
        descriptors_open(),
        stats.frames,
        sum(stats.dropped.values()),
        round(stats.latency_ms.p50, 2),
        round(stats.latency_ms.p99, 2),
    )


def soak_cameras(
    model: str, *, cameras: int, size: tuple[int, int], fps: int, seconds: int, max_fps: float, outage_s: int
) -> dict[str, Any]:
    """Read ``cameras`` of ``size`` (width, height) for ``seconds`` and run a model ``max_fps`` times a second on each.

    Args:
        outage_s: all connections are cut so often; 0: never.
    """
    looks: list[Look] = []
    with camera_server(cameras, size, fps, outage_s) as addresses, live(model=model) as hub:
        started_s, idle_s = time.monotonic(), time.process_time()
        for number, address in enumerate(addresses):
            hub.add(f"camera-{number}", address, max_fps=max_fps)
        with busy_machine(_BUSY * seconds):
            while time.monotonic() - started_s < seconds:
                time.sleep(LOOKED_EVERY_S)
                looks.append(look_at(hub, started_s))
        stats, before, busy_s = hub.stats, time.monotonic(), time.process_time() - idle_s
        hub.cancel()
        hub.wait()
        ended_s = time.monotonic() - before
    rates = [stream.frames / stream.wall_s for stream in stats.streams]
    return {
        "cameras": cameras,
        "size": list(size),
        "fps": fps,
        "max_fps": max_fps,
        "seconds": seconds,
        "outage_every_s": outage_s,
        "model": model,
        "environment": {name: os.environ[name] for name in _MALLOC if name in os.environ},
        **summary(looks),
        "frames_per_second_and_camera": [round(min(rates), 3), round(max(rates), 3)],
        "problems": stats.problems,
        "dropped": stats.dropped,
        "errors": list(stats.errors),
        "cpu_cores": round(busy_s / seconds, 2),
        "ended_within_s": round(ended_s, 2),
        "looks": [asdict(look) for look in looks],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(
        prog="python -m vidgraph.benchmarks.soak_cameras", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--model", default="yolact-edge-tiny", metavar="NAME")
    parser.add_argument("--cameras", type=int, default=16, metavar="N")
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 720), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--fps", type=int, default=15, metavar="F")
    parser.add_argument("--max-fps", type=float, default=0.5, metavar="F", help="of the model, for each camera")
    parser.add_argument("--minutes", type=float, default=30.0, metavar="M")
    parser.add_argument("--outage", type=int, default=0, metavar="S", help="cut all connections every S seconds")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="also write the figures as JSON")
    options = parser.parse_args(arguments)
    width, height = options.size
    seen = soak_cameras(
        options.model,
        cameras=options.cameras,
        size=(width, height),
        fps=options.fps,
        seconds=round(options.minutes * 60),
        max_fps=options.max_fps,
        outage_s=options.outage,
    )
    for name, value in seen.items():
        if name != "looks":
            print(f"{name}: {value}")
    if options.output is not None:
        save(options.output, "soak_cameras", seen)


if __name__ == "__main__":
    main()
