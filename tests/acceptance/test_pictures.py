"""Folders of pictures of every kind, through the command: names in results, tables and files; what is left out."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from ..conftest import Ended
from ..material import make_clip, picture

Main = Callable[..., Ended]


@pytest.fixture
def words(face_weights: Path) -> tuple[str, ...]:
    """The model of all runs here, small."""
    return ("--model", f"retinaface={face_weights}", "--size", "160", "--precision", "fp32")


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Pictures of several sizes and kinds, two that cannot be read, a video, hidden files, a folder."""
    folder = tmp_path / "mixed"
    (folder / "sub").mkdir(parents=True)
    image = Image.fromarray(picture(3))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(folder / "exif6.jpg", exif=exif)
    image.convert("CMYK").save(folder / "cmyk.jpg")
    image.resize((640, 480)).save(folder / "img_8.png")
    image.resize((101, 77)).save(folder / "img_9.png")
    for name in ("img_10.png", "IMG.JPG", "q.jpg", "q.png", "sub/rgb.png", "white space.png"):
        image.save(folder / name, format="PNG" if name.endswith("png") else "JPEG")
    Image.fromarray(np.asarray(image.convert("L"), np.uint16) * 257).save(folder / "g16.png")
    data = (folder / "q.jpg").read_bytes()
    (folder / "trunc.jpg").write_bytes(data[: len(data) * 3 // 5])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "notjpeg.jpg").write_text("not a jpeg")
    (folder / "readme.txt").write_text("hi")
    (folder / ".DS_Store").write_bytes(b"\0")
    (folder / "._q.jpg").write_bytes(b"\0")
    make_clip(folder / "clip.mp4", 2)
    return folder


READ = [
    "cmyk.jpg", "exif6.jpg", "g16.png", "IMG.JPG", "img_8.png", "img_9.png", "img_10.png", "q.jpg", "q.png",
    "trunc.jpg", "white space.png",
]  # fmt: skip


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("ascii").splitlines()][1:]


def test_a_mixed_folder(vidgraph: Main, words: tuple[str, ...], mixed: Path, tmp_path: Path) -> None:
    outputs = ("-o", "o.jsonl", "-o", "drawn/{name}.png", "-o", "n/%d.jpg", "-o", "o.mp4")
    ended = vidgraph("run", "mixed", *words, *outputs)
    assert ended.code == 3, ended.err
    said = [line for line in ended.err.splitlines() if line.startswith("vidgraph: ")]
    for name in ("clip.mp4", "empty.jpg", "notjpeg.jpg", "trunc.jpg"):
        assert sum(name in line for line in said) == 1, ended.err
    assert sum("several sizes; in o.mp4 they are fitted into that of the first, 320x240" in line for line in said) == 1
    assert len(said) == 5, ended.err
    assert ended.err.splitlines()[-1].endswith("damaged: lost 2, damaged 1")
    frames = records(tmp_path / "o.jsonl")
    assert [frame["file"] for frame in frames] == READ
    assert [frame["file"] for frame in frames if frame.get("damaged")] == ["trunc.jpg"]
    assert next(frame["size"] for frame in frames if frame["file"] == "exif6.jpg") == [240, 320]
    stems = {"q.jpg": "q.jpg", "q.png": "q.png"}
    drawn = sorted(f"{stems.get(name, Path(name).stem)}.png" for name in READ)
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == drawn
    for name, size in (("exif6.png", (240, 320)), ("img_9.png", (101, 77))):
        with Image.open(tmp_path / "drawn" / name) as image:
            assert image.size == size
    assert [path.name for path in tmp_path.glob("o*.mp4")] == ["o.mp4"]
    with av.open("o.mp4") as container:
        assert {(frame.width, frame.height) for frame in container.decode(video=0)} == {(320, 240)}
    assert vidgraph("convert", "o.jsonl", "--to", "coco").code == 0
    coco = json.loads(Path("o.coco.json").read_text())
    assert [image["file_name"] for image in coco["images"]] == READ
    assert vidgraph("convert", "o.jsonl", "--to", "csv").code == 0
    rows = list(csv.DictReader(Path("o.csv").read_text().splitlines()))
    assert {row["file"] for row in rows} <= set(READ)
    assert rows
    assert vidgraph("draw", "mixed", "o.jsonl", "-q", "-o", "again/{name}.png").code == 3
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == drawn


def test_single_pictures_keep_their_names_too(vidgraph: Main, words: tuple[str, ...], mixed: Path) -> None:
    ended = vidgraph("run", "mixed/q.jpg", "mixed/sub/rgb.png", *words, "-o", "o.jsonl", "-o", "drawn/{name}.jpg")
    assert ended.code == 0, ended.err
    assert sorted(frame["file"] for frame in records(Path("o.jsonl"))) == ["q.jpg", "rgb.png"]
    assert sorted(path.name for path in Path("drawn").iterdir()) == ["q.jpg", "rgb.jpg"]
    ended = vidgraph("run", "mixed/clip.mp4", *words, "-o", "drawn2/{name}.jpg")
    assert ended.code == 2
    assert "'clip' is a video or animation; number its frames: drawn2/%06d.jpg" in ended.line


def test_an_animation_is_played_into_a_video(vidgraph: Main, words: tuple[str, ...], tmp_path: Path) -> None:
    first, *rest = (Image.fromarray(picture(number)) for number in range(4))
    for name in ("a.webp", "a.png"):
        first.save(tmp_path / name, save_all=True, append_images=rest, duration=[100, 200, 300, 400])
        ended = vidgraph("run", name, *words, "-o", "o.jsonl", "-o", "o.mp4", "-y")
        assert ended.code == 0, ended.err
        assert [frame["time_s"] for frame in records(Path("o.jsonl"))] == [0, 0.1, 0.3, 0.6]
        with av.open("o.mp4") as container:
            assert [float(frame.time) for frame in container.decode(video=0)] == pytest.approx([0, 0.1, 0.3, 0.6])
            assert float(container.streams.video[0].duration * container.streams.video[0].time_base) == pytest.approx(1)
        assert "sound" not in ended.err


def test_the_mixed_folder_of_the_cases(
    vidgraph: Main, words: tuple[str, ...], shared: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = shared("cases/mixed_folder")
    ended = vidgraph("run", folder, *words, "-o", "o.jsonl", "-o", "o.mp4", "-o", "o/{name}.png")
    assert ended.code == 3
    frames = [frame["file"] for frame in records(Path("o.jsonl"))]
    assert len(frames) == 10
    assert all((folder / name).is_file() for name in frames)
    assert len(list(Path("o").iterdir())) == 10
    assert not list(tmp_path.glob("o.part*"))
