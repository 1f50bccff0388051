"""YOLO files with planted outputs, run as any model: the engines, both fits, all dtypes of inputs, in frame pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from vidgraph.models import load_model

from .yolo_planted import (
    CLASSES,
    JOINTS,
    Mapping,
    Objects,
    check,
    finished_rows,
    make_objects,
    places,
    rows_of,
    stretched,
)

SIZE = (96, 160)
LANDSCAPE, PORTRAIT, ODD = (108, 192), (190, 110), (133, 77)
FRAMES = [LANDSCAPE, PORTRAIT, ODD, (51, 263), SIZE]

Tables = Callable[[Objects], np.ndarray]
KINDS: dict[str, tuple[str, Tables]] = {
    "v8": ("", lambda objects: rows_of(objects).T),
    "v8-seg": ("masks", lambda objects: rows_of(objects, extras="masks").T),
    "v8-pose": ("points", lambda objects: rows_of(objects, extras="points").T),
    "v5": ("", lambda objects: rows_of(objects, objectness=True, rows=3 * places(SIZE))),
    "v5-seg": ("masks", lambda objects: rows_of(objects, objectness=True, extras="masks", rows=3 * places(SIZE))),
    "v6": ("", lambda objects: rows_of(objects, objectness=True)),
    "v10": ("", finished_rows),
    "v26-seg": ("masks", lambda objects: finished_rows(objects, extras="masks")),
    "v26-pose": ("flat points", lambda objects: finished_rows(objects, extras="flat points")),
}


def usual_letterbox(size: tuple[int, int], frame: tuple[int, int]) -> Mapping:
    """As Ultralytics places a picture: resized to whole pixels, in the middle, an odd pixel at the right or bottom."""
    ratio = min(size[0] / frame[0], size[1] / frame[1])
    resized = [round(length * ratio) for length in frame]
    first = [round((whole - part) / 2 - 0.1) for whole, part in zip(size, resized, strict=True)]
    scale = (frame[1] / resized[1], frame[0] / resized[0])
    return Mapping(scale, (-first[1] * scale[0], -first[0] * scale[1]))


def write_network(path: Path, outputs: dict[str, np.ndarray], dtype: str, metadata: dict[str, str]) -> Path:
    """A file that gives ``outputs`` whatever it sees; with ``dtype`` float16 its numbers are of half precision."""
    helper, types = onnx.helper, onnx.TensorProto
    made = np.float16 if dtype == "float16" else np.float32
    kinds = {"float32": types.FLOAT, "float16": types.FLOAT16, "uint8": types.UINT8}
    given = kinds[np.dtype(made).name]
    nodes = [
        helper.make_node("Cast", ["images"], ["numbers"], to=given),
        helper.make_node("ReduceMax", ["numbers"], ["brightest"], keepdims=0),
        helper.make_node("Mul", ["brightest", "zero"], ["nothing"]),
    ]
    constants = [onnx.numpy_helper.from_array(np.zeros((), made), "zero")]
    for name, array in outputs.items():
        nodes.append(helper.make_node("Add", [f"{name}.planted", "nothing"], [name]))
        constants.append(onnx.numpy_helper.from_array(np.ascontiguousarray(array, made), f"{name}.planted"))
    images = helper.make_tensor_value_info("images", kinds[dtype], [1, 3, *SIZE])
    infos = [helper.make_tensor_value_info(name, given, array.shape) for name, array in outputs.items()]
    graph = helper.make_graph(nodes, "planted", [images], infos, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path


def planted_file(path: Path, kind: str, objects: Objects, dtype: str) -> Path:
    extras, table = KINDS[kind]
    outputs = {"output0": table(objects)[None]} | ({"output1": objects.prototypes[None]} if extras == "masks" else {})
    metadata = {"names": str(dict(enumerate(CLASSES))), "stride": "32"}
    if kind not in ("v5", "v5-seg"):  # which write no more than that
        metadata |= {"author": "Ultralytics", "imgsz": str(list(SIZE)), "batch": "1"}
    if "points" in extras:
        metadata |= {"task": "pose", "kpt_shape": str([JOINTS, 3 if extras == "points" else 2])}
    if extras == "masks":
        metadata |= {"task": "segment"}
    return write_network(path, outputs, dtype, metadata)


@pytest.fixture(scope="module")
def objects() -> Objects:
    return make_objects(SIZE)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("fit", ["letterbox", "stretch"])
def test_planted_objects_come_out_of_a_file(
    kind: str, engine: str, dtype: str, fit: str, objects: Objects, tmp_path: Path
) -> None:
    if engine == "onnxruntime":
        pytest.importorskip("onnxruntime", reason="needs onnxruntime (the extra of that name)")
    path = planted_file(tmp_path / "planted.onnx", kind, objects, dtype)
    if fit == "stretch":
        path.with_suffix(".toml").write_text('[input]\nfit = "stretch"\n')
    rule = stretched if fit == "stretch" else usual_letterbox
    image = np.random.default_rng(0)
    with load_model(str(path), engine=engine) as model:
        assert model.class_names == CLASSES
        for frame in FRAMES:
            found = model(image.integers(0, 256, (*frame, 3), np.uint8))
            check(found, objects, rule(SIZE, frame), frame, extras=KINDS[kind][0])


def test_choices_of_a_caller(objects: Objects, tmp_path: Path) -> None:
    path = planted_file(tmp_path / "planted.onnx", "v8-seg", objects, "float32")
    picture: Any = np.zeros((*LANDSCAPE, 3), np.uint8)
    mapping = usual_letterbox(SIZE, LANDSCAPE)
    with load_model(str(path), classes=["dog", 3], max_detections=2, min_score=0.1) as model:
        check(model(picture), objects, mapping, LANDSCAPE, extras="masks", rows=[1, 3])
    with load_model(str(path), min_score=float(objects.scores[2])) as model:
        check(model(picture), objects, mapping, LANDSCAPE, extras="masks", rows=[0, 1])
