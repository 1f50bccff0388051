"""The RTSP camera where nothing is wrong: pictures arrive complete, passwords open, and nothing is left behind."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import av
import pytest
from vidgraph.testing import Clip, Faults, RtspCamera, make_clip, self_signed

from ..waiting import descriptors, threads_and_descriptors
from .reader import CLIP, RTSP, TIMEOUT_S, UDP, read

Make = Callable[..., RtspCamera]


@pytest.mark.parametrize("options", [{}, UDP], ids=["tcp", "udp"])
@pytest.mark.parametrize(
    "clip",
    [
        CLIP,
        make_clip(60, (120, 160), 60, gop=10, b_frames=2, noise=40),
        make_clip(60, (120, 160), 60, "hevc", gop=10, noise=40),
        make_clip(60, (120, 160), 60, "mjpeg", noise=40),
        make_clip(60, (120, 160), 60, "av1", gop=10, noise=40),
    ],
    ids=["h264", "b-frames", "hevc", "mjpeg", "av1"],
)
def test_all_pictures_arrive(rtsp_camera: Make, clip: Clip, options: dict[str, str]) -> None:
    camera = rtsp_camera(clip)
    seen = read(camera.url, 25, options=options, seconds=30)
    assert seen.numbers == list(range(25))
    assert camera.wait_until(lambda camera: camera.counts.teardowns == 1)
    assert camera.counts.sessions == 0
    assert camera.counts.most_sessions == camera.counts.connections == 1
    assert [request.method for request in camera.requests] == ["OPTIONS", "DESCRIBE", "SETUP", "PLAY", "TEARDOWN"]


def test_the_clip_goes_on_from_its_start(rtsp_camera: Make) -> None:
    seen = read(rtsp_camera(make_clip(20, (64, 64), 60, gop=10)).url, 50)
    assert seen.numbers == [*range(20), *range(20), *range(10)]
    assert set(seen.steps) == {1500}


PASSWORDS = ["basic", "md5", "md5_qop", "sha256_then_md5"]


@pytest.mark.parametrize("auth", PASSWORDS)
@pytest.mark.parametrize("password", ["p", "@:/#%${}é"])
def test_the_right_password_opens(rtsp_camera: Make, auth: str, password: str) -> None:
    camera = rtsp_camera(CLIP, auth=auth, password=password)
    assert read(camera.login_url, 1).numbers == [0]
    assert camera.counts.log_ins == 1


@pytest.mark.parametrize("auth", [*PASSWORDS, "sha256", "md5_then_sha256"])
def test_a_wrong_password_does_not(rtsp_camera: Make, auth: str) -> None:
    camera = rtsp_camera(CLIP, auth=auth)
    seen = read(camera.login_url.replace(":password@", ":wrong@"))
    assert seen.end == "HTTPUnauthorizedError"
    assert camera.counts.log_ins == 0
    if auth in PASSWORDS:
        assert camera.wait_until(lambda camera: camera.counts.refused_log_ins >= 1)
    assert read(camera.url).end == "HTTPUnauthorizedError"


@pytest.mark.parametrize("auth", ["sha256", "md5_then_sha256"])
def test_digest_of_sha256_is_more_than_ffmpeg_has(rtsp_camera: Make, auth: str) -> None:
    assert read(rtsp_camera(CLIP, auth=auth).login_url).end == "HTTPUnauthorizedError"


def test_a_password_locks_after_wrong_ones(rtsp_camera: Make) -> None:
    camera = rtsp_camera(CLIP, auth="basic", faults=Faults(lock_after=2))
    wrong = camera.login_url.replace(":password@", ":wrong@")
    assert read(camera.login_url, 1).end == "enough"
    assert [read(wrong).end for _ in range(2)] == ["HTTPUnauthorizedError"] * 2
    assert read(camera.login_url).end == "HTTPUnauthorizedError"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates are made with openssl (the package openssl)")
def test_tls_with_a_certificate_of_ones_own(rtsp_camera: Make, tmp_path: Path) -> None:
    camera = rtsp_camera(CLIP, tls=self_signed(tmp_path))
    assert camera.url.startswith("rtsps://")
    assert read(camera.url, options={"tls_verify": "0"}).numbers == list(range(15))  # FFmpeg 8 has this by default
    assert read(camera.url, options={"tls_verify": "1"}).errno == 5
    pinned = {"tls_verify": "1", "ca_file": str(tmp_path / "camera.pem"), "verifyhost": "127.0.0.1"}
    assert read(camera.url, options=pinned).numbers == list(range(15))


def test_killed_and_back_on_the_same_port(rtsp_camera: Make) -> None:
    camera = rtsp_camera(CLIP)
    url = camera.url
    for how in ("rst", "fin"):
        seen = read(url, 30, on_frame=lambda count, how=how: count == 10 and camera.kill(how))  # type: ignore[misc]
        assert seen.end == "EOF"
        assert 10 <= len(seen.frames) < 30
        assert read(url).end == "ConnectionRefusedError"
        camera.restart()
        assert camera.url == url
    assert read(url).numbers == list(range(15))


def test_several_paths_with_clips_of_their_own(rtsp_camera: Make) -> None:
    camera = rtsp_camera({"main": make_clip(30, (240, 320), 60), "sub": CLIP})
    assert [url.rpartition("/")[2] for url in camera.urls] == ["main", "sub"]
    assert [read(url, 1).frames[0].size for url in camera.urls] == [(240, 320), (120, 160)]
    assert read(camera.url + "x").end == "HTTPNotFoundError"


def test_many_cameras_cost_little(rtsp_camera: Make) -> None:
    """In processor time: packets are made once, so that 64 cameras at 5 fps need a fraction of a core."""
    camera = rtsp_camera(make_clip(30, (120, 160), 5, gop=5), cameras=64)
    sessions = [Raw(url) for url in camera.urls]
    assert camera.wait_until(lambda camera: camera.counts.sessions == 64)
    before_s, start = time.process_time(), time.monotonic()
    bytes_before = sum(each.received for each in sessions)
    assert not camera.wait_until(lambda camera: camera.counts.sessions < 64, 2.0)
    share = (time.process_time() - before_s) / (time.monotonic() - start)
    assert sum(each.received for each in sessions) > bytes_before
    assert share < 0.5
    for each in sessions:
        each.close()
    assert camera.wait_until(lambda camera: camera.counts.sessions == 0)


class Raw:
    """A client that reads and throws away."""

    def __init__(self, url: str) -> None:
        self.received = 0
        self._socket = socket.create_connection((urlsplit(url).hostname or "", urlsplit(url).port or 0), timeout=5)
        for n, line in enumerate([f"DESCRIBE {url}", f"SETUP {url}/trackID=1", f"PLAY {url}"]):
            transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n" if "SETUP" in line else ""
            self._socket.sendall(f"{line} RTSP/1.0\r\nCSeq: {n}\r\n{transport}\r\n".encode())
            assert b"200 OK" in self._socket.recv(4096)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with suppress(ConnectionResetError):  # the camera still sends while this closes
            while data := self._socket.recv(1 << 16):
                self.received += len(data)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()


def test_nothing_is_left_behind() -> None:
    with RtspCamera(CLIP) as camera:
        read(camera.url, 1)  # what libraries keep for good
    before = threads_and_descriptors()
    for options in ({}, UDP):
        camera = RtspCamera(CLIP, cameras=3)
        containers = [av.open(url, options=RTSP | options, timeout=TIMEOUT_S) for url in camera.urls]
        start = time.monotonic()
        camera.close()
        assert time.monotonic() - start < 1.0
        for container in containers:
            container.close()
        camera.close()
    assert threads_and_descriptors() == before


@pytest.mark.parametrize("status", [401, 404, 503])
def test_refused_opens_leave_nothing_behind(rtsp_camera: Make, status: int) -> None:
    camera = rtsp_camera(CLIP, faults=Faults(status=status))
    names = {401: "HTTPUnauthorizedError", 404: "HTTPNotFoundError", 503: "HTTPServerError"}
    assert read(camera.url).end == names[status]
    before = descriptors()
    for _ in range(20):
        read(camera.url)
    assert camera.wait_until(lambda camera: len(camera.requests) == 42)
    camera.close()
    assert descriptors() <= before
