"""A camera that is killed and comes back, again and again, beside one that stays: how soon its pictures are back.

    python -m vidgraph.benchmarks.camera_restarts --times 20 -o results/camera_restarts.json

Outages are of 0.2 to 2 s, key frames come every second. The server is one of GStreamer where it is installed, killed
with SIGKILL, and then the one of :mod:`vidgraph.testing` in Python, which resets its connections.
"""

from __future__ import annotations

import argparse
import random
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..models.live import Hub, live
from ..testing import GstCamera, RtspCamera, gst_missing, make_clip
from .harness import save
from .soak_cameras import descriptors_open

FPS = 15
OUTAGES_S = (0.2, 2.0)
_PATIENCE_S = 60.0


def camera_restarts(
    server: type[GstCamera] | type[RtspCamera], model: str, times: int, **options: Any
) -> dict[str, Any]:
    """Kill and restart a camera ``times`` times; ``options`` as for :func:`vidgraph.live`.

    Returns:
        seconds from each return of the server to the first frame, reconnections as counted, what is left behind, and
        the rate of the camera that stayed.
    """
    clip, chance = make_clip(4 * FPS, (360, 640), FPS, gop=FPS), random.Random(0)
    with live(model=model, **options) as hub:
        time.sleep(1.0)  # its threads have been started
        threads, descriptors = threading.active_count(), descriptors_open()
        with server(clip) as flapping, server(clip) as steady:
            hub.add("flapping", flapping.url, max_fps=2)
            hub.add("steady", steady.url, max_fps=2)
            _await(lambda: min(_frames(hub, "flapping"), _frames(hub, "steady")) > FPS)
            before, began = _frames(hub, "steady"), time.monotonic()
            back_after = [_restart(hub, flapping, chance.uniform(*OUTAGES_S)) for _ in range(times)]
            rate = (_frames(hub, "steady") - before) / (time.monotonic() - began)
            reconnects = hub.status["flapping"].reconnects
            steady_lost = hub.status["steady"].reconnects
            for name in ("flapping", "steady"):
                hub.remove(name)
        _await(lambda: threading.active_count() <= threads and descriptors_open() <= descriptors)
        return {
            "server": server.__name__,
            "restarts": times,
            "reconnections": reconnects,
            "first_frame_after_s": [round(one, 3) for one in back_after],
            "first_frame_after_s_max": round(max(back_after), 3),
            "threads_left": threading.active_count() - threads,
            "descriptors_left": descriptors_open() - descriptors,
            "steady_fps": round(rate, 3),
            "steady_reconnections": steady_lost,
        }


def _restart(hub: Hub, camera: GstCamera | RtspCamera, outage_s: float) -> float:
    """Seconds from the server's return to the first frame."""
    camera.kill()
    time.sleep(outage_s)
    camera.restart()
    returned, seen = time.monotonic(), _frames(hub, "flapping")
    _await(lambda: _frames(hub, "flapping") > seen)
    took = time.monotonic() - returned
    time.sleep(1.0)
    return took


def _frames(hub: Hub, name: str) -> int:
    return next((stream.frames for stream in hub.stats.streams if stream.stream_id == name), 0)


def _await(condition: Any) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"it did not come about within {_PATIENCE_S:g} s")
        time.sleep(0.005)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(
        prog="python -m vidgraph.benchmarks.camera_restarts", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--model", default="yolact-edge-tiny", metavar="NAME")
    parser.add_argument("--times", type=int, default=20, metavar="N")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="also write the figures as JSON")
    options = parser.parse_args(arguments)
    servers: list[type[GstCamera] | type[RtspCamera]] = [*([] if gst_missing() else [GstCamera]), RtspCamera]
    rows = [camera_restarts(server, options.model, options.times) for server in servers]
    for row in rows:
        for name, value in row.items():
            print(f"{name}: {value}")
    if options.output is not None:
        save(options.output, "camera_restarts", rows)


if __name__ == "__main__":
    main()
