"""Cameras over HTTP: HLS, live or finished, and MJPEG as one endless answer."""

from __future__ import annotations

import math
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from ..pipeline.errors import UsageError
from .clips import TICKS, Clip
from .closes import Closes
from .remux import transport_stream


class HttpCamera(Closes):
    """A server on 127.0.0.1; what it answers is up to its kinds.

    Attributes:
        requests: the paths that were asked for, in order.
    """

    def __init__(self) -> None:
        self.requests: list[str] = []
        self._ended = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.camera = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="http-camera", daemon=True
        )
        self._thread.start()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def disconnect(self) -> None:
        """Close all connections, and go on listening."""
        for each in list(self._server.connections):
            with suppress(OSError):  # the reader was quicker
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End all threads and close all sockets; again does no harm."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._server.shutdown()
        self._thread.join()
        self.disconnect()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a GET; called on a thread of its own."""
        raise NotImplementedError


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # server_close waits for them
    camera: HttpCamera

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.connections: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Readers go when they like."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.camera.requests.append(self.path)
        self.server.camera.answer(self)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""


@dataclass(frozen=True, slots=True)
class _Segment:
    number: int
    clip: Clip
    units: tuple[int, int]
    base: int
    duration_s: float
    discontinuity: bool
    missing: bool

    def data(self) -> bytes:
        return transport_stream(self.clip, *self.units, self.base)


@dataclass(slots=True)
class _Encoder:
    """Makes one segment after another, a group of pictures each, of clips."""

    clip: Clip
    group: int = 0  # of the clip
    base: int = 0  # ticks at the clip's start
    made_s: float = 0.0
    segments: list[_Segment] = field(default_factory=list)
    to_lose: int = 0
    tag: bool = False

    def add(self) -> None:
        keys = [n for n, unit in enumerate(self.clip.units) if unit.key] + [len(self.clip.units)]
        first, last = keys[self.group], keys[self.group + 1]
        end = self.clip.due[last] if last < len(self.clip.units) else self.clip.duration
        duration_s = (end - self.clip.due[first]) / TICKS
        missing, self.to_lose = self.to_lose > 0, max(0, self.to_lose - 1)
        number = len(self.segments)
        self.segments.append(_Segment(number, self.clip, (first, last), self.base, duration_s, self.tag, missing))
        self.tag = False
        self.made_s += duration_s
        self.group += 1
        if self.group == len(keys) - 1:
            self.group, self.base = 0, self.base + self.clip.duration

    def switch(self, clip: Clip, *, tagged: bool) -> None:
        self.clip, self.group, self.base, self.tag = clip, 0, 0, tagged


class HlsCamera(HttpCamera):
    """HLS with MPEG-TS segments, one for each group of pictures of the clip.

        with HlsCamera(make_clip(gop=15)) as camera:
            container = av.open(camera.url, options={"live_start_index": "-1"}, timeout=(8, 2.5))

    Args:
        clip: what is sent, again and again.
        window: segments in the list, and there at the start.
        finished: the list has all ``window`` segments and ENDLIST: a recording.

    Attributes:
        url: of the list.
    """

    def __init__(self, clip: Clip, *, window: int = 4, finished: bool = False) -> None:
        if clip.codec not in ("h264", "hevc"):
            raise UsageError(f"HlsCamera sends clips of h264 or hevc, not {clip.codec}; take MjpegCamera, RtspCamera")
        self._window, self._over, self._gone = window, finished, False
        self._lock = threading.Lock()
        self._begin(clip, window)
        super().__init__()

    @property
    def url(self) -> str:
        return f"{self.base}/live.m3u8"

    def end(self) -> None:
        """The list is over: ENDLIST."""
        with self._lock:
            self._grow()
            self._over = True

    def die(self) -> None:
        """The encoder is dead: the list stays as it is."""
        with self._lock:
            self._grow()
            self._running = False

    def vanish(self) -> None:
        """The list is gone (404)."""
        self._gone = True

    def restart_encoder(self) -> None:
        """The encoder starts again: numbers and times from 0, one segment there."""
        with self._lock:
            self._begin(self._encoder.clip, 1)

    def lose(self, segments: int = 1) -> None:
        """The next so many segments are in the list, and are 404."""
        with self._lock:
            self._grow()
            self._encoder.to_lose += segments

    def switch_clip(self, clip: Clip, *, tagged: bool = True) -> None:
        """The next segments are of another clip, whose times start at 0; ``tagged`` in the list as a discontinuity."""
        with self._lock:
            self._grow()
            self._encoder.switch(clip, tagged=tagged)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        with self._lock:
            self._grow()
            segments = list(self._encoder.segments)
        name = request.path.rpartition("/")[2]
        if name == "live.m3u8" and not self._gone:
            reply(request, "application/vnd.apple.mpegurl", self._list(segments).encode())
            return
        number = name.removesuffix(".ts")
        if number.isdigit() and int(number) < len(segments) and not segments[int(number)].missing:
            reply(request, "video/mp2t", segments[int(number)].data())
            return
        request.send_error(404)

    def _begin(self, clip: Clip, segments: int) -> None:
        self._encoder = _Encoder(clip)
        self._running = True
        for _ in range(segments):
            self._encoder.add()
        self._start_s = time.monotonic() - self._encoder.made_s

    def _grow(self) -> None:
        """Add the segments that are complete by now."""
        while self._running and not self._over:
            encoder = self._encoder
            if time.monotonic() - self._start_s < encoder.made_s + encoder.segments[-1].duration_s:
                return
            encoder.add()

    def _list(self, segments: list[_Segment]) -> str:
        shown = segments if self._over and len(segments) <= self._window else segments[-self._window :]
        passed = sum(each.discontinuity for each in segments[: shown[0].number])
        lines = ["#EXTM3U", "#EXT-X-VERSION:3"]
        lines.append(f"#EXT-X-TARGETDURATION:{math.ceil(max(each.duration_s for each in shown))}")
        lines.append(f"#EXT-X-MEDIA-SEQUENCE:{shown[0].number}")
        lines += [f"#EXT-X-DISCONTINUITY-SEQUENCE:{passed}"] if passed else []
        for each in shown:
            lines += ["#EXT-X-DISCONTINUITY"] * each.discontinuity
            lines += [f"#EXTINF:{each.duration_s:.3f},", f"{each.number}.ts"]
        lines += ["#EXT-X-ENDLIST"] * self._over
        return "\n".join(lines) + "\n"


class MjpegCamera(HttpCamera):
    """JPEG pictures as one endless ``multipart/x-mixed-replace`` answer.

        with MjpegCamera(make_clip(codec="mjpeg")) as camera:
            container = av.open(camera.url, format="mpjpeg", timeout=(8, 2.5))

    Args:
        first_boundary: a boundary stands before the first picture.
        length: Content-Length of each part: right, 7 bytes too small, or left out.
        frames: after so many the answer ends; None: never.
    """

    def __init__(
        self,
        clip: Clip,
        *,
        first_boundary: bool = True,
        length: Literal["right", "wrong", "none"] = "right",
        frames: int | None = None,
    ) -> None:
        if clip.codec != "mjpeg":
            raise UsageError(f'MjpegCamera sends clips of mjpeg, not {clip.codec}: make_clip(codec="mjpeg")')
        self._clip, self._first_boundary, self._length, self._frames = clip, first_boundary, length, frames
        self._flowing = threading.Event()
        self._flowing.set()
        super().__init__()

    @property
    def url(self) -> str:
        return f"{self.base}/video.mjpg"

    def stall(self) -> None:
        """Send no pictures."""
        self._flowing.clear()

    def resume(self) -> None:
        """Send pictures again."""
        self._flowing.set()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        request.end_headers()
        start, n = time.monotonic(), 0
        with suppress(OSError):  # the reader has enough
            while self._frames is None or n < self._frames:
                round_, unit = divmod(n, len(self._clip.units))
                due_s = start + (round_ * self._clip.duration + self._clip.due[unit]) / TICKS
                if self._ended.wait(max(0.0, due_s - time.monotonic())):
                    return
                if self._flowing.is_set():
                    request.wfile.write(self._part(self._clip.units[unit].nals[0], first=n == 0))
                n += 1

    def _part(self, jpeg: bytes, *, first: bool) -> bytes:
        boundary = b"" if first and not self._first_boundary else b"--frame\r\n"
        length = len(jpeg) - 7 * (self._length == "wrong")
        lines = b"" if self._length == "none" else f"Content-Length: {length}\r\n".encode()
        return boundary + b"Content-Type: image/jpeg\r\n" + lines + b"\r\n" + jpeg + b"\r\n"


def reply(request: BaseHTTPRequestHandler, kind: str, body: bytes) -> None:
    """Answer with all of ``body``, of the content type ``kind``."""
    request.send_response(200)
    request.send_header("Content-Type", kind)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    with suppress(OSError):  # the reader has enough
        request.wfile.write(body)
