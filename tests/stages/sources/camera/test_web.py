"""Web addresses: files, recordings in pieces that are finished, and what is live."""

from __future__ import annotations

import io
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest
from vidgraph.stages.sources.camera.address import read_address
from vidgraph.stages.sources.camera.options import CameraOptions
from vidgraph.stages.sources.camera.source import CameraSource
from vidgraph.stages.sources.camera.web import WebSource, look_at
from vidgraph.stages.sources.registry import open_source
from vidgraph.testing.numbers import numbered_luma

from .cameras import BUSY_S, Reading, rising

FPS, SIZE = 10, (128, 160)


def picture(number: int) -> av.VideoFrame:
    luma = numbered_luma(number, SIZE)
    chroma = np.full((SIZE[0] // 2, SIZE[1]), 128, np.uint8)
    return av.VideoFrame.from_ndarray(np.concatenate([luma, chroma]), format="yuv420p")


def make_segments(folder: Path, *, frames: int = 40, live: bool) -> None:
    """``list.m3u8`` and pieces of one second each."""
    options = {"hls_time": "1", "hls_list_size": "0", "hls_flags": "omit_endlist" if live else "independent_segments"}
    with av.open(str(folder / "list.m3u8"), "w", format="hls", options=options) as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = SIZE[1], SIZE[0], "yuv420p", FPS
        for number in range(frames):
            frame = picture(number)
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def jpeg(number: int) -> bytes:
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = SIZE[1], SIZE[0], "yuvj420p", Fraction(1, FPS)  # type: ignore[attr-defined]
    frame = picture(number).reformat(format="yuvj420p")
    frame.pts, frame.time_base = number, Fraction(1, FPS)
    return b"".join(bytes(packet) for packet in encoder.encode(frame))  # type: ignore[attr-defined]


class Server:
    """Serves the files of a folder, ``/live`` as MJPEG for ``pictures`` pictures at a time, and notes what is asked."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked, self.pictures, self.rate = folder, list[str](), 10**9, 10.0
        self.change: Callable[[str], None] = lambda path: None
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                server.asked.append(path)
                server.change(path)
                if path == "/live":
                    server.send_pictures(self)
                    return
                if path == "/moved":
                    self.send_response(302)
                    self.send_header("Location", "/list.m3u8")
                    self.end_headers()
                    return
                file = server.folder / path.lstrip("/")
                if not file.is_file():
                    self.send_error(404)
                    return
                data = file.read_bytes()
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda request, address: None  # type: ignore[method-assign]  # they hang up
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def send_pictures(self, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "multipart/x-mixed-replace; boundary=b")
        handler.end_headers()
        for number in range(self.pictures):
            data = jpeg(number % 100)
            head = f"--b\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            handler.wfile.write(head.encode() + data + b"\r\n")
            time.sleep(1 / self.rate)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.close()


@contextmanager
def reading(address: str) -> Iterator[Reading]:
    """The camera that is behind an address, read in the background."""
    (source,) = open_source(address, camera=CameraOptions(freeze_s=1.0))
    assert isinstance(source, WebSource)
    source.open()
    assert isinstance(source.source, CameraSource)
    read = Reading("rtsp://unused/")
    read.source = source.source
    with read:
        yield read


def test_a_finished_recording_in_pieces_loses_nothing(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "vidgraph")
    make_segments(tmp_path, live=False)
    (source,) = open_source(server.url + "/list.m3u8")
    source.open()
    assert not source.live
    assert [frame.index for frame in source.frames()] == list(range(40))
    source.close()
    assert look_at(read_address(server.url + "/moved")) == "ended hls"
    assert "a finished HLS recording: every frame is read" in caplog.text


def test_a_live_one_is_read_at_its_end(server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "vidgraph")
    make_segments(tmp_path, live=True)
    with reading(server.url + "/list.m3u8") as read:
        read.wait_for_frames(5)
        number = read.numbers[0]
        assert number is not None
        assert number >= 30
        assert "HLS, live: the newest frames are read" in caplog.text


def test_pictures_of_a_camera_are_stamped_when_they_come(server: Server) -> None:
    server.rate = 5.0
    with reading(server.url + "/live") as read:
        frames = read.wait_for_frames(14, 20)
        assert rising(frames)
        step_s = (frames[-1].pts_ns - frames[3].pts_ns) / 1e9 / (len(frames) - 4)
        assert 0.1 < step_s < 0.2 + BUSY_S  # FFmpeg counts them at 25 a second
        assert {frame.capture_clock for frame in frames} == {"arrival"}


def test_a_live_address_that_does_not_answer_is_a_camera_all_the_same() -> None:
    (source,) = open_source("http://127.0.0.1:9/live.m3u8")
    source.open()
    assert source.live
    source.close()


def test_files_are_not_looked_at_twice(server: Server, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = SIZE[1], SIZE[0], "yuv420p"
        for number in range(10):
            frame = picture(number)
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    (tmp_path / "v.mkv").write_bytes(buffer.getvalue())
    (tmp_path / "video").write_bytes(buffer.getvalue())
    for name, asked in (("v.mkv", 0), ("video", 1)):
        server.asked.clear()
        (source,) = open_source(f"{server.url}/{name}")
        source.open()
        assert not source.live
        assert len(list(source.frames())) == 10
        source.close()
        assert len(server.asked) >= 1 + asked
