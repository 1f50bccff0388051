"""The head of objects as points (centernet): planted centres come out, as its authors decode them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from vidgraph.engines.spec import TensorSpec
from vidgraph.models import load_model
from vidgraph.models.custom.description import Description
from vidgraph.models.custom.detect_head import recognise
from vidgraph.models.custom.heads.centernet import peaks
from vidgraph.pipeline.errors import EngineError, UsageError

from .planted import FRAMES, LANDSCAPE, in_frame, letterboxed, picture, precision_of, write_network

SIZE = (64, 96)
PLACES = (SIZE[0] // 4, SIZE[1] // 4)
CLASSES = 3
GIVEN = 'scores = "given"\nclasses = ["a", "b", "c"]\n'


def planted(seed: int = 0) -> dict[str, np.ndarray]:
    """Heat in 0..1 of a grid of 1/64, which has neighbours as high as each other; sizes and offsets."""
    random = np.random.default_rng(seed)
    heat = random.integers(0, 60, (1, CLASSES, *PLACES)) / 64
    wide = random.uniform(1, 8, (1, 2, *PLACES))
    return {
        "hm": heat.astype(np.float32),
        "wh": wide.astype(np.float32),
        "reg": random.uniform(0, 1, (1, 2, *PLACES)).astype(np.float32),
    }


def decoded(maps: dict[str, np.ndarray], least: float) -> list[tuple[float, int, list[float]]]:
    """(score, class, box in pixels of the input), best first: a place at a time, as the paper says it."""
    heat, found = maps["hm"][0], []
    offsets = maps.get("reg", np.full((1, 2, *PLACES), 0.5, np.float32))[0]
    for index in np.ndindex(heat.shape):
        _, y, x = index
        around = heat[index[0], max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        before = [heat[index[0], y + dy, x + dx] for dy, dx in ((-1, -1), (-1, 0), (-1, 1), (0, -1))
                  if y + dy >= 0 and 0 <= x + dx < PLACES[1]]  # fmt: skip
        if heat[index] <= least or around.max() > heat[index] or heat[index] in before:
            continue
        cx, cy = x + offsets[0, y, x], y + offsets[1, y, x]
        w, h = maps["wh"][0, :, y, x]
        box = [4 * float(v) for v in (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)]
        found.append((float(heat[index]), index[0], box))
    return sorted(found, key=lambda each: -each[0])[:100]


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("without", ["", "reg"])
def test_planted_centres_come_out(without: str, engine: str, tmp_path: Path) -> None:
    maps = {name: array for name, array in planted().items() if name != without}
    path = write_network(tmp_path / "my.onnx", maps, size=SIZE, toml=GIVEN)
    wanted = decoded(maps, 0.8)
    assert 20 < len(wanted) < 100
    options: dict[str, Any] = {"engine": engine, "precision": precision_of(engine), "min_score": 0.8}
    with load_model(str(path), **options) as model:
        assert model.class_names == ("a", "b", "c")
        for frame in FRAMES:
            found = model(picture(frame)).detections
            boxes = in_frame(np.array([box for *_, box in wanted]), letterboxed(SIZE, frame), frame)
            seen = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
            assert sorted(zip(found.scores.tolist(), found.class_ids.tolist(), strict=True)) == sorted(
                (score, which) for (score, which, _), there in zip(wanted, seen, strict=True) if there
            )
            for score, which, box in zip(found.scores, found.class_ids, found.boxes, strict=True):
                same = [at for at, (s, c, _) in enumerate(wanted) if (s, c) == (score, which) and seen[at]]
                assert np.abs(boxes[same] - box).max(axis=1).min() < 0.02


def test_the_best_hundred_are_kept(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", planted(), size=SIZE, toml=GIVEN)
    with load_model(str(path), min_score=0.01, precision="fp32") as model:
        found = model(picture(SIZE)).detections
    wanted = decoded(planted(), 0.01)
    assert len(wanted) == 100
    np.testing.assert_array_equal(found.scores, np.array([score for score, *_ in wanted], np.float32))
    for choice, kept in (({"classes": ["b"]}, {1}), ({"max_detections": 3}, {0, 1, 2})):
        with load_model(str(path), precision="fp32", **choice) as model:  # type: ignore[arg-type]
            found = model(picture(SIZE)).detections
        assert len(found) <= choice.get("max_detections", 100)  # type: ignore[operator]
        assert len(found) > 0
        assert set(found.class_ids.tolist()) <= kept


def test_a_peak_is_no_lower_than_its_neighbours_and_of_equals_the_first_counts() -> None:
    heat = np.zeros((2, 4, 5), np.float32)
    heat[0, 0, 0] = 0.5
    heat[0, 2, 2:5] = 0.75  # a plateau
    heat[1, 3, 4], heat[1, 2, 3] = 0.25, 0.5  # the latter hides the former
    heat[1, 0, 2] = np.nan
    ids, rows, columns = peaks(heat, 0.125)
    assert list(zip(ids.tolist(), rows.tolist(), columns.tolist(), strict=True)) == [(0, 0, 0), (0, 2, 2), (1, 2, 3)]
    assert len(peaks(np.ones((1, 3, 3), np.float32), 0.5)[0]) == 1
    assert len(peaks(heat, 0.75)[0]) == 0


def convolved(path: Path, sigmoid: bool) -> Path:
    """``hm`` and ``wh`` are results of a convolution of four strides; ``hm`` perhaps behind a sigmoid."""
    helper, types = onnx.helper, onnx.TensorProto
    random = np.random.default_rng(3)
    weights = {"k.hm": random.normal(0, 0.2, (CLASSES, 3, 4, 4)), "k.wh": random.normal(0, 0.2, (2, 3, 4, 4))}
    nodes = [
        helper.make_node("Conv", ["images", f"k.{name}"], [f"{name}.raw" if name == "hm" and sigmoid else name],
                         strides=[4, 4])
        for name in ("hm", "wh")
    ]  # fmt: skip
    nodes += [helper.make_node("Sigmoid", ["hm.raw"], ["hm"])] if sigmoid else []
    outputs = [
        helper.make_tensor_value_info(name, types.FLOAT, [1, count, *PLACES])
        for name, count in (("hm", CLASSES), ("wh", 2))
    ]
    constants = [onnx.numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()]
    inputs = [helper.make_tensor_value_info("images", types.FLOAT, [1, 3, *SIZE])]
    graph = helper.make_graph(nodes, "maps", inputs, outputs, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_the_graph_tells_whether_its_sigmoid_is_applied(tmp_path: Path) -> None:
    options: dict[str, Any] = {"precision": "fp32", "labels": ["a", "b", "c"], "min_score": 0.6}
    scores = []
    for sigmoid in (False, True):
        with load_model(str(convolved(tmp_path / f"{sigmoid}.onnx", sigmoid)), **options) as model:
            found = model(picture(SIZE)).detections
            assert len(found) > 0
            scores.append(found.scores)
    np.testing.assert_allclose(*scores, atol=1e-6)


def spec(*shape: int, name: str) -> TensorSpec:
    return TensorSpec(name, np.dtype(np.float32), shape)


@pytest.mark.parametrize(
    ("shapes", "about", "why"),
    [
        ({"hm": (1, 80, 16, 24), "wh": (1, 2, 16, 24)}, {}, 'scores = "given", or "sigmoid"'),
        (
            {"hm": (1, 80, 16, 24), "wh": (1, 2, 16, 24), "hps": (1, 34, 16, 24)},
            {"scores": "sigmoid"},
            "does not read hps",
        ),
        ({"hm": (1, 80, 16, 24), "wh": (1, 4, 16, 24)}, {"head": "centernet"}, "must have two maps, of x and of y"),
        (
            {"hm": (1, 80, 16, 24), "wh": (1, 2, 16, 12)},
            {"head": "centernet"},
            r"must be floating-point maps \[1, C, 16",
        ),
        (
            {"hm": (1, 80, 16, 24), "wh": (1, 2, 16, 24)},
            {"classes": ("a",), "scores": "given"},
            "80 classes, but 1 are",
        ),
        (
            {"hm": (2, 80, 16, 24), "wh": (2, 2, 16, 24)},
            {"head": "centernet", "scores": "given"},
            r"maps \[1, C, 16, 24\]",
        ),
        ({"hm": (1, 80), "wh": (1, 2)}, {"head": "centernet", "scores": "given"}, r"maps \[1, C, h, w\]"),
        ({"hm": (1, 80, 16, 24), "wh": (1, 2, 16, 24)}, {"scores": "softmax"}, "a heat map has no softmax"),
        (
            {"hm": (1, 80, 16, 24), "wh": (1, 2, 16, 24)},
            {"scores": "given", "outputs": {"offsets": "off"}},
            "there is no output 'off'",
        ),
        ({"a": (1, 80, 16, 24), "b": (1, 2, 16, 24)}, {"head": "centernet"}, "`hm` and `wh`"),
    ],
)
def test_refused(shapes: dict[str, tuple[int, ...]], about: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        recognise([spec(*shape, name=name) for name, shape in shapes.items()], Description(**about), SIZE)


def test_outputs_of_other_names_are_described() -> None:
    shapes = {"1024": (1, 80, 16, 24), "1026": (1, 2, 16, 24), "1025": (1, 2, 16, 24)}
    about = Description(outputs={"scores": "1024", "boxes": "1025", "offsets": "1026"}, scores="sigmoid")
    found: Any = recognise([spec(*shape, name=name) for name, shape in shapes.items()], about, SIZE)
    assert (found.kind, found.sizes, found.offsets, found.logits) == ("centernet", "1025", "1026", True)


def test_no_number_is_an_error(tmp_path: Path) -> None:
    maps = {name: np.full_like(array, np.nan) for name, array in planted().items()}
    path = write_network(tmp_path / "my.onnx", maps, size=SIZE, toml=GIVEN)
    with load_model(str(path)) as model, pytest.raises(EngineError, match="no finite number"):
        model(picture(LANDSCAPE))
