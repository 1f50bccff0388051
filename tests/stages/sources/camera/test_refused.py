"""A camera that is not reached, or that refuses, is named with its reason, and is not asked too often."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from vidgraph.pipeline.errors import SourceError
from vidgraph.stages.sources.camera import backoff, connection
from vidgraph.testing import Faults, RtspCamera, make_clip
from vidgraph.testing.certificate import self_signed
from vidgraph.testing.ports import free_port

from ....waiting import descriptors, threads_and_descriptors
from .cameras import BUSY_S, Reading, camera_and_reading


@pytest.fixture
def _quick_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera may take a second to answer, and no longer."""
    monkeypatch.setattr(connection, "OPEN_S", 1.0)


@pytest.mark.parametrize(
    ("faults", "camera", "reason"),
    [
        ({"status": 403}, {}, "forbidden"),
        ({"status": 404}, {}, "not_found"),
        ({"status": 453}, {}, "camera_full"),
        ({"status": 500}, {}, "server_error"),
        ({"status": 503}, {}, "server_error"),
        ({"status": 451}, {}, "client_error"),
        ({"no_media": True}, {}, "no_video"),
        ({}, {"auth": "md5", "anonymous": True}, "no_password"),
        ({}, {"auth": "basic", "wrong": True}, "password"),
        ({}, {"auth": "md5", "wrong": True}, "password"),
        ({}, {"auth": "sha256"}, "digest"),
        ({}, {"auth": "md5_then_sha256"}, "digest"),
        ({"status": 453}, {"auth": "md5"}, "camera_full"),
    ],
)
def test_a_camera_that_refuses(faults: dict[str, Any], camera: dict[str, Any], reason: str) -> None:
    anonymous, wrong = camera.pop("anonymous", False), camera.pop("wrong", False)
    with RtspCamera(make_clip(), faults=Faults(**faults), **camera) as served:
        address = served.url if anonymous or not camera else served.login_url
        if wrong:
            address = address.replace(":password@", ":guess@")
        with Reading(address) as reading:
            reading.wait_for_reason(reason, 3)
            status = reading.source.status
            assert status.state == "waiting"
            assert not status.reconnects  # it was never up
        assert not reading.frames
        assert served.counts.connections <= 4


@pytest.mark.parametrize("auth", ["basic", "md5", "md5_qop", "sha256_then_md5"])
@pytest.mark.parametrize("password", ["@ : / # % $ {} é", "pass%40word", "word"])
def test_passwords_with_any_characters(auth: str, password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOOR_PASSWORD", password)
    with RtspCamera(make_clip(), auth=auth, password=password) as served:  # type: ignore[arg-type]
        with Reading(served.url.replace("://", "://user:${DOOR_PASSWORD}@")) as reading:
            reading.wait_for_frames(2)
        assert served.counts.refused_log_ins == 0


def test_a_port_where_nobody_listens() -> None:
    with Reading(f"rtsp://127.0.0.1:{free_port()}/x") as reading:
        reading.wait_for_reason("refused", 2)


def test_a_host_without_an_address() -> None:
    with Reading("rtsp://no-such-host.invalid/x") as reading:
        reading.wait_for_reason("unknown_host", 10)


@pytest.mark.usefixtures("_quick_open")
@pytest.mark.parametrize("method", ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"])
def test_a_request_that_is_never_answered(method: str) -> None:
    with camera_and_reading(faults=Faults(no_answer_to=method)) as (_served, reading):
        reading.wait_for_reason("no_play" if method == "PLAY" else "no_answer", 4 + BUSY_S)
        assert reading.stop() < BUSY_S


@pytest.mark.usefixtures("_quick_open")
def test_a_port_that_accepts_and_is_silent() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        Reading(f"rtsp://127.0.0.1:{server.getsockname()[1]}/x") as reading,
    ):
        reading.wait_for_reason("no_answer", 3)


def test_a_stop_ends_an_opening_at_once() -> None:
    """Whether it waits in our own question, in FFmpeg's opening, or between two tries: for 8 s and more each."""
    for faults in (Faults(no_answer_to="DESCRIBE"), Faults(no_answer_to="SETUP"), Faults(status=404)):
        with camera_and_reading(faults=faults, freeze_s=20.0) as (served, reading):
            served.wait_until(lambda one: len(one.requests) >= 1)
            time.sleep(0.3)
            assert reading.stop() < BUSY_S


def test_a_redirection_to_another_host_is_not_followed() -> None:
    """FFmpeg would take the password along."""
    with RtspCamera(make_clip()) as thief:
        other = thief.url.replace("127.0.0.1", "localhost")
        with camera_and_reading(faults=Faults(redirect=other), camera={"auth": "basic"}) as (_, reading):
            reading.wait_for_reason("redirect", 3)
        assert thief.counts.connections == 0


def test_a_camera_that_was_up_until_just_now_does_not_redirect_the_password_either() -> None:
    with RtspCamera(make_clip()) as thief:
        other = thief.url.replace("127.0.0.1", "localhost")
        with camera_and_reading(camera={"auth": "md5"}) as (served, reading):
            reading.wait_for_frames(3)
            served.faults = Faults(redirect=other)
            served.disconnect()
            reading.wait_for_reason("redirect", 3)
        assert thief.counts.connections == 0


def test_a_redirection_on_the_same_host_is_followed_and_another_only_if_allowed() -> None:
    with RtspCamera({"new": make_clip()}) as served:
        with camera_and_reading(faults=Faults(redirect=served.url)) as (_, reading):
            reading.wait_for_frames(2)
        other = served.url.replace("127.0.0.1", "localhost")
        with camera_and_reading(faults=Faults(redirect=other)) as (_, reading):
            reading.wait_for_reason("redirect", 3)
        with camera_and_reading(faults=Faults(redirect=other), allow_redirect=True) as (_, reading):
            reading.wait_for_frames(2)


def test_no_answer_of_rtsp_is_no_leave_for_ffmpeg_to_follow_a_redirection() -> None:
    """The camera closes our question without an answer: FFmpeg, which would get a redirection, does not ask at all."""
    with RtspCamera(make_clip()) as thief, Closing(thief.url.replace("127.0.0.1", "localhost")) as server:
        with Reading(server.url.replace("://", "://user:password@")) as reading:
            reading.wait_for_reason("no_answer", 2 + BUSY_S)
            server.wait_for(3)
        assert thief.counts.connections == 0
        assert set(server.methods) == {"OPTIONS"}


class Closing:
    """A server that closes every connection at its first request; what asks for more is sent to ``other``."""

    def __init__(self, other: str) -> None:
        self._other, self._server = other, socket.create_server(("127.0.0.1", 0))
        self.url = f"rtsp://127.0.0.1:{self._server.getsockname()[1]}/x"
        self.methods: list[str] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Closing:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server.close()

    def wait_for(self, requests: int) -> None:
        """At least so many have come."""
        until = time.monotonic() + 5 + BUSY_S
        while len(self.methods) < requests:
            assert time.monotonic() < until
            time.sleep(0.05)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client = self._server.accept()[0]
                with client:
                    request = client.recv(4096).decode()
                    self.methods.append(request.partition(" ")[0])
                    if "User-Agent: vidgraph" not in request:
                        sent = f"RTSP/1.0 302 Found\r\nCSeq: 1\r\nLocation: {self._other}\r\n\r\n"
                        client.sendall(sent.encode())


def test_redirections_in_a_circle_are_not_followed(tmp_path: Path) -> None:
    """To the same address; and from rtsps to rtsp, which sends back: the password would go over the network bare."""
    with camera_and_reading(allow_redirect=True) as (served, reading):
        reading.wait_for_frames(1)
        served.faults = Faults(redirect=served.url)
        served.disconnect()
        reading.wait_for_reason("redirect_loop", 2 + BUSY_S)
    with RtspCamera(make_clip()) as bare:
        camera = {"tls": self_signed(tmp_path), "auth": "basic"}
        with camera_and_reading(faults=Faults(redirect=bare.url), camera=camera) as (served, reading):
            bare.faults = Faults(redirect=served.url)
            reading.wait_for_reason("redirect", 2 + BUSY_S)
        assert bare.counts.connections == 0
        assert served.counts.connections == 1


def test_tracks_that_are_not_where_it_says_are_named_with_the_base(caplog: pytest.LogCaptureFixture) -> None:
    faults = Faults(
        strict_control=True,
        content_base="rtsp://ann:secret@10.1.2.3/other/",
        edit_sdp=lambda sdp: sdp.replace("trackID=1", "video"),
    )
    with camera_and_reading(faults=faults) as (_, reading):
        reading.wait_for_reason("not_found", 2 + BUSY_S)
    assert "(404): in answer to SETUP; its Content-Base is 'rtsp://***@10.1.2.3/other/'" in caplog.text


def test_a_camera_that_answers_one_connection_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our question is closed before FFmpeg connects, once the camera has let it wait."""
    monkeypatch.setattr(connection, "OPEN_S", 1.5)
    with RtspCamera(make_clip()) as served, one_at_a_time(served.url) as url, Reading(url, freeze_s=3.0) as reading:
        reading.wait_for_reason("no_answer", 1.5 + BUSY_S)
        reading.wait_for_frames(5)


@contextmanager
def one_at_a_time(url: str) -> Iterator[str]:
    """The address of a door to a camera that lets in the next one when the one before has left."""
    inside = urlsplit(url)
    server = socket.create_server(("127.0.0.1", 0))

    def carry(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        with suppress(OSError):
            while True:
                with server.accept()[0] as client, socket.create_connection(("127.0.0.1", inside.port)) as camera:
                    back = threading.Thread(target=carry, args=(camera, client))
                    back.start()
                    carry(client, camera)
                    back.join()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"rtsp://127.0.0.1:{server.getsockname()[1]}{inside.path}"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)


def test_a_camera_that_starts_is_tried_again_soon() -> None:
    with camera_and_reading(faults=Faults(statuses=(503, 503, 503))) as (_, reading):
        reading.wait_for_frames(2)
        assert reading.frames[0][0] - reading.began_s < 5 + BUSY_S


def test_the_stream_ends_when_the_camera_was_away_too_long() -> None:
    with camera_and_reading(give_up_s=1.0) as (served, reading):
        reading.wait_for_frames(5)
        served.kill()
        killed_s = time.monotonic()
        reading.wait_until(lambda one: one.ended, 5)
        assert 0.5 < time.monotonic() - killed_s < 2.5 + BUSY_S
        assert isinstance(reading.error, SourceError)
        assert "the connection is refused" in str(reading.error)
        assert "door" in str(reading.error)
        assert reading.source.status.state == "down"


def test_tls_with_a_certificate_of_its_own(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "vidgraph")
    context = self_signed(tmp_path)
    with camera_and_reading(camera={"tls": context}) as (_, reading):
        reading.wait_for_frames(2)
    assert "its certificate is not checked" in caplog.text
    caplog.clear()
    with camera_and_reading(camera={"tls": context}, tls_pin=str(tmp_path / "camera.pem")) as (_, reading):
        reading.wait_for_frames(2)
    assert "not checked" not in caplog.text
    (tmp_path / "other").mkdir()
    self_signed(tmp_path / "other")
    pin = str(tmp_path / "other" / "camera.pem")
    with camera_and_reading(camera={"tls": context}, tls_pin=pin) as (_, reading):
        reading.wait_for_reason("io", 4)


def test_hundreds_of_failures_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidgraph.stages.sources.camera.backoff.Backoff._spread", lambda self, seconds: 0.0)
    with RtspCamera(make_clip(), auth="md5") as served:
        address = served.login_url.replace(":password@", ":guess@")
        for status, place in ((200, address), (404, served.url), (503, served.url)):
            served.faults = Faults(status=status)
            with Reading(place) as reading:
                reading.wait_until(lambda one: one.ended or served.counts.connections > 0, 5)
        time.sleep(0.3)
        threads, files = threads_and_descriptors()
        tries = served.counts.connections
        monkeypatch.setattr(backoff, "PASSWORD_TRIES", 1000)
        with Reading(address) as reading:
            assert served.wait_until(lambda one: one.counts.refused_log_ins > 100, 20)
        tries = served.counts.connections
        served.faults = Faults(statuses=tuple([404, 503, 500] * 100))
        with Reading(served.login_url) as reading:
            assert served.wait_until(lambda one: one.counts.connections > tries + 300, 20)
            reading.wait_for_frames(1)
        served.wait_until(lambda one: not one.counts.sessions)
        time.sleep(0.3)
        assert threading.active_count() <= threads
        assert descriptors() <= files


def test_no_secret_in_log_errors_or_status(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "vidgraph")
    secret = "S/ecr#t%é"
    with RtspCamera(make_clip(), auth="md5", password="other") as served:
        address = f"{served.url.replace('://', '://ann:S%2Fecr%23t%25%C3%A9@')}?token=S3CR3T&x=1"
        with Reading(address, give_up_s=0.0) as reading:
            reading.wait_until(lambda one: one.ended, 5)
    shown = [caplog.text, repr(reading.source.status), str(reading.error), repr(reading.error), reading.source.address]
    shown += [str(each) for record in caplog.records for each in (record.args or ())]
    for text in shown:
        for hidden in (secret, "S%2Fecr", "ecr", "S3CR3T", "ann"):
            assert hidden not in text


def test_more_cameras_of_a_host_than_are_opened_at_a_time_are_read_together() -> None:
    with RtspCamera(make_clip(), cameras=6) as served, ExitStack() as stack:
        readings = [stack.enter_context(Reading(url)) for url in served.urls]
        for reading in readings:
            reading.wait_for_frames(2)
        assert served.counts.sessions == 6


def test_the_algorithm_that_is_offered_is_named(caplog: pytest.LogCaptureFixture) -> None:
    with camera_and_reading(camera={"auth": "sha256"}) as (served, reading):
        reading.wait_for_reason("digest", 3)
        assert "Digest SHA-256" in caplog.text
        assert served.counts.refused_log_ins == 0
