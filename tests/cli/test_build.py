"""``vidgraph build``: the table, the check of fp16, what is cached, and what is refused on one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import helper

from ..material import make_photo

TABLE = ["model", "graph", "batch", "input", "precision", "size", "seconds", "architectures"]


@pytest.fixture
def rtx() -> None:
    pytest.importorskip("tensorrt_rtx_bindings", reason="needs TensorRT-RTX (the extra 'tensorrt-rtx')")
    pytest.importorskip("onnxruntime", reason="fp16 is checked with it (the extra 'onnxruntime')")


@pytest.fixture
def build(vidgraph: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs the command with an empty cache."""
    monkeypatch.setenv("VIDGRAPH_CACHE", str(tmp_path / "cache"))
    make_photo(tmp_path / "photo.png")
    return lambda *words: vidgraph("build", *words)


def test_a_video_model_is_checked_and_both_graphs_are_built_once(build: Callable[..., Any], rtx: None) -> None:
    words = ("yolact-edge-tiny", "--size", "160x96", "--frames", "2")
    ended = build(*words)
    assert ended.code == 0
    (said,) = ended.err.splitlines()
    assert said.startswith("yolact-edge-tiny: fp16 on 2 frames of synth:street")
    assert "0 tensors above 65504, 0 layers stay in fp32" in said
    header, *rows = [line.split() for line in ended.out.splitlines()]
    assert header == TABLE
    assert [row[:5] for row in rows] == [
        ["yolact-edge-tiny", "key", "1", "160x96", "fp16"], ["yolact-edge-tiny", "non_key", "1", "160x96", "fp16"],
    ]  # fmt: skip
    assert [row[8] for row in rows] == ["built", "built"]
    assert all(" ".join(row[9:]).startswith("7.5, 8.0, 8.6, 8.9, 12.0") for row in rows)
    again = build(*words, "-q")
    assert (again.code, again.err) == (0, "")
    assert [line.split()[7:9] for line in again.out.splitlines()[1:]] == [["-", "cached"]] * 2
    other = build(*words[:3], "--precision", "fp32", "--batch", "2")
    assert [line.split()[1:5] for line in other.out.splitlines()[1:]] == [
        ["key", "1", "160x96", "fp32"], ["key", "2", "160x96", "fp32"],
            ["non_key", "1", "160x96", "fp32"], ["non_key", "2", "160x96", "fp32"],
    ]  # fmt: skip


def test_what_fp16_breaks_is_said_and_built_in_fp32(
    build: Callable[..., Any], rtx: None, custom_model: Path, tmp_path: Path
) -> None:
    from ..benchmarks.test_half_check import with_nodes

    with_nodes(custom_model, tmp_path / "broken.onnx", [("Mul", "up", 25000.0), ("Mul", "down", 1 / 25000.0)])
    ended = build("broken.onnx", "--source", "photo.png")
    assert ended.code == 0, ended.err
    assert "1 tensor above 65504, 2 layers stay in fp32" in ended.err
    assert "fp16, 2 layers fp32" in ended.out.splitlines()[1]
    from vidgraph.engines.tensorrt.engine_file import read_engine

    (engine,) = (tmp_path / "cache" / "engines").glob("*.engine")
    facts, _ = read_engine(engine)
    assert facts is not None
    assert facts.keep == ("down", "up")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("yolact-edge-tiny", "--engine", "openvino"), "engine 'openvino' compiles where it runs; engines that build"),
        (("yolact-edge-tiny", "--engine", "tensort"), "unknown engine 'tensort'; did you mean tensorrt"),
        (("yolact-edge-tiny", "--precision", "fp32", "--source", "a.mp4"), "--source is for what fp16 is checked on"),
        (("yolact-edge-tiny", "--precision", "int8", "--frames", "3"), "--frames is for what fp16 is checked on"),
        (("yolact-edge-tiny", "--precision", "int8"), "is not quantised, which precision int8 needs"),
        (("yolact-edge-tiny", "--source", ""), "an empty source address; give a video"),
        (("yolact-edge-tny",), "unknown model 'yolact-edge-tny'; did you mean yolact-edge"),
    ],
)  # fmt: skip
def test_what_is_refused(build: Callable[..., Any], rtx: None, words: tuple[str, ...], message: str) -> None:
    ended = build(*words)
    assert ended.code == 2, ended.err
    assert message in ended.line


def test_nodes_that_need_one_another_are_one_line(
    build: Callable[..., Any], rtx: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """TensorRT would write two of its own to the terminal."""
    value = helper.make_tensor_value_info("x", 1, [1, 3, 8, 8])
    out = helper.make_tensor_value_info("c", 1, [1, 3, 8, 8])
    nodes = [helper.make_node("Add", ["x", "b"], ["b"]), helper.make_node("Relu", ["b"], ["c"])]
    onnx.save(helper.make_model(helper.make_graph(nodes, "cyclic", [value], [out])), tmp_path / "cyclic.onnx")
    ended = build("cyclic.onnx", "--precision", "fp32", "--head", "raw")
    assert ended.code == 1
    assert ended.line.endswith("cyclic.onnx is damaged or no ONNX file (its nodes need one another: Add b)")
    assert capfd.readouterr() == ("", "")


def test_a_cache_that_is_off(build: Callable[..., Any], rtx: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDGRAPH_CACHE_MAX", "0")
    ended = build("yolact-edge-tiny", "--precision", "fp32")
    assert ended.code == 2
    assert ended.line.endswith("which VIDGRAPH_CACHE_MAX=0 turns off")


def test_what_was_built_is_listed_though_the_next_is_refused(
    build: Callable[..., Any], rtx: None, tmp_path: Path
) -> None:
    (tmp_path / "damaged.onnx").write_bytes(b"no network")
    ended = build("yolact-edge-tiny", "damaged.onnx", "--size", "160x96", "--precision", "fp32")
    assert ended.code == 1
    assert "damaged.onnx" in ended.line
    assert [line.split()[1] for line in ended.out.splitlines()] == ["graph", "key", "non_key"]


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_cache_that_keeps_nothing(
    build: Callable[..., Any], rtx: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    """An engine that is lost is none, and one without its layers in fp32 is a wrong one."""
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("VIDGRAPH_CACHE", str(tmp_path / "file" / "cache"))
    ended = build("yolact-edge-tiny", "--size", "160x96", "--precision", precision, "-q")
    assert ended.code == 1
    assert ended.line.startswith("cannot keep ")
    assert f"nothing can be kept in {tmp_path / 'file' / 'cache'}; make that folder writable" in ended.line
    assert ended.out == ""


def test_a_missing_package_names_its_extra(build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from vidgraph.engines import ENGINES

    monkeypatch.setitem(ENGINES, "tensorrt-rtx", replace(ENGINES["tensorrt-rtx"], package="no_such_package"))
    ended = build("yolact-edge-tiny")
    assert (ended.code, ended.line) == (
        1, "engine 'tensorrt-rtx' needs an optional package; install it with: pip install 'vidgraph[tensorrt-rtx]'",
    )  # fmt: skip


def test_on_a_machine_with_a_card_the_engine_is_compared_on_it(
    build: Callable[..., Any], rtx: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the card is a claim: the library says that it cannot be used, as of one that the engine is not for."""
    from dataclasses import replace

    from vidgraph.benchmarks import half_check
    from vidgraph.engines import NetworkRefused
    from vidgraph.kernels.device import DEVICES

    asked: list[Any] = []

    def refuse(model: Any, **settings: Any) -> None:
        asked.append((settings["engine"], settings["precision"], settings["frames"]))
        raise NetworkRefused("TensorRT-RTX does not run on this", "it is too old")

    monkeypatch.setitem(DEVICES, "cuda", replace(DEVICES["cuda"], count=lambda: 1))
    monkeypatch.setattr(half_check, "check_engine", refuse)
    ended = build("yolact-edge-tiny", "--size", "160x96", "--precision", "fp32", "--frames", "2")
    assert ended.code == 0, ended.err
    assert asked == [("tensorrt-rtx", "fp32", 2)]
    assert "yolact-edge-tiny was not compared on this card: TensorRT-RTX does not run on this: it is" in ended.err
