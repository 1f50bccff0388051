"""``auto`` where an engine refuses a network: the next one takes it and that is said, or the error has every reason."""

from __future__ import annotations

import logging
import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from vidgraph.engines import ENGINES, NetworkRefused, open_engine
from vidgraph.engines.compare import random_feeds
from vidgraph.engines.open import _say_once, first_that_takes, read_ports
from vidgraph.pipeline.errors import EngineError

from ..material import CPU_ENGINES

SHAPE = (1, 84, 116)
MISSING = "onnxruntime may run it: pip install 'vidgraph[onnxruntime]'"


@pytest.fixture(autouse=True)
def both_engines() -> None:
    pytest.importorskip("openvino", reason="needs openvino")
    pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    _say_once.cache_clear()


@pytest.fixture
def no_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "onnxruntime", replace(ENGINES["onnxruntime"], package="no_such_package"))


def write(path: Path, nodes: list[Any], constants: Mapping[str, Any], output: Any, shape: Any) -> Path:
    """``nodes`` are the arguments of ``make_node``; the input is ``x``, float32 of ``SHAPE``, the output ``y``."""
    helper = onnx.helper
    graph = helper.make_graph(
        [helper.make_node(*each[:3], **each[3]) for each in nodes],
        "refused",
        [helper.make_tensor_value_info("x", 1, SHAPE)],
        [helper.make_tensor_value_info("y", output, shape)],
        [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def narrower(path: Path) -> Path:
    """Fewer columns of indices than of data, as the end of YOLO26's segmentation has: OpenVINO refuses that."""
    nodes = [
        ("Relu", ["x"], ["r"], {}),
        ("GatherElements", ["r", "rows"], ["y"], {"axis": 1}),
    ]
    rows = np.broadcast_to(np.arange(84)[:, None], (1, 84, 6))
    return write(path, nodes, {"rows": rows}, 1, (1, 84, 6))


def narrower_in_a_run(path: Path) -> Path:
    """The same where the number of columns depends on the picture: it compiles, and cannot be run."""
    nodes = [
        ("ReduceMax", ["x"], ["largest"], {"axes": [0, 1, 2], "keepdims": 0}),
        ("Greater", ["largest", "limit"], ["many"], {}),
        ("Where", ["many", "five", "four"], ["columns"], {}),
        ("Unsqueeze", ["columns", "first"], ["columns.1"], {}),
        ("Concat", ["one", "three", "columns.1"], ["wanted"], {"axis": 0}),
        ("Expand", ["second", "wanted"], ["rows"], {}),
        ("GatherElements", ["x", "rows"], ["gathered"], {"axis": 1}),
        ("ReduceMax", ["gathered"], ["y"], {"axes": [1, 2], "keepdims": 0}),
    ]
    constants: dict[str, Any] = {
        "limit": np.float32(1e9), "five": np.int64(5), "four": np.int64(4), "first": np.array([0]),
        "one": np.array([1]), "three": np.array([3]), "second": np.int64(2),
    }  # fmt: skip
    return write(path, nodes, constants, 1, (1,))


def no_operator(path: Path) -> Path:
    """Neither engine takes it."""
    return write(path, [("Frob", ["x"], ["y"], {})], {}, 1, SHAPE)


def text_output(path: Path) -> Path:
    """No engine can give it as an array."""
    return write(path, [("Cast", ["x"], ["y"], {"to": 8})], {}, 8, SHAPE)


def bfloat16_output(path: Path) -> Path:
    return write(path, [("Cast", ["x"], ["y"], {"to": 16})], {}, 16, SHAPE)


def sequence_output(path: Path) -> Path:
    """A list of arrays."""
    write(path, [("SplitToSequence", ["x"], ["y"], {"axis": 1})], {}, 1, SHAPE)
    model = onnx.load(path)
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_sequence_value_info("y", 1, None))
    path.write_bytes(model.SerializeToString())
    return path


def newer_opset(path: Path) -> Path:
    write(path, [("Frob", ["x"], ["y"], {})], {}, 1, SHAPE)
    model = onnx.load(path)
    model.opset_import[0].version = 99
    path.write_bytes(model.SerializeToString())
    return path


def columns(x: np.ndarray) -> Any:
    return np.maximum(x, 0)[:, :, :6]


def largest(x: np.ndarray) -> Any:
    return x[:, 2, :4].max(axis=1)


REFUSED = [(narrower, columns), (narrower_in_a_run, largest)]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("make", "answer"), REFUSED)
def test_auto_goes_on_and_says_so(
    make: Callable[[Path], Path], answer: Any, threads: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = make(tmp_path / "my.onnx")
    with caplog.at_level(logging.WARNING, "vidgraph"):
        for _ in range(2):
            engine = open_engine(path, threads=threads)
            feeds = random_feeds(engine.inputs)
            np.testing.assert_array_equal(engine.run(feeds)["y"], answer(feeds["x"]))
            assert engine.engine == "onnxruntime"
            engine.close()
    (said,) = caplog.messages
    assert said.startswith("my.onnx runs in onnxruntime: openvino refuses it (GatherElements")
    assert "are not consistent" in said
    assert len(said) < 400


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("make", "answer"), REFUSED)
def test_an_engine_that_is_asked_for_is_the_only_one(
    make: Callable[[Path], Path], answer: Any, threads: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = make(tmp_path / "my.onnx")
    refused = r"^cannot compile my\.onnx with openvino: GatherElements[ \w]*: Shapes "
    with pytest.raises(EngineError, match=refused) as caught:
        open_engine(path, engine="openvino", threads=threads)
    assert "onnxruntime" not in str(caught.value)
    assert caplog.messages == []
    engine = open_engine(path, engine="onnxruntime", threads=threads)
    feeds = random_feeds(engine.inputs)
    np.testing.assert_array_equal(engine.run(feeds)["y"], answer(feeds["x"]))


@pytest.mark.parametrize(("make", "answer"), REFUSED)
@pytest.mark.usefixtures("no_onnxruntime")
def test_an_engine_that_is_missing_is_named(make: Callable[[Path], Path], answer: Any, tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        open_engine(make(tmp_path / "my.onnx"))
    message = str(caught.value)
    assert message.startswith("cannot compile my.onnx with openvino: GatherElements")
    assert message.endswith(f"; {MISSING}")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("make", "reasons"),
    [
        (no_operator, r"cannot \w+ my\.onnx with openvino: .*Frob.*; nor with onnxruntime: .*Frob"),
        (newer_opset, r"cannot \w+ my\.onnx with openvino: .*Frob.*; nor with onnxruntime: .*[Oo]pset 99"),
        (text_output, r"cannot compile my\.onnx: 'y' is string, .*; nor with onnxruntime: 'y' is a tensor\(string\), "),
        (bfloat16_output, r"cannot compile my\.onnx: 'y' is bfloat16, .*; nor with onnxruntime: .*\(bfloat16\)"),
        (sequence_output, r"cannot \w+ my\.onnx with openvino: .*Sequence.*; nor with onnxruntime: 'y' is a seq\("),
    ],
)
def test_a_network_that_no_engine_takes_has_every_reason(
    make: Callable[[Path], Path], reasons: str, tmp_path: Path, capfd: Any
) -> None:
    with pytest.raises(EngineError) as caught:
        open_engine(make(tmp_path / "my.onnx"))
    message = str(caught.value)
    assert re.match(reasons, message), message
    assert "\n" not in message
    assert len(message) < 800
    assert not re.search(r"\.[ch]pp|/\w+/\w+/", message), "where in the engine's sources is nobody's business"
    assert capfd.readouterr().err == ""


def test_a_refusal_survives_pickling() -> None:
    refused = pickle.loads(pickle.dumps(NetworkRefused("cannot compile my.onnx", "it is odd")))
    assert (str(refused), refused.reason) == ("cannot compile my.onnx: it is odd", "it is odd")


def test_a_file_that_cannot_be_read_is_no_engines_matter(tmp_path: Path) -> None:
    (tmp_path / "my.onnx").write_bytes(b"nothing")
    with pytest.raises(
        EngineError, match=r"^cannot open my\.onnx: it is not an ONNX network; export the network again$"
    ):
        open_engine(tmp_path / "my.onnx")


def test_shapes_come_from_the_engine_that_knows_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = narrower(tmp_path / "my.onnx")
    (port,) = read_ports(path, "my.onnx")
    assert (port.name, port.shape) == ("y", (1, 84, 6))
    monkeypatch.setitem(ENGINES, "onnxruntime", replace(ENGINES["onnxruntime"], package="no_such_package"))
    no_operator(path)
    with pytest.raises(EngineError, match=rf"^cannot read my\.onnx with openvino: .*Frob.*; {re.escape(MISSING)}$"):
        read_ports(path, "my.onnx")
    with pytest.raises(EngineError, match=r"^cannot read my\.onnx with openvino: .*Frob-17$"):
        read_ports(path, "my.onnx", engine="openvino")


def test_what_belongs_together_is_opened_in_one_engine(tmp_path: Path) -> None:
    ordinary = write(tmp_path / "ordinary.onnx", [("Relu", ["x"], ["y"], {})], {}, 1, SHAPE)
    refused = narrower(tmp_path / "refused.onnx")

    def both(row: Any) -> list[str]:
        return [open_engine(path, engine=row.name).engine for path in (ordinary, refused)]

    assert first_that_takes("auto", "cpu", "both", both) == ["onnxruntime"] * 2
    with pytest.raises(EngineError, match=r"^cannot compile refused\.onnx with openvino"):
        first_that_takes("openvino", "cpu", "both", both)


@pytest.mark.parametrize("name", CPU_ENGINES)
def test_what_is_always_empty_is_refused(name: str, tmp_path: Path) -> None:
    nodes: list[Any] = [("Slice", ["x", "zero", "zero", "zero"], ["y"], {})]
    path = write(tmp_path / "my.onnx", nodes, {"zero": np.array([0])}, 1, (0, 84, 116))
    with pytest.raises(EngineError, match=r"^cannot open my\.onnx: 'y' is always empty \(\[0, 84, 116\]\); export"):
        open_engine(path, engine=name)
