"""What ``-o`` writes: every kind, several at once, several sources, standard output, resuming."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from vidgraph.benchmarks.soak import repeat_clip
from vidgraph.pipeline.results.reader import read_results

from ..conftest import Command, Ended
from ..material import make_clip

Main = Callable[..., Ended]


@pytest.fixture
def words(face_weights: Path) -> tuple[str, ...]:
    """The model of all runs here, small."""
    return ("--model", f"retinaface={face_weights}", "--size", "160", "--precision", "fp32")


def records(path: Path) -> list[dict[str, Any]]:
    """The lines of frames, every one of them whole."""
    text = path.read_text("ascii")
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()][1:]


def times_of(path: Path) -> list[float]:
    """Presentation times of the frames of a video, which all decode."""
    with av.open(str(path)) as container:
        return [float(frame.time) for frame in container.decode(video=0) if frame.time is not None]


def test_all_kinds_at_once(vidgraph: Main, words: tuple[str, ...], face_clip: Path, tmp_path: Path) -> None:
    outputs = ["made/out.mp4", "out.mkv", "out.jsonl", "frames/%06d.png", "jpeg/%d.jpg"]
    ended = vidgraph("run", face_clip, *words, *(word for output in outputs for word in ("-o", output)))
    assert (ended.code, ended.out) == (0, ""), ended.err
    lines = ended.err.splitlines()
    assert re.fullmatch(r"retinaface \(trained on: WIDER FACE\): openvino fp32 on cpu, input 160x120", lines[0])
    assert re.search(r"^40 frames in [\d.]+ s = [\d.]+ fps$", lines[-1])
    frames = records(tmp_path / "out.jsonl")
    assert [frame["frame"] for frame in frames] == list(range(40))
    assert len({len(frame["objects"]) for frame in frames}) > 3, "the clip has something else in every frame"
    times = [frame["time_s"] for frame in frames]
    assert times_of(tmp_path / "made/out.mp4") == pytest.approx(times, abs=1e-3)
    assert times_of(tmp_path / "out.mkv") == pytest.approx(times, abs=1e-3)
    for pattern in ("frames/{:06d}.png", "jpeg/{}.jpg"):
        names = [pattern.format(number) for number in range(40)]
        folder = (tmp_path / names[0]).parent
        assert {path.name for path in folder.iterdir()} == {Path(name).name for name in names}


def test_pictures_are_annotated(vidgraph: Main, words: tuple[str, ...], face_clip: Path, tmp_path: Path) -> None:
    from PIL import Image

    assert vidgraph("run", face_clip, *words, "--frames", 2, "-o", "a/%d.png", "-o", "out.jsonl", "-q").code == 0
    found = records(tmp_path / "out.jsonl")[1]["objects"]
    with av.open(str(face_clip)) as container:
        plain = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)][1].astype(int)
    drawn = np.asarray(Image.open(tmp_path / "a/1.png").convert("RGB")).astype(int)
    changed = np.abs(drawn - plain).max(axis=2) > 60
    for item in found:
        x1, y1, x2, y2 = (round(v) for v in item["box"])
        ring = changed[max(0, y1 - 2) : y2 + 3, max(0, x1 - 2) : x2 + 3]
        assert ring.any(), item


def test_several_sources_into_one_file_and_several(
    vidgraph: Main, words: tuple[str, ...], face_clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    make_clip(tmp_path / "sub" / "in.mp4", 7)
    sources = (face_clip, tmp_path / "sub" / "in.mp4", f"door={tmp_path / 'sub' / 'in.mp4'}")
    outputs = ("-o", "all.jsonl", "-o", "{stream}.jsonl", "-o", "video-{stream}.mp4", "-o", "{stream}/%03d.png")
    ended = vidgraph("run", *sources, *words, *outputs)
    assert ended.code == 0, ended.err
    streams = {"in": 40, "in-2": 7, "door": 7}
    assert set(read_results(tmp_path / "all.jsonl").streams) == set(streams)
    together = records(tmp_path / "all.jsonl")
    for stream, count in streams.items():
        own = [frame for frame in together if frame["stream"] == stream]
        assert [frame["frame"] for frame in own] == list(range(count))
        assert records(tmp_path / f"{stream}.jsonl") == own
        assert read_results(tmp_path / f"{stream}.jsonl").streams == [stream]
        assert len(times_of(tmp_path / f"video-{stream}.mp4")) == count
        assert len(list((tmp_path / stream).iterdir())) == count


def test_ambiguous_outputs_are_refused(vidgraph: Main, words: tuple[str, ...], face_clip: Path, tmp_path: Path) -> None:
    sources = (face_clip, f"door={face_clip}")
    for output, cure in (("out.mp4", "{stream}-out.mp4"), ("f/%06d.png", "f/{stream}-%06d.png")):
        ended = vidgraph("run", *sources, *words, "-o", output)
        assert ended.code == 2
        assert "cannot hold 2 streams (in, door)" in ended.line
        assert cure in ended.line
    for twice in (("a={0}", "a={0}"), ("-", "-")):
        ended = vidgraph("run", *(word.format(face_clip) for word in twice), *words, "-o", "out.jsonl")
        assert ended.code == 2
    assert not list(tmp_path.iterdir())


def test_standard_output_is_json_and_nothing_else(vidgraph: Main, words: tuple[str, ...], face_clip: Path) -> None:
    ended = vidgraph("run", face_clip, *words, "-o", "-", "-o", "out.jsonl", "-v")
    assert ended.code == 0
    assert ended.out == Path("out.jsonl").read_text("ascii")
    quiet = vidgraph("run", face_clip, *words, "-o", "-", "-q")
    assert (quiet.code, quiet.out, quiet.err) == (0, ended.out, "")


def test_a_video_on_standard_input(command: Command, words: tuple[str, ...], face_clip: Path, tmp_path: Path) -> None:
    """From a file, which can be sought, and through a pipe, which cannot."""
    with av.open(str(face_clip)) as source, av.open(str(tmp_path / "in.mkv"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    with (tmp_path / "in.mkv").open("rb") as file:
        ended = command("run", "-", *words, "-o", "a.jsonl", "-o", "a.mp4", stdin=file)
        assert ended.code == 0
        assert "no sound" not in ended.err, "it has no file in which sound could be"
    with subprocess.Popen(["cat", str(tmp_path / "in.mkv")], stdout=subprocess.PIPE) as cat:
        assert command("run", "b=-", *words, "-o", "b.jsonl", "-q", stdin=cat.stdout).err == ""
    first, second = records(tmp_path / "a.jsonl"), records(tmp_path / "b.jsonl")
    assert len(first) == 40
    assert [{**frame, "stream": "stdin"} for frame in second] == first


def test_a_reader_that_leaves(command: Command, words: tuple[str, ...], face_clip: Path, tmp_path: Path) -> None:
    """``| head -1``: the run ends, its other outputs are whole, and nobody complains."""
    clip = repeat_clip(face_clip, tmp_path / "long.mp4", frames=2000)
    process = command.start("run", clip, *words, "-o", "-", "-o", "out.mp4", "-q")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["format"] == "vidgraph.results/1"
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(60) == 0
    process.stderr.close()
    assert 0 < len(times_of(tmp_path / "out.mp4")) < 2000


def test_nothing_is_overwritten_unasked(
    vidgraph: Main, words: tuple[str, ...], face_clip: Path, tmp_path: Path
) -> None:
    run = ("run", face_clip, *words, "--frames", 3, "-q")
    outputs = ("-o", "out.mp4", "-o", "out.jsonl", "-o", "f/%d.png")
    assert vidgraph(*run, *outputs).code == 0
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
    for output in outputs[1::2]:
        ended = vidgraph(*run, "-o", output)
        assert ended.code == 1
        assert "exists already; -y (overwrite) replaces it, or name another file" in ended.line
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")} == before
    assert vidgraph(*run, *outputs, "-y").code == 0
    assert all(path.stat().st_mtime_ns > when for path, when in before.items())


def cut(path: Path, lines: int, tail: str = "") -> None:
    """Keep the header and so many lines of frames, as a run that was killed then would have left them."""
    kept = path.read_text("ascii").splitlines(keepends=True)[: lines + 1]
    path.write_text("".join(kept) + tail, "ascii")


@pytest.mark.parametrize(
    "extra",
    [
        (),
        ("--every", "7"),
        ("--max-fps", "6"),
        ("--every", "3", "--when", "motion"),
        ("--start", "0.3", "--end", "1.3"),
    ],
)
@pytest.mark.parametrize("lines", [0, 10, 39])
def test_resumed(
    lines: int, extra: tuple[str, ...], vidgraph: Main, words: tuple[str, ...], face_clip: Path, tmp_path: Path
) -> None:
    """What was interrupted and resumed has the bytes of what was not; the video goes on in a further part."""
    run = ("run", face_clip, *words, *extra, "-q")
    assert vidgraph(*run, "-o", "whole.jsonl").code == 0
    whole = (tmp_path / "whole.jsonl").read_text("ascii")
    assert vidgraph(*run, "-o", "out.jsonl", "-o", "out.mp4").code == 0
    cut(tmp_path / "out.jsonl", lines, tail='{"stream":"in","fra')
    frames = len(records(tmp_path / "whole.jsonl"))
    (tmp_path / "out.mp4").write_bytes(b"the first part")
    ended = vidgraph(*run, "-o", "out.jsonl", "-o", "out.mp4", "--resume")
    assert (ended.code, ended.err) == (0, "")
    assert (tmp_path / "out.jsonl").read_text("ascii") == whole
    assert (tmp_path / "out.mp4").read_bytes() == b"the first part"
    further = tmp_path / "out.part2.mp4"
    if lines < frames:
        assert len(times_of(further)) == frames - lines
    else:
        assert not further.exists()


def test_resumed_twice_and_with_nothing_left(
    vidgraph: Main, words: tuple[str, ...], face_clip: Path, tmp_path: Path
) -> None:
    run = ("run", face_clip, *words, "-o", "out.jsonl", "-o", "out.mp4", "-o", "f/%02d.png", "-q")
    assert vidgraph(*run).code == 0
    whole = (tmp_path / "out.jsonl").read_text("ascii")
    for path in (tmp_path / "out.jsonl", tmp_path / "out.mp4", *(tmp_path / "f").iterdir()):
        path.unlink()
    for frames, part in ((30, 1), (35, 2), (40, 3), (40, 4)):
        ended = vidgraph(*run, "--resume", "--frames", frames)
        assert (ended.code, ended.err) == (0, "")
        assert len(records(tmp_path / "out.jsonl")) == frames
        assert (tmp_path / part_name(part)).exists() == (part < 4)
    assert (tmp_path / "out.jsonl").read_text("ascii") == whole
    assert [len(times_of(tmp_path / part_name(part))) for part in (1, 2, 3)] == [30, 5, 5]
    assert len(list((tmp_path / "f").iterdir())) == 40


def part_name(part: int) -> str:
    return "out.mp4" if part == 1 else f"out.part{part}.mp4"


@pytest.mark.parametrize("lines", [1, 30, 39])
def test_a_video_that_is_ahead_of_the_results_gets_no_frame_twice(
    lines: int, vidgraph: Main, words: tuple[str, ...], face_clip: Path, tmp_path: Path
) -> None:
    run = ("run", face_clip, *words, "-o", "out.jsonl", "-o", "out.mp4", "-o", "f/%02d.png", "-q")
    assert vidgraph(*run).code == 0
    whole, video = (tmp_path / "out.jsonl").read_text("ascii"), (tmp_path / "out.mp4").read_bytes()
    cut(tmp_path / "out.jsonl", lines)
    (tmp_path / "f" / "39.png").unlink()
    ended = vidgraph(*run, "--resume")
    assert (ended.code, ended.err) == (0, "")
    assert (tmp_path / "out.jsonl").read_text("ascii") == whole
    assert (tmp_path / "out.mp4").read_bytes() == video
    assert [path.name for path in tmp_path.glob("*.mp4")] == ["out.mp4"]
    assert len(list((tmp_path / "f").iterdir())) == 40


def test_resumed_without_anything_there(
    vidgraph: Main, words: tuple[str, ...], face_clip: Path, tmp_path: Path
) -> None:
    ended = vidgraph("run", face_clip, *words, "--frames", 3, "-o", "out.jsonl", "-o", "out.mp4", "--resume", "-q")
    assert (ended.code, ended.err) == (0, "")
    assert len(records(tmp_path / "out.jsonl")) == len(times_of(tmp_path / "out.mp4")) == 3


def test_two_streams_resumed(vidgraph: Main, words: tuple[str, ...], face_clip: Path, tmp_path: Path) -> None:
    run = ("run", face_clip, f"door={face_clip}", *words, "-o", "out.jsonl", "-q")
    assert vidgraph(*run).code == 0
    whole = sorted(json.dumps(record) for record in records(tmp_path / "out.jsonl"))
    cut(tmp_path / "out.jsonl", 31)
    assert vidgraph(*run, "--resume").code == 0
    assert sorted(json.dumps(record) for record in records(tmp_path / "out.jsonl")) == whole


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (("--min-score", "0.6"), "settings.min_score: nothing, now 0.6"),
        (("--nms-iou", "0.9"), "settings.nms_iou: nothing, now 0.9"),
        (("--every", "2"), "settings.every: nothing, now 2"),
        (("--start", "0.2"), "settings.start: nothing, now 0.2"),
        (("--size", "320"), "input_size"),
        (("--engine", "onnxruntime"), 'engine: "openvino", now "onnxruntime"'),
    ],
)
def test_other_settings_are_not_resumed(
    other: tuple[str, ...], difference: str, vidgraph: Main, words: tuple[str, ...], face_clip: Path, tmp_path: Path
) -> None:
    assert vidgraph("run", face_clip, *words, "-o", "out.jsonl", "--frames", 5, "-q").code == 0
    cut(tmp_path / "out.jsonl", 3)
    before = (tmp_path / "out.jsonl").read_bytes()
    ended = vidgraph("run", face_clip, *words, *other, "-o", "out.jsonl", "-o", "out.mp4", "--resume", "-q")
    assert ended.code == 2
    assert "cannot resume out.jsonl: it was written with other settings" in ended.line
    assert difference in ended.line
    assert (tmp_path / "out.jsonl").read_bytes() == before
    assert not (tmp_path / "out.mp4").exists()


def test_another_video_or_no_results_are_not_resumed(
    vidgraph: Main, words: tuple[str, ...], face_clip: Path, tmp_path: Path
) -> None:
    assert vidgraph("run", face_clip, *words, "-o", "out.jsonl", "--frames", 5, "-q").code == 0
    other = make_clip(tmp_path / "other.mp4", 9)
    ended = vidgraph("run", other, *words, "-o", "out.jsonl", "--resume", "-q")
    assert ended.code == 2
    assert "cannot resume out.jsonl" in ended.line
    (tmp_path / "text.jsonl").write_text("no results\n")
    ended = vidgraph("run", face_clip, *words, "-o", "text.jsonl", "--resume", "-q")
    assert ended.code == 1
    assert "is not a vidgraph results file" in ended.line
    assert (tmp_path / "text.jsonl").read_text() == "no results\n"


def test_a_browser_sees_the_run(command: Command, words: tuple[str, ...], face_clip: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    clip = make_clip(tmp_path / "slow.mp4", 60, rate=5)
    process = command.start("run", clip, *words, "--latest", "-o", address)
    try:
        stream = None
        while stream is None:
            assert process.poll() is None, process.communicate()
            with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5) as page:
                stream = re.search(r'<img[^>]+src="?([^" >]+)', page.read().decode())
            time.sleep(0.05)
        with urllib.request.urlopen(f"{address}/{stream[1].lstrip('/')}", timeout=5) as pictures:
            assert "multipart/x-mixed-replace" in pictures.headers["Content-Type"]
            assert b"\xff\xd8\xff" in pictures.read(20_000)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err


def test_an_address_in_use(vidgraph: Main, words: tuple[str, ...], face_clip: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = vidgraph("run", face_clip, *words, "-o", f"http://127.0.0.1:{taken.getsockname()[1]}", "-q")
    assert ended.code == 1
    assert "in use" in ended.line


def test_a_window_without_opencv_says_what_to_install(
    vidgraph: Main, words: tuple[str, ...], face_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    ended = vidgraph("run", face_clip, *words, "-o", "window")
    assert ended.code == 1
    assert "pip install 'vidgraph[opencv]'" in ended.line
