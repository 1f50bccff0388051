"""What the video for a browser refuses: other hosts, pages of others, too many and too slow clients."""

from __future__ import annotations

import http.client
import logging
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from vidgraph.pipeline.errors import OutputError
from vidgraph.pipeline.packet import Packet
from vidgraph.stages.sinks import mjpeg as serve_mjpeg
from vidgraph.stages.sinks.mjpeg import ServeMjpeg

from .sinks import frame


@pytest.fixture
def served() -> Iterator[ServeMjpeg]:
    sink = ServeMjpeg(port=0, picture=None)
    sink.open()
    sink.write(Packet(frame(0)))
    yield sink
    sink.close()


def ask(sink: ServeMjpeg, path: str = "/", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", sink.port, timeout=10)
    connection.putrequest("GET", path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    return connection.getresponse()


def threads_of(sink: ServeMjpeg) -> int:
    return sum("process_request_thread" in thread.name for thread in threading.enumerate())


@pytest.mark.parametrize("path", ["/", "/s", "/stream", "/missing"])
@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "", "[::2]", "localhost@evil.example", "1.2.3.4"],
)
def test_another_host_is_refused(served: ServeMjpeg, host: str, path: str) -> None:
    """A page elsewhere may have its own name resolved to this server, and then read what is served."""
    assert ask(served, path, Host=host).status == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "127.0.0.1:80", "[::1]:8080", socket.gethostname()])
def test_names_of_this_machine_are_served(served: ServeMjpeg, host: str) -> None:
    assert ask(served, "/", Host=host).status == 200


def test_the_host_that_was_named_is_served() -> None:
    sink = ServeMjpeg("0.0.0.0", 0, picture=None)
    sink.open()
    try:
        assert ask(sink, "/", Host="0.0.0.0").status == 200
        assert ask(sink, "/", Host=f"127.0.0.1:{sink.port}").status == 200
        assert ask(sink, "/", Host="evil.example").status == 403
    finally:
        sink.close()


def test_two_hosts_are_one_too_many(served: ServeMjpeg) -> None:
    with socket.create_connection(("127.0.0.1", served.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
        assert b" 403 " in client.recv(100)


@pytest.mark.parametrize("path", ["/", "/s", "/missing"])
def test_pages_of_others_show_nothing_of_it(served: ServeMjpeg, path: str) -> None:
    headers = ask(served, path).headers
    assert headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("host", "warned"), [("0.0.0.0", True), ("127.0.0.1", False), ("localhost", False), ("", True)]
)
def test_a_warning_beyond_this_machine(host: str, warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    sink = ServeMjpeg(host, 0)
    with caplog.at_level(logging.INFO, "vidgraph"):
        sink.open()
    sink.close()
    expected = (
        f"http://{host or '0.0.0.0'}:{sink.port}/ is open to everybody who can reach this machine, without a password"
    )
    assert [record.getMessage().startswith(expected) for record in caplog.records] == ([True] if warned else [])


def test_the_default_is_this_machine_alone() -> None:
    assert ServeMjpeg().host == "127.0.0.1"


def test_watchers_are_bounded(served: ServeMjpeg, monkeypatch: pytest.MonkeyPatch) -> None:
    watchers = [ask(served, "/s") for _ in range(serve_mjpeg.WATCHERS)]
    assert {each.status for each in watchers} == {200}
    assert ask(served, "/s").status == 503
    assert ask(served, "/").status == 200
    watchers.pop().close()
    deadline = time.monotonic() + 5
    while (status := ask(served, "/s").status) == 503 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert status == 200, "a place is free as soon as its watcher has left, without a further picture"


def test_connections_are_bounded(served: ServeMjpeg) -> None:
    silent = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(3 * serve_mjpeg.WATCHERS)]
    try:
        assert ask(served, "/").status == 503
        assert threads_of(served) <= 2 * serve_mjpeg.WATCHERS
    finally:
        for client in silent:
            client.close()
    deadline = time.monotonic() + 5
    while (status := ask(served, "/").status) == 503 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert status == 200


def test_a_request_that_comes_slowly_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_mjpeg, "_REQUEST_S", 0.5)
    sink = ServeMjpeg(port=0, picture=None)
    sink.open()
    began = time.monotonic()
    try:
        with socket.create_connection(("127.0.0.1", sink.port)) as client:
            client.settimeout(0.1)
            while time.monotonic() < began + 5:
                try:
                    client.sendall(b"a")
                    if not client.recv(10):
                        break
                except TimeoutError:
                    continue
                except OSError:
                    break
        assert time.monotonic() - began < 2.0
    finally:
        sink.close()


@pytest.mark.parametrize(
    "request_line", [b"GET /?" + b"a" * 30_000 + b" HTTP/1.1", b"GET / HTTP/1.1\r\nX: " + b"a" * 30_000]
)
def test_a_large_request_is_given_up(served: ServeMjpeg, request_line: bytes) -> None:
    with socket.create_connection(("127.0.0.1", served.port)) as client:
        client.settimeout(5)
        try:
            client.sendall(request_line + b"\r\nHost: localhost\r\n\r\n")
            answer = client.recv(100)
        except ConnectionError:
            answer = b""
    assert b" 200 " not in answer


@pytest.mark.parametrize("host", ["no.such.host.invalid", "1.2.3.4", "a" * 70, "a..b"])
def test_a_host_that_is_not_here_is_one_line(host: str) -> None:
    with pytest.raises(OutputError, match=r"cannot serve http://.*; choose another port or address"):
        ServeMjpeg(host, 0).open()
