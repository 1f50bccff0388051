"""Web addresses: files, recordings in pieces that are finished, and what is live."""

from __future__ import annotations

import logging
from http.server import BaseHTTPRequestHandler
from typing import Any

import av
import pytest
from vidgraph.pipeline.errors import SourceError
from vidgraph.pipeline.redaction import redact, redact_address
from vidgraph.stages.sources.camera import web
from vidgraph.stages.sources.camera.address import CameraAddress, read_address
from vidgraph.stages.sources.registry import open_source
from vidgraph.testing import HlsCamera, MjpegCamera, make_clip, number_in
from vidgraph.testing.http_camera import HttpCamera, reply
from vidgraph.testing.remux import transport_stream

from .cameras import BUSY_S, Reading, rising, web_reading


class Web(HttpCamera):
    """A redirection, or the same file under every name."""

    def __init__(self, *, file: bytes = b"", moved_to: str = "") -> None:
        self._file, self._moved_to = file, moved_to
        super().__init__()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        if not self._moved_to:
            reply(request, "application/octet-stream", self._file)
            return
        request.send_response(302)
        request.send_header("Location", self._moved_to)
        request.end_headers()


def test_a_finished_recording_in_pieces_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "vidgraph")
    with HlsCamera(make_clip(gop=15), finished=True) as camera, Web(moved_to=camera.url) as moved:
        (source,) = open_source(camera.url)
        source.open()
        assert not source.live
        assert [frame.index for frame in source.frames()] == list(range(60))
        source.close()
        assert web.look_at(read_address(f"{moved.base}/moved")) == "ended hls"
    assert "a finished HLS recording: every frame is read" in caplog.text


def test_a_live_one_is_read_at_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "vidgraph")
    with HlsCamera(make_clip(120, gop=15)) as camera, web_reading(camera.url, freeze_s=1.0) as read:
        read.wait_for_frames(5)
        number = read.numbers[0]
        assert number is not None
        assert number >= 45
        assert "HLS, live: the newest frames are read" in caplog.text


def test_pictures_of_a_camera_are_stamped_when_they_come() -> None:
    with MjpegCamera(make_clip(fps=5, codec="mjpeg")) as camera, web_reading(f"{camera.base}/live", 1.0) as read:
        frames = read.wait_for_frames(14, 20)
        assert rising(frames)
        step_s = (frames[-1].pts_ns - frames[3].pts_ns) / 1e9 / (len(frames) - 4)
        assert 0.1 < step_s < 0.2 + BUSY_S  # FFmpeg counts them at 25 a second
        assert {frame.capture_clock for frame in frames} == {"arrival"}


def last_epoch(read: Reading) -> list[int | None]:
    """The numbers in the pixels of the frames of the last epoch."""
    frames = [frame for _, frame in list(read.frames)]
    return [number_in(frame.picture.planes[0]) for frame in frames if frame.epoch == frames[-1].epoch]


@pytest.mark.parametrize("faults", [{"first_boundary": False}, {"length": "wrong"}, {"length": "none"}], ids=str)
def test_pictures_whose_parts_are_wrong_are_found_by_their_markers(faults: dict[str, Any]) -> None:
    with MjpegCamera(make_clip(codec="mjpeg"), **faults) as camera, web_reading(f"{camera.base}/live", 1.0) as read:
        read.wait_until(lambda read: len(last_epoch(read)) >= 20, 20)
        assert rising([frame for _, frame in read.frames])
        assert last_epoch(read)[:20] == list(range(20))
        assert read.source.status.epoch <= 1  # of wrong lengths, a picture may come before that is noticed
        camera.stall()
        read.wait_for_reason("stall")
        camera.resume()
        before = read.source.status.epoch
        read.wait_for_epoch(before + 1)
        camera.disconnect()
        read.wait_for_epoch(before + 2)


def test_what_has_no_picture_is_refused() -> None:
    with Web(file=b"<html>no camera here</html>" * 1000) as served:
        with pytest.raises(av.error.InvalidDataError):  # it is no_answer then
            web.MjpegOpener()(file=f"{served.base}/live.mjpg", options={}, timeout=(8, 2.5))


def test_a_live_address_that_does_not_answer_is_a_camera_all_the_same() -> None:
    (source,) = open_source("http://127.0.0.1:9/live.m3u8")
    source.open()
    assert source.live
    source.close()


@pytest.mark.parametrize(("name", "asked"), [("v.ts", 0), ("video", 1)])
def test_what_is_a_file_by_its_name_is_not_asked_for(name: str, asked: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ask, places = web._ask, list[CameraAddress]()

    def noted(place: CameraAddress) -> web.What | None:
        places.append(place)
        return ask(place)

    monkeypatch.setattr(web, "_ask", noted)
    with Web(file=transport_stream(make_clip(), 0, 60, 0)) as served:
        (source,) = open_source(f"{served.base}/{name}")
        source.open()
        assert not source.live
        assert len(list(source.frames())) == 60
        source.close()
    assert len(places) == asked


@pytest.mark.parametrize("path", ["${KEY}/clip.mp4", "live/${KEY}", "a-${KEY}-b/list.ts"])
@pytest.mark.parametrize("value", ["S3CR3T", "S3C R3T/é", "S3CR3T?x=S3CR3T"])
def test_what_is_in_a_variable_is_in_no_message(
    path: str, value: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("KEY", value)
    (source,) = open_source(f"http://127.0.0.1:9/{path}")
    assert "S3C" in source.address
    with pytest.raises(SourceError) as caught:
        source.open()
    shown = [str(caught.value), redact_address(source.address), redact(f"{source.address} is down"), caplog.text]
    assert not any("S3C" in text or "R3T" in text for text in shown), shown
    assert "http://127.0.0.1:9/" in shown[0]
