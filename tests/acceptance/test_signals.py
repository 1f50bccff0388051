"""Ctrl-C, SIGTERM and SIGKILL during a run: what is there afterwards can be used."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import av
import pytest
from vidgraph.benchmarks.soak import repeat_clip

from ..conftest import Command
from ..material import make_clip

END_S = 30.0
"""A stopped run must be over by then: two seconds on a quiet machine. What is stopped here takes twice as
long and more by itself, so that a busy machine does not look like a run that goes on."""


def lines(path: Path) -> list[str]:
    """The whole lines that are there now."""
    return path.read_text("ascii").splitlines(keepends=True) if path.exists() else []


def wait_for(ready: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not ready():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "nothing happens"
        time.sleep(0.02)


def has_ffmpeg(process: subprocess.Popen[str]) -> bool:
    """Whether a process has loaded what opens its source, so that it is about to."""
    return "libavformat" in Path(f"/proc/{process.pid}/maps").read_text()


@pytest.fixture(scope="module")
def slow_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """75 seconds, two frames a second, in a container that needs no index."""
    return make_clip(tmp_path_factory.mktemp("slow") / "slow.mkv", 150, rate=2)


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory, face_clip: Path) -> Path:
    """4000 frames: more than a test waits for."""
    return repeat_clip(face_clip, tmp_path_factory.mktemp("long") / "in.mp4", frames=4000)


@pytest.fixture
def started(
    command: Command, face_weights: Path, long_clip: Path, tmp_path: Path
) -> Callable[..., subprocess.Popen[str]]:
    """Starts a run of many seconds to out.mp4 and out.jsonl and waits until it has written 12 frames."""

    def start(*words: object) -> subprocess.Popen[str]:
        model = ("--model", f"retinaface={face_weights}", "--size", "320")
        process = command.start("run", long_clip, *model, "-o", "out.mp4", "-o", "out.jsonl", *words)
        wait_for(lambda: len(lines(tmp_path / "out.jsonl")) > 12, process)
        return process

    return start


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_by_a_signal(
    number: signal.Signals, started: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = started()
    process.send_signal(number)
    asked = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - asked < END_S
    assert (process.returncode, out) == (128 + number, "")
    assert "cancelled" in err, "the closing table says how the stream ended"
    assert "Traceback" not in err
    frames = [json.loads(line) for line in lines(tmp_path / "out.jsonl")][1:]
    assert [frame["frame"] for frame in frames] == list(range(len(frames)))
    assert len(frames) < 4000
    with av.open(str(tmp_path / "out.mp4")) as video:
        stream = video.streams.video[0]
        assert stream.frames == len(frames), "an index counts all frames"
        assert sum(1 for _ in video.decode(stream)) == len(frames)
    assert top_boxes(tmp_path / "out.mp4")[-1] != "moof"


def top_boxes(path: Path) -> list[str]:
    """Names of the boxes of an MP4 file: the index of an ordinary file is one ``moov``, fragments are ``moof``."""
    data, place, names = path.read_bytes(), 0, []
    while place < len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        if size == 1:
            size = int.from_bytes(data[place + 8 : place + 16], "big")
        names.append(data[place + 4 : place + 8].decode("ascii"))
        place += size or len(data)
    return names


def test_stopped_twice(started: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    """The second Ctrl-C does not wait for frames in flight; the outputs are whole all the same."""
    process = started("-q")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "")
    frames = [json.loads(line) for line in lines(tmp_path / "out.jsonl")][1:]
    with av.open(str(tmp_path / "out.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == len(frames)


def test_killed(started: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    """Nothing can be finished after SIGKILL: at most the last second of video is lost, and no whole line."""
    process = started()
    seen = len(lines(tmp_path / "out.jsonl"))
    process.kill()
    process.communicate(timeout=60)
    written = lines(tmp_path / "out.jsonl")
    assert len(written) >= seen
    assert all(line.endswith("\n") and json.loads(line) for line in written)


def test_killed_after_some_seconds(command: Command, face_weights: Path, tmp_path: Path) -> None:
    """Played at its own pace, so that what must be in the file at the kill is known."""
    clip = make_clip(tmp_path / "in.mp4", 100)
    model = ("--model", f"retinaface={face_weights}", "--size", "160")
    process = command.start("run", clip, *model, "--latest", "-o", "out.mp4", "-o", "out.jsonl")
    wait_for(lambda: len(lines(tmp_path / "out.jsonl")) > 76, process)
    process.kill()
    process.communicate(timeout=60)
    written = [json.loads(line) for line in lines(tmp_path / "out.jsonl")][1:]
    with av.open(str(tmp_path / "out.mp4")) as video:
        shown = sum(1 for _ in video.decode(video=0))
    assert shown >= len(written) - 25 - 4, "at most a second, and what was on its way to the encoder"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_source_that_waits(number: signal.Signals, command: Command, face_weights: Path, slow_clip: Path) -> None:
    """Between two frames of a slow source, the stop does not wait for the next one."""
    model = ("--model", f"retinaface={face_weights}", "--size", "160")
    process = command.start("run", slow_clip, *model, "--latest", "-o", "out.jsonl", "-q")
    wait_for(lambda: len(lines(command.folder / "out.jsonl")) > 2, process)
    process.send_signal(number)
    asked = time.monotonic()
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 128 + number
    assert time.monotonic() - asked < END_S


def test_standard_input_that_waits(command: Command, face_weights: Path, slow_clip: Path) -> None:
    """A pipe that nobody writes to: before the first frame, and after some."""
    model = ("--model", f"retinaface={face_weights}", "--size", "160")
    for data in (b"", slow_clip.read_bytes()[:5000]):
        process = command.start("run", "-", *model, "-o", "out.jsonl", "-y", stdin=subprocess.PIPE, text=False)
        assert process.stdin is not None
        process.stdin.write(data)  # type: ignore[arg-type]
        process.stdin.flush()
        wait_for(partial(has_ffmpeg, process), process)
        time.sleep(1.0)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        asked = time.monotonic()
        process.wait(60)
        assert time.monotonic() - asked < END_S
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (130, b"")
        assert b"Traceback" not in err  # type: ignore[operator]


def test_a_server_that_does_not_answer(command: Command, face_weights: Path) -> None:
    """It says something every second, and never all that is needed: no limit of time ends the waiting."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/in.mp4"
        process = command.start("run", address, "--model", f"retinaface={face_weights}", "-o", "out.jsonl", "-q")
        connection, _ = server.accept()
        over = threading.Event()

        def talk() -> None:
            with suppress(OSError):  # the other end has left
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Words: ")
                while not over.wait(1.0):
                    connection.sendall(b"more ")

        talking = threading.Thread(target=talk)
        talking.start()
        try:
            process.send_signal(signal.SIGINT)
            asked = time.monotonic()
            out, err = process.communicate(timeout=60)
            assert time.monotonic() - asked < END_S
        finally:
            over.set()
            talking.join()
            connection.close()
    assert (process.returncode, out, err) == (130, "", "vidgraph: stopped\n")


HELD_UP = """
import ctypes, signal, socket, threading, time
from vidgraph.stages.sources.video import VideoSource

server = socket.create_server(("127.0.0.1", 0))
source = VideoSource(f"http://127.0.0.1:{server.getsockname()[1]}/in.mp4")
connections = []
for _ in range(12):
    threading.Thread(target=source.open, daemon=True).start()
    connections.append(server.accept())
    time.sleep(0.01)
libc = ctypes.CDLL(None)
libc.__cxa_atexit(libc.pause, None, None)
signal.alarm(2)
"""


def test_threads_left_opening_at_the_end_of_a_script(command: Command) -> None:
    """While the C library's ``exit`` is held up, after Python's own end, no thread that waits for a server calls it.

    FFmpeg asks ten times a second whether to go on; the threads begin one after the other, so that some ask then.
    """
    process = command.start(program=(sys.executable, "-P", "-c", HELD_UP))
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == -signal.SIGALRM, "not SIGSEGV"


LEFT_BEHIND = """
import atexit, ctypes, sys, threading
from vidgraph.cli import console

libc = ctypes.CDLL(None)
atexit.register(print, "at exit")
libc.__cxa_atexit(libc.abort, None, None)
if sys.argv.pop(1) == "left":
    threading.Thread(target=libc.pause, daemon=True).start()
console()
"""


@pytest.mark.parametrize(("words", "code"), [(("--version",), 0), (("run", "--no-such"), 2)])
def test_a_thread_left_in_c_code(words: tuple[str, ...], code: int, command: Command) -> None:
    """The command then ends without what C libraries do at exit (here: abort), its exit code and texts are as ever."""
    program = (sys.executable, "-P", "-W", "error", "-c", LEFT_BEHIND)
    ended = command("left", *words, program=program)
    assert ended.code == code
    assert ended.out.endswith("at exit\n")
    none_left = command("none", *words, program=program)
    assert (none_left.code, none_left.out, none_left.err) == (-signal.SIGABRT, ended.out, ended.err)


LOOP = """
import sys, vidgraph
outputs = ["out.mp4", "out.jsonl"]
for result in vidgraph.run(sys.argv[1], model="retinaface", weights=sys.argv[2], size=160, outputs=outputs):
    {body}
"""
WAIT = """
import sys, vidgraph
outputs = ["out.mp4", "out.jsonl"]
vidgraph.run(sys.argv[1], model="retinaface", weights=sys.argv[2], size=160, outputs=outputs).wait()
"""


@pytest.mark.parametrize(
    ("script", "stop", "ending"),
    [
        (LOOP.format(body="pass"), True, "KeyboardInterrupt"),
        (WAIT, True, "KeyboardInterrupt"),
        (LOOP.format(body="1 // (20 - result.index)"), False, "ZeroDivisionError"),
        (LOOP.format(body="if result.index == 20: sys.exit(5)"), False, ""),
    ],
)
def test_scripts(
    script: str, stop: bool, ending: str, command: Command, face_weights: Path, long_clip: Path, tmp_path: Path
) -> None:
    """A loop that is interrupted, fails or exits leaves outputs as whole as a stopped command does."""
    process = command.start(long_clip, face_weights, program=(sys.executable, "-P", "-W", "error", "-c", script))
    if stop:
        wait_for(lambda: len(lines(tmp_path / "out.jsonl")) > 12, process)
        process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert not stop or time.monotonic() - asked < END_S
    assert process.returncode != 0
    assert ending in (err.splitlines() or [""])[-1]
    assert "Exception ignored" not in err
    written = lines(tmp_path / "out.jsonl")
    assert all(line.endswith("\n") for line in written)
    with av.open(str(tmp_path / "out.mp4")) as video:
        assert video.streams.video[0].frames == len(written) - 1
    assert top_boxes(tmp_path / "out.mp4")[-1] != "moof"
