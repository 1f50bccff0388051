"""Choosing and opening engines: names, devices, precisions, and files that are no network."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from vidgraph.engines import ENGINES, EngineOptions, open_engine
from vidgraph.engines.open import PRECISIONS, choose_device, choose_engine
from vidgraph.engines.processor import Processor, parse_cpuinfo
from vidgraph.pipeline.errors import EngineError, MissingExtraError, UsageError

from ..material import CPU_ENGINES

KNOWN, KNOWN_PRECISIONS = ", ".join(["auto", *ENGINES]), ", ".join(PRECISIONS)
REAL = [pytest.param(name, marks=pytest.mark.skipif(not row.installed, reason=f"needs {row.package}"))
        for name, row in ENGINES.items() if name in CPU_ENGINES]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "openvno"}, "unknown engine 'openvno'; did you mean openvino? known: " + KNOWN),
        ({"engine": "zzz"}, "unknown engine 'zzz'; known: " + KNOWN),
        ({"engine": "pytorch"}, "unknown engine 'pytorch'; did you mean torch? known: " + KNOWN),
        ({"precision": "bf61"}, "unknown precision 'bf61'; did you mean bf16 or fp16? known: " + KNOWN_PRECISIONS),
        ({"device": "gpu"}, "unknown device 'gpu'; did you mean cpu? known: auto, cpu, cuda:0"),
    ],
)  # fmt: skip
def test_unknown_names_are_usage_errors(network: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_engine(network, **options)  # type: ignore[arg-type]
    assert str(caught.value) == message


@pytest.mark.usefixtures("cpu_engines_alone")
def test_no_cuda_engine(network: Path) -> None:
    with pytest.raises(EngineError, match=r"^cannot run conv_relu\.onnx on cuda:1: .* no CUDA engine is installed"):
        open_engine(network, device="cuda:1")


def test_devices() -> None:
    assert [choose_device(name) for name in ("auto", "cpu", "cuda", "CUDA:2")] == ["cpu", "cpu", "cuda:0", "cuda:2"]


@pytest.mark.usefixtures("cpu_engines_alone")
def test_auto_is_the_first_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    absent, present = (
        replace(ENGINES["openvino"], package="no_such_package"),
        replace(ENGINES["onnxruntime"], package="os"),
    )
    monkeypatch.setitem(ENGINES, "openvino", absent)
    monkeypatch.setitem(ENGINES, "onnxruntime", present)
    assert choose_engine("auto").name == "onnxruntime"
    monkeypatch.setitem(ENGINES, "onnxruntime", replace(present, package="no_such_package"))
    with pytest.raises(MissingExtraError, match=r"pip install 'vidgraph\[openvino\]'"):
        choose_engine("auto")


def test_a_missing_package_names_its_extra(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "onnxruntime", replace(ENGINES["onnxruntime"], package="no_such_package"))
    with pytest.raises(MissingExtraError, match=r"^engine 'onnxruntime' needs .*vidgraph\[onnxruntime\]'$"):
        open_engine(network, engine="onnxruntime")


@pytest.mark.parametrize("engine", REAL)
@pytest.mark.parametrize("damage", ["missing", "a folder", "empty", "text", "cut short", "cut in the middle"])
def test_a_file_that_is_no_network(engine: str, damage: str, network: Path, tmp_path: Path, capfd: Any) -> None:
    path, whole = tmp_path / "broken.onnx", network.read_bytes()
    if damage == "a folder":
        path.mkdir()
    elif damage != "missing":
        contents = {"empty": b"", "text": b"This is not a network.\n" * 9, "cut short": whole[:-9]}
        path.write_bytes(contents.get(damage, whole[: len(whole) // 2]))
    with pytest.raises(EngineError, match=r"broken\.onnx") as caught:
        open_engine(path, engine=engine)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""  # the libraries print nothing of their own


@pytest.mark.parametrize("engine", REAL)
def test_an_unknown_operator_is_named_on_one_line(engine: str, network: Path, tmp_path: Path, capfd: Any) -> None:
    path = tmp_path / "odd.onnx"
    path.write_bytes(network.read_bytes().replace(b"Relu", b"Frob"))
    with pytest.raises(EngineError, match=rf"odd\.onnx with {engine}: .*Frob") as caught:
        open_engine(path, engine=engine)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("engine", REAL)
def test_open_shapes_are_refused(engine: str, make_conv: Any, tmp_path: Path) -> None:
    path = make_conv().write(tmp_path, "open.onnx", dynamic=True)
    with pytest.raises(
        EngineError, match=r"open\.onnx: 'image' has no fixed shape \(\[.*\]\); export it for one batch"
    ):
        open_engine(path, engine=engine)


@pytest.mark.parametrize("engine", REAL)
def test_weights_in_a_second_file(engine: str, network: Path, conv: Any, tmp_path: Path, own_cache: Path) -> None:
    path = tmp_path / "split.onnx"
    weights = tmp_path / "split.weights"
    model = onnx.load(network)
    onnx.save(model, path, save_as_external_data=True, location=weights.name, size_threshold=0)
    image = conv.image(1)
    with_weights = open_engine(path, engine=engine, precision="fp32").run({"image": image})["means"].copy()
    np.testing.assert_allclose(with_weights, conv.answer(image)["means"], atol=1e-5)
    weights.write_bytes(b"\0" * weights.stat().st_size)  # other weights, same file name: not the cached network
    assert open_engine(path, engine=engine, precision="fp32").run({"image": image})["means"].max() == 0
    weights.unlink()
    with pytest.raises(EngineError, match=r"its weights are in 'split\.weights', which cannot be read"):
        open_engine(path, engine=engine)


def test_bf16_where_the_processor_has_it(network: Path, conv: Any, tolerance: Any) -> None:
    openvino = pytest.importorskip("vidgraph.engines.openvino", reason="needs openvino")
    available = openvino.available_precisions()
    engine = open_engine(network, engine="openvino")
    assert engine.precision == ("bf16" if "bf16" in available else "fp32")
    image = conv.image(2)
    expected = conv.answer(image)["features"]
    got = engine.run({"image": image})["features"].copy()
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance("engine bf16, one convolution"))
    if "bf16" in available:
        assert np.abs(got - expected).max() > 1e-4  # it really is bf16, from the cache too
        again = open_engine(network, engine="openvino").run({"image": image})["features"]
        np.testing.assert_array_equal(got, again)


@pytest.mark.parametrize(
    ("able", "flags", "expected"),
    [
        (["BF16", "FP32", "INT8"], {"avx512f"}, ("fp32", "int8")),  # it says BF16 where it only emulates it
        (["BF16", "FP32", "INT8"], {"avx512f", "avx512_bf16"}, ("fp32", "bf16", "int8")),
        (["FP32", "FP16"], {"asimd", "bf16"}, ("fp32", "fp16")),
    ],
)
def test_native_precisions(
    able: list[str], flags: set[str], expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    openvino = pytest.importorskip("vidgraph.engines.openvino", reason="needs openvino")

    class Core:
        def get_property(self, device: str, name: str) -> list[str]:
            return able

    monkeypatch.setattr(openvino, "_core", Core)
    monkeypatch.setattr(openvino, "processor", lambda: Processor("a model", frozenset(flags)))
    assert openvino.available_precisions.__wrapped__() == expected


def test_a_precision_that_is_not_native_names_those_that_are(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    openvino = pytest.importorskip("vidgraph.engines.openvino", reason="needs openvino")
    monkeypatch.setattr(openvino, "available_precisions", lambda: ("fp32", "int8"))
    with pytest.raises(EngineError, match=r"^conv_relu\.onnx: precision 'fp16' is not native .* has fp32, int8 here$"):
        open_engine(network, engine="openvino", precision="fp16")
    with pytest.raises(EngineError, match=r"'int8' needs a quantised network, and this one is not; make one with"):
        open_engine(network, engine="openvino", precision="int8")
    assert open_engine(network, engine="openvino", precision="auto").precision == "fp32"


def test_int8_runs_a_quantised_network(tmp_path: Path) -> None:
    openvino = pytest.importorskip("vidgraph.engines.openvino", reason="needs openvino")
    if "int8" not in openvino.available_precisions():
        pytest.skip("needs a processor on which openvino computes in int8")
    helper, kind = onnx.helper, onnx.TensorProto
    scale, zero = helper.make_tensor("scale", kind.FLOAT, [], [0.5]), helper.make_tensor("zero", kind.INT8, [], [0])
    shape = [1, 1, 2, 3]
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["rounded"]),
            helper.make_node("Conv", ["rounded", "weight"], ["y"]),
        ],
        "quantised",
        [helper.make_tensor_value_info("x", kind.FLOAT, shape)],
        [helper.make_tensor_value_info("y", kind.FLOAT, shape)],
        [scale, zero, helper.make_tensor("weight", kind.FLOAT, [1, 1, 1, 1], [2.0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path = tmp_path / "quantised.onnx"
    path.write_bytes(model.SerializeToString())
    engine = open_engine(path, engine="openvino", precision="int8")
    assert engine.precision == "int8"
    given = np.array([-100, -0.6, 0.1, 0.3, 0.8, 100], np.float32).reshape(shape)
    assert engine.run({"x": given})["y"].ravel().tolist() == [-128, -1, 0, 1, 2, 127]


def test_onnxruntime_computes_in_the_precision_of_the_graph(network: Path) -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(
        EngineError, match=r"^conv_relu\.onnx: precision 'bf16' is not available with onnxruntime.*fp32$"
    ):
        open_engine(network, engine="onnxruntime", precision="bf16")


@pytest.mark.parametrize("engine", REAL)
def test_deterministic_results_do_not_depend_on_threads(engine: str, make_conv: Any, tmp_path: Path) -> None:
    large = make_conv(height=96, width=96)
    path, image = large.write(tmp_path), large.image(4)
    results = [
        open_engine(path, engine=engine, threads=threads, deterministic=True).run({"image": image})["means"].copy()
        for threads in (1, 2, 3)
    ]
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_threads_are_shared_out_to_requests() -> None:
    assert [EngineOptions(requests=r, threads=t).threads_per_request for r, t in ((1, 4), (4, 4), (2, 5), (4, 2))] == [
        4, 1, 2, 1,
    ]  # fmt: skip
    assert EngineOptions(requests=1, threads=4, deterministic=True).threads_per_request == 1


@pytest.mark.parametrize(("requests", "threads"), [(0, 1), (1, 0)])
def test_numbers_below_one_are_refused(network: Path, requests: int, threads: int) -> None:
    with pytest.raises(ValueError, match="requests and threads must be at least 1"):
        open_engine(network, requests=requests, threads=threads)


@pytest.mark.parametrize("engine", REAL)
def test_no_network_access_no_identifiers_no_processes(engine: str, network: Path, tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "seen = []\n"
        "watched = ('socket.', 'subprocess.', 'os.fork', 'os.posix_spawn', 'os.exec', 'os.system')\n"
        "sys.addaudithook(lambda event, args: seen.append(event) if event.startswith(watched) else None)\n"
        "import vidgraph.engines\n"
        "assert not {'openvino', 'onnxruntime'} & set(sys.modules), 'an engine is imported too early'\n"
        "from vidgraph.engines import open_engine\n"
        "from vidgraph.engines.compare import random_feeds\n"
        f"engine = open_engine({str(network)!r}, engine={engine!r})\n"
        "engine.run(random_feeds(engine.inputs))\n"
        "engine.close()\n"
        "assert 'openvino_telemetry' not in sys.modules\n"
        "assert not seen, seen\n"
    )
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert not list(home.rglob("*"))


def test_what_a_processor_says() -> None:
    intel = parse_cpuinfo(
        "model name\t: Xeon\ncpu family\t: 6\nmodel\t: 143\nflags\t: avx2 fma avx512f amx_bf16\n\nmodel name: 2nd"
    )
    assert (intel.model, intel.instruction_sets) == ("Xeon 6/143", ("avx2", "fma", "avx512f", "amx_bf16"))
    assert intel.may_have_bf16
    assert not parse_cpuinfo("flags : avx2 avx512f").may_have_bf16
    assert parse_cpuinfo("Features : asimd bf16").may_have_bf16
    assert parse_cpuinfo("").may_have_bf16  # says nothing: the engine is asked


def test_info_is_plain_data(monkeypatch: pytest.MonkeyPatch) -> None:
    import json

    from vidgraph.engines.info import engine_info

    monkeypatch.setitem(ENGINES, "onnxruntime", replace(ENGINES["onnxruntime"], package="no_such_package"))
    info = json.loads(json.dumps(engine_info()))
    assert list(info["engines"]) == list(ENGINES)
    assert info["engines"]["onnxruntime"] == {"installed": False, "extra": "onnxruntime"}
    assert set(info["processor"]) == {"model", "instruction_sets"}
    if ENGINES["openvino"].installed:
        assert set(info["engines"]["openvino"]) == {"installed", "version", "devices", "precisions"}
        assert "fp32" in info["engines"]["openvino"]["precisions"]
