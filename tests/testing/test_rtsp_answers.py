"""Faults of what the camera answers, as a plain reader sees them: refusals, sessions, time-outs, transports, SDP."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import av
import pytest
from vidgraph.testing import Faults, RtspCamera, make_clip

from .reader import CLIP, UDP, read, together

Make = Callable[..., RtspCamera]

BOTH = {"rtsp_transport": "tcp+udp", "rtsp_flags": "prefer_tcp"}


@pytest.mark.parametrize(
    ("status", "end"),
    [
        (401, "HTTPUnauthorizedError"),
        (403, "HTTPForbiddenError"),
        (404, "HTTPNotFoundError"),
        (453, "HTTPOtherClientError"),
        (461, "HTTPOtherClientError"),
        (500, "HTTPServerError"),
        (503, "HTTPServerError"),
    ],
)
def test_statuses(rtsp_camera: Make, status: int, end: str) -> None:
    seen = read(rtsp_camera(CLIP, faults=Faults(status=status)).url)
    assert seen.end == end
    assert seen.ended_s < 1


def test_a_camera_that_boots(rtsp_camera: Make) -> None:
    camera = rtsp_camera(CLIP, faults=Faults(statuses=(404, 503)))
    ends = [read(camera.url, 1).end for _ in range(3)]
    assert ends == ["HTTPNotFoundError", "HTTPServerError", "enough"]


@pytest.mark.parametrize(
    ("method", "end"),
    [
        ("OPTIONS", "InvalidDataError"),
        ("DESCRIBE", "InvalidDataError"),
        ("SETUP", "InvalidDataError"),
        ("PLAY", "PermissionError"),
    ],
)
def test_no_answer(rtsp_camera: Make, method: str, end: str) -> None:
    seen = read(rtsp_camera(CLIP, faults=Faults(no_answer_to=method)).url)
    assert seen.end == end
    assert 0.4 < seen.ended_s < 4


def test_a_frozen_camera_answers_nothing(rtsp_camera: Make) -> None:
    camera = rtsp_camera(CLIP)
    camera.freeze()
    assert read(camera.url).end == "InvalidDataError"
    camera.resume()
    assert read(camera.url, 1).end == "enough"


def test_an_open_that_succeeds_is_no_camera(rtsp_camera: Make) -> None:
    seen = read(rtsp_camera(CLIP, faults=Faults(no_media=True)).url)
    assert (seen.streams, seen.end) == (0, "IndexError")


def test_redirects_are_followed(rtsp_camera: Make) -> None:
    """Up to FFmpeg 8 with the password, although the address of the other host has none."""
    target = rtsp_camera(CLIP, auth="basic")
    first = rtsp_camera(CLIP, auth="basic", faults=Faults(redirect=target.url))
    end = read(first.login_url, 1).end
    assert end == ("enough" if av.library_versions["libavformat"] < (63,) else "HTTPUnauthorizedError")
    assert target.count("DESCRIBE") >= 1


@pytest.mark.parametrize("base", ["rtsp://10.1.2.3/x/", "rtsp://rtsp://cam/", "cam/live/"])
def test_a_foreign_content_base_is_taken_as_it_is(rtsp_camera: Make, base: str) -> None:
    camera = rtsp_camera(CLIP, faults=Faults(content_base=base))
    assert read(camera.url, 1).numbers == [0]
    assert any(request.method == "SETUP" and request.address.startswith(base) for request in camera.requests)


def test_sessions_are_limited(rtsp_camera: Make) -> None:
    camera = rtsp_camera(CLIP, faults=Faults(max_sessions=1))
    inner = []
    read(camera.url, 3, on_frame=lambda count: inner.append(read(camera.url).end))
    assert inner == ["HTTPOtherClientError"] * 3
    assert camera.wait_until(lambda camera: camera.counts.sessions == 0)
    assert read(camera.url, 1).end == "enough"


def test_an_unclean_end_leaves_the_session_open(rtsp_camera: Make) -> None:
    camera = rtsp_camera(CLIP, faults=Faults(max_sessions=1, linger_s=0.6, full_status=503))
    assert read(camera.url, 30, on_frame=lambda count: count == 5 and camera.disconnect()).end == "EOF"
    since = time.monotonic()
    assert camera.wait_until(lambda camera: camera.counts.sessions == 0)
    assert read(camera.url).end == "HTTPServerError"
    while (end := read(camera.url, 1).end) == "HTTPServerError":
        assert time.monotonic() - since < 3
    assert end == "enough"
    assert time.monotonic() - since > 0.5


def test_sessions_are_kept_alive(rtsp_camera: Make) -> None:
    """Whatever the answer is, or if there is none."""
    faults = [Faults(keep_alive_status=status) for status in (200, 501, None)]
    cameras = [rtsp_camera(CLIP, session_timeout_s=2, faults=each) for each in faults]
    seen = together(*(partial(read, camera.url, 150) for camera in cameras))
    assert [(each.end, len(each.frames)) for each in seen] == [("enough", 150)] * 3
    assert all(camera.counts.keep_alives >= 2 for camera in cameras)
    assert all(camera.count("GET_PARAMETER") >= 2 for camera in cameras)


def test_only_get_parameter_keeps_alive_and_is_not_named(rtsp_camera: Make) -> None:
    faults = Faults(keep_alive_method="GET_PARAMETER", public="OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
    camera = rtsp_camera(CLIP, session_timeout_s=1, faults=faults)
    seen = read(camera.url, 180)
    assert (seen.end, camera.counts.timed_out) == ("EOF", 1)
    assert 50 <= len(seen.frames) <= 100


def test_a_time_out_that_is_not_announced(rtsp_camera: Make) -> None:
    camera = rtsp_camera(CLIP, session_timeout_s=1, faults=Faults(announce_timeout=False))
    assert read(camera.url, 180).end == "EOF"
    assert camera.counts.timed_out == 1


def test_frames_that_are_rarer_than_the_time_out(rtsp_camera: Make) -> None:
    """Keep-alives go out after a packet only."""
    camera = rtsp_camera(make_clip(4, (64, 64), 0.5, gop=1), session_timeout_s=1)
    assert read(camera.url, 4, timeout_s=(6, 6), options={"timeout": "6000000"}).end == "EOF"
    assert camera.counts.timed_out == 1


def test_teardown_comes_after_a_stall_too(rtsp_camera: Make) -> None:
    camera = rtsp_camera(CLIP, faults=Faults(stall_at=5))
    assert read(camera.url).end in ("TimeoutError", "ExitError")
    assert camera.wait_until(lambda camera: camera.counts.teardowns == 1, 1)


def test_cameras_of_one_transport(rtsp_camera: Make) -> None:
    only_udp, only_tcp = rtsp_camera(CLIP, transports=["udp"]), rtsp_camera(CLIP, transports=["tcp"])
    assert read(only_udp.url).errno == 93
    assert read(only_tcp.url, options=UDP).errno == 93
    assert read(only_udp.url, 3, options=BOTH).numbers == [0, 1, 2]
    assert read(only_tcp.url, 3, options=BOTH).numbers == [0, 1, 2]


def test_lost_udp_falls_back_to_tcp(rtsp_camera: Make) -> None:
    camera = rtsp_camera(CLIP, faults=Faults(udp_blackhole=True))
    seen = read(camera.url, 3, options={"rtsp_transport": "udp+tcp"}, timeout_s=(6, 6))
    assert (seen.end, len(seen.frames)) == ("enough", 3)
    assert camera.count("SETUP") == 2
    assert 0.5 < seen.frames[0].at_s < 5


def test_a_silent_audio_track_delays_the_open(rtsp_camera: Make) -> None:
    camera = rtsp_camera(CLIP, faults=Faults(audio="silent"))
    both = read(camera.url, 1, options={"allowed_media_types": "video+audio", "analyzeduration": "1500000"})
    video = read(camera.url, 1, options={"analyzeduration": "1500000"})
    assert (both.streams, video.streams) == (2, 1)
    assert both.opened_s > video.opened_s + 0.3


def test_no_video_without_audio(rtsp_camera: Make) -> None:
    camera = rtsp_camera(CLIP, faults=Faults(audio="needed"))
    assert read(camera.url).end != "enough"
    both = read(camera.url, 1, options={"allowed_media_types": "video+audio"})
    assert both.numbers == [0]


@pytest.mark.parametrize("faults", [Faults(channels=(4, 5)), Faults(junk_channel=9)], ids=["its own", "unknown"])
def test_channels(rtsp_camera: Make, faults: Faults) -> None:
    assert read(rtsp_camera(CLIP, faults=faults).url, 20).numbers == list(range(20))


def test_channels_that_were_not_announced(rtsp_camera: Make) -> None:
    """Nothing is read until a limit ends it, and it depends on the moment which of two errors FFmpeg has for that."""
    seen = read(rtsp_camera(CLIP, faults=Faults(announced_channels=(2, 3))).url, 20, timeout_s=(1, 1))
    assert (seen.end in ("OSError", "ExitError"), seen.packets, seen.frames) == (True, 0, [])
    assert seen.ended_s > 1.9


def test_without_rtp_info(rtsp_camera: Make) -> None:
    assert read(rtsp_camera(CLIP, faults=Faults(rtp_info=False)).url, 5).numbers == [0, 1, 2, 3, 4]


def test_the_address_without_track(rtsp_camera: Make) -> None:
    assert read(rtsp_camera(CLIP, faults=Faults(strict_control=True)).url, 1).numbers == [0]

    def untracked(sdp: str) -> str:
        return sdp.replace("trackID=1", "video")

    camera = rtsp_camera(CLIP, faults=Faults(strict_control=True, edit_sdp=untracked))
    assert read(camera.url).end == "HTTPNotFoundError"
