"""Engines are built without a card, once for what decides them, and what the parser refuses is named."""

from __future__ import annotations

import logging
import signal
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.reference
import pytest
from vidgraph.engines import NetworkRefused
from vidgraph.engines.cache import cache_root, replace_entry
from vidgraph.engines.tensorrt.engine_file import read_engine
from vidgraph.pipeline.errors import EngineError

from ..half.nets import SHAPE, Node, model_of, overflowing, saved

pytest.importorskip("tensorrt_rtx_bindings", reason="needs TensorRT-RTX (the extra 'tensorrt-rtx')")

from vidgraph.engines.tensorrt.flavour import RTX
from vidgraph.engines.tensorrt.rtx import build_network, describe


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return saved(overflowing(), tmp_path / "net.onnx")


def test_it_says_what_it_is_without_a_card() -> None:
    about = describe()
    assert about.version == RTX.version
    assert about.devices == ("cuda",)
    assert {"7.5", "8.0", "8.6", "8.9", "12.0"} <= set(RTX.architectures)
    assert not {"9.0", "10.0"} & set(RTX.architectures), "these cards need TensorRT; the documentation says so"


def test_the_second_build_comes_from_the_cache(net: Path) -> None:
    first, second = (build_network(net, "fp16") for _ in range(2))
    assert (first.cached, second.cached) == (False, True)
    assert first.seconds > 0
    assert first.path == second.path
    assert first.content == second.content
    assert first.facts == second.facts
    facts, plan = read_engine(second.path)
    assert facts == first.facts
    assert len(plan) > 10_000
    assert [(spec.name, spec.dtype, spec.shape) for spec in (*facts.inputs, *facts.outputs)] == [
        ("x", np.dtype(np.float32), SHAPE),
        ("y", np.dtype(np.float32), SHAPE),
    ]
    assert facts.architectures == RTX.architectures


def test_whatever_decides_an_engine_makes_another(net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {build_network(net, "fp32").path}

    def builds_another(path: Path = net, precision: str = "fp32", keep: tuple[str, ...] = ()) -> bool:
        built = build_network(path, precision, keep)
        fresh = not built.cached and built.path not in seen
        seen.add(built.path)
        return fresh

    assert builds_another(precision="fp16")
    assert builds_another(precision="fp16", keep=("HUGE",)), "a flag"
    changed = overflowing()
    weight = next(each for each in changed.graph.initializer if each.name == "weight")
    values = onnx.numpy_helper.to_array(weight).copy()
    values.flat[0] = np.nextafter(values.flat[0], 1)
    weight.CopyFrom(onnx.numpy_helper.from_array(values, "weight"))
    assert builds_another(saved(changed, tmp_path / "changed.onnx")), "one bit of one weight"
    assert not builds_another(saved(overflowing(), tmp_path / "renamed.onnx")), "a name decides nothing"
    with monkeypatch.context() as patched:
        patched.setattr("vidgraph.engines.tensorrt.build.VERSION", 2)
        assert builds_another(), "another version"
    with monkeypatch.context() as patched:
        patched.setattr(type(RTX), "architectures", ("8.6",))
        assert builds_another(), "other architectures"


def test_a_weight_in_a_file_beside_the_network_decides_too(tmp_path: Path) -> None:
    model = overflowing()
    paths = []
    for folder, factor in (("a", 1.0), ("b", 2.0)):
        (tmp_path / folder).mkdir()
        weight = next(each for each in model.graph.initializer if each.name == "weight")
        values = onnx.numpy_helper.to_array(weight)
        weight.CopyFrom(onnx.numpy_helper.from_array(np.asarray(values * factor, np.float32), "weight"))
        path = tmp_path / folder / "net.onnx"
        onnx.save_model(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
        model = onnx.load(path)
        paths.append(path)
    for precision in ("fp32", "fp16"):
        builds = [build_network(path, precision) for path in paths]
        assert [built.cached for built in builds] == [False, False]
        assert builds[0].path != builds[1].path


@pytest.mark.parametrize("content", [b"", b"an engine of another program", b"vidgraph engine\nxx"])
def test_a_damaged_or_foreign_entry_is_built_again(net: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    first = build_network(net, "fp32")
    first.path.write_bytes(content)
    assert not build_network(net, "fp32").cached, "it does not fit its digest"
    replace_entry("engines", first.path.name, content)  # as a whole entry
    with caplog.at_level(logging.WARNING, "vidgraph"):
        assert not build_network(net, "fp32").cached
    assert any("building it again" in message for message in caplog.messages)
    assert build_network(net, "fp32").cached


def test_without_a_cache_it_is_built_each_time(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDGRAPH_CACHE_MAX", "0")
    built = [build_network(net, "fp32") for _ in range(2)]
    assert [each.cached for each in built] == [False, False]
    assert [each.path for each in built] == [None, None]
    assert not list(cache_root().rglob("*.engine"))


def test_it_says_how_far_it_is(net: Path) -> None:
    told: list[tuple[str, int, int]] = []
    build_network(net, "fp32", (), lambda *each: told.append(each))
    assert told[0][1] == 0
    assert all(0 <= done <= total for _, done, total in told)
    assert told[-1][1] == told[-1][2]


def test_a_build_is_stopped_by_what_it_tells_and_leaves_nothing(net: Path) -> None:
    def stop(phase: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_network(net, "fp32", (), stop)
    assert not list(cache_root().rglob("*.engine"))
    assert not build_network(net, "fp32").cached


def test_ctrl_c_ends_a_build(net: Path) -> None:
    """Whenever it comes: no step of the library sees it as an exception."""
    pressed: list[str] = []

    def press(phase: str, done: int, total: int) -> None:
        if not pressed:
            pressed.append(phase)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        build_network(net, "fp32", (), press)
    assert pressed
    assert not list(cache_root().rglob("*.engine"))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    ("precision", "keep", "turing"), [("fp32", (), False), ("fp16", (), True), ("fp16", ("Y",), False)]
)
def test_products_of_matrices_in_fp32_leave_turing_out(
    tmp_path: Path, precision: str, keep: tuple[str, ...], turing: bool
) -> None:
    nodes: list[Node] = [("MatMul", ["x", "w"], ["y"], {})]
    weights = {"w": np.ones((SHAPE[-1], SHAPE[-1]), np.float32)}
    path = saved(model_of(nodes, weights, {"y": SHAPE}), tmp_path / "net.onnx")
    built = build_network(path, precision, keep)
    assert ("7.5" in built.facts.architectures) == turing
    assert set(RTX.architectures) - set(built.facts.architectures) <= {"7.5"}


def refusal(model: Any, tmp_path: Path) -> str:
    with pytest.raises(NetworkRefused) as caught:
        build_network(saved(model, tmp_path / "my.onnx"), "fp32")
    message = str(caught.value)
    assert message.startswith("cannot build my.onnx with TensorRT-RTX: ")
    assert "\n" not in message
    assert ".cpp" not in message
    return caught.value.reason


@pytest.mark.parametrize(
    ("nodes", "constants", "reason"),
    [
        ([("Frob", ["x"], ["y"], {})], {}, "Frob Y: there is no such operator"),
        ([("TopK", ["x", "k"], ["y", "i"], {})], {"k": np.array([4000])},
         "TopK Y: K exceeds the maximum value allowed (3840)"),
        ([("Resize", ["x", "", "", "s"], ["y"], {"mode": "linear", "antialias": 1})], {"s": np.array([1, 3, 4, 2500])},
         "Resize Y: Antialiasing is not supported currently"),
        ([("ScatterElements", ["x", "i", "u"], ["y"], {"axis": 3, "reduction": "add"})],
         {"i": np.zeros((1, 3, 8, 1), np.int64), "u": np.ones((1, 3, 8, 1), np.float32)},
         "ScatterElements Y: Unsupported reduction type"),
        ([("MaxPool", ["x"], ["y", "i"], {"kernel_shape": [2, 2]})], {}, "MaxPool Y: "),
        ([("DeformConv", ["x", "w", "o"], ["y"], {"kernel_shape": [1, 1]})],
         {"w": np.ones((3, 3, 1, 1), np.float32), "o": np.zeros((1, 2, 8, 5000), np.float32)},
         "DeformConv Y: there is no such operator"),
    ],
)  # fmt: skip
def test_what_the_parser_refuses_has_its_operator_and_node(
    nodes: list[Node], constants: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    shape = (1, 3, 8, 5000)
    model = model_of(nodes, constants, {"y": shape}, {"x": shape}, opset=19)
    assert refusal(model, tmp_path).startswith(reason)


def test_types_that_it_would_change_are_refused(tmp_path: Path) -> None:
    model = model_of([("Relu", ["x"], ["y"], {})], {}, {"y": SHAPE})
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    assert refusal(model, tmp_path) == "'x' is float64, which it does not have"


def test_open_shapes(tmp_path: Path) -> None:
    model = model_of([("Relu", ["x"], ["y"], {})], {}, {"y": SHAPE})
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "n"
    with pytest.raises(EngineError, match=r"'x' has no fixed shape .*; export it for one batch size") as caught:
        build_network(saved(model, tmp_path / "my.onnx"), "fp32")
    assert not isinstance(caught.value, NetworkRefused)


def test_precisions_that_are_not_there(net: Path) -> None:
    with pytest.raises(EngineError, match="'int8' needs a quantised network"):
        build_network(net, "int8")
    with pytest.raises(EngineError, match="precision 'bf16' is not built"):
        build_network(net, "bf16")


def test_a_network_of_fp16_is_built_as_it_is(tmp_path: Path) -> None:
    model = model_of([("Relu", ["x"], ["y"], {})], {}, {"y": SHAPE})
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    path = saved(model, tmp_path / "half.onnx")
    facts = build_network(path, "fp16").facts
    assert {spec.dtype.name for spec in (*facts.inputs, *facts.outputs)} == {"float16"}
    with pytest.raises(EngineError, match=r"^half\.onnx is in fp16; precision 'fp32' needs the network it was made of"):
        build_network(path, "fp32")


def test_a_quantised_network_is_built_as_it_is(tmp_path: Path) -> None:
    scale = {"s": np.float32(0.1), "z": np.int8(0)}
    nodes: list[Node] = [
        ("QuantizeLinear", ["x", "s", "z"], ["q"], {}),
        ("DequantizeLinear", ["q", "s", "z"], ["d"], {}),
        ("Relu", ["d"], ["y"], {}),
    ]
    path = saved(model_of(nodes, scale, {"y": SHAPE}), tmp_path / "q.onnx")
    assert build_network(path, "int8").facts.precision == "int8"
    with pytest.raises(EngineError, match=r"q\.onnx is quantised and computes in int8"):
        build_network(path, "fp16")


@pytest.mark.parametrize("zero", [np.uint8(0), np.uint8(100), np.int8(-30)])
def test_what_was_quantised_for_processors_is_built_around_zero(zero: Any, tmp_path: Path) -> None:
    """Ranges stay, and so do the weights; a number is off by at most half a step, which may be twice as large."""
    from vidgraph.engines.tensorrt.symmetric import symmetric

    step = np.float32(0.02)
    info = np.iinfo(zero.dtype)
    low, high = (info.min - int(zero)) * step, (info.max - int(zero)) * step
    constants = {
        "s": step, "z": zero, "w": np.full((4, 4, 1, 1), 3, np.int8), "ws": np.full(4, 0.1, np.float32),
        "wz": np.zeros(4, np.int8),
    }  # fmt: skip
    nodes: list[Node] = [
        ("QuantizeLinear", ["x", "s", "z"], ["q"], {}),
        ("DequantizeLinear", ["q", "s", "z"], ["y"], {}),
        ("DequantizeLinear", ["w", "ws", "wz"], ["weight"], {"axis": 0}),
        ("Conv", ["y", "weight"], ["c"], {}),
    ]
    path = saved(model_of(nodes, constants, {"y": SHAPE, "c": SHAPE}, opset=19), tmp_path / "q.onnx")
    assert build_network(path, "int8").facts.precision == "int8"
    made = symmetric(onnx.load(path))
    onnx.checker.check_model(made, full_check=True)
    kinds = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in made.graph.initializer}
    first, second, weights, _ = made.graph.node
    assert first.input[1:] == second.input[1:]
    assert kinds[first.input[2]].dtype == np.int8
    assert not kinds[first.input[2]].any()
    assert weights.input[1:] == ["ws", "wz"]
    scale = kinds[first.input[1]]
    assert scale * 127 == pytest.approx(max(-low, high))
    x = np.linspace(low, high, 256, dtype=np.float32).reshape(SHAPE)
    got = onnx.reference.ReferenceEvaluator(made).run(["y"], {"x": x})[0]
    assert np.abs(got - x).max() <= scale / 2 * 1.001
