"""Custom models as exporters leave their edges, and those that one engine refuses: run, checked, described."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from vidgraph.engines.open import _say_once, open_engine
from vidgraph.engines.spec import NetworkRefused
from vidgraph.models import load_model, model as base
from vidgraph.models.custom.check import check
from vidgraph.pipeline.errors import CheckpointError, EngineError

from .planted import write_network
from .test_inspect import edited, open_outputs, table, with_input_shape

SIZE = (64, 64)
ENGINES = ["openvino", "onnxruntime"]
FLOAT, HALF = 1, 10


@pytest.fixture(autouse=True)
def both_engines() -> None:
    for engine in ENGINES:
        pytest.importorskip(engine, reason=f"needs {engine} (the extra of that name)")
    _say_once.cache_clear()


def edges(operator: str, **attributes: Any) -> Callable[[Any], None]:
    """``operator`` behind the input and before the output; the inner names sort before those of the file."""

    def edit(model: Any) -> None:
        nodes = model.graph.node
        for node in nodes:
            node.input[:] = ["a_images" if name == "images" else name for name in node.input]
            node.output[:] = ["a_output" if name == "output0" else name for name in node.output]
        nodes.insert(0, onnx.helper.make_node(operator, ["images"], ["a_images"], **attributes))
        nodes.append(onnx.helper.make_node(operator, ["a_output"], ["output0"], **attributes))

    return edit


def narrower(model: Any) -> None:
    """Picks the rows of a wider table with fewer columns of indices than of data, which OpenVINO refuses."""
    rows, columns = 300, 6
    for node in model.graph.node:
        node.output[:] = ["wide" if name == "output0" else name for name in node.output]
    index = np.ascontiguousarray(np.broadcast_to(np.arange(rows)[:, None], (1, rows, columns)))
    model.graph.initializer.append(onnx.numpy_helper.from_array(index, "rows"))
    model.graph.node.append(onnx.helper.make_node("GatherElements", ["wide", "rows"], ["output0"], axis=1))
    model.graph.output[0].type.tensor_type.shape.dim[2].dim_value = columns


def refused_by_openvino(path: Path) -> Path:
    """An end-to-end YOLO of one object, class 1 of three."""
    wide = np.zeros((1, 300, 20), np.float32)
    wide[0, 3, :6] = (24, 28, 40, 36, 0.9, 1)
    metadata = {"names": "{0: 'cat', 1: 'dog', 2: 'cow'}", "task": "detect", "end2end": "True", "author": "Ultralytics"}
    return edited(write_network(path, {"output0": wide}, size=SIZE, metadata=metadata), narrower)


KINDS = [(operator, dtype) for operator in ("Identity", "Cast", "Dropout") for dtype in ("float32", "float16", "uint8")]
KINDS.remove(("Dropout", "uint8"))  # there is no such node


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("axes", ["fixed", "open"])
@pytest.mark.parametrize(("operator", "dtype"), KINDS)
def test_nodes_at_the_edges_that_do_nothing(operator: str, dtype: str, axes: str, engine: str, tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"output0": table()}, size=SIZE, dtype=dtype)
    plain = load_model(str(path), engine=engine)(np.zeros((64, 64, 3), np.uint8)).detections

    def cast(model: Any) -> None:
        """To the type that each end has."""
        edges("Cast", to=FLOAT)(model)
        for node, value in ((model.graph.node[0], model.graph.input[0]), (model.graph.node[-1], model.graph.output[0])):
            node.attribute[0].i = value.type.tensor_type.elem_type

    edited(path, cast if operator == "Cast" else edges(operator))
    if axes == "open":
        edited(path, with_input_shape("batch", 3, "height", "width"))
        edited(path, open_outputs)
    with load_model(str(path), engine=engine, size=64) as model:
        found = model(np.zeros((64, 64, 3), np.uint8)).detections
        assert model.describe().engine == engine
    assert len(found) == len(plain) == 1
    np.testing.assert_array_equal(found.boxes, plain.boxes)
    np.testing.assert_array_equal(found.class_ids, plain.class_ids)
    checked = check(path, size=64, engine=engine, runs=1)
    assert checked.works
    assert f"run          {engine} " in checked.text()


def counted_in_a_run(model: Any) -> None:
    """The end of the rows is a number that depends on the picture, for engines: the file says 300."""
    make, constant = onnx.helper.make_node, onnx.numpy_helper.from_array
    for node in model.graph.node:
        node.output[:] = ["all" if name == "output0" else name for name in node.output]
    model.graph.initializer.extend([constant(np.array([value]), f"is {value}") for value in (0, 1, 300)])
    model.graph.node.extend([
        make("Unsqueeze", ["nothing.int", "is 0"], ["none"]),
        make("Add", ["none", "is 300"], ["count"]),
        make("Slice", ["all", "is 0", "count", "is 1"], ["output0"]),
    ])  # fmt: skip


@pytest.mark.parametrize("axes", ["fixed", "open"])
def test_rows_that_only_the_file_counts(axes: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = np.zeros((1, 300, 6), np.float32)
    rows[0, 299] = (24, 28, 40, 36, 0.9, 0)
    path = edited(write_network(tmp_path / "my.onnx", {"output0": rows}, size=SIZE), counted_in_a_run)
    if axes == "open":
        edited(path, with_input_shape("batch", 3, "height", "width"))
        edited(path, lambda model: model.graph.output[0].type.tensor_type.shape.dim[0].ClearField("dim_value"))
    with load_model(str(path), size=64, head="yolo-end2end", labels=["cat"]) as model:
        (found,) = model(np.zeros((64, 64, 3), np.uint8)).detections
        assert model.describe().engine == "onnxruntime"
    np.testing.assert_array_equal(found.box, [24, 28, 40, 36])
    assert "my.onnx runs in onnxruntime: openvino refuses it ('output0' has no fixed shape (" in caplog.text
    with pytest.raises(EngineError, match="'output0' has no fixed shape"):
        load_model(str(path), size=64, head="yolo-end2end", labels=["cat"], engine="openvino").describe()
    edited(path, open_outputs)
    with pytest.raises(CheckpointError, match="has a length that depends on what is in the picture"):
        load_model(str(path), size=64, head="yolo-end2end", labels=["cat"])


@pytest.mark.parametrize("engine", ["auto", *ENGINES])
@pytest.mark.parametrize("name", ["in_cast", "out_identity"])
def test_exports_that_people_had(name: str, engine: str, shared: Callable[[str], Path]) -> None:
    with load_model(str(shared(f"cases/{name}.onnx")), engine=engine) as model:
        (found,) = model(np.zeros((240, 320, 3), np.uint8)).detections
    assert found.class_name == "b"
    np.testing.assert_array_equal(found.box, [40, 30, 80, 60])
    assert check(shared(f"cases/{name}.onnx"), engine=engine, runs=1).works


def test_what_openvino_refuses_runs_in_onnx_runtime(vidgraph: Any, face_clip: Path, tmp_path: Path) -> None:
    refused_by_openvino(tmp_path / "my.onnx")
    ended = vidgraph("run", face_clip, "--model", "my.onnx", "-o", "out.jsonl", "--frames", "2")
    assert ended.code == 0, ended.err
    said = [line for line in ended.err.splitlines() if "onnxruntime" in line]
    assert said[0].startswith("vidgraph: my.onnx runs in onnxruntime: openvino refuses it (GatherElements: Shapes ")
    assert said[1] == "my (boxes): onnxruntime fp32 on cpu, input 64x64"
    assert len(said) == 2
    header, *frames = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert header["models"][0]["engine"] == "onnxruntime"
    assert [[row["class"] for row in frame["objects"]] for frame in frames] == [["dog"]] * 2


def test_openvino_asked_for_does_not_fall_back(vidgraph: Any, face_clip: Path, tmp_path: Path) -> None:
    refused_by_openvino(tmp_path / "my.onnx")
    ended = vidgraph("run", face_clip, "--model", "my.onnx", "--engine", "openvino", "-o", "out.jsonl")
    assert ended.code == 1
    assert ended.line.startswith("cannot compile my.onnx with openvino: GatherElements: Shapes ")
    assert "onnxruntime" not in ended.line
    assert not (tmp_path / "out.jsonl").exists()
    ended = vidgraph("check", "my.onnx", "--engine", "openvino")
    assert ended.code == 1
    assert "problem      cannot compile my.onnx with openvino: GatherElements: Shapes " in ended.out
    assert "\nrun " not in ended.out


@pytest.mark.parametrize("axes", ["fixed", "open"])
def test_where_onnx_runtime_is_missing_the_line_names_it(
    axes: str, vidgraph: Any, face_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = refused_by_openvino(tmp_path / "my.onnx")
    if axes == "open":
        edited(path, with_input_shape("batch", 3, 64, 64))
        edited(path, open_outputs)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    cure = "onnxruntime may run it: pip install 'vidgraph[onnxruntime]'"
    ended = vidgraph("run", face_clip, "--model", "my.onnx", "-o", "out.jsonl", "-q")
    assert ended.code == 1
    assert "my.onnx with openvino: GatherElements: Shapes " in ended.line
    assert ended.line.endswith(cure)
    ended = vidgraph("check", "my.onnx")
    assert ended.code == 1
    assert cure in ended.out + ended.err


def test_check_says_which_engine_ran(vidgraph: Any, tmp_path: Path) -> None:
    refused_by_openvino(tmp_path / "my.onnx")
    ended = vidgraph("check", "my.onnx")
    assert ended.code == 0
    assert "run          onnxruntime fp32: a picture of noise went through\n" in ended.out
    assert "openvino     auto             1 cannot compile my.onnx with openvino: GatherElements: Shapes " in ended.out
    assert ended.line.startswith("my.onnx runs in onnxruntime: openvino refuses it (")


def test_check_does_not_praise_what_a_run_refuses(vidgraph: Any, tmp_path: Path) -> None:
    write_network(tmp_path / "my.onnx", {"output0": np.full_like(table(), np.nan)}, size=SIZE)
    ended = vidgraph("check", "my.onnx", "--engine", "onnxruntime")
    assert ended.code == 1
    assert "NaN" in next(line for line in ended.out.splitlines() if line.startswith("problem "))
    assert "\nrun " not in ended.out


def test_all_engines_of_a_model_are_of_one_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One picture would run in OpenVINO, two would not."""
    path = write_network(tmp_path / "my.onnx", {"output0": table()}, size=SIZE)
    opened: list[tuple[str, str]] = []

    def watched(file: Path, *, engine: str, **options: Any) -> Any:
        opened.append((engine, "two" if file.name == "two.onnx" else "one"))
        if opened[-1] == ("openvino", "two"):
            raise NetworkRefused(f"cannot compile {file.name}", "no two pictures")
        return open_engine(path, engine=engine, **options)

    monkeypatch.setattr(base, "open_engine", watched)
    with load_model(str(path)) as model:
        files = {1: path, 2: tmp_path / "two.onnx"}
        monkeypatch.setattr(type(model.weights), "network_file", lambda self, size, batch, *_: files[batch])
        model.engine_choice = replace(model.engine_choice, batch=2)
        with pytest.raises(ValueError, match="for batch 2"):  # the file is that of one picture
            model.describe()
    pairs = [("openvino", "one"), ("openvino", "two"), ("onnxruntime", "one"), ("onnxruntime", "two")]
    assert opened == pairs
