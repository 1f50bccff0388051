"""Pulling weights from a local server that breaks in every way servers break."""

from __future__ import annotations

import errno
import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from vidgraph.models import MODELS, load_model, pull
from vidgraph.models.registry import find_model
from vidgraph.models.variant import WeightsFile
from vidgraph.pipeline.errors import DownloadError, OutputError, UsageError

CONTENT = bytes(range(256)) * 4000  # about a megabyte: several chunks
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Server:
    """What the server does, and what it was asked."""

    content: bytes = CONTENT
    ranges: bool = True
    break_after: list[int] = field(default_factory=list)  # bytes of the body after which each request breaks off
    status: int = 200
    location: str | None = None
    asked: list[str | None] = field(default_factory=list)  # the Range header of every request
    address: str = ""


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.asked.append(wanted)
            if state.location is not None:
                self.send_response(302)
                self.send_header("Location", state.location)
                self.end_headers()
                return
            if state.status != 200:
                self.send_error(state.status)
                return
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and state.ranges else 0
            if start >= len(state.content):
                self.send_error(416)
                return
            body = state.content[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(state.content) - 1}/{len(state.content)}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: state.break_after.pop(0)] if state.break_after else body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.address = f"http://127.0.0.1:{http.server_port}/weights/slim_Final.pth"
    yield state
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def pinned(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """``retinaface-slim`` is pinned to the server's file, and the cache is empty; returns where the file goes."""
    monkeypatch.setenv("VIDGRAPH_CACHE", str(tmp_path))
    row = find_model("retinaface-slim")
    weights = WeightsFile("slim_Final.pth", DIGEST, server.address)
    monkeypatch.setitem(MODELS, "retinaface-slim", replace(row, weights=(weights,)))
    return tmp_path / "weights" / "retinaface-slim" / "slim_Final.pth"


def left_over(path: Path) -> list[str]:
    """Files beside ``path``, without the lock."""
    return sorted(each.name for each in path.parent.iterdir() if not each.name.endswith(".lock"))


def test_published_weights_are_pinned() -> None:
    for name in ("retinaface-1mb", "retinaface-slim", "retinaface-rfb"):
        (weights,) = MODELS[name].weights
        assert weights.address is not None
        assert weights.address.startswith("https://raw.githubusercontent.com/biubug6/Face-Detector-1MB-with-landmark/")
        assert "/2b075657aef954b9426f938ac7fce100b6910fe6/weights/" in weights.address
        assert weights.address.endswith(weights.file)
        assert weights.sha256 is not None
        assert len(weights.sha256) == 64


def test_whole_file(server: Server, pinned: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    pulled = pull("retinaface_slim", progress=lambda done, total: seen.append((done, total)))
    assert pulled.path == pinned
    assert pinned.read_bytes() == CONTENT
    assert pulled.sha256 == DIGEST
    assert not pulled.was_there
    assert "Face-Detector-1MB-with-landmark" in pulled.source
    assert pulled.licence == "MIT"
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert left_over(pinned) == ["slim_Final.pth"]


def test_what_is_there_is_not_fetched_again(server: Server, pinned: Path) -> None:
    pull("retinaface-slim")
    assert pull("retinaface-slim").was_there
    assert len(server.asked) == 1
    pinned.write_bytes(b"changed since")
    assert not pull("retinaface-slim").was_there
    assert pinned.read_bytes() == CONTENT


def test_interrupted_goes_on_where_it_stopped(server: Server, pinned: Path) -> None:
    server.break_after = [300_000, 400_000]
    pull("retinaface-slim")
    assert pinned.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-", "bytes=700000-"]


def test_interrupted_too_often_goes_on_at_the_next_call(server: Server, pinned: Path) -> None:
    server.break_after = [100_000, 100_000, 100_000]
    with pytest.raises(DownloadError, match=r"breaks off.*run the same command again to go on"):
        pull("retinaface-slim")
    assert not pinned.exists()
    assert left_over(pinned) == ["slim_Final.pth.part"]
    pull("retinaface-slim")
    assert pinned.read_bytes() == CONTENT
    assert server.asked[-1] == "bytes=300000-"


def test_a_server_that_cannot_resume(server: Server, pinned: Path) -> None:
    server.ranges, server.break_after = False, [300_000]
    pull("retinaface-slim")
    assert pinned.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-"]


def test_a_whole_part_needs_only_its_name(server: Server, pinned: Path) -> None:
    pinned.parent.mkdir(parents=True)
    pinned.with_name("slim_Final.pth.part").write_bytes(CONTENT)
    pull("retinaface-slim")
    assert pinned.read_bytes() == CONTENT


@pytest.mark.parametrize("size", [len(CONTENT), 2 * len(CONTENT)])
def test_a_part_of_something_else_is_thrown_away(size: int, server: Server, pinned: Path) -> None:
    pinned.parent.mkdir(parents=True)
    pinned.with_name("slim_Final.pth.part").write_bytes(b"?" * size)
    pull("retinaface-slim")
    assert pinned.read_bytes() == CONTENT


def test_wrong_hash_is_removed_and_nothing_opens_it(
    server: Server, pinned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vidgraph.models.weights import checkpoint

    def opened(*_: object) -> None:
        raise AssertionError("a file of the wrong hash was opened")

    monkeypatch.setattr(checkpoint, "read_state_dict", opened)
    server.content = b"?" + CONTENT[1:]
    with pytest.raises(DownloadError, match=f"is not the pinned file and was removed: SHA-256 must be {DIGEST}, got"):
        pull("retinaface-slim")
    assert left_over(pinned) == []
    with pytest.raises(UsageError, match="has no weights here"):
        load_model("retinaface-slim")


def test_404(server: Server, pinned: Path) -> None:
    server.status = 404
    with pytest.raises(DownloadError, match=r"answers 404 Not Found for http://127.*put it as slim_Final.pth into"):
        pull("retinaface-slim")
    assert len(server.asked) == 1
    assert left_over(pinned) == []


def test_a_server_in_trouble_is_asked_again(server: Server, pinned: Path) -> None:
    server.status = 503
    with pytest.raises(DownloadError, match="answers 503"):
        pull("retinaface-slim")
    assert len(server.asked) == 3


def test_full_disk(server: Server, pinned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class FullDisk:
        """A file on a disk with room for 300 kB."""

        def __init__(self, file: Any) -> None:
            self.file, self.room = file, 300_000

        def __enter__(self) -> FullDisk:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def write(self, data: bytes) -> int:
            self.room -= len(data)
            if self.room < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            written: int = self.file.write(data)
            return written

    really_open = Path.open

    def open_(path: Path, mode: str = "r", *rest: Any, **more: Any) -> Any:
        file = really_open(path, mode, *rest, **more)
        return FullDisk(file) if path.suffix == ".part" and mode in ("ab", "wb") else file

    monkeypatch.setattr(Path, "open", open_)
    with pytest.raises(OutputError, match=r"cannot write .*slim_Final.pth: No space left on device"):
        pull("retinaface-slim")
    monkeypatch.undo()
    assert left_over(pinned) == []


def test_offline(pinned: Path, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import socket

    def no_network(*_: object, **__: object) -> None:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    row = MODELS["retinaface-slim"]
    address = "https://raw.githubusercontent.com/x/slim_Final.pth"
    monkeypatch.setitem(MODELS, "retinaface-slim", replace(row, weights=(replace(row.weights[0], address=address),)))
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    with pytest.raises(DownloadError) as caught:
        pull("retinaface-slim")
    message = str(caught.value)
    assert "cannot reach raw.githubusercontent.com" in message
    assert f"download {address} elsewhere and put it as slim_Final.pth into {pinned.parent}" in message


def test_refused_connection_is_offline_too(pinned: Path, server: Server) -> None:
    with pytest.raises(DownloadError, match=r"cannot reach 127\.0\.0\.1 \(Connection refused\)"):
        pull("retinaface-slim", address="http://127.0.0.1:9/slim_Final.pth")


@pytest.mark.parametrize(
    "address", ["http://example.org/w.pth", "ftp://example.org/w.pth", "file:///etc/passwd", "w.pth"]
)
def test_https_only(address: str, pinned: Path) -> None:
    with pytest.raises(UsageError, match="over https only"):
        pull("retinaface-slim", address=address)


def test_redirects_stay_safe(server: Server, pinned: Path) -> None:
    server.location = "http://example.org/w.pth"
    with pytest.raises(UsageError, match=r"over https only, got http://example\.org"):
        pull("retinaface-slim")


def test_secrets_are_not_shown(server: Server, pinned: Path) -> None:
    server.status = 404
    with pytest.raises(DownloadError) as caught:
        pull("retinaface-slim", address=f"{server.address}?token=tell-nobody")
    assert "tell-nobody" not in str(caught.value)


def test_a_mirror_of_pinned_weights_needs_no_trust(server: Server, pinned: Path) -> None:
    assert pull("retinaface-slim", address=server.address.replace("slim", "mirror")).path == pinned
    assert pinned.read_bytes() == CONTENT


def test_an_address_without_a_known_hash_needs_trust(server: Server, pinned: Path) -> None:
    server.content = b"own weights" * 1000
    with pytest.raises(UsageError, match=r"no SHA-256 is known for .*--trust"):
        pull("retinaface", address=server.address)
    assert server.asked == []
    pulled = pull("retinaface", address=server.address, trust=True)
    assert pulled.path.read_bytes() == server.content
    assert pulled.sha256 == hashlib.sha256(server.content).hexdigest()
    assert pulled.path.name == "mobilenet0.25_Final.pth"


def test_trusted_downloads_start_anew(server: Server, pinned: Path) -> None:
    """Nothing tells whether what is there belongs to the same version."""
    server.break_after = [100_000, 100_000, 100_000]
    with pytest.raises(DownloadError):
        pull("retinaface", address=server.address, trust=True)
    pull("retinaface", address=server.address, trust=True)
    assert server.asked[-1] is None


def test_no_address_is_known(pinned: Path) -> None:
    with pytest.raises(UsageError, match=r"no download address is known for retinaface; .*Pytorch_Retinaface"):
        pull("retinaface")


def test_a_folder_of_ones_own(server: Server, pinned: Path, tmp_path: Path) -> None:
    pulled = pull("retinaface-slim", folder=tmp_path / "mine")
    assert pulled.path == tmp_path / "mine" / "slim_Final.pth"
    assert not pinned.exists()


def test_an_unwritable_folder(server: Server, pinned: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot write"):
        pull("retinaface-slim", folder=tmp_path / "file" / "folder")


def test_two_at_once_fetch_once(server: Server, pinned: Path) -> None:
    results = []
    threads = [threading.Thread(target=lambda: results.append(pull("retinaface-slim"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result.was_there for result in results) == [False, True, True, True]
    assert len(server.asked) == 1


def test_pulled_weights_are_found(
    server: Server, pinned: Path, seeded_checkpoint: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.content = seeded_checkpoint("retinaface-slim").read_bytes()
    pull("retinaface-slim", address=server.address, trust=True)
    with load_model("retinaface-slim") as model:
        assert model.weights.path == pinned
