"""Pulling from servers, and into folders, that are not to be trusted."""

from __future__ import annotations

import os
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from vidgraph.models import MODELS, pull, pull as pull_function
from vidgraph.models.registry import find_model
from vidgraph.models.variant import WeightsFile
from vidgraph.pipeline.errors import DownloadError, OutputError, UsageError

from .test_pull import CONTENT, DIGEST, Server, left_over, pinned, server  # noqa: F401  fixtures

Answer = Callable[[socket.socket], None]


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[Answer], Path]]:
    """``answered(function)``: ``retinaface-slim`` comes from a server that does with each connection what it says."""
    monkeypatch.setenv("VIDGRAPH_CACHE", str(tmp_path))
    listening = socket.create_server(("127.0.0.1", 0))

    def begin(answer: Answer) -> Path:
        def serve() -> None:
            while True:
                try:
                    client, _ = listening.accept()
                except OSError:
                    return
                with client:
                    try:
                        client.recv(4096)
                        answer(client)
                    except OSError:
                        continue

        threading.Thread(target=serve, daemon=True).start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/slim_Final.pth"
        weights = WeightsFile("slim_Final.pth", DIGEST, address, largest_bytes=2 * len(CONTENT))
        monkeypatch.setitem(MODELS, "retinaface-slim", replace(find_model("retinaface-slim"), weights=(weights,)))
        return tmp_path / "weights" / "retinaface-slim" / "slim_Final.pth"

    yield begin
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


@pytest.mark.parametrize("name", [".slim_Final.pth.lock", "slim_Final.pth.part"])
def test_links_are_not_followed(name: str, server: Server, pinned: Path, tmp_path: Path) -> None:  # noqa: F811
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    pinned.parent.mkdir(parents=True)
    (pinned.parent / name).symlink_to(victim)
    with pytest.raises(OutputError, match=rf"cannot write .*{name}: it is a symbolic link; remove it"):
        pull("retinaface-slim")
    (pinned.parent / name).unlink()
    (pinned.parent / name).symlink_to(tmp_path / "new")
    with pytest.raises(OutputError, match="symbolic link"):
        pull("retinaface-slim")
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "new").exists()
    assert server.asked == []


def test_a_link_in_place_of_the_weights_is_replaced(server: Server, pinned: Path, tmp_path: Path) -> None:  # noqa: F811
    victim = tmp_path / "victim"
    victim.write_bytes(CONTENT)
    pinned.parent.mkdir(parents=True)
    pinned.symlink_to(victim)
    assert not pull("retinaface-slim").was_there
    assert not pinned.is_symlink()
    victim.write_bytes(b"changed since")
    assert pinned.read_bytes() == CONTENT


def test_a_part_that_has_another_name_too_is_refused(server: Server, pinned: Path, tmp_path: Path) -> None:  # noqa: F811
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    pinned.parent.mkdir(parents=True)
    os.link(victim, pinned.with_name("slim_Final.pth.part"))
    with pytest.raises(OutputError, match=r"part: what is there is no plain file of this user; remove it"):
        pull("retinaface-slim")
    assert victim.read_bytes() == b"precious"


@pytest.mark.parametrize("name", [".slim_Final.pth.lock", "slim_Final.pth.part", "slim_Final.pth"])
def test_a_pipe_holds_nothing_up(name: str, server: Server, pinned: Path) -> None:  # noqa: F811
    pinned.parent.mkdir(parents=True)
    os.mkfifo(pinned.parent / name)
    if name.endswith("part"):
        with pytest.raises(OutputError, match="cannot write"):
            pull("retinaface-slim")
    else:
        assert pull("retinaface-slim").path.read_bytes() == CONTENT


def test_a_server_that_never_ends(answered: Callable[[Answer], Path]) -> None:
    def answer(client: socket.socket) -> None:
        client.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
        while True:
            client.sendall(bytes(100_000))

    path = answered(answer)
    with pytest.raises(DownloadError, match=r"slim_Final\.pth is longer than the 2048000 bytes that such weights may"):
        pull("retinaface-slim")
    assert left_over(path) == []


def test_a_server_that_announces_too_much(answered: Callable[[Answer], Path]) -> None:
    path = answered(lambda client: client.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 9999999999999\r\n\r\nabc"))
    with pytest.raises(DownloadError, match="is longer than the 2048000 bytes"):
        pull("retinaface-slim")
    assert left_over(path) == []


@pytest.mark.parametrize("length", ["abc", "-5", "1e9", ""])
def test_a_length_that_is_none(length: str, answered: Callable[[Answer], Path]) -> None:
    header = f"HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n".encode()
    path = answered(lambda client: client.sendall(header + CONTENT))
    pull("retinaface-slim")
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("begin", [b"", b"HTTP/1.0 200 OK\r\n", b"HTTP/1.0 200 OK\r\nContent-Length: 999999\r\n\r\n"])
def test_a_server_that_trickles(
    begin: bytes, answered: Callable[[Answer], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(pull_function.__globals__, "LONGEST_S", 0.6)

    def answer(client: socket.socket) -> None:
        client.sendall(begin)
        while True:
            client.sendall(b"x")
            time.sleep(0.05)

    answered(answer)
    began = time.monotonic()
    with pytest.raises(DownloadError, match=r"takes longer than 0\.6 s"):
        pull("retinaface-slim")
    assert time.monotonic() - began < 3.0


def test_another_process_that_does_not_end(
    server: Server,  # noqa: F811
    pinned: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import fcntl

    monkeypatch.setitem(pull_function.__globals__, "LONGEST_S", 0.3)
    pinned.parent.mkdir(parents=True)
    with (pinned.parent / ".slim_Final.pth.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match="another process has been at it for too long"):
            pull("retinaface-slim")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 404 \x1b[2J\x1b]0;title\x07 gone\xc2\x9b\r\n\r\n",
        b"\x1b[2J no HTTP at all\r\n\r\n",
        b"HTTP/1.0 302 \x1b[2J\r\nLocation: https://user:S3CR3T@h/\x1b[2J?token=S3CR3T\r\n\r\n",
        b"HTTP/1.0 302 Found\r\nLocation: http://h/?token=S3CR3T\r\n\r\n",
        b"HTTP/1.0 302 Found\r\nLocation: https://h:S3CR3T/\r\n\r\n",
        b"HTTP/1.0 404 " + b"x" * 60_000 + b"\r\n\r\n",
    ],
)
def test_what_a_server_says_is_shown_without_escape_codes(answer: bytes, answered: Callable[[Answer], Path]) -> None:
    answered(lambda client: client.sendall(answer))
    with pytest.raises((DownloadError, UsageError)) as caught:
        pull("retinaface-slim")
    shown = str(caught.value) + "".join(traceback.format_exception(caught.value)).replace("\n", "")
    assert shown.isprintable()
    assert "S3CR3T" not in shown
    assert len(str(caught.value)) < 1000


def test_a_server_on_https_leads_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    import urllib.request

    from vidgraph.models.weights.safe_http import _Redirects

    request = urllib.request.Request("https://h/a")

    class Answer:
        def close(self) -> None: ...

    for target in ("http://127.0.0.1/b", "file:///etc/passwd", "ftp://h/b", "https://u:p@h/b"):
        with pytest.raises(UsageError):
            _Redirects().redirect_request(request, Answer(), 302, "", {}, target)
    assert (
        _Redirects().redirect_request(request, Answer(), 302, "", {}, "https://other/b").full_url == "https://other/b"
    )


@pytest.mark.parametrize(
    "address",
    [
        "https://h/a?token=S3CR3T x",
        "https://[S3CR3T",
        "https://h:S3CR3T/w",
    ],
)
def test_addresses_that_cannot_be_asked(address: str, pinned: Path) -> None:  # noqa: F811
    with pytest.raises(UsageError) as caught:
        pull("retinaface-slim", address=address)
    assert "S3CR3T" not in "".join(traceback.format_exception(caught.value)).replace(address, "")


@pytest.mark.parametrize("end", ["..", "%2e%2e", "a%00b", "%1b[2J"])
def test_the_name_of_a_file_is_a_name(end: str, server: Server, pinned: Path, tmp_path: Path) -> None:  # noqa: F811
    address = server.address.rpartition("/")[0] + "/" + end
    assert pull("retinaface-slim", address=address, folder=tmp_path / "own").path == tmp_path / "own" / "slim_Final.pth"


def test_a_user_name_and_password_reach_the_server_and_nobody_else(
    answered: Callable[[Answer], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []
    receive = socket.socket.recv

    def listen(client: socket.socket, *rest: int) -> bytes:
        asked.append(receive(client, *rest))
        return asked[-1]

    monkeypatch.setattr(socket.socket, "recv", listen)
    path = answered(
        lambda client: client.sendall(
            b"HTTP/1.0 302 Found\r\nLocation: /other\r\n\r\n" if len(asked) == 1 else b"HTTP/1.0 404 gone\r\n\r\n"
        )
    )
    address = MODELS["retinaface-slim"].weights[0].address
    assert address is not None
    with pytest.raises(DownloadError, match=r"answers 404 gone for http://\*\*\*@127\.0\.0\.1"):
        pull("retinaface-slim", address=address.replace("//", "//ann:S%40CR@"))
    assert b"Authorization: Basic YW5uOlNAQ1I=\r\n" in asked[0]
    assert asked[1].startswith(b"GET /other ")
    assert b"Authorization" not in asked[1]
    assert not path.exists()
