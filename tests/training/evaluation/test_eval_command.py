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


def test_a_class_for_every_pixel_is_judged_by_panoptic_quality(vidgraph: Callable[..., Ended], tmp_path: Path) -> None:
    """The network gives the left half class 0 and the right half class 1; the truth has it so but for one image."""
    from PIL import Image

    from ...models.custom.planted import write_network

    logits = np.zeros((1, 2, 32, 64), np.float32)
    logits[0, 0, :, :32] = logits[0, 1, :, 32:] = 1
    write_network(
        tmp_path / "my.onnx", {"out": logits}, size=(32, 64), toml='head = "semantic"\n[input]\nfit = "stretch"\n'
    )
    (tmp_path / "images").mkdir()
    (tmp_path / "panoptic").mkdir()
    annotations = []
    for number, split in enumerate((32, 32, 48)):
        Image.new("RGB", (64, 32)).save(tmp_path / "images" / f"{number}.png")
        ids = np.ones((32, 64, 3), np.uint8) * np.array([1, 0, 0], np.uint8)
        ids[:, split:, 0] = 2
        Image.fromarray(ids).save(tmp_path / "panoptic" / f"{number}.png")
        segments = [
            {"id": which + 1, "category_id": which, "iscrowd": 0, "area": 32 * width, "bbox": [x, 0, width, 32]}
            for which, x, width in ((0, 0, split), (1, split, 64 - split))
        ]
        annotations.append({"image_id": number, "file_name": f"{number}.png", "segments_info": segments})
    record = {
        "images": [{"id": n, "file_name": f"{n}.png", "height": 32, "width": 64} for n in range(3)],
        "annotations": annotations,
        "categories": [{"id": n, "name": name, "isthing": 0} for n, name in enumerate(("grass", "sky"))],
    }
    (tmp_path / "panoptic.json").write_text(json.dumps(record))
    words = (
        "eval",
        "--model",
        "my.onnx",
        "--labels",
        "grass,sky",
        "--data",
        "coco-panoptic:panoptic.json?images=images",
    )
    ended = vidgraph(*words, "-o", "out.json")
    assert ended.code == 0, ended.err
    figures = json.loads((tmp_path / "out.json").read_text())["figures"]
    grass, sky = (1 + 1 + 32 / 48) / 3, 2 / 3  # of the last, half of both skies is common: no more than half is none
    assert figures["PQ"] == pytest.approx((grass + sky) / 2, abs=1e-5)
    assert figures["mIoU"] == pytest.approx((96 / 112 + 80 / 96) / 2, abs=1e-5)
    assert "score more than" not in ended.out
    ended = vidgraph(*words, "--classes", "sky", "-o", "sky.json")
    assert ended.code == 0, ended.err
    assert json.loads((tmp_path / "sky.json").read_text())["figures"]["PQ"] == pytest.approx(sky, abs=1e-5)
    assert "has no class 'sea'; it has grass, sky" in vidgraph(*words, "--classes", "sky,sea").line
