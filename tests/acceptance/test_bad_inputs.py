"""Everything that a user can get wrong ends with one line that says what, and a code that says how bad it is."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import pytest

from ..conftest import PROGRAM, Command, Ended
from ..material import make_clip, make_photo
from ..stages.clips import damage, make_audio, make_clip as make_numbered_clip, packet_places, truncate

Main = Callable[..., Ended]


@pytest.fixture
def run(vidgraph: Main, face_weights: Path) -> Main:
    """``run(source, …)``: JSON lines to out.jsonl, in 160 pixels."""

    def call(source: object, *words: object) -> Ended:
        output = () if "-o" in words else ("-o", "out.jsonl")
        return vidgraph("run", source, "--model", f"retinaface={face_weights}", "--size", "160", *output, *words)

    return call


def records(path: Path) -> list[dict[str, object]]:
    """The lines of frames, every one of them whole."""
    text = path.read_text("ascii")
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()][1:]


@pytest.mark.parametrize(
    "words",
    [
        ("no_such.mp4", "-o", "made/deep/out.jsonl", "-o", "frames/%06d.png"),
        ("in.mp4", "-o", "made/out.mp4", "-o", "there.jsonl"),
        ("in.mp4", "-o", "made/out.mp4", "-o", "frames/%06d.png", "--head", "raw"),
        ("in.mp4", "-o", "made/out.mp4", "--classes", "cat"),
        ("in.mp4", "-o", "made/%06d.png", "-o", "there.jsonl", "--resume"),
    ],
)
def test_a_run_that_writes_nothing_leaves_no_folder(
    words: tuple[str, ...], run: Main, face_clip: Path, tmp_path: Path
) -> None:
    """Be it the source, an output, an option or the model that does not fit, or results of another video."""
    shutil.copy(face_clip, tmp_path / "in.mp4")
    header = {"format": "vidgraph.results/1", "models": [], "sources": [], "settings": {}, "versions": {}}
    (tmp_path / "there.jsonl").write_text(json.dumps(header) + "\n")
    ended = run(*words)
    assert ended.code != 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "there.jsonl"]


def frames_in(path: Path) -> int:
    """Frames of a video that decode, every one of them."""
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("no_such.mp4", ["no_such.mp4", "no such file"]),
        ("no_such_folder/in.mp4", ["no_such_folder/in.mp4", "no such file"]),
        ("text.mp4", ["text.mp4", "not a video"]),
        ("empty.mp4", ["empty.mp4", "empty"]),
        ("empty.png", ["empty.png", "empty"]),
        ("text.jpg", ["text.jpg", "not a video or image"]),
        ("sound.m4a", ["sound.m4a", "no video"]),
        ("folder", ["folder is a folder without images"]),
        ("*.mkv", ["no file matches *.mkv"]),
        ("only%04d.png", ["only%04d.png"]),
        ("ftp://host/in.mp4", ["ftp"]),
        ("rtsp://host:no/in", ["rtsp", "the port must be a number"]),
        ("noise.mp4", ["noise.mp4"]),
        ("headless.mp4", ["headless.mp4"]),
    ],
)
def test_sources(source: str, parts: list[str], run: Main, tmp_path: Path, face_clip: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video, but a text\n" * 50)
    (tmp_path / "text.jpg").write_text("no image, but a text\n" * 50)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("nothing to see")
    (tmp_path / "noise.mp4").write_bytes(bytes(range(256)) * 100)
    (tmp_path / "headless.mp4").write_bytes(face_clip.read_bytes()[200:])
    make_audio(tmp_path / "sound.m4a")
    ended = run(source)
    assert ended.code == (2 if "://" in source else 1), ended.err
    for part in parts:
        assert part.lower() in ended.line.lower()
    assert not (tmp_path / "out.jsonl").exists()


def test_truncated_in_the_middle(run: Main, face_clip: Path, tmp_path: Path) -> None:
    """Matroska has no index at its end that would be cut off: the good frames come through."""
    whole = tmp_path / "whole.mkv"
    with av.open(str(face_clip)) as source, av.open(str(whole), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    truncate(whole, tmp_path / "cut.mkv", share=0.6)
    ended = run("cut.mkv", "-o", "out.jsonl", "-o", "out.mp4")
    assert ended.code == 3, ended.err
    assert "truncated" in ended.err
    good = len(records(tmp_path / "out.jsonl"))
    assert 15 < good < 30
    assert frames_in(tmp_path / "out.mp4") == good


def test_frames_that_the_demuxer_passes_over_in_silence(run: Main, tmp_path: Path) -> None:
    whole = make_numbered_clip(tmp_path / "whole.ts", frames=40, gop=10)
    data, places = whole.read_bytes(), packet_places(whole)
    (tmp_path / "gap.ts").write_bytes(data[: places[13][0]] + data[places[20][0] + 300 :])
    ended = run("gap.ts", "-o", "out.jsonl")
    assert ended.code == 3, ended.err
    came = len(records(tmp_path / "out.jsonl"))
    assert came < 40
    assert f"lost {40 - came}" in ended.err.splitlines()[-1]


def test_truncated_before_its_index(run: Main, face_clip: Path, tmp_path: Path) -> None:
    """An ordinary MP4 has its index at the end: without it nothing can be decoded."""
    truncate(face_clip, tmp_path / "cut.mp4", share=0.6)
    ended = run("cut.mp4")
    assert ended.code == 1
    assert "cut.mp4" in ended.line
    assert not (tmp_path / "out.jsonl").exists()


def test_damaged_frames(run: Main, face_clip: Path, tmp_path: Path) -> None:
    damage(face_clip, tmp_path / "bad.mp4", packets=[12, 13])
    ended = run("bad.mp4")
    assert ended.code == 3, ended.err
    assert "damaged: " in ended.err.splitlines()[-1]
    ended = run("bad.mp4", "--strict", "-y", "-o", "strict.jsonl")
    assert ended.code == 1
    assert "bad frames" in ended.err.splitlines()[-1]


class Malicious:
    """Unpickling it makes a file."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("pwned",)


@pytest.mark.parametrize(
    ("weights", "parts"),
    [
        ("missing.pth", ["no such weights file", "missing.pth"]),
        ("other.pth", ["other.pth", "retinaface"]),
        ("cut.pth", ["cut.pth", "damaged"]),
        ("evil.pth", ["evil.pth", "would run code"]),
        ("evil.onnx", ["evil.onnx"]),
        ("text.pth", ["text.pth"]),
        ("cut.onnx", ["cut.onnx", "damaged"]),
        ("slim", ["retinaface-slim"]),
    ],
)
def test_checkpoints(
    weights: str, parts: list[str], vidgraph: Main, face_weights: Path, face_clip: Path, tmp_path: Path
) -> None:
    import torch

    torch.save({"conv.weight": torch.zeros(3, 3)}, tmp_path / "other.pth")
    seeded = (face_weights.parent / "seeded.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(seeded[: len(seeded) // 2])
    (tmp_path / "cut.onnx").write_bytes(face_weights.read_bytes()[:-5000])
    (tmp_path / "text.pth").write_text("no weights, but a text\n")
    torch.save({"state_dict": Malicious()}, tmp_path / "evil.pth")
    (tmp_path / "evil.onnx").write_bytes(pickle.dumps(Malicious()))
    model = f"retinaface-slim={face_weights}" if weights == "slim" else f"retinaface={weights}"
    ended = vidgraph("run", face_clip, "--model", model, "-o", "out.jsonl", "-o", "out.mp4")
    assert ended.code == 1, ended.err
    for part in parts:
        assert part in ended.line
    assert not (tmp_path / "pwned").exists()
    assert not (tmp_path / "out.jsonl").exists()
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize(
    ("output", "parts"),
    [
        ("locked/out.jsonl", ["cannot write locked/out.jsonl", "permission denied"]),
        ("locked/out.mp4", ["cannot write locked/out.mp4", "permission denied"]),
        ("locked/%06d.png", ["cannot write locked/%06d.png", "permission denied"]),
        ("file/out.jsonl", ["cannot write file/out.jsonl", "file is a file, not a folder"]),
        ("folder.jsonl", ["cannot write folder.jsonl", "is a folder"]),
        ("/proc/out.mp4", ["cannot write /proc/out.mp4"]),
        ("taken.mp4", ["taken.mp4 exists already", "-y"]),
        ("taken.jsonl", ["taken.jsonl exists already", "-y"]),
        ("frames/%03d.png", ["frames/007.png exists already", "-y"]),
    ],
)
def test_unwritable_outputs(
    output: str, parts: list[str], command: Command, face_weights: Path, face_clip: Path
) -> None:
    if output.startswith("locked") and shutil.which("setpriv") is None:
        pytest.skip("needs setpriv to run without root's rights")
    here = command.folder
    (here / "locked").mkdir()
    (here / "file").touch()
    (here / "folder.jsonl").mkdir()
    (here / "frames").mkdir()
    for name in ("taken.mp4", "taken.jsonl", "frames/007.png"):
        (here / name).write_text("precious")
    (here / "locked").chmod(0o500)
    ended = _without_rights(command, "run", face_clip, "--model", f"retinaface={face_weights}", "-o", output)
    assert ended.code == 1, ended.err
    for part in parts:
        assert part.lower() in ended.line.lower()
    assert all((here / name).read_text() == "precious" for name in ("taken.mp4", "taken.jsonl", "frames/007.png"))


def _without_rights(command: Command, *words: object) -> Ended:
    """As ``command``, but permissions hold for root too."""
    if os.geteuid() != 0:
        return command(*words)
    return command(*words, program=("setpriv", "--bounding-set=-all", "--inh-caps=-all", *PROGRAM))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 128 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("needs the right to mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_json(run: Main, small_disk: Path, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "long.mp4", 100)
    ended = run(clip, "-o", small_disk / "out.jsonl", "--min-score", "0.1", "-q")
    assert ended.code == 1
    assert "the disk is full" in ended.line
    assert "out.jsonl" in ended.line
    assert 0 < len(records(small_disk / "out.jsonl")) < 100


def test_full_disk_video(run: Main, small_disk: Path, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "long.mp4", 150)
    ended = run(clip, "-o", small_disk / "out.mp4", "-o", "out.jsonl", "-q")
    assert ended.code == 1
    assert "the disk is full" in ended.line
    assert "out.mp4" in ended.line
    assert 0 < frames_in(small_disk / "out.mp4") < 150
    records(tmp_path / "out.jsonl")


def test_full_disk_at_the_first_byte(run: Main, small_disk: Path, tmp_path: Path, face_clip: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(128 << 10))
    for name in ("out.jsonl", "out.mp4", "%03d.png"):
        ended = run(face_clip, "-o", small_disk / name, "-q")
        assert ended.code == 1
        assert "the disk is full" in ended.line


@pytest.mark.parametrize("source", ["http://user:hunter2@127.0.0.1:9/a.mp4", "http://127.0.0.1:9/a.mp4?token=hunter2"])
@pytest.mark.parametrize("words", [(), ("-v",)])
def test_secrets_are_not_shown(source: str, words: tuple[str, ...], run: Main, tmp_path: Path) -> None:
    ended = run(source, *words)
    assert ended.code == 1
    assert "127.0.0.1:9" in ended.err
    assert "hunter2" not in ended.out + ended.err
    assert not list(tmp_path.iterdir())


def test_the_source_of_an_unexpected_error_is_shown_on_demand(
    vidgraph: Main, face_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("vidgraph.models.run.run", broken)
    words = ("run", face_clip, "--model", "retinaface", "-o", "out.jsonl")
    assert vidgraph(*words).line == "unexpected RuntimeError: two lines; this is a fault of vidgraph, -v shows where"
    ended = vidgraph(*words, "-v")
    assert ended.code == 1
    assert "Traceback" in ended.err
    assert "in broken" in ended.err


def test_a_photo_is_no_video_but_works(run: Main, tmp_path: Path) -> None:
    make_photo(tmp_path / "photo.jpg")
    ended = run("photo.jpg", "-q")
    assert (ended.code, ended.err) == (0, "")
    assert len(records(tmp_path / "out.jsonl")) == 1
