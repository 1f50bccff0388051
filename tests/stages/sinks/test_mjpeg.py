"""The video for a browser: pages, pictures, slow watchers and an orderly end."""

from __future__ import annotations

import http.client
import io
import socket
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from vidgraph.pipeline.errors import OutputError
from vidgraph.pipeline.packet import Packet
from vidgraph.pipeline.stage import EndReason, Sink
from vidgraph.pipeline.types.picture import Picture
from vidgraph.stages.drawing.draw import ANNOTATED
from vidgraph.stages.sinks.encoder_frame import JpegEncoder
from vidgraph.stages.sinks.mjpeg import ServeMjpeg

from ...tolerances import TOLERANCES
from ..clips import patch_means, picture_rgb, read_number
from .sinks import frame, yuv_picture


@pytest.fixture
def served() -> Iterator[ServeMjpeg]:
    """An open server on a free port that shows the frames as they came."""
    sink = ServeMjpeg(port=0, picture=None)
    sink.open()
    yield sink
    sink.close()


def get(sink: ServeMjpeg, path: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(sink.host, sink.port, timeout=10)
    connection.request("GET", path)
    return connection.getresponse()


def next_picture(response: http.client.HTTPResponse) -> NDArray[np.uint8]:
    assert response.readline() == b"--frame\r\n"
    assert response.readline() == b"Content-Type: image/jpeg\r\n"
    length = int(response.readline().split()[1])
    assert response.readline() == b"\r\n"
    data = response.read(length)
    assert response.readline() == b"\r\n"
    return np.asarray(Image.open(io.BytesIO(data)))


def test_a_watcher_gets_the_pictures(served: ServeMjpeg) -> None:
    assert isinstance(served, Sink)
    served.write(Packet(frame(3)))
    response = get(served, "/s")
    assert response.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=frame"
    first = next_picture(response)
    assert read_number(first) == 3
    assert np.abs(patch_means(first) - patch_means(picture_rgb(3))).max() < TOLERANCES["decoded colour patch, JPEG"][0]
    served.write(Packet(frame(4)))
    assert read_number(next_picture(response)) == 4
    served.end_stream("s", EndReason.FINISHED)
    assert response.read() == b""


def test_pages(served: ServeMjpeg) -> None:
    waiting = get(served, "/").read().decode()
    assert "Waiting for the first picture" in waiting
    served.write(Packet(frame(0, stream="front <door>")))
    page = get(served, "/").read().decode()
    assert 'src="/front%20%3Cdoor%3E"' in page
    assert "front &lt;door&gt;" in page
    assert read_number(next_picture(get(served, "/stream"))) == 0
    assert read_number(next_picture(get(served, "/front%20%3Cdoor%3E"))) == 0
    served.write(Packet(frame(1, stream="back")))
    assert get(served, "/stream").status == 404
    assert get(served, "/../etc/passwd").status == 404


def test_annotated_pictures_are_shown_and_dropped_frames_are_not() -> None:
    sink = ServeMjpeg(port=0)
    assert sink.reads == {ANNOTATED}
    sink.open()
    try:
        white = Picture.from_rgb(np.full((64, 96, 3), 255, np.uint8))
        sink.write(Packet(frame(0)).with_item(ANNOTATED, white))
        sink.write(Packet(frame(1)).dropped("mailbox_full"))
        assert next_picture(get(sink, "/s")).min() > 250
    finally:
        sink.close()


def test_a_watcher_that_reads_nothing_holds_nobody_up(served: ServeMjpeg) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
    big = Picture.from_rgb(noise)
    served.write(Packet(frame(0, picture=big)))
    with socket.create_connection((served.host, served.port)) as lazy:
        lazy.sendall(b"GET /s HTTP/1.1\r\n\r\n")
        began = time.monotonic()
        for index in range(1, 200):
            served.write(Packet(frame(index, picture=big)))
        assert time.monotonic() - began < 1.0
        served.write(Packet(frame(5)))
        assert read_number(next_picture(get(served, "/s"))) == 5
        began = time.monotonic()
        served.close()
        assert time.monotonic() - began < 2.0


def test_nobody_watching_costs_no_coding(served: ServeMjpeg, monkeypatch: pytest.MonkeyPatch) -> None:
    coded = []
    monkeypatch.setattr(JpegEncoder, "encode", lambda self, picture: coded.append(picture) or b"")
    for index in range(20):
        served.write(Packet(frame(index)))
    time.sleep(0.05)
    assert coded == []


def test_watchers_of_one_picture_share_its_coding(served: ServeMjpeg, monkeypatch: pytest.MonkeyPatch) -> None:
    coded = []
    encode = JpegEncoder.encode

    def count(self: JpegEncoder, picture: Picture) -> bytes:
        coded.append(picture)
        return encode(self, picture)

    monkeypatch.setattr(JpegEncoder, "encode", count)
    served.write(Packet(frame(1)))
    for _ in range(3):
        assert read_number(next_picture(get(served, "/s"))) == 1
    assert len(coded) == 1


def test_a_taken_port_is_one_line(served: ServeMjpeg) -> None:
    with pytest.raises(OutputError, match=rf"cannot serve http://127\.0\.0\.1:{served.port}/: .*in use.*another port"):
        ServeMjpeg(port=served.port).open()


def test_close_frees_the_port_and_the_threads(served: ServeMjpeg) -> None:
    served.write(Packet(frame(0)))
    next_picture(get(served, "/s"))
    port = served.port
    served.close()
    deadline = time.monotonic() + 3
    while any(thread.name == "mjpeg" for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(thread.name == "mjpeg" for thread in threading.enumerate())
    again = ServeMjpeg(port=port)
    again.open()
    again.close()


@pytest.mark.parametrize("size", [(64, 96), (63, 95)])
@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
def test_jpegs_show_the_colours(size: tuple[int, int], matrix: str) -> None:
    encoder = JpegEncoder()
    for number in range(3):
        picture = yuv_picture(number, (size[0] + size[0] % 2, size[1] + size[1] % 2), matrix=matrix)
        shown = np.asarray(Image.open(io.BytesIO(encoder.encode(picture))))
        error = patch_means(shown) - patch_means(picture.rgb())
        assert np.abs(error).max() < TOLERANCES["decoded colour patch, JPEG"][0]
        assert read_number(shown) == number
