"""A camera that connects to its reader and publishes: needs no server, and is another peer than the servers."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Literal

from .clips import Clip
from .closes import Closes
from .ports import free_port
from .process import Process

Protocol = Literal["rtsp", "rtmp", "tcp", "udp"]

_FORMATS = {"rtsp": "rtsp", "rtmp": "flv", "tcp": "mpegts", "udp": "mpegts"}
_LISTEN: dict[str, dict[str, str]] = {
    "rtsp": {"rtsp_flags": "listen", "listen_timeout": "10"},
    "rtmp": {"listen": "1"},
    "tcp": {"listen": "1"},
    "udp": {},
}


class Publisher(Closes):
    """A process that publishes a clip to a reader which listens, or to a server that takes it.

        with Publisher(make_clip()) as publisher:
            container = av.open(publisher.url, options=publisher.listen_options, timeout=(8, 2.5))

    Args:
        clip: what is sent, again and again.
        url: where to; by default a free port of 127.0.0.1, on which the reader is to listen.
        protocol: RTSP over TCP, RTMP (H.264 only), or MPEG-TS over TCP or UDP.
        frames: so many, then it ends in order; None: all the time.

    Attributes:
        url: the address for publisher and reader.
        listen_options: what the reader needs to listen.
    """

    def __init__(self, clip: Clip, url: str = "", *, protocol: Protocol = "rtsp", frames: int | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="vidgraph-publisher-")
        file = Path(self._folder.name) / "clip"
        clip.save(file)
        self.url = url or f"{protocol}://127.0.0.1:{free_port()}" + "/live" * (protocol in ("rtsp", "rtmp"))
        self.listen_options = dict(_LISTEN[protocol])
        script = f"{__package__}.publish_script"
        count = -1 if frames is None else frames
        self._process = Process(
            "the publisher", [sys.executable, "-P", "-m", script, str(file), self.url, _FORMATS[protocol], str(count)]
        )

    def kill(self) -> None:
        """End the process at once (SIGKILL)."""
        self._process.kill()

    def freeze(self) -> None:
        """Stop the process (SIGSTOP), as if power or cable were gone."""
        self._process.freeze()

    def thaw(self) -> None:
        """End a freeze."""
        self._process.thaw()

    def wait(self, timeout_s: float = 10.0) -> int:
        """Wait until all frames are sent; the exit code.

        Raises:
            TimeoutError: it still runs after ``timeout_s``.
        """
        return self._process.wait(timeout_s)

    def close(self) -> None:
        """End in order, with TEARDOWN; again does no harm."""
        self._process.stop()
        self._folder.cleanup()
