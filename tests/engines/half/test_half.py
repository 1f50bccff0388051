"""Networks in fp16: what stays in fp32, that types and names fit, and that a card's rounding is what is computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from vidgraph.engines import EngineOptions
from vidgraph.engines.half.network import half_network, observed, rounded_network
from vidgraph.engines.half.plan import KEPT_OPERATORS, LARGEST, plan_half, with_constants
from vidgraph.engines.half.record import HalfRecord, recall, remember

from .nets import SHAPE, Node, cancelling, model_of, overflowing, picture

HALF = onnx.TensorProto.FLOAT16


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """Runs a model of fp32 with every node as it stands."""
    pytest.importorskip("onnxruntime", reason="what fp16 does is computed with it (the extra 'onnxruntime')")
    from vidgraph.engines.onnxruntime import open_exact

    def go(model: Any, **feeds: np.ndarray) -> dict[str, np.ndarray]:
        engine = open_exact("net.onnx", model, EngineOptions())
        return engine.run(feeds)

    return go


def half_of(model: Any, keep: tuple[str, ...] = ()) -> Any:
    made = half_network(model, ".", keep)
    onnx.checker.check_model(made, full_check=True)
    return made


def in_half(model: Any) -> set[str]:
    """Names of the nodes that take or give tensors of fp16, casts apart."""
    known = onnx.shape_inference.infer_shapes(model)
    kinds = {value.name: value.type.tensor_type.elem_type for value in known.graph.value_info}
    kinds |= {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    return {
        node.name
        for node in model.graph.node
        if node.op_type != "Cast" and any(kinds.get(name) == HALF for name in (*node.input, *node.output))
    }


def test_inputs_and_outputs_stay_and_weights_are_halved() -> None:
    model = overflowing()
    made = half_of(model)
    assert [*made.graph.input] == [*model.graph.input]
    assert [*made.graph.output] == [*model.graph.output]
    assert {tensor.data_type for tensor in made.graph.initializer} == {HALF}
    assert in_half(made) == {"SUMS", "KEPT", "HUGE", "SCALED", "Y"}
    assert sum(node.op_type == "Cast" for node in made.graph.node) == 2


def test_an_intermediate_too_large_is_infinite_in_fp16_and_not_with_its_layers_in_fp32(run: Any) -> None:
    model, x = overflowing(), picture()
    expected = run(model, x=x)["y"]
    broken = run(rounded_network(model, "."), x=x)["y"]
    assert not np.isfinite(broken).all()
    repaired = run(rounded_network(model, ".", ("KEPT", "HUGE", "SCALED")), x=x)["y"]
    assert np.abs(repaired - expected).max() < 2e-2
    assert np.abs(repaired - expected).max() > 0


def test_kept_layers_pass_fp32_to_each_other() -> None:
    made = half_of(overflowing(), ("HUGE", "SCALED"))
    assert in_half(made) == {"SUMS", "KEPT", "Y"}
    kinds = {node.name: node for node in made.graph.node}
    assert kinds["HUGE"].output[0] == kinds["SCALED"].input[0] == "huge", "nothing is cast between them"


def test_largest_magnitudes_are_seen(run: Any) -> None:
    model, outputs = observed(overflowing(), ".")
    x = picture()
    given = run(model, x=x)
    assert outputs.keys() == {"x", "sums", "kept", "huge", "scaled", "y"}
    assert given[outputs["x"]] == np.abs(x).max()
    assert given[outputs["huge"]] > LARGEST
    assert given[outputs["y"]] == np.abs(given["y"]).max()


def test_rounding_is_that_of_numpy(run: Any) -> None:
    """One product in fp16: its factors and itself are rounded."""
    factor = np.float32(0.1)
    model = model_of([("Mul", ["x", "factor"], ["y"], {})], {"factor": factor}, {"y": SHAPE})
    x = picture(1)
    exact = x.astype(np.float16).astype(np.float32) * np.float32(np.float16(factor))
    np.testing.assert_array_equal(run(rounded_network(model, "."), x=x)["y"], exact.astype(np.float16))


def test_cancellation_shows(run: Any) -> None:
    x = picture(2)
    model = cancelling()
    error = np.abs(run(rounded_network(model, "."), x=x)["y"] - run(model, x=x)["y"]).max()
    assert error > 0.5
    assert np.abs(run(rounded_network(model, ".", ("FAR", "BACK")), x=x)["y"] - run(model, x=x)["y"]).max() < 0.01


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [("Softmax", {"axis": 1}), ("ReduceMean", {"axes": [1], "keepdims": 1}), ("Exp", {})],
)
def test_statistics_and_exponents_stay_in_fp32(kind: str, attributes: dict[str, Any]) -> None:
    assert kind in KEPT_OPERATORS
    nodes: list[Node] = [("Relu", ["x"], ["a"], {}), (kind, ["a"], ["b"], attributes), ("Add", ["b", "a"], ["y"], {})]
    assert in_half(half_of(model_of(nodes, {}, {"y": SHAPE}))) == {"A", "Y"}


def test_nodes_that_share_a_name_share_their_precision() -> None:
    nodes: list[Node] = [("Relu", ["x"], ["a"], {}), ("Softmax", ["a"], ["b"], {}), ("Relu", ["b"], ["y"], {})]
    model = model_of(nodes, {}, {"y": SHAPE})
    model.graph.node[0].name = model.graph.node[1].name
    assert in_half(half_of(model)) == {"Y"}


def test_instance_norm_stays_in_fp32() -> None:
    nodes: list[Node] = [("InstanceNormalization", ["x", "s", "b"], ["n"], {}), ("Relu", ["n"], ["y"], {})]
    model = model_of(nodes, {"s": np.ones(4, np.float32), "b": np.zeros(4, np.float32)}, {"y": SHAPE})
    assert in_half(half_of(model)) == {"Y"}


def test_positions_stay_in_fp32_back_to_the_product_that_gives_them(run: Any) -> None:
    """A warp: offsets from a convolution, whole and fractional parts, a gather; the features are in fp16."""
    weight = np.random.default_rng(3).normal(0, 0.3, (4, 4, 1, 1)).astype(np.float32)
    nodes: list[Node] = [
        ("Relu", ["x"], ["features"], {}),
        ("Conv", ["features", "weight"], ["flow"], {}),
        ("Mul", ["flow", "reach"], ["offset"], {}),
        ("Floor", ["offset"], ["whole"], {}),
        ("Sub", ["offset", "whole"], ["part"], {}),
        ("Cast", ["whole"], ["index"], {"to": onnx.TensorProto.INT64}),
        ("Abs", ["index"], ["near"], {}),
        ("Min", ["near", "last"], ["inside"], {}),
        ("GatherElements", ["features", "inside"], ["taken"], {"axis": 3}),
        ("Mul", ["taken", "part"], ["y"], {}),
    ]
    constants = {"weight": weight, "reach": np.float32(8.3), "last": np.int64(7)}
    model = model_of(nodes, constants, {"y": SHAPE})
    assert in_half(half_of(model)) == {"FEATURES", "TAKEN", "Y"}
    x = picture(4)
    got, expected = run(rounded_network(model, "."), x=x)["y"], run(model, x=x)["y"]
    assert (np.abs(got - expected) > 0.05).mean() < 0.02, "a fraction may cross a whole number, and nothing else"


def test_the_grid_of_grid_sample_and_the_sampling_stay_in_fp32() -> None:
    nodes: list[Node] = [
        ("Relu", ["x"], ["features"], {}),
        ("Mul", ["grid", "two"], ["wide"], {}),
        ("GridSample", ["features", "wide"], ["y"], {}),
    ]
    inputs = {"x": SHAPE, "grid": (1, 8, 8, 2)}
    made = half_of(model_of(nodes, {"two": np.float32(2)}, {"y": SHAPE}, inputs))
    assert in_half(made) == {"FEATURES"}


def test_sizes_of_resize_and_integers_are_not_touched(run: Any) -> None:
    nodes: list[Node] = [
        ("Relu", ["x"], ["a"], {}),
        ("Resize", ["a", "", "scales"], ["y"], {"mode": "linear"}),
    ]
    model = model_of(nodes, {"scales": np.array([1, 1, 2, 2], np.float32)}, {"y": (1, 4, 16, 16)})
    made = half_of(model)
    assert in_half(made) == {"A", "Y"}
    assert next(each for each in made.graph.initializer if each.name == "scales").data_type == 1


def test_graphs_inside_nodes_stay_and_read_fp32() -> None:
    helper = onnx.helper
    inner = helper.make_graph(
        [helper.make_node("Add", ["a", "a"], ["twice"], name="INNER")], "then", [],
        [helper.make_tensor_value_info("twice", 1, SHAPE)],
    )  # fmt: skip
    nodes: list[Node] = [
        ("Relu", ["x"], ["a"], {}),
        ("If", ["yes"], ["b"], {"then_branch": inner, "else_branch": inner}),
        ("Relu", ["b"], ["y"], {}),
    ]
    made = half_of(model_of(nodes, {"yes": np.array(True)}, {"y": SHAPE}))
    assert {"A", "Y"} <= in_half(made)
    assert "B" not in in_half(made)


def test_a_weight_too_large_keeps_its_layer_in_fp32() -> None:
    nodes: list[Node] = [("Mul", ["x", "w"], ["a"], {}), ("Mul", ["a", "v"], ["y"], {})]
    model = model_of(nodes, {"w": np.float32(1e5), "v": np.float32(1e-5)}, {"y": SHAPE})
    assert plan_half(with_constants(model, ".")).half == {"Y"}


def test_constants_in_nodes_are_weights_too() -> None:
    value = onnx.numpy_helper.from_array(np.float32([2]), "")
    nodes: list[Node] = [("Constant", [], ["two"], {"value": value}), ("Mul", ["x", "two"], ["y"], {})]
    made = half_of(model_of(nodes, {}, {"y": SHAPE}))
    assert [node.op_type for node in made.graph.node] == ["Cast", "Mul", "Cast"]


def test_what_was_found_is_remembered_by_the_network_and_replaced() -> None:
    first = HalfRecord(("A", "B"), 8, "in.mp4", 0.001)
    assert recall("1" * 64) is None
    remember("1" * 64, first)
    assert recall("1" * 64) == first
    assert recall("2" * 64) is None
    remember("1" * 64, HalfRecord((), 1, "synth:street", 0.0))
    assert recall("1" * 64) == HalfRecord((), 1, "synth:street", 0.0)
