"""Which values a network is given: of uint8 inputs, and where the graph normalises them itself."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from vidgraph.models import load_model
from vidgraph.models.custom.inspect import inspect_model
from vidgraph.pipeline.errors import CheckpointError, UsageError

ULTRALYTICS = {"author": "Ultralytics", "stride": "32", "task": "detect", "names": "['a', 'b', 'c']"}
KINDS = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "uint16": 4,
    "int16": 5,
    "int32": 6,
    "int64": 7,
    "float16": 10,
    "float64": 11,
}
BYTES, UNIT = ((0.0,) * 3, (1.0,) * 3), ((0.0,) * 3, (255.0,) * 3)


def echo(
    path: Path,
    dtype: str,
    *,
    layout: str = "nchw",
    steps: Sequence[tuple[str, Any]] = (),
    metadata: dict[str, str] | None = None,
    toml: str = "",
    constants: str = "initializers",
) -> Path:
    """A file that gives the picture after ``steps``, an operator and its constant (or None) each; 4 x 6 pixels."""
    helper, from_array = onnx.helper, onnx.numpy_helper.from_array
    shape = [1, 3, 4, 6] if layout == "nchw" else [1, 4, 6, 3]
    nodes, weights, name = [helper.make_node("Cast", ["x"], ["x0"], to=1)], [], "x0"
    for number, (operator, value) in enumerate(steps):
        inputs = [name]
        if value is not None:
            constant = from_array(np.asarray(value, np.float32), f"c{number}")
            inputs.append(constant.name)
            if constants == "nodes":
                nodes.append(helper.make_node("Constant", [], [constant.name], value=constant))
            else:
                weights.append(constant)
        name = f"y{number}"
        nodes.append(helper.make_node(operator, inputs, [name]))
    nodes.append(helper.make_node("Identity", [name], ["y"]))
    graph = helper.make_graph(
        nodes, "echo", [helper.make_tensor_value_info("x", KINDS[dtype], shape)],
        [helper.make_tensor_value_info("y", 1, shape)], weights,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, metadata or {})
    onnx.save(model, path)
    if toml:
        path.with_suffix(".toml").write_text(toml)
    return path


def seen(path: Path) -> np.ndarray:
    """What the network makes of a picture: [3, 4, 6], and the picture so too."""
    with load_model(str(path), head="raw", engine="onnxruntime") as model:
        tensors = model(rgb()).tensors
    assert tensors is not None
    return np.asarray(tensors["y"])


def rgb() -> Any:
    return np.random.default_rng(1).integers(0, 256, (4, 6, 3)).astype(np.uint8)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("origin", ["Ultralytics", "Hugging Face", "nobody"])
def test_an_input_of_whole_numbers_takes_the_picture_as_it_is(
    dtype: str, layout: str, origin: str, tmp_path: Path
) -> None:
    path = echo(tmp_path / "my.onnx", dtype, layout=layout, metadata=ULTRALYTICS if origin == "Ultralytics" else None)
    if origin == "Hugging Face":
        given = {"image_mean": [0.5] * 3, "image_std": [0.2] * 3, "size": {"height": 4, "width": 6}}
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(given))
    np.testing.assert_array_equal(seen(path), rgb()[None] if layout == "nhwc" else rgb()[None].transpose(0, 3, 1, 2))
    custom = inspect_model(path, head="raw")
    assert (custom.about.input.mean, custom.about.input.std) == BYTES
    if origin != "nobody":
        assert custom.about.sources["input.std"] == f"the input is {dtype}"


def test_the_published_case(shared: Callable[[str], Path]) -> None:
    image = np.zeros((320, 320, 3), np.uint8)
    image[100:180, 60:200, 0] = 255
    with load_model(str(shared("cases/red_u8.onnx"))) as model:
        np.testing.assert_allclose(model(image).detections.boxes, [[60, 100, 200, 180]], atol=1)


@pytest.mark.parametrize("std", [255, 128, 17])
def test_a_description_that_leaves_nothing_of_bytes_is_refused(std: float, tmp_path: Path) -> None:
    toml = f"[input]\nmean = [0, 0, 0]\nstd = [{std}, {std}, {std}]\n"
    path = echo(tmp_path / "my.onnx", "uint8", metadata=ULTRALYTICS, toml=toml)
    with pytest.raises(
        UsageError, match=rf"my.toml says std \[{std}, .*is uint8: of 0 to 255 only .* leave mean and std out"
    ):
        load_model(str(path), head="raw")


def test_what_is_rounded_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    toml = '[input]\nfit = "stretch"\ncolor = "rgb"\nmean = [10, 10, 10]\nstd = [2, 2, 2]\n'
    path = echo(tmp_path / "my.onnx", "uint8", toml=toml)
    with caplog.at_level(logging.WARNING, "vidgraph"):
        found = seen(path)
    assert [
        line for line in caplog.messages if "my.toml says mean and std of a uint8 input: values are rounded" in line
    ]
    wanted = np.clip((rgb().astype(float) - 10) / 2, 0, 255).transpose(2, 0, 1)[None]
    np.testing.assert_allclose(found, wanted, atol=0.5)


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int16", "float64"])
def test_other_inputs_are_refused(dtype: str, tmp_path: Path) -> None:
    path = echo(tmp_path / "my.onnx", dtype, metadata=ULTRALYTICS)
    with pytest.raises(CheckpointError, match=rf"input x \({dtype} .*must be float32, float16, uint8, int32 or int64"):
        load_model(str(path))


MEAN, STD = [[123.675], [116.28], [103.53]], [[58.395], [57.12], [57.375]]
MADE_FOR_BYTES: dict[str, Sequence[tuple[str, Any]]] = {
    "divided by 255": [("Div", 255)],
    "times 1/255": [("Mul", 1 / 255)],
    "of -1 to 1": [("Div", 127.5), ("Sub", 1)],
    "1 subtracted the other way": [("Mul", 1 / 127.5), ("Add", -1)],
    "ImageNet": [("Sub", np.reshape(MEAN, (1, 3, 1, 1))), ("Div", np.reshape(STD, (1, 3, 1, 1)))],
    "ImageNet, of 0 to 1": [("Div", 255), ("Sub", np.reshape([0.485, 0.456, 0.406], (3, 1, 1))), ("Div", 0.225)],
    "the mean alone": [("Sub", np.reshape([104, 117, 123], (1, 3, 1, 1)))],
    "behind another step": [("Identity", None), ("Div", [255])],
}
MADE_FOR_UNIT: dict[str, Sequence[tuple[str, Any]]] = {
    "nothing": [],
    "ImageNet": [
        ("Sub", np.reshape([0.485, 0.456, 0.406], (3, 1, 1))),
        ("Div", np.reshape([0.229, 0.224, 0.225], (3, 1, 1))),
    ],
    "of -1 to 1": [("Mul", 2), ("Sub", 1)],
    "back to bytes": [("Mul", 255), ("Sub", np.reshape(MEAN, (1, 3, 1, 1)))],
    "another operator first": [("Relu", None), ("Div", 255)],
    "a weight for every pixel": [("Mul", np.full((1, 3, 4, 6), 1 / 255))],
}


@pytest.mark.parametrize("constants", ["initializers", "nodes"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("kind", MADE_FOR_BYTES)
def test_what_the_graph_normalises_is_not_normalised_before(
    kind: str, dtype: str, constants: str, tmp_path: Path
) -> None:
    for name, metadata in (("bare", None), ("ultralytics", ULTRALYTICS)):
        path = echo(
            tmp_path / f"{name}.onnx", dtype, steps=MADE_FOR_BYTES[kind], metadata=metadata, constants=constants
        )
        custom = inspect_model(path, head="raw")
        assert (custom.about.input.mean, custom.about.input.std) == BYTES
        assert custom.about.sources["input.std"] == "the graph, which normalises values of 0 to 255 itself"
    if kind == "divided by 255":
        np.testing.assert_allclose(seen(path), rgb()[None].transpose(0, 3, 1, 2) / 255.0, atol=1e-6)


@pytest.mark.parametrize("kind", MADE_FOR_UNIT)
def test_graphs_of_values_up_to_1_are_given_these(kind: str, tmp_path: Path) -> None:
    path = echo(tmp_path / "my.onnx", "float32", steps=MADE_FOR_UNIT[kind], metadata=ULTRALYTICS)
    custom = inspect_model(path, head="raw")
    assert (custom.about.input.mean, custom.about.input.std) == UNIT


def test_the_toml_wins_over_the_graph(tmp_path: Path) -> None:
    toml = "[input]\nmean = [0, 0, 0]\nstd = [255, 255, 255]\n"
    path = echo(tmp_path / "my.onnx", "float32", steps=MADE_FOR_BYTES["divided by 255"], toml=toml)
    assert inspect_model(path, head="raw").about.input.std == UNIT[1]
