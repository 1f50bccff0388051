"""A secret in the address of a video: every channel out of the process is searched for it."""

from __future__ import annotations

import json
import logging
import threading
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import pytest
import vidgraph
from vidgraph.pipeline.errors import SourceError, VidgraphError
from vidgraph.stages import VideoSource

from ..conftest import Ended
from ..material import make_clip

SECRET = "S3CR3T"
QUERY = f"X-Amz-Signature={SECRET}&access_token={SECRET}&api_key={SECRET}&jwt={SECRET}&a={SECRET}/b.c&b=c/{SECRET}"
Main = Callable[..., Ended]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``HOST:PORT`` of a server that has one clip, with sound, whatever is asked for but ``/gone`` and ``/moved``."""
    clip = make_clip(tmp_path_factory.mktemp("served") / "clip.mkv", 6).read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if "/moved" in self.path:
                self.send_response(302)
                self.send_header("Location", f"/gone?token={SECRET}")
                self.end_headers()
                return
            self.send_response(403 if "/gone" in self.path else 200)
            self.send_header("Content-Length", str(len(clip)))
            self.end_headers()
            self.wfile.write(clip)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()


def everything_in(folder: Path) -> str:
    """Names and contents of all files."""
    return "\n".join(
        str(path.relative_to(folder)) + path.read_bytes().decode("latin-1")
        for path in folder.rglob("*")
        if path.is_file()
    )


ADDRESSES = ["http://ann:{s}@{h}/v.mkv?{q}", "http://{h}/v;k={s}.mkv?{q}#{s}", "http://{s}@{h}/{s}=1/?{q}"]


@pytest.mark.parametrize("form", ADDRESSES)
def test_a_run(form: str, server: str, face_weights: Path, vidgraph: Main, tmp_path: Path) -> None:
    address = form.format(s=SECRET, h=server, q=QUERY)
    model = ("--model", f"retinaface={face_weights}", "--size", "96")
    outputs = ("-o", "{stream}.jsonl", "-o", "out.mp4", "-o", "{stream}/%03d.png", "-o", "out.mkv")
    ended = vidgraph("run", address, *model, *outputs, "-v")
    assert ended.code == 0, ended.err
    assert SECRET not in ended.out + ended.err
    assert SECRET not in everything_in(tmp_path)
    with av.open(str(tmp_path / "out.mkv")) as written:
        assert SECRET not in str((written.metadata, [stream.metadata for stream in written.streams]))
    (results,) = tmp_path.glob("*.jsonl")
    header = json.loads(results.read_text().splitlines()[0])
    assert server in header["sources"][0]["address"]
    assert "X-Amz-Signature=***" in header["sources"][0]["address"]


def test_bench(server: str, face_weights: Path, vidgraph: Main, tmp_path: Path) -> None:
    words = ("--model", f"retinaface={face_weights}", "--size", "96", "--frames", "2", "-o", "bench.json")
    ended = vidgraph("bench", "--source", f"http://{server}/v.mkv?{QUERY}", *words)
    assert ended.code == 0, ended.err
    assert SECRET not in ended.out + ended.err + everything_in(tmp_path)


@pytest.mark.parametrize(
    "form", [*ADDRESSES, "http://ann:a {s}@{h}/gone?{q}", "http://{h}/gone?{q}", "http://{h}/moved"]
)
@pytest.mark.parametrize("words", [(), ("-v",)])
def test_an_error(form: str, words: tuple[str, ...], server: str, vidgraph: Main, face_weights: Path) -> None:
    address = form.format(s=SECRET, h=server, q=QUERY).replace("/v", "/gone/v").replace("{s}=1", "gone")
    model = ("--model", f"retinaface={face_weights}", "--size", "96")
    ended = vidgraph("run", address if "gone" in address or "moved" in address else address + "/gone", *model, "-o",
                     "a.jsonl", *words)  # fmt: skip
    assert ended.code == 1
    assert SECRET not in ended.out + ended.err


@pytest.mark.parametrize(
    "address",
    [
        *("rtsp://ann:{s}@h/live", "rtsp://ann:p@{s}/w rd@h/live", "rtmp://h/app/{s}", "srt://h:9?passphrase={s}"),
        *("foo://ann:{s}@h/x?{s}", "ann:{s}@10.0.0.8/main", "http:/ann:{s}@h/v.mp4", "http:ann:{s}@h/v.mp4"),
        *("h.example/v.mp4?access_token={s}", "data:video/mp4;base64,{s}", "synth:street?token={s}"),
        *("door=rtsp://ann:{s}@h/live", "RTSP://ANN:{s}@H", "http://ann:{s}@h/*.mp4", "http://h:x{s}/v", "http://[{s}"),
    ],
)
def test_what_cannot_be_opened(address: str, vidgraph: Main, tmp_path: Path) -> None:
    ended = vidgraph("run", address.format(s=SECRET), "--model", "retinaface", "-o", "a.jsonl", "-v")
    assert ended.code in (1, 2)
    assert SECRET not in ended.out + ended.err
    ended = vidgraph("run", "in.mp4", "--model", "retinaface", "-o", address.format(s=SECRET))
    assert ended.code in (1, 2)
    assert SECRET not in ended.out + ended.err


def test_python(server: str, caplog: pytest.LogCaptureFixture) -> None:
    """Messages, the errors that they come from, and records of the log, as a program has them."""
    caplog.set_level(logging.DEBUG, "vidgraph")
    with pytest.raises(SourceError) as caught:
        VideoSource(f"http://ann:{SECRET}@{server}/gone?{QUERY}").open()
    assert "403" in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert SECRET not in repr((caught.value, caught.value.__cause__))

    def fails(result: object) -> None:
        raise OSError(5, "no answer", f"http://ann:{SECRET}@h/v?token={SECRET}")

    run = vidgraph.run(f"http://{server}/v.mkv?{QUERY}", model="yolact-edge-tiny", size=128, outputs=[fails])
    with pytest.raises(VidgraphError) as failed:
        run.wait()
    assert "no answer: 'http://***@h/v?token=***'" in str(failed.value)
    assert SECRET not in f"{run.stats} {run.stats.to_dict()} {run.stats.table()} {run.models} {caplog.text}"


def test_control_characters_reach_no_terminal(vidgraph: Main, tmp_path: Path, face_weights: Path) -> None:
    name = "a\x1b]0;title\x07\u202eb\x9b31m.mp4"
    make_clip(tmp_path / name, 3)
    (tmp_path / "photos\x1b[2J").mkdir()
    model = ("--model", f"retinaface={face_weights}", "--size", "96")
    for words in (
        ("run", name, *model, "-o", "{stream}.jsonl", "-v"),
        ("run", name, "missing\x1b[2J.mp4", *model, "-o", "x\x1b[2J.jsonl"),
        ("run", "photos\x1b[2J", *model, "-o", "y.jsonl"),
        ("run", name, *model, "-o", "\x1b[2J.avi"),
        ("convert", name.replace("mp4", "jsonl"), "--to", "csv"),
        ("models", "retina\x1b[2J"),
        ("no\x1b[2Jcommand",),
    ):
        ended = vidgraph(*words)
        shown = (ended.out + ended.err).replace("\n", "")
        assert shown
        assert not {char for char in shown if not char.isprintable()}, words
