"""``vidgraph check`` and ``vidgraph export --template``: what they find, and that what is written is read again."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from vidgraph.models.custom.check import check
from vidgraph.models.custom.cost import flop_of
from vidgraph.models.custom.inspect import inspect_model
from vidgraph.models.custom.template import write_template
from vidgraph.pipeline.errors import OutputError, UsageError

from .planted import write_network

SIZE = (64, 64)


def yolo(classes: int = 3) -> np.ndarray:
    return np.zeros((1, 4 + classes, 84), np.float32)


def products(path: Path) -> int:
    """A network of every kind of node that is counted; returns its floating-point operations, counted by hand."""
    helper, random = onnx.helper, np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["x", "conv"], ["a"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Conv", ["a", "depthwise"], ["b"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=8),
        helper.make_node("ConvTranspose", ["b", "up"], ["c"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["c"], ["d"]),
        helper.make_node("Flatten", ["d"], ["e"]),
        helper.make_node("Gemm", ["e", "gemm"], ["f"], transB=1),
        helper.make_node("MatMul", ["f", "matmul"], ["logits"]),
    ]
    shapes = {"conv": (8, 3, 3, 3), "depthwise": (8, 1, 3, 3), "up": (8, 4, 2, 2), "gemm": (10, 4), "matmul": (10, 5)}
    weights = [
        onnx.numpy_helper.from_array(random.standard_normal(shape).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    inputs = [helper.make_tensor_value_info("x", 1, ["n", 3, "h", "w"])]
    graph = helper.make_graph(nodes, "g", inputs, [helper.make_tensor_value_info("logits", 1, ["n", 5])], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return 2 * (8 * 16 * 16 * 27 + 8 * 16 * 16 * 9 + 8 * 16 * 16 * 4 * 4 + 10 * 4 + 5 * 10)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_operations_are_counted(tmp_path: Path, engine: str) -> None:
    expected = products(tmp_path / "my.onnx")
    custom = inspect_model(tmp_path / "my.onnx", size=32, engine=engine, labels=tuple("abcde"))
    assert flop_of(custom.file, engine=engine) == expected


def test_check_says_what_is_known_and_from_where(tmp_path: Path) -> None:
    products(tmp_path / "my.onnx")
    checked = check(tmp_path / "my.onnx", size=32, labels=list("abcde"), runs=1)
    text = checked.text()
    assert checked.works
    assert "x float32 [1, 3, 32, 32] nchw" in text
    assert "[n, 3, h, w] in the file, fixed at 32x32 (the size given)" in text
    assert "classify: classes of the whole picture (from the outputs)" in text
    assert "5: a, b, c, d, e (the labels given)" in text
    assert "crop (assumed, as is usual for classify)" in text
    assert {speed.engine for speed in checked.speeds} == {"openvino", "onnxruntime"}
    assert all(speed.median_ms is not None and speed.median_ms > 0 for speed in checked.speeds)
    assert ("openvino", "fp32", 1) in {(speed.engine, speed.precision, speed.threads) for speed in checked.speeds}


def test_check_tries_the_engines_even_where_no_head_fits(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"a": np.zeros((1, 7, 9), np.float32)}, size=SIZE)
    checked = check(path, engine="openvino", runs=1)
    assert isinstance(checked.problem, UsageError)
    assert not checked.works
    assert "problem      my.onnx: no head fits" in checked.text()
    assert {speed.engine for speed in checked.speeds} == {"openvino"}


def test_check_has_the_line_of_an_engine_that_refuses(tmp_path: Path) -> None:
    path = tmp_path / "my.onnx"
    products(path)
    model = onnx.load(inspect_model(path, size=32, labels=tuple("abcde")).file)
    model.graph.node[3].op_type = "Nonsense"
    onnx.save(model, path)
    checked = check(path, labels=list("abcde"), runs=1)
    assert not checked.works
    assert [speed.engine for speed in checked.speeds] == ["openvino", "onnxruntime"]
    assert all("Nonsense" in (speed.refusal or "") for speed in checked.speeds)
    assert "GFLOP not known" in checked.text()


def test_commands(tmp_path: Path, vidgraph: Any) -> None:
    write_network(tmp_path / "my.onnx", {"output0": yolo()}, size=SIZE)
    ended = vidgraph("check", "my.onnx", "--engine", "onnxruntime")
    assert (ended.code, ended.err) == (0, "")
    assert "yolo: boxes" in ended.out
    ended = vidgraph("export", "--template", "my.onnx")
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == "my.toml: 11 lines are marked # ? as not known\n"
    ended = vidgraph("export", "--template", "my.onnx")
    assert ended.code == 1
    assert "my.toml exists already" in ended.line
    ended = vidgraph("export", "my.onnx", "-o", "other.onnx")
    assert ended.code == 2
    assert "--template" in ended.line
    (tmp_path / "my.toml").write_text('head = "semantic"')
    assert vidgraph("check", "my.onnx").code == 1


def test_a_template_says_the_same_when_it_is_read(tmp_path: Path) -> None:
    metadata = {"names": "{0: 'a \"b\"', 1: 'c', 2: 'd'}", "stride": "32", "author": "Ultralytics", "task": "detect"}
    path = write_network(tmp_path / "my.onnx", {"output0": yolo()}, size=SIZE, metadata=metadata)
    before = inspect_model(path)
    written, unknown = write_template(path)
    assert written == path.with_suffix(".toml")
    assert unknown == written.read_text().count("\n# ?")
    after = inspect_model(path)
    assert after.head == before.head
    assert after.class_names == before.class_names == ('a "b"', "c", "d")
    assert after.about.input == replace(before.about.input, name="images", layout="nchw")
    with pytest.raises(OutputError, match=r"my\.toml exists already"):
        write_template(path)
    write_template(path, force=True)
    with pytest.raises(
        UsageError, match=r"a template is a \.toml file, got .*my\.onnx; leave out -o, or give my\.toml"
    ):
        write_template(path, path, force=True)


def test_a_template_marks_what_is_assumed(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"output0": yolo()}, size=SIZE)
    text = write_template(path)[0].read_text()
    assert '\n# ? fit = "letterbox"  # assumed, as is usual for yolo; else "letterbox" or "pad" or' in text
    assert '\n# ? classes = ["class 0", "class 1", "class 2"]  # numbered' in text
    assert tomllib.loads(text)["head"] == "yolo"
    assert "fit" not in tomllib.loads(text)["input"]


def test_a_template_of_what_is_not_understood_has_every_key(tmp_path: Path) -> None:
    outputs = {"boxes": np.zeros((1, 100, 4), np.float32), "scores": np.zeros((1, 100, 3), np.float32)}
    path = write_network(tmp_path / "my.onnx", outputs, size=SIZE)
    text = write_template(path)[0].read_text()
    assert "# my.onnx: no head fits its outputs" in text
    assert '\n# ? head = "yolo" or "yolo-end2end" or' in text
    assert '\n# ? priors = a file such as "priors.npy"' in text
    assert '\n# ? logits = "boxes" or "scores"' in text
    tomllib.loads(text)
