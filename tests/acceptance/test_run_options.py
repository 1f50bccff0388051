"""What the options of ``vidgraph run`` do to the results."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Command, Ended
from ..material import make_clip
from ..stages.clips import damage

Lines = list[dict[str, Any]]


@pytest.fixture
def run(vidgraph: Callable[..., Ended], face_weights: Path, face_clip: Path) -> Callable[..., Lines]:
    """``run("--every", 3)``: the header and the frames of a run on 40 frames, 25 a second."""

    def call(*words: object, source: Path = face_clip, code: int = 0) -> Lines:
        model = ("--model", f"retinaface={face_weights}", "--precision", "fp32")
        size = () if "--size" in words else ("--size", "160")
        ended = vidgraph("run", source, *model, *size, *words, "-o", "-")
        assert ended.code == code, ended.err
        return [json.loads(line) for line in ended.out.splitlines()]

    return call


def test_scores_and_counts(run: Callable[..., Lines]) -> None:
    header, *plain = run()
    assert header["settings"] == {}
    scores = sorted(item["score"] for frame in plain for item in frame["objects"])
    assert scores[0] > 0.5
    apart = sorted(set(scores))
    middle = sum(apart[len(apart) // 2 - 1 :][:2]) / 2  # between two: scores in the lines are rounded
    header, *good = run("--min-score", middle)
    assert header["settings"] == {"min_score": middle}
    assert [[i for i in f["objects"] if i["score"] > middle] for f in plain] == [f["objects"] for f in good]
    header, *few = run("--max-detections", 2)
    assert [frame["objects"][:2] for frame in plain] == [frame["objects"] for frame in few]
    header, *close = run("--nms-iou", 1.0)
    assert sum(len(frame["objects"]) for frame in close) > len(scores)


def test_classes_and_labels(run: Callable[..., Lines], tmp_path: Path) -> None:
    header, *frames = run("--labels", "visitor", "--classes", "visitor", "--frames", 3)
    assert header["models"][0]["classes"] == ["visitor"]
    assert header["settings"] == {"classes": [0]}
    assert {item["class"] for frame in frames for item in frame["objects"]} == {"visitor"}
    (tmp_path / "names.txt").write_text("guest\n")
    _, *frames = run("--labels", "names.txt", "--frames", 3)
    assert {item["class"] for frame in frames for item in frame["objects"]} == {"guest"}


@pytest.mark.parametrize(("size", "input_size"), [("320", [320, 240]), ("96x128", [96, 128]), ("200", [200, 150])])
def test_size(size: str, input_size: list[int], run: Callable[..., Lines]) -> None:
    header, *frames = run("--size", size, "--frames", 2)
    assert header["models"][0]["input_size"] == input_size
    assert all(frame["size"] == [320, 240] for frame in frames)


def test_every(run: Callable[..., Lines]) -> None:
    _, *plain = run()
    header, *frames = run("--every", 3)
    assert header["settings"] == {"every": 3}
    for frame, looked_at in zip(frames, plain, strict=True):
        last = frame["frame"] // 3 * 3
        assert frame.get("held_from", frame["frame"]) == last
        assert frame["objects"] == plain[last]["objects"]
        assert frame["time_s"] == looked_at["time_s"]


def test_max_fps(run: Callable[..., Lines]) -> None:
    header, *frames = run("--max-fps", 10)
    assert header["settings"] == {"max_fps": 10.0}
    ran = [frame["frame"] for frame in frames if "held_from" not in frame]
    assert ran[0] == 0
    assert 15 <= len(ran) <= 16, "1.6 s at 10 a second"
    assert all(2 <= after - before <= 3 for before, after in pairwise(ran))
    for frame in frames:
        assert frame.get("held_from", frame["frame"]) == max(index for index in ran if index <= frame["frame"])


def test_start_end_frames(run: Callable[..., Lines]) -> None:
    _, *plain = run()
    _, *part = run("--start", "0.2", "--end", "0:00.5")
    assert [frame["time_s"] for frame in part] == [f["time_s"] for f in plain if 0.2 <= f["time_s"] < 0.5]
    assert [frame["frame"] for frame in part] == list(range(len(part)))
    assert [frame["objects"] for frame in part] == [f["objects"] for f in plain if 0.2 <= f["time_s"] < 0.5]
    _, *part = run("--start", "1.2", "--frames", 4)
    assert [frame["time_s"] for frame in part] == [1.2, 1.24, 1.28, 1.32]
    run("--start", "60", code=1)


def test_latest_drops_what_is_late(run: Callable[..., Lines], tmp_path: Path) -> None:
    """A file played at 500 frames a second on one thread: every frame has its line, those left out say why."""
    clip = make_clip(tmp_path / "fast.mp4", 120, rate=500)
    header, *frames = run("--latest", "--threads", 1, "--size", 640, source=clip)
    assert header["settings"] == {"policy": "latest"}
    assert header["sources"][0]["live"] is True
    assert [frame["frame"] for frame in frames] == list(range(120))
    dropped = [frame for frame in frames if "dropped" in frame]
    assert 0 < len(dropped) < 120
    assert {frame["dropped"] for frame in dropped} == {"mailbox_full"}
    assert all(("objects" in frame) != ("dropped" in frame) for frame in frames)


def test_latest_keeps_the_pace(run: Callable[..., Lines], tmp_path: Path) -> None:
    import time

    clip = make_clip(tmp_path / "slow.mp4", 4, rate=2)
    started = time.monotonic()
    _, *frames = run("--latest", source=clip)
    assert time.monotonic() - started >= 1.5
    assert not any("dropped" in frame for frame in frames)
    took_s = []
    for _ in range(3):  # a busy machine may be slow once
        started = time.monotonic()
        assert run("--lossless", source=clip)[1:] == frames
        took_s.append(time.monotonic() - started)
    assert min(took_s) < 1.5


def test_a_file_is_played_as_a_camera(run: Callable[..., Lines], tmp_path: Path) -> None:
    """Over and over, in real time, each round as a new epoch, until there are enough frames."""
    clip = make_clip(tmp_path / "round.mp4", 10, rate=25)
    header, *frames = run("--as-camera", "--frames", 25, source=clip)
    assert header["settings"] == {"as_camera": True}
    assert header["sources"][0]["live"] is True
    assert [frame["frame"] for frame in frames] == list(range(25))
    assert [frame["epoch"] for frame in frames] == [0] * 10 + [1] * 10 + [2] * 5
    assert {frame["dropped"] for frame in frames if "dropped" in frame} <= {"mailbox_full"}
    assert {frame["capture_clock"] for frame in frames} == {"arrival"}


@pytest.mark.parametrize("words", [("--threads", 1), ("--threads", 3), ("--deterministic",), ("--lossless",)])
def test_threads_change_nothing(words: tuple[object, ...], run: Callable[..., Lines]) -> None:
    assert run(*words)[1:] == run()[1:]


def test_one_thread_is_one_thread(command: Command, face_weights: Path, face_clip: Path) -> None:
    """No more CPU time than wall time, but for a little of the libraries' own threads."""
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = ("--model", f"retinaface={face_weights}", "--size", 640, "--threads", 1)
    ended = command("run", face_clip, *words, "-o", "out.jsonl")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ended.code == 0
    wall = float(ended.err.splitlines()[-1].split(" s =")[0].rpartition(" ")[2])
    assert after.ru_utime - before.ru_utime < wall + 2.5, "two and a half seconds to start"


def test_strict(run: Callable[..., Lines], face_clip: Path, tmp_path: Path) -> None:
    bad = damage(face_clip, tmp_path / "in.mp4", packets=[20])
    _, *frames = run(source=bad, code=3)
    assert len(frames) >= 39
    _, *frames = run("--strict", source=bad, code=1)
    assert len(frames) <= 24
    assert run("--strict")[1:] == run()[1:]


def test_verbose_and_quiet(vidgraph: Callable[..., Ended], face_weights: Path, face_clip: Path, tmp_path: Path) -> None:
    words = ("run", face_clip, "--model", f"retinaface={face_weights}", "--size", "160", "-y", "-o", "out.jsonl")
    quiet, plain, verbose = (vidgraph(*words, *more) for more in (["-q"], [], ["-v"]))
    assert (quiet.out, quiet.err) == ("", "")
    assert plain.err.startswith("retinaface (trained on: WIDER FACE): openvino ")
    assert len(verbose.err) >= len(plain.err)
    assert threading.active_count() == 1
