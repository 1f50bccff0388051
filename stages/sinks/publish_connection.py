"""One connection to a server that a video is published to: an encoder without delay, and a process that sends."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from av import error as av_error
from av.codec.context import CodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from ...pipeline.packet import Frame
from ...pipeline.types.picture import Picture
from ..sources.camera.address import CameraAddress
from .encoder_frame import Coding, EncoderFrames, coded_matrix, coded_size, matrix_tag
from .encoders import NO_DELAY, RATE_FACTOR
from .publish_process import HEAD, TICKS
from .video_file import frame_time, nominal_rate

ANSWER_S = 10.0
"""The server takes the video within so long of being asked to."""
KEY_FRAME_S = 1
"""From one key frame to the next: who begins to watch waits for one."""
LEAVE_S = 1.5
_SCRIPT = Path(__file__).with_name("publish_process.py")
_FORMATS = {"rtsp": "rtsp", "rtsps": "rtsp", "rtmp": "flv", "rtmps": "flv", "srt": "mpegts"}
SCHEMES = tuple(_FORMATS)


class PublishConnection:
    """Sends pictures of one size, matrix and range as H.264, each as soon as it is given, with its time.

    Args:
        address: where to.
        frame: the first frame; times count from its time.
        picture: what is shown of it.
        preset: of x264.

    Raises:
        OSError: there can be no process.
    """

    def __init__(self, address: CameraAddress, frame: Frame, picture: Picture, *, preset: str) -> None:
        self._coding = Coding.of(picture)
        self._make = EncoderFrames("yuv420p", rgb=coded_matrix(picture)).make
        self._encoder = _encoder(frame, picture, preset)
        self._origin = frame_time(frame)
        self._last_pts, self._next_key = -1, 0
        self._is_up = False
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        form = _FORMATS[address.scheme]
        options = {"rtsp_transport": "tcp"} if form == "rtsp" else {}
        try:  # not among the arguments, which everybody can read
            self._write(json.dumps({"url": address.url, "format": form, "options": options}).encode() + b"\n")
        except BaseException:
            self.close()
            raise

    def fits(self, frame: Frame, picture: Picture) -> bool:
        """Whether the stream can go on with this picture: of the same coding, and not from before."""
        return Coding.of(picture) == self._coding and frame_time(frame) >= self._origin

    def send(self, frame: Frame, picture: Picture) -> None:
        """Encode and send one picture; with the first, wait until the server takes it.

        Raises:
            FFmpegError, OSError: there is no connection, or it is lost.
        """
        coded = self._make(picture)
        pts = max(self._last_pts + 1, round((frame_time(frame) - self._origin) / TICKS))
        coded.pts, coded.time_base, self._last_pts = pts, TICKS, pts
        if pts >= self._next_key:
            coded.pict_type = PictureType.I
            self._next_key = pts + round(KEY_FRAME_S / TICKS)
        for packet in self._encoder.encode(coded):
            data = bytes(packet)
            self._write(HEAD.pack(packet.pts or 0, packet.is_keyframe, len(data)) + data)
        if not self._is_up:
            self._await_up()

    def _await_up(self) -> None:
        assert self._process.stdout
        if not select.select([self._process.stdout], [], [], ANSWER_S)[0]:
            raise TimeoutError("the server does not answer")
        self._is_up = self._answer() == ["UP"]
        if not self._is_up:
            raise OSError("it has ended")

    def _answer(self) -> list[str]:
        """What the process says.

        Raises:
            FFmpegError, OSError: that it failed.
        """
        assert self._process.stdout
        words = self._process.stdout.readline().decode("ascii", "replace").split()
        if len(words) == 2:
            kind: Any = getattr(av_error, words[0], None)
            raise OSError(int(words[1]), words[0]) if kind is None else kind(int(words[1]), words[0])
        return words

    def _write(self, data: bytes) -> None:
        assert self._process.stdin
        view = memoryview(data)
        try:
            while view:
                view = view[self._process.stdin.write(view) or 0 :]
        except BrokenPipeError:
            while self._answer():
                continue
            raise

    def kill(self) -> None:
        """End it, whatever it waits for; for any thread."""
        self._process.kill()

    def close(self) -> None:
        """Take leave of the server, if it is there."""
        assert self._process.stdin
        assert self._process.stdout
        with suppress(OSError):
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(LEAVE_S)
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


def _encoder(frame: Frame, picture: Picture, preset: str) -> VideoCodecContext:
    context = CodecContext.create("libx264", "w")
    assert isinstance(context, VideoCodecContext)
    context.height, context.width = coded_size(picture)
    context.pix_fmt = "yuv420p"
    context.framerate, context.time_base = nominal_rate(frame.duration_ns), TICKS
    context.gop_size = 10_000  # key frames come by the clock
    context.thread_count = 1  # with more, a picture has several slices, which some servers take for pictures
    _, full_range = coded_matrix(picture)
    context.colorspace, context.color_range = matrix_tag(picture), 2 if full_range else 1
    context.color_primaries, context.color_trc = picture.tags.primaries, picture.tags.transfer
    if picture.sample_aspect != 1:
        context.sample_aspect_ratio = picture.sample_aspect
    parameters = NO_DELAY + ":force-cfr=1"  # or it would wait for the next picture to know how long this one is shown
    context.options = {"preset": preset, "crf": RATE_FACTOR, "x264-params": parameters, "forced-idr": "1"}
    return context
