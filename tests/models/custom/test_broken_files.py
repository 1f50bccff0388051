"""Files that cannot be run: one line each on the command line, no traceback, and nothing left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from .planted import write_network

SIZE = (64, 64)
YOLO_ROWS = 84  # of strides 8, 16 and 32


def yolo(classes: int = 3) -> np.ndarray:
    """One object of class 1."""
    table = np.zeros((1, 4 + classes, YOLO_ROWS), np.float32)
    table[0, :4, 5], table[0, 5, 5] = (32, 32, 16, 8), 0.9
    return table


def boxes(count: int = 100, dtype: Any = np.float32) -> np.ndarray:
    return np.tile(np.array([0.5, 0.5, 0.2, 0.2], dtype), (1, count, 1))


def scores(count: int = 100, classes: int = 3) -> np.ndarray:
    return np.zeros((1, count, classes), np.float32)


def no_such_head(path: Path) -> None:
    write_network(path, {"embedding": np.ones((1, 7, 9), np.float32)}, size=SIZE)


def two_possible_heads(path: Path) -> None:
    write_network(path, {"boxes": boxes(), "scores": scores()}, size=SIZE)


def wrong_class_count(path: Path) -> None:
    write_network(path, {"output0": yolo(3)}, size=SIZE, toml='classes = ["cat", "dog", "bird", "cow", "horse"]')


def missing_opset(path: Path) -> None:
    model = onnx.load(write_network(path, {"output0": yolo()}, size=SIZE))
    del model.opset_import[:]
    path.write_bytes(model.SerializeToString())


def external_data_missing(path: Path) -> None:
    model = onnx.load(write_network(path, {"output0": yolo()}, size=SIZE))
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    (path.parent / "weights.bin").unlink()


def int64_boxes(path: Path) -> None:
    write_network(path, {"boxes": boxes(dtype=np.int64), "logits": scores()}, size=SIZE)


def nan_outputs(path: Path) -> None:
    write_network(path, {"output0": np.full_like(yolo(), np.nan)}, size=SIZE)


def five_axes(path: Path) -> None:
    write_network(path, {"output0": np.zeros((1, 3, 8, 8, 85), np.float32)}, size=SIZE)


def truncated(path: Path) -> None:
    write_network(path, {"output0": yolo()}, size=SIZE)
    path.write_bytes(path.read_bytes()[:-100])


BROKEN: list[tuple[Callable[[Path], None], int, list[str]]] = [
    (no_such_head, 2, ["no head fits", "embedding (float32 [1, 7, 9])", "--head raw"]),
    (two_possible_heads, 2, ["boxes (float32 [1, 100, 4])", "detr: ", "ssd: ", "say which (`head`)"]),
    (wrong_class_count, 2, ["output0", "[1, 7, 84]", "5", "classes"]),
    (missing_opset, 1, ["opset", "export the network again"]),
    (external_data_missing, 1, ["weights.bin", "keep both in one folder"]),
    (int64_boxes, 2, ["boxes (int64 [1, 100, 4])", "float"]),
    (nan_outputs, 1, ["output0", "NaN"]),
    (five_axes, 2, ["output0 (float32 [1, 3, 8, 8, 85])"]),
    (truncated, 1, ["damaged"]),
]


@pytest.mark.parametrize(("make", "code", "parts"), BROKEN, ids=[make.__name__ for make, _, _ in BROKEN])
def test_a_broken_file_gets_one_line(
    make: Callable[[Path], None], code: int, parts: list[str], vidgraph: Any, face_clip: Path, tmp_path: Path
) -> None:
    make(tmp_path / "my.onnx")
    before = sorted(path.name for path in tmp_path.iterdir())
    ended = vidgraph("run", face_clip, "--model", "my.onnx", "-o", "out.jsonl", "--frames", "2", "-q")
    assert ended.code == code
    assert ended.out == ""
    assert len(ended.err.splitlines()) == 1, ended.err
    for part in ("my.onnx" if make is not nan_outputs else "output0", *parts):
        assert part in ended.line
    if make is not nan_outputs:
        assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_zero_detections_are_an_empty_result(vidgraph: Any, face_clip: Path, tmp_path: Path) -> None:
    write_network(tmp_path / "my.onnx", {"output0": np.zeros_like(yolo())}, size=SIZE)
    ended = vidgraph("run", face_clip, "--model", "my.onnx", "-o", "out.jsonl", "--frames", "2", "-q")
    assert (ended.code, ended.out) == (0, "")
    header, *frames = (tmp_path / "out.jsonl").read_text().splitlines()
    assert '"name":"my"' in header
    assert len(frames) == 2
    assert all('"objects":[]' in line for line in frames)
