"""``--head raw``: results are what the engine gives. Video models: test_yolact_run.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from vidgraph.models.load import load_model
from vidgraph.pipeline.errors import UsageError

from ..conftest import Ended
from ..material import make_photo
from .raw_outputs import check_tensors

Main = Callable[..., Ended]


@pytest.fixture
def words(face_weights: Path) -> tuple[str, ...]:
    """The model of commands here, small, with its raw tensors."""
    return ("--model", f"retinaface={face_weights}", "--size", "160", "--precision", "fp32", "--head", "raw", "-q")


def test_faces(face_weights: Path, face_clip: Path) -> None:
    model = load_model("retinaface", weights=face_weights, size=160, precision="fp32", head="raw", threads=1)
    check_tensors(model, face_clip, 3)
    assert model.stages()[-1].name == "postprocess"


def test_instances(seeded_checkpoint: Callable[[str], Path], face_clip: Path) -> None:
    name = "yolact-edge-mobilenetv2"
    weights = seeded_checkpoint(name)
    check_tensors(load_model(name, weights=weights, size=128, precision="fp32", head="raw", threads=1), face_clip, 2)


def test_a_picture_in_python(face_weights: Path) -> None:
    image = np.full((120, 160, 3), 128, np.uint8)
    with load_model("retinaface", weights=face_weights, size=160, precision="fp32", head="raw") as model:
        result = model(image)
        again = model(image[::-1].copy())
    assert result.tensors is not None
    assert again.tensors is not None
    assert "conf [1, " in repr(result)
    assert not np.shares_memory(result.tensors["conf"], again.tensors["conf"])
    assert result.draw().tolist() == image.tolist()
    plain = load_model("retinaface", weights=face_weights, size=160, precision="fp32")
    with plain:
        assert plain(image).tensors is None


def test_a_command_writes_files_and_lines(
    vidgraph: Main, words: tuple[str, ...], face_clip: Path, tmp_path: Path
) -> None:
    ended = vidgraph("run", face_clip, *words, "--every", "2", "--frames", 5, "-o", "raw/%06d.npz", "-o", "raw.jsonl")
    assert (ended.code, ended.err) == (0, "")
    assert sorted(path.name for path in (tmp_path / "raw").iterdir()) == ["000000.npz", "000002.npz", "000004.npz"]
    header, *lines = (json.loads(line) for line in (tmp_path / "raw.jsonl").read_text().splitlines())
    assert header["settings"]["head"] == "raw"
    assert [line.get("held_from") for line in lines] == [None, 0, None, 2, None]
    with np.load(tmp_path / "raw" / "000002.npz") as file:
        shapes = [{"name": n, "dtype": "float32", "shape": list(file[n].shape)} for n in ("loc", "conf", "landm")]
        assert file["vidgraph.input_size"].tolist() == [120, 160]
        assert file["vidgraph.affine"].tolist() == [[2.0, 2.0], [0.0, 0.0]]
    assert all(line["tensors"] == shapes and "objects" not in line for line in lines)


def test_an_image_needs_no_number(vidgraph: Main, words: tuple[str, ...], face_clip: Path, tmp_path: Path) -> None:
    make_photo(tmp_path / "photo.jpg")
    assert vidgraph("run", "photo.jpg", *words, "-o", "out.npz").code == 0
    assert (tmp_path / "out.npz").exists()
    assert vidgraph("run", face_clip, *words, "--frames", 1, "-o", "one.npz").code == 0
    ended = vidgraph("run", face_clip, *words, "-o", "more.npz")
    assert ended.code == 2
    assert "output 'more.npz' needs one frame number, as in more-%06d.npz" in ended.line


def test_resumed_with_files_missing(vidgraph: Main, words: tuple[str, ...], face_clip: Path, tmp_path: Path) -> None:
    """A kill may leave lines of frames whose tensors had not been written: those are computed again."""
    run = ("run", face_clip, *words, "--frames", 9, "-o", "raw/%d.npz", "-o", "raw.jsonl")
    assert vidgraph(*run).code == 0
    whole = {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir()}
    lines = (tmp_path / "raw.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "raw.jsonl").write_text("".join(lines[:8]))
    for name in ("5.npz", "6.npz", "7.npz", "8.npz"):
        (tmp_path / "raw" / name).unlink()
    assert vidgraph(*run, "--resume").code == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir()} == whole
    assert (tmp_path / "raw.jsonl").read_text() == "".join(lines)


@pytest.mark.parametrize("output", ["out.mp4", "frames/%06d.png", "http://127.0.0.1:0"])
def test_nothing_is_drawn(output: str, vidgraph: Main, words: tuple[str, ...], face_clip: Path, tmp_path: Path) -> None:
    ended = vidgraph("run", face_clip, *words, "-o", output)
    assert ended.code == 2
    assert (
        f"output {output!r} shows what was found, and of what the model gives nothing can be drawn (tensors)"
        in ended.line
    )


def test_tensors_need_the_head(vidgraph: Main, words: tuple[str, ...], face_clip: Path) -> None:
    plain = [word for word in words if word not in ("--head", "raw")]
    ended = vidgraph("run", face_clip, *plain, "-o", "raw/%06d.npz")
    assert ended.code == 2
    assert "is for raw tensors, which only the head 'raw' gives (--head raw)" in ended.line


def test_other_heads_are_refused(face_weights: Path) -> None:
    with pytest.raises(UsageError, match=r"retinaface has no head 'yolo'; leave it out .* or give 'raw' for tensors"):
        load_model("retinaface", weights=face_weights, head="yolo")
    with pytest.raises(UsageError, match=r"min_score, classes cannot be given with head 'raw'"):
        load_model("retinaface", weights=face_weights, head="raw", min_score=0.5, classes=["face"])
