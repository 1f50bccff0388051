"""What cannot be read is refused in one line that names it; nothing is left open, whatever happens."""

from __future__ import annotations

import gc
import io
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from vidgraph.pipeline.errors import SourceError
from vidgraph.stages.sources.video import VideoSource

from ..clips import make_audio, make_clip, make_cover_art, read_number, truncate


def refuse(address: Any, **options: Any) -> str:
    """The message with which a source is refused; one line."""
    source = VideoSource(address, **options)
    with pytest.raises(SourceError) as caught:
        source.open()
    source.close()
    message = str(caught.value)
    assert "\n" not in message
    return message


def make_text(path: Path) -> Path:
    path.write_text("This is not a video.\n" * 50)
    return path


def make_empty(path: Path) -> Path:
    path.touch()
    return path


def make_folder(path: Path) -> Path:
    path.mkdir()
    return path


def make_cut_off(path: Path) -> Path:
    return truncate(make_clip(path.with_name("whole.mp4"), frames=50), path, share=0.5)


def make_subtitles(path: Path) -> Path:
    path.write_text("1\n00:00:01,000 --> 00:00:02,000\nHello\n")
    return path


@pytest.mark.parametrize(
    ("make", "name", "message"),
    [
        (lambda path: path, "none.mp4", "no such file: {}"),
        (make_folder, "clip.mp4", "{} is a folder, not a video file"),
        (make_text, "text.mp4", "cannot open {}: not a video or image that FFmpeg can read"),
        (make_empty, "empty.mp4", "{} is empty (0 bytes)"),
        (make_audio, "sound.m4a", "{} has no video stream, only audio"),
        (make_cover_art, "music.mp4", "{} has no video stream, only audio and a cover picture"),
        (make_subtitles, "text.srt", "{} has no video stream, only subtitle"),
        (make_cut_off, "cut.mp4", "cannot open {}: a cut-off MP4 without its index (moov), as after a recording that"),
    ],
)
def test_bad_files(tmp_path: Path, make: Callable[[Path], Path], name: str, message: str) -> None:
    path = make(tmp_path / name)
    assert refuse(path).startswith(message.format(path))


def test_a_name_that_is_nearly_right(tmp_path: Path) -> None:
    make_clip(tmp_path / "corridor.mp4", frames=1)
    assert refuse(tmp_path / "coridor.mp4").endswith("(is it corridor.mp4?)")
    assert refuse(tmp_path / "no" / "a.mp4").endswith(f"(there is no folder {tmp_path / 'no'})")


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=1)
    if os.geteuid() == 0:  # who may read everything
        monkeypatch.setattr(os, "access", lambda *_: False)
    clip.chmod(0)
    assert refuse(clip) == f"cannot read {clip}: permission denied"


def test_names_that_ffmpeg_would_take_for_something_else(tmp_path: Path) -> None:
    for name in ("a:b.mp4", "50%d.mp4", "x?y=1#t.mp4", "clip[1]*.mp4", "-.mp4", "ü ñ.mp4"):
        source = VideoSource(make_clip(tmp_path / name, frames=1))
        source.open()
        assert len(list(source.frames())) == 1
        source.close()


def test_frames_before_open() -> None:
    with pytest.raises(SourceError, match=r"clip.mp4: open\(\) the source before reading its frames"):
        next(iter(VideoSource("clip.mp4").frames()))


def open_files() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts files in /proc")
@pytest.mark.parametrize("taken", [0, 1, 7, None])
def test_nothing_is_left_open(tmp_path: Path, taken: int | None) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=20)
    text = make_text(tmp_path / "text.mp4")
    before = open_files(), threading.active_count()
    for _ in range(5):
        source = VideoSource(clip, threads=3)
        source.open()
        frames = source.frames()
        kept = [next(frames) for _ in range(taken)] if taken is not None else list(frames)
        source.close()
        del frames
        assert [read_number(frame.picture.rgb()) for frame in kept] == list(range(len(kept)))
        refuse(text)
    assert (open_files(), threading.active_count()) == before


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads memory use from /proc")
def test_memory_stays_flat_when_opened_often(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=3, size=(512, 512))

    def resident() -> int:
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    def cycle(times: int) -> None:
        for number in range(times):
            source = VideoSource(clip, threads=2)
            source.open()
            frames = source.frames()
            next(frames)
            if number % 2:
                list(frames)
            source.close()

    cycle(50)
    before = resident()
    cycle(200)
    assert resident() - before < 200 * 3 * 512 * 512 * 1.5 / 8  # an eighth of the pixels that went by


def test_a_source_can_be_opened_again(tmp_path: Path) -> None:
    source = VideoSource(make_clip(tmp_path / "clip.mp4", frames=4))
    for _ in range(2):
        source.open()
        source.open()
        assert len(list(source.frames())) == 4
        source.close()
        source.close()


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_standard_input(tmp_path: Path, suffix: str) -> None:
    data = make_clip(tmp_path / f"clip.{suffix}", frames=30).read_bytes()
    reading, writing = os.pipe()

    def feed() -> None:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(data)

    threading.Thread(target=feed, daemon=True).start()
    with os.fdopen(reading, "rb") as pipe:
        source = VideoSource("-", standard_input=pipe, start=0.2)
        assert source.stream_id == "stdin"
        source.open()
        assert [read_number(frame.picture.rgb()) for frame in source.frames()] == list(range(5, 30))
        source.close()
        assert source.problems == {}


def test_a_file_on_standard_input_can_be_any_mp4(tmp_path: Path) -> None:
    with make_clip(tmp_path / "clip.mp4", frames=30).open("rb") as file:
        source = VideoSource("-", standard_input=file)
        source.open()
        assert len(list(source.frames())) == 30
        source.close()


def test_bad_standard_input() -> None:
    closed = io.BytesIO()
    closed.close()
    assert refuse("-", standard_input=closed) == "there is no standard input to read a video from"
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert refuse("-", standard_input=pipe).startswith("cannot open standard input: not a video")


def test_a_wait_for_standard_input_can_be_interrupted(tmp_path: Path) -> None:
    data = make_clip(tmp_path / "clip.ts", frames=400, size=(128, 128)).read_bytes()
    reading, writing = os.pipe()
    threading.Thread(target=lambda: os.write(writing, data), daemon=True).start()  # and no end of file
    with os.fdopen(reading, "rb") as pipe:
        source = VideoSource("-", standard_input=pipe)
        source.open()
        threading.Timer(0.5, source.interrupt).start()
        started = time.monotonic()
        assert len(list(source.frames())) > 300
        assert time.monotonic() - started < 5
        source.close()
    os.close(writing)


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Tests print nothing."""


class _Refusing(BaseHTTPRequestHandler):
    log_message = _Silent.log_message  # type: ignore[assignment]

    def do_GET(self) -> None:
        self.send_error(404)


def serve(handler: Any) -> HTTPServer:
    server = HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server


def test_http(tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mkv", frames=6)
    server = serve(partial(_Silent, directory=str(tmp_path)))
    try:
        source = VideoSource(f"http://127.0.0.1:{server.server_port}/clip.mkv?token=secret")
        assert source.stream_id == "clip"
        source.open()
        assert len(list(source.frames())) == 6
        source.close()
    finally:
        server.shutdown()
        server.server_close()


def test_http_errors_hide_passwords(tmp_path: Path) -> None:
    server = serve(_Refusing)
    try:
        message = refuse(f"http://user:word@127.0.0.1:{server.server_port}/clip.mp4?token=secret")
    finally:
        server.shutdown()
        server.server_close()
    assert message.startswith("cannot open http://***@127.0.0.1:")
    assert "404" in message
    assert "word" not in message
    assert "secret" not in message
    assert "refused" in refuse(f"http://127.0.0.1:{server.server_port}/clip.mp4")
