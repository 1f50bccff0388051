"""What is behind an http(s) address: a file, a live stream, or a recording in pieces (HLS)."""

from __future__ import annotations

import http.client
import logging
import ssl
import time
from pathlib import PurePosixPath
from typing import Any, Literal
from urllib.parse import urljoin, urlsplit

import av

from ....pipeline.stage import Source
from ..wrapper import SourceWrapper
from .address import CameraAddress
from .login import basic_header
from .options import CameraOptions
from .source import CameraSource

log = logging.getLogger("vidgraph")

LOOK_S = 3.0
OF_NO_USE_S = 5.0
"""A connection for MJPEG that lasts less than this may have been of no use."""
_MOST = 1 << 18  # bytes of a play list
_HOPS = 4
_FILES = frozenset(
    (
        *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".flv", ".wmv"),
        *(".ogv", ".3gp", ".mxf", ".gif", ".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic"),
    )
)
_LIVE_NAMES = (".m3u8", ".mjpg", ".mjpeg")

What = Literal["file", "mjpeg", "hls", "ended hls"]


class WebSource(SourceWrapper):
    """An http(s) address: a video, or a camera where ``open`` finds that it is live.

    Which it is only the server knows: HLS that is finished is read whole, like a file; one that is not, and a picture
    stream of a camera (MJPEG), is live.
    """

    def __init__(self, video: Source, place: CameraAddress, options: CameraOptions, *, frames: int | None) -> None:
        """
        Args:
            video: plays the address as a file.
            place: the same.
            options: how it is read as a camera.
            frames: deliver at most so many of a camera.
        """
        super().__init__(video)
        self._place = place
        self._options, self._frames = options, frames

    def open(self) -> None:
        """Find out what it is, and open that.

        Raises:
            SourceError: as a video.
        """
        what = look_at(self._place)
        if what == "ended hls":
            log.info("%s: a finished HLS recording: every frame is read", self.stream_id)
        if what in ("hls", "mjpeg"):
            log.info("%s: %s, live: the newest frames are read", self.stream_id, what.upper())
            self.source = CameraSource(
                self._place,
                stream_id=self.stream_id,
                frames=self._frames,
                options=self._options,
                by_arrival=what == "mjpeg",
                is_over=(lambda: look_at(self._place) == "ended hls") if what == "hls" else None,
                opener=MjpegOpener() if what == "mjpeg" else av.open,
            )
        self.source.open()


class MjpegOpener:
    """``av.open`` for MJPEG over HTTP, with pictures found by their own markers (FFD8, FFD9) where its parts are wrong.

    Some servers leave out the first boundary, or give lengths that are not those of the pictures: it cannot be opened
    then, or the connection before was of no use. By its markers, a picture comes when the next one begins; how much is
    read without one is bounded by the time-outs of the reader.
    """

    def __init__(self) -> None:
        self._opened_s = float("-inf")

    def __call__(self, **arguments: Any) -> Any:
        """Open it; arguments and errors as of ``av.open``."""
        before_s, self._opened_s = self._opened_s, time.monotonic()
        if self._opened_s - before_s < OF_NO_USE_S and (found := _by_markers(arguments)) is not None:
            return found
        try:
            return av.open(**arguments)
        except av.error.InvalidDataError:
            if (found := _by_markers(arguments)) is None:
                raise
            return found


def _by_markers(arguments: dict[str, Any]) -> Any:
    """The pictures that are anywhere in what comes; None: there are none."""
    options = arguments["options"] | {"analyzeduration": "1"}  # else it looks at 2 s of 25 pictures a second
    found = av.open(**arguments | {"format": "mjpeg", "options": options})
    if found.streams.video[0].codec_context.width:
        return found
    found.close()
    return None


def look_at(place: CameraAddress) -> What:
    """What an http(s) address is, by its name and by what the server says; a file where it says nothing else."""
    suffix = PurePosixPath(urlsplit(place.url).path).suffix.lower()
    if suffix in _FILES:
        return "file"
    try:
        found = _ask(place)
    except (OSError, http.client.HTTPException, ValueError):
        found = None
    if found is not None:
        return found
    return ("hls" if suffix == ".m3u8" else "mjpeg") if suffix in _LIVE_NAMES else "file"


def _ask(place: CameraAddress) -> What | None:
    """What the server says, over redirections and lists of lists; None: nothing that helps."""
    url = place.url
    for _ in range(_HOPS):
        parts = urlsplit(url)
        if parts.hostname is None or parts.scheme not in ("http", "https"):
            return None
        same = (parts.hostname, parts.scheme) == (place.host, place.scheme)
        status, kind, location, text = _get(url, place if same else None)
        if status in (301, 302, 303, 307, 308) and location:
            url = urljoin(url, location)
            continue
        if status >= 400:
            return None
        if kind.startswith("multipart/"):
            return "mjpeg"
        if not text.startswith("#EXTM3U"):
            return "file"
        if "#EXT-X-STREAM-INF" not in text:
            return "ended hls" if "#EXT-X-ENDLIST" in text else "hls"
        variants = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        if not variants:
            return "hls"
        url = urljoin(url, variants[0].strip())
    return None


def _get(url: str, login: CameraAddress | None) -> tuple[int, str, str, str]:
    """Status, content type, location and the first bytes of the body, which may be endless."""
    parts = urlsplit(url)
    host, path = parts.hostname or "", (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # as FFmpeg does by default
        connection = http.client.HTTPSConnection(host, parts.port, timeout=LOOK_S, context=context)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=LOOK_S)
    headers = {"User-Agent": "vidgraph"}
    if login is not None and login.user:
        headers["Authorization"] = basic_header(login.user, login.password)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        kind = (answer.getheader("Content-Type") or "").lower()
        text = ""
        if answer.status < 300 and not kind.startswith("multipart/"):
            start = answer.read(7)
            if start == b"#EXTM3U":
                text = (start + answer.read(_MOST)).decode("utf-8", "replace")
        return answer.status, kind, answer.getheader("Location") or "", text
    finally:
        connection.close()
