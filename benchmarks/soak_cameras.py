"""Cameras for a long time: memory, latency, threads and descriptors of the process that reads them.

    python -m vidgraph.benchmarks.soak_cameras --cameras 16 --minutes 30 -o results/soak_cameras.json

A process of its own is that many RTSP cameras (:mod:`vidgraph.testing`); this one reads and decodes them all and runs a
model on them. With ``--outage`` all connections are cut now and then. At the end the cameras are let go, which is
timed.
"""

from __future__ import annotations

import argparse
import ctypes
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
_BLOCKS = 12  # of samples that are drawn together, as neighbours are alike
_DRAWS = 2000

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
    """The slope of a line by least squares and its 95 % interval, by a bootstrap of residuals in blocks.

    Source: Künsch, The jackknife and the bootstrap for general stationary observations, 1989.
    """
    xs, ys = np.asarray(x, np.float64), np.asarray(y, np.float64)
    centred = xs - xs.mean()
    slope = float(centred @ ys / (centred @ centred))
    rest = ys - ys.mean() - slope * centred
    length = max(1, len(xs) // _BLOCKS)
    random = np.random.default_rng(0)
    slopes = np.empty(_DRAWS)
    for draw in range(_DRAWS):
        starts = random.integers(0, len(xs) - length + 1, -(-len(xs) // length))
        drawn = np.concatenate([rest[start : start + length] for start in starts])[: len(xs)]
        slopes[draw] = slope + centred @ drawn / (centred @ centred)
    low, high = np.percentile(slopes, (2.5, 97.5))
    return slope, float(low), float(high)


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


def median_of_each_minute(seconds: Sequence[float], values: Sequence[int]) -> tuple[list[float], list[float]]:
    """Beginnings of minutes, and the median in each: what it is but for the moments of a frame or of a run."""
    minutes: dict[float, list[int]] = {}
    for second, value in zip(seconds, values, strict=True):
        minutes.setdefault(second // _MINUTE_S * _MINUTE_S, []).append(value)
    return list(minutes), [median(each) for each in minutes.values()]


def summary(looks: Sequence[Look]) -> dict[str, Any]:
    """Slopes of memory and latency, and what a week of that memory would be."""
    chosen = [look for look in looks if look.seconds >= WARM_UP * looks[-1].seconds]
    seconds = [look.seconds for look in chosen]
    memory = slope_with_interval(*median_of_each_minute(seconds, [look.live_kib for look in chosen]))
    resident = slope_with_interval(seconds, [look.resident_kib for look in chosen])
    latency = slope_with_interval(seconds, [look.latency_p50_ms for look in chosen])
    return {
        "live_kib_per_hour": [round(3600 * one, 1) for one in memory],
        "live_mb_in_7_days": [round(_DAYS_S * one / 1024, 1) for one in memory],
        "resident_kib_per_hour": [round(3600 * one, 1) for one in resident],
        "latency_p50_ms_per_hour": [round(3600 * one, 3) for one in latency],
        "resident_kib": [chosen[0].resident_kib, chosen[-1].resident_kib],
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
