"""A camera of gst-rtsp-server, in a process of its own: the RTSP server that many real cameras and proxies have."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from ..pipeline.errors import UsageError
from .clips import Clip
from .closes import Closes
from .ports import free_port
from .process import Process

PACKAGES = (
    "python3-gi",
    "gir1.2-gst-rtsp-server-1.0",
    "gir1.2-gst-plugins-base-1.0",
    "gstreamer1.0-plugins-base",
    "gstreamer1.0-plugins-good",
    "gstreamer1.0-plugins-bad",
)
"""What it needs, by Debian's names."""

_PYTHON = "/usr/bin/python3"  # the bindings are Debian's, for Debian's Python
_SCRIPT = Path(__file__).with_name("gst_server_script.py")
_ELEMENTS = ("appsrc", "h264parse", "h265parse", "rtph264pay", "rtph265pay", "rtph264depay", "matroskamux", "alawenc")
_CHECK = f"""
import gi
for name in ("Gst", "GstApp", "GstRtspServer"):
    gi.require_version(name, "1.0")
from gi.repository import Gst, GstApp, GstRtspServer
Gst.init(None)
missing = [name for name in {_ELEMENTS!r} if not Gst.ElementFactory.find(name)]
raise SystemExit("no elements " + ", ".join(missing) if missing else 0)
"""


@lru_cache(maxsize=1)
def gst_missing() -> str | None:
    """Why there can be no :class:`GstCamera` on this machine, and what to install; None if there can."""
    try:
        run = subprocess.run([_PYTHON, "-c", _CHECK], capture_output=True, text=True, timeout=60, check=False)
    except OSError as error:
        return f"needs {_PYTHON}: {error}"
    if run.returncode == 0:
        return None
    why = (run.stderr.strip() or f"exit code {run.returncode}").splitlines()[-1]
    return f"needs gst-rtsp-server ({why}). On Debian: apt install {' '.join(PACKAGES)}"


class GstCamera(Closes):
    """Sends H.264 or HEVC clips as ``/cam0``, ``/cam1``, …, from when it is made until closed.

        with GstCamera(make_clip(b_frames=2), audio=True) as camera:
            container = av.open(camera.url, options={"rtsp_transport": "tcp"}, timeout=(8, 2.5))

    B-frames, variable rates and HEVC come from the clip.

    Args:
        clips: one for each camera, or one that ``cameras`` send; none for a server that only records.
        audio: a second track, silent G.711.
        user, password, digest: a password is asked for, by Basic or by Digest (MD5).
        record_to: a Matroska file; what is published to ``record_url`` goes there.
        record_codec: what will be published.

    Raises:
        SourceError: the server does not start.
        UsageError: gst-rtsp-server is not installed, or cannot send such a clip.
    """

    def __init__(
        self,
        clips: Clip | Sequence[Clip] = (),
        *,
        cameras: int = 1,
        audio: bool = False,
        user: str = "",
        password: str = "",
        digest: bool = False,
        record_to: Path | None = None,
        record_codec: Literal["h264", "hevc"] = "h264",
    ) -> None:
        if why := gst_missing():
            raise UsageError(f"GstCamera {why}")
        self._user, self._password = user, password
        self._options = ["--audio"] * audio
        self._options += ["--user", user, *["--digest"] * digest] if user else []
        self._options += ["--record-to", str(record_to), "--record-codec", record_codec] if record_to else []
        clips = _sendable([clips] * cameras if isinstance(clips, Clip) else clips)
        self._folder = tempfile.TemporaryDirectory(prefix="vidgraph-camera-")
        self._files = self._save(clips)
        self._port = free_port()
        self._process: Process | None = None
        self.restart()

    @property
    def urls(self) -> list[str]:
        return [f"rtsp://127.0.0.1:{self._port}/cam{n}" for n in range(len(self._files))]

    @property
    def url(self) -> str:
        return self.urls[0]

    @property
    def login_url(self) -> str:
        """``url`` with user and password, percent-encoded."""
        return self.url.replace("://", f"://{quote(self._user, safe='')}:{quote(self._password, safe='')}@")

    @property
    def record_url(self) -> str:
        """Where a stream may be published to (RECORD)."""
        return f"rtsp://127.0.0.1:{self._port}/rec"

    def stall(self) -> None:
        """Send no pictures; requests are answered, and reports sent."""
        self._running.tell("stall")

    def freeze(self) -> None:
        """Stop the process (SIGSTOP), as if power or cable were gone."""
        self._running.freeze()

    def resume(self) -> None:
        """End a stall, or a freeze."""
        self._running.thaw()
        self._running.tell("resume")

    def jump(self, seconds: float) -> None:
        """Shift the time stamps of all frames from now on; forward only, :class:`RtspCamera` can do both.

        Raises:
            UsageError: ``seconds`` is negative.
        """
        if seconds < 0:
            raise UsageError(f"the time of a GstCamera jumps forward only, not by {seconds:g} s; take an RtspCamera")
        self._running.tell(f"jump {seconds}")

    def kill(self) -> None:
        """End the process at once (SIGKILL), until :meth:`restart`."""
        if self._process:
            self._process.kill()
            self._process = None

    def restart(self, clips: Clip | Sequence[Clip] = ()) -> None:
        """Start again on the same port, with other clips (of another codec, say) if some are given."""
        self.kill()
        if clips:
            self._files = self._save(_sendable([clips] * len(self._files) if isinstance(clips, Clip) else clips))
        command = [_PYTHON, str(_SCRIPT), *map(str, self._files), "--port", str(self._port), *self._options]
        self._process = Process(
            "gst-rtsp-server", command, environment={"VIDGRAPH_CAMERA_PASSWORD": self._password, "PYTHONPATH": ""}
        )
        self._port = int(self._process.ready[0])

    def stop(self) -> None:
        """End the process in order (SIGTERM), until :meth:`restart`: what was recorded is complete."""
        if self._process:
            self._process.stop()
            self._process = None

    def close(self) -> None:
        """End the process and remove its files; again does no harm."""
        self.stop()
        self._folder.cleanup()

    @property
    def _running(self) -> Process:
        if self._process is None:
            raise UsageError("this GstCamera is not running; call restart() first")
        return self._process

    def _save(self, clips: Sequence[Clip]) -> list[Path]:
        files = []
        for clip in clips:
            files.append(Path(self._folder.name) / f"{id(clip):x}.clip")
            clip.save(files[-1])
        return files


def _sendable(clips: Sequence[Clip]) -> Sequence[Clip]:
    others = {clip.codec for clip in clips} - {"h264", "hevc"}
    if others:
        raise UsageError(f"GstCamera sends clips of h264 or hevc, not {', '.join(others)}; RtspCamera sends all")
    return clips
