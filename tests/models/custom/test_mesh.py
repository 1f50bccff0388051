"""The head of points beside one score (mesh): planted points come out where they lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph import LANDMARKS
from vidgraph.engines.spec import TensorSpec
from vidgraph.models import load_model
from vidgraph.models.custom.description import Description
from vidgraph.models.custom.detect_head import recognise
from vidgraph.models.custom.heads.mesh import BLAZEPOSE_NAMES
from vidgraph.pipeline.errors import EngineError, UsageError

from .planted import FRAMES, LANDSCAPE, letterboxed, picture, precision_of, write_network

SIZE = (64, 96)


def planted(count: int, values: int, seed: int = 0) -> np.ndarray:
    """float32 [count, values]: x, y in the input, z, and logits."""
    random = np.random.default_rng(seed)
    table = random.uniform((4, 4, -9), (SIZE[1] - 4, SIZE[0] - 4, 9), (count, 3))
    return np.concatenate([table, random.uniform(-3, 3, (count, values - 3))], axis=1).astype(np.float32)


def sigmoid(logits: np.ndarray | float) -> Any:
    return 1 / (1 + np.exp(-np.asarray(logits, np.float64)))


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("kind", ["face", "body"])
def test_planted_points_come_out(kind: str, engine: str, tmp_path: Path) -> None:
    count, kept, values = {"face": (468, 468, 3), "body": (39, 33, 5)}[kind]
    table = planted(count, values)
    score = {"face": 1.5, "body": 0.875}[kind]
    outputs = {"a": table.reshape((1, 1, 1, -1) if kind == "face" else (1, -1)), "b": np.full((1, 1), score)}
    path = write_network(tmp_path / "my.onnx", outputs, size=SIZE)
    with load_model(str(path), engine=engine, precision=precision_of(engine)) as model:
        for frame in FRAMES:
            found = model(picture(frame)).landmarks
            scale, offset = letterboxed(SIZE, frame)
            assert found is not None
            assert len(found) == 1
            np.testing.assert_allclose(found.points[0], table[:kept, :2] * scale + offset, atol=0.02)
            wanted = sigmoid(score) if kind == "face" else sigmoid(table[:kept, 3:].min(axis=1))
            np.testing.assert_allclose(found.scores[0], np.broadcast_to(wanted, kept), atol=1e-6)
            assert found.names[:2] == (("nose", "left_eye_inner") if kind == "body" else ("point_0", "point_1"))
    assert len(set(BLAZEPOSE_NAMES)) == 33
    for least, count in ((0.8, 1), (0.9, 0)):
        with load_model(str(path), min_score=least) as model:
            assert len(model(picture(LANDSCAPE))[LANDMARKS]) == count


HAND = """
points = [21, 3]
scores = "given"
ignore = ["c", "d"]
[outputs]
points = "a"
scores = "b"
"""


def test_others_are_described(tmp_path: Path) -> None:
    table, numbers = planted(21, 3), np.full((1, 1), 0.75)
    outputs = {"a": table.reshape(1, -1), "b": numbers, "c": numbers / 3, "d": table.reshape(1, -1) / 7}
    path = write_network(tmp_path / "my.onnx", outputs, size=SIZE, toml=f'head = "mesh"\n{HAND}')
    with load_model(str(path), precision="fp32") as model:
        found = model(picture(SIZE))[LANDMARKS]
        assert model(picture(SIZE)).detections.scores.size == 0
    np.testing.assert_allclose(found.points[0], table[:, :2], atol=1e-4)
    assert found.scores.tolist() == [[0.75] * 21]
    with load_model(str(path), nms_iou=0.5) as model, pytest.raises(UsageError, match="nms_iou cannot be given"):
        model(picture(LANDSCAPE))


def spec(*shape: int, name: str) -> TensorSpec:
    return TensorSpec(name, np.dtype(np.float32), shape)


@pytest.mark.parametrize(
    ("outputs", "about", "why"),
    [
        ([(1, 195), (1, 1), (1, 256, 256, 1)], {}, r'mesh does not read c .* say\s+ignore = \["c"\]'),
        ([(1, 195), (1, 195), (1, 1)], {"head": "mesh"}, r"an output of K x 3 or K x 5 numbers"),
        ([(1, 195), (1, 1), (1, 1)], {"head": "mesh"}, r"one of one number \(`scores`"),
        ([(1, 63), (1, 1)], {"head": "mesh"}, r"an output of K x 3 or K x 5 numbers \(`points`\)"),
        ([(1, 63), (1, 1)], {"head": "mesh", "points": (21, 3)}, 'scores = "given" or "sigmoid"'),
        ([(1, 84), (1, 1)], {"head": "mesh", "points": (21, 4), "scores": "given"}, "K x 3 or K x 5"),
        ([(1, 195), (1, 1)], {"point_names": ("a",)}, "33 points, but 1 names"),
    ],
)
def test_refused(outputs: list[tuple[int, ...]], about: dict[str, Any], why: str) -> None:
    specs = [spec(*shape, name=name) for name, shape in zip("abc", outputs, strict=False)]
    with pytest.raises(UsageError, match=why):
        recognise(specs, Description(**about), (256, 256))


def test_no_number_is_an_error(tmp_path: Path) -> None:
    table = planted(468, 3)
    for name, outputs in {
        "points": {"a": np.full((1, 1404), np.nan, np.float32), "b": np.full((1, 1), 3.0)},
        "score": {"a": table.reshape(1, -1), "b": np.full((1, 1), np.nan)},
    }.items():
        path = write_network(tmp_path / f"{name}.onnx", outputs, size=SIZE)
        with load_model(str(path)) as model, pytest.raises(EngineError, match="no finite number"):
            model(picture(LANDSCAPE))


def crop(clip: Path, frame: int, box: tuple[int, int, int, int]) -> np.ndarray:
    """uint8 [h, w, 3], RGB: x1, y1, x2, y2 of a frame."""
    import av

    with av.open(str(clip)) as container:
        for number, shown in enumerate(container.decode(video=0)):
            if number == frame:
                x1, y1, x2, y2 = box
                return np.ascontiguousarray(shown.to_ndarray(format="rgb24")[y1:y2, x1:x2])
    raise AssertionError(f"there is no frame {frame}")
