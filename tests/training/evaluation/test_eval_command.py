"""``vidgraph eval``: a table, a file, and errors on one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ...conftest import Ended
from ...material import picture

pytest.importorskip("faster_coco_eval", reason="needs faster-coco-eval (the extra 'eval')")


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Two images with a face each, in WIDER FACE's layout."""
    from PIL import Image

    folder = tmp_path / "images"
    folder.mkdir()
    lines = []
    for number in range(2):
        Image.fromarray(np.asarray(picture(number), np.uint8)).save(folder / f"{number}.png")
        lines += [f"{number}.png", "1", "20 20 60 80 0 0 0 0 0 0"]
    path = tmp_path / "val.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_faces_of_two_images(vidgraph: Callable[..., Ended], faces: Path, face_weights: Path, tmp_path: Path) -> None:
    words = (
        "eval",
        "--model",
        f"retinaface={face_weights}",
        "--data",
        f"wider:{faces}",
        "-o",
        "out.json",
        "--size",
        160,
    )
    ended = vidgraph(*words)
    assert ended.code == 0, ended.err
    assert "2 frames of 2 clips, default protocol" in ended.out
    assert "face AP50" in ended.out
    record = json.loads((tmp_path / "out.json").read_text())
    assert record["model"]["precision"] == "fp32"
    assert record["data"]["frames"] == 2
    assert "face AP WIDER" in record["figures"]
    again = vidgraph(*words)
    assert again.code == 1
    assert again.line.startswith("out.json exists already; -y")


def test_official_figures_have_the_published_ones_beside_them(
    vidgraph: Callable[..., Ended], faces: Path, face_weights: Path
) -> None:
    ended = vidgraph("eval", "--model", f"retinaface={face_weights}", "--data", faces, "--protocol", "official",
                     "--size", 160, "--frames", 1)  # fmt: skip
    assert ended.code == 0, ended.err
    assert "face AP easy: 0.9070 published (WIDER FACE validation, images in their own size)" in ended.out


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "--model is missing; vidgraph models lists them"),
        (("--model", "retinaface"), "--data is missing; synth:street?split=hard"),
        (("--model", "retinaface", "--data", "nowhere"), "cannot open the data set nowhere"),
        (("--model", "retinafac", "--data", "val.txt"), "unknown model 'retinafac'; did you mean retinaface"),
        (("--model", "retinaface", "--data", "val.txt", "--protocol", "mine"), "unknown protocol 'mine'"),
    ],
)
def test_errors_are_one_line(vidgraph: Callable[..., Ended], faces: Path, words: tuple[str, ...], line: str) -> None:
    ended = vidgraph("eval", *words)
    assert ended.code in (1, 2)
    assert ended.line.startswith(line)
