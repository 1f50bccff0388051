"""Outputs of a run while it writes them: nobody else may, and it notices when they are taken away."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import vidgraph as vg
from vidgraph.pipeline.claims import alone
from vidgraph.pipeline.errors import OutputError

from ..conftest import Command, Ended
from ..stages.clips import make_clip

Main = Callable[..., Ended]
FRAMES = 40
OUTPUTS = ("out.jsonl", "out.mp4", "out.mkv", "f/%03d.png")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "in.mkv", frames=FRAMES, size=(240, 320), gop=1)


class Halfway:
    """A run that has written some frames and waits for the rest of its source."""

    def __init__(self, command: Command, clip: Path, *words: object) -> None:
        data = clip.read_bytes()
        self.process = command.start("run", "in=-", *words, stdin=subprocess.PIPE, text=False)
        assert self.process.stdin is not None
        self.process.stdin.write(data[: len(data) * 3 // 4])  # type: ignore[arg-type]
        self.process.stdin.flush()
        self._rest = data[len(data) * 3 // 4 :]
        lines, deadline = command.folder / "out.jsonl", time.monotonic() + 60
        while not lines.exists() or lines.read_bytes().count(b"\n") < 12:
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline, "nothing happens"
            time.sleep(0.02)

    def end(self) -> Ended:
        """Give it the rest."""
        _, err = self.process.communicate(self._rest, timeout=60)  # type: ignore[arg-type]
        return Ended(self.process.returncode, "", err.decode())  # type: ignore[attr-defined]


@pytest.fixture
def halfway(command: Command, clip: Path, custom_model: Path) -> Iterator[Callable[..., Halfway]]:
    begun: list[Halfway] = []

    def begin(*outputs: str) -> Halfway:
        words = [word for output in outputs for word in ("-o", output)]
        begun.append(Halfway(command, clip, "--model", custom_model, *words, "-q"))
        return begun[-1]

    yield begin
    for one in begun:
        one.process.kill()
        one.process.communicate()


def frames_of(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_a_second_run_is_refused_and_the_first_is_whole(
    halfway: Callable[..., Halfway], vidgraph: Main, clip: Path, custom_model: Path, tmp_path: Path
) -> None:
    first = halfway(*OUTPUTS)
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "out.jsonl")
    (tmp_path / "hard.mp4").hardlink_to(tmp_path / "out.mp4")
    (tmp_path / "g").symlink_to(tmp_path / "f")
    for again in ((), ("-y",), ("--resume", "-o", "other.jsonl")):
        for output in (*OUTPUTS, f"{tmp_path}/f/../out.jsonl", "link.jsonl", "hard.mp4", "g/%03d.png"):
            ended = vidgraph("run", clip, "--model", custom_model, "-o", output, *again, "-q")
            assert ended.code == 1, output
            busy = "another process is writing" in ended.line
            assert busy or (not again and "exists already" in ended.line), ended.line
    ended = vidgraph("run", clip, "--model", custom_model, "-o", "f/%04d.png", "-q")
    assert (ended.code, ended.err) == (0, ""), "other names in the same folder are free"
    ended = first.end()
    assert (ended.code, ended.err) == (0, "")
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [record["frame"] for record in records[1:]] == list(range(FRAMES))
    assert frames_of(tmp_path / "out.mp4") == frames_of(tmp_path / "out.mkv") == FRAMES
    assert len(list((tmp_path / "f").glob("???.png"))) == FRAMES
    assert not list(tmp_path.rglob(".*")), "nothing is left of the locks"
    assert vidgraph("run", clip, "--model", custom_model, "-o", "out.mp4", "-y", "-q").code == 0, "and it is free again"


def test_runs_of_one_process_are_apart_too_from_before_their_first_frame(
    clip: Path, custom_model: Path, tmp_path: Path
) -> None:
    model = vg.load_model(str(custom_model))
    for output in ("out.jsonl", "out.mp4", "f/%03d.png"):
        with vg.run(clip, model=model, outputs=tmp_path / output):
            with pytest.raises(OutputError, match="another process is writing"):
                vg.run(clip, model=model, outputs=tmp_path / output, overwrite=True)
        assert not (tmp_path / output).exists(), "nothing was made by a run that did nothing"
        vg.run(clip, model=model, outputs=tmp_path / output).wait()
    model.close()


def test_a_killed_run_leaves_no_lock(
    halfway: Callable[..., Halfway], vidgraph: Main, clip: Path, custom_model: Path, tmp_path: Path
) -> None:
    first = halfway(*OUTPUTS)
    first.process.kill()
    first.process.communicate()
    words = [word for output in OUTPUTS for word in ("-o", output)]
    ended = vidgraph("run", clip, "--model", custom_model, *words, "-y", "-q")
    assert (ended.code, ended.err) == (0, "")
    assert not [path for path in tmp_path.rglob(".*") if not path.name.endswith(".png.part")]


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def rename(path: Path) -> None:
    path.rename(path.with_name(f"elsewhere-{path.name}"))


def replace(path: Path) -> None:
    rename(path)
    if path.suffix:
        path.write_text("mine")
    else:
        path.mkdir()


@pytest.mark.parametrize("lost", ["out.jsonl", "out.mp4", "out.mkv", "f"])
@pytest.mark.parametrize("change", [remove, rename, replace])
def test_an_output_that_goes_away_is_an_error(
    lost: str, change: Callable[[Path], None], halfway: Callable[..., Halfway], tmp_path: Path
) -> None:
    first = halfway(*OUTPUTS)
    change(tmp_path / lost)
    ended = first.end()
    assert ended.code == 1
    assert (
        f"cannot go on with {lost if lost != 'f' else OUTPUTS[-1]}: it was removed, renamed or replaced" in ended.line
    )
    if change is replace and lost != "f":
        assert (tmp_path / lost).read_text() == "mine"
    if change is not remove and lost == "out.mp4":
        assert frames_of(tmp_path / "elsewhere-out.mp4") >= 10
    others = [name for name in ("out.mp4", "out.mkv") if name != lost]
    assert all(frames_of(tmp_path / name) >= 10 for name in others), "the others are whole"


def test_sources_are_not_outputs(
    vidgraph: Main, command: Command, clip: Path, custom_model: Path, tmp_path: Path
) -> None:
    source = tmp_path / "in.mkv"
    shutil.copy(clip, source)
    (tmp_path / "hard.mkv").hardlink_to(source)
    (tmp_path / "o.part2.mkv").symlink_to(source)
    frames = np.full((48, 64, 3), 90, np.uint8)
    (tmp_path / "p").mkdir()
    from PIL import Image

    for number in range(3):
        Image.fromarray(frames).save(tmp_path / "p" / f"{number:03d}.png")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    model = ("--model", custom_model, "-q", "-y")
    for words in (
        (source, "-o", "hard.mkv"),
        (source, "-o", "o.mkv"),
        ("p", "-o", "p/%03d.png"),
        ("p/000.png", "-o", "p/%03d.png"),
    ):
        ended = vidgraph("run", *words, *model)
        assert ended.code == 2, words
        assert "the file of source" in ended.line
    assert vidgraph("run", source, "-o", "r.jsonl", *model).code == 0
    before[tmp_path / "r.jsonl"] = (tmp_path / "r.jsonl").read_bytes()
    ended = vidgraph("draw", source, "r.jsonl", "-o", "r.jsonl", "-y")
    assert (ended.code, "the file of source" in ended.line) == (2, True)
    with source.open("rb") as file:
        ended = command("run", "-", "-o", "in.mkv", *model, stdin=file)
    assert ended.code == 2
    assert "the file of source 'stdin'" in ended.line
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_data_set_is_not_written_over_itself(vidgraph: Main, tmp_path: Path) -> None:
    words = ("synth:street?clips=1&frames=1", "--to", "coco", "-o", "d", "-q")
    assert vidgraph("data", *words).code == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    annotations = next((tmp_path / "d").glob("annotations*.json"))
    for address in (f"coco:{annotations}", f"{annotations}", f"coco:{annotations}?images={tmp_path}/d/images"):
        for folder in ("d", ".", "d/../d"):
            ended = vidgraph("data", address, "--to", "coco", "-o", folder, "-y", "-q")
            assert (ended.code, "the data set is read from there" in ended.line) == (2, True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_the_sound_of_a_pipe_is_not_dropped_in_silence(command: Command, custom_model: Path, tmp_path: Path) -> None:
    for sound in (True, False):
        clip = make_clip(tmp_path / f"{sound}.mkv", frames=10, audio=sound)
        for output, said in (("out.mp4", sound), ("out.jsonl", False)):
            with subprocess.Popen(["cat", clip], stdout=subprocess.PIPE) as cat:
                ended = command("run", "-", "--model", custom_model, "-o", output, "-y", stdin=cat.stdout)
            assert ended.code == 0
            assert ("its sound is not copied" in ended.err) == said


def test_names_that_are_too_long(vidgraph: Main, clip: Path, custom_model: Path, tmp_path: Path) -> None:
    """One line that names the cure, which then works; hidden names beside the longest ones are short enough."""
    long = tmp_path / ("a" * 250 + ".mkv")
    shutil.copy(clip, long)
    model = ("--model", custom_model, "--frames", "2", "-q")
    for output in ("{stream}.jsonl", "{stream}-%d.png", f"{'b' * 255}.mp4", "c/" * 2100 + "x.jsonl"):
        ended = vidgraph("run", long, *model, "-o", output)
        assert ended.code == 1
        assert "the name is too long; name another file, or the source (NAME=ADDRESS)" in ended.line
    os.chdir(tmp_path)
    ended = vidgraph("run", f"short={long.name}", *model, "-o", "{stream}.jsonl", "-o", "b" * 249 + "%d.png")
    assert (ended.code, ended.err) == (0, "")
    assert vidgraph("convert", "short.jsonl", "--to", "csv", "-o", "c" * 251 + ".csv").code == 0
    assert not list(tmp_path.glob(".*"))


def test_files_and_folders_of_other_commands_have_one_writer_too(
    vidgraph: Main, clip: Path, custom_model: Path, face_weights: Path, tmp_path: Path
) -> None:
    assert vidgraph("run", clip, "--model", custom_model, "--frames", 2, "-o", "in.jsonl", "-q").code == 0
    commands = {
        "drawn.mp4": ("draw", clip, "in.jsonl"),
        "drawn/%d.png": ("draw", clip, "in.jsonl"),
        "faces.onnx": ("export", f"retinaface={face_weights}", "--size", "320x240"),
        "street": ("data", "synth:street?clips=1&frames=1", "--to", "coco"),
        "mine": ("train", "yolact-edge-tiny", "--data", "synth:street?clips=1&frames=1", "--steps", "1"),
    }
    for name in ("drawn", "street", "mine"):
        (tmp_path / name).mkdir()
    with alone(*(tmp_path / name for name in commands)):
        for name, words in commands.items():
            for again in ((), ("-y",)):
                ended = vidgraph(*words, "-o", name, *again)
                assert (ended.code, "another process is writing" in ended.err) == (1, True), (name, ended.err)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["drawn", "in.jsonl", "mine", "street"]


def test_cases_of_users(vidgraph: Main, shared: Callable[[str], Path], tmp_path: Path) -> None:
    """A change of size beside a part that is there; times of sound that MP4 does not take; sound through a pipe."""
    model = ("--model", shared("cases/nodet.onnx"), "-q")
    (tmp_path / "o.part2.mp4").write_bytes(b"kept")
    ended = vidgraph("run", shared("cases/change.ts"), *model, "-o", "o.mp4")
    assert (ended.code, "o.part2.mp4 exists already" in ended.line) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["o.part2.mp4"]
    (tmp_path / "o.part3.mp4").write_bytes(b"stale")
    assert vidgraph("run", shared("cases/change.ts"), *model, "-o", "o.mp4", "-y").code in (0, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.mp4", "o.part2.mp4"]
    for suffix in ("mp4", "mov", "mkv"):
        out = tmp_path / f"x.{suffix}"
        ended = vidgraph("run", shared("cases/hostile/mux_invalid_argument.mpg"), *model, "-o", out)
        assert (ended.code in (0, 3), ended.err) == (True, "")
        assert frames_of(out) == 5
        with av.open(str(out)) as container:
            assert sum(1 for packet in container.demux(audio=0) if packet.size) >= 22
