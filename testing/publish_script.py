"""Publishes a clip; run by :class:`.listener.Publisher` as ``python -m``, with a file of ``Clip.save``.

Prints READY, then tries to connect until somebody listens. Ends with the frames it has, or on SIGTERM, in order.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import av

from .clips import TICKS, Clip
from .remux import add_stream, packets

_AGAIN_S = 0.05


def main(path: str, url: str, form: str, frames: int) -> None:
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    clip = Clip.load(Path(path))
    sys.stdout.write("READY\n")
    sys.stdout.flush()
    while not ended.is_set():
        try:
            container = av.open(url, "w", format=form, options={"rtsp_transport": "tcp"} if form == "rtsp" else {})
            stream = add_stream(container, clip)
            container.start_encoding()
            break
        except OSError:
            ended.wait(_AGAIN_S)
    else:
        return
    try:
        publish(container, clip, stream, frames, ended)
    finally:
        container.close()


def publish(container: Any, clip: Clip, stream: Any, frames: int, ended: threading.Event) -> None:
    start = time.monotonic()
    n = base = 0
    while True:
        for packet, due in zip(packets(clip, stream, base), clip.due, strict=True):
            if n == frames or ended.wait(max(0.0, start + (base + due) / TICKS - time.monotonic())):
                return
            container.mux(packet)
            n += 1
        base += clip.duration


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
    except av.error.FFmpegError as error:
        sys.exit(f"the reader has gone: {error}")
