"""What goes wrong with a card is one line, which names the way on; and nothing hangs."""

from __future__ import annotations

import ctypes
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from vidgraph.engines import EngineOptions, NetworkRefused
from vidgraph.engines.tensorrt import runtime
from vidgraph.engines.tensorrt.flavour import Flavour
from vidgraph.engines.tensorrt.open import build_with, open_with
from vidgraph.kernels.cuda import libcuda
from vidgraph.kernels.cuda.driver import CudaError
from vidgraph.pipeline.errors import DeviceError, EngineError

from . import standin
from .running import check, options, put

pytest.importorskip("onnxruntime", reason="it runs in place of a card (the extra 'onnxruntime')")
WAY_ON = ". Use device cpu"


def message_of(flavour: Any, path: Path, device: str = "cuda:0") -> str:
    with pytest.raises(EngineError) as caught:
        open_with(flavour, path, EngineOptions(device, "fp32"))
    text = str(caught.value)
    assert "\n" not in text
    assert text.removesuffix(" (engine openvino)").endswith(WAY_ON), text
    return text


def test_no_driver(card: Any, network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Any:
        raise OSError("libcuda.so.1: cannot open shared object file")

    monkeypatch.setattr(libcuda, "_load", missing)
    for _ in range(2):
        message = message_of(card[0], network)
        assert message.startswith(f"cannot run {network.name} on cuda:0: there is no NVIDIA driver on this machine")


def test_no_driver_to_build_with(card: Any, network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card[1].driver.fails["cuInit"] = 100
    with pytest.raises(
        DeviceError, match=r"^cannot build conv_relu\.onnx: TensorRT builds on the card .*_NO_DEVICE.*rtx b"
    ):
        build_with(card[0], network, "fp32")


def test_a_driver_that_cannot_be_used(card: Any, network: Path) -> None:
    card[1].driver.fails["cuInit"] = 803
    message = message_of(card[0], network)
    assert "on cuda:0: cannot start the NVIDIA driver: system has unsupported display driver / cuda" in message


def test_a_driver_that_is_too_old(card: Any, network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card[1].driver.version = 12040
    monkeypatch.setattr(type(card[0]), "cuda", 13)
    message = message_of(card[0], network)
    assert "the NVIDIA driver is too old; it knows CUDA 12.4, and TensorRT 10.13.2.6 needs 13.0. Update" in message


def test_a_card_that_is_not_there(card: Any, network: Path) -> None:
    assert "there is no cuda:3 on this machine, which has 1" in message_of(card[0], network, "cuda:3")


@pytest.mark.parametrize("where", ["context_error", "open_error", "build_error"])
def test_no_memory_left(card: Any, network: Path, where: str, conv: Any) -> None:
    flavour, state = card
    setattr(state, where, "[defaultAllocator.cpp::allocate::31] Error Code 1: Cuda Runtime (out of memory)")
    with pytest.raises(EngineError, match="memory") as caught:
        open_with(flavour, network, options()).run({"image": put(conv.image(0))})
    assert WAY_ON in str(caught.value)
    assert "smaller size or batch" in str(caught.value)
    assert ".cpp" not in str(caught.value)


def test_no_memory_left_for_buffers(card: Any, network: Path, conv: Any) -> None:
    flavour, state = card
    engine = open_with(flavour, network, options())
    image = put(conv.image(0))
    state.driver.fails["cuMemAllocAsync"] = 2
    with pytest.raises(EngineError, match=rf"^{network.name}: the card has no memory left; .*{WAY_ON}") as caught:
        engine.run({"image": image})
    assert isinstance(caught.value.__cause__, CudaError)
    state.driver.fails.clear()
    check(engine, conv, 0)


def test_a_run_that_fails(card: Any, network: Path, conv: Any) -> None:
    flavour, state = card
    engine = open_with(flavour, network, options())
    state.run_error = "IExecutionContext::enqueueV3: Error Code 1: Cuda Runtime (an illegal memory access)"
    with pytest.raises(
        EngineError, match=r"^conv_relu\.onnx: TensorRT failed: an illegal memory access\. Use device cpu"
    ):
        engine.run({"image": put(conv.image(0))})
    image = put(conv.image(0))
    state.run_error, state.driver.fails["cuMemcpyDtoDAsync_v2"] = "", 700
    with pytest.raises(DeviceError, match=r"^conv_relu\.onnx: cannot copy on cuda:0: an illegal .*any more\. Use dev"):
        engine.run({"image": image})


def test_engines_open_and_run_while_another_is_built(card: Any, network: Path, conv: Any) -> None:
    """And each thread has its own errors, while those of TensorRT's own threads are told to whoever listens."""
    said, logger = card[0].said, card[0].said.logger
    engine = open_with(card[0], network, options())
    with ThreadPoolExecutor(2) as pool, said.listening() as of_the_build:
        logger.log(standin.ILogger.ERROR, "of the build")
        pool.submit(check, engine, conv, 0).result(timeout=30)
        pool.submit(open_with, card[0], network, options()).result(timeout=30)
        pool.submit(logger.log, standin.ILogger.ERROR, "of a thread of the library").result()
        card[1].run_error = "IExecutionContext::enqueueV3: Error Code 1: Cuda Runtime (an illegal memory access)"
        with pytest.raises(EngineError, match="an illegal memory access"):
            pool.submit(lambda: engine.run({"image": put(conv.image(0))})).result(timeout=30)
        assert [*of_the_build] == ["of the build", "of a thread of the library"]
    logger.log(standin.ILogger.ERROR, "to nobody")
    assert len(of_the_build) == 2


@pytest.fixture
def engine_file(card: Any, network: Path, tmp_path: Path) -> Path:
    path = tmp_path / "net.engine"
    path.write_bytes(build_with(card[0], network, "fp32").content)
    return path


def test_an_engine_file_runs(card: Any, engine_file: Path, conv: Any) -> None:
    engine = open_with(card[0], engine_file, options("auto"))
    assert (engine.name, engine.precision) == ("net.engine", "fp32")
    check(engine, conv, 0)
    with pytest.raises(EngineError, match=r"^net\.engine computes in fp32, not in fp16; open the ONNX"):
        open_with(card[0], engine_file, options("fp16"))


def test_an_engine_of_another_program_runs_where_it_fits(card: Any, network: Path, tmp_path: Path, conv: Any) -> None:
    path = tmp_path / "raw.plan"
    path.write_bytes(network.read_bytes())
    engine = open_with(card[0], path, options())
    assert (engine.inputs, engine.outputs) == (conv.inputs, conv.outputs)
    check(engine, conv, 1)


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"locations": {"means": "host"}}, "'means' lies in host memory; give the network as ONNX"),
        (
            {"formats": {"image": "chw32"}},
            "'image' has its numbers in another order; give the network as ONNX",
        ),
    ],
)
def test_an_engine_of_another_program_with_buffers_of_another_kind(
    odd: dict[str, Any], said: str, card: Any, network: Path, tmp_path: Path
) -> None:
    path = tmp_path / "raw.plan"
    path.write_bytes(network.read_bytes())
    for field, value in odd.items():
        setattr(card[1], field, value)
    assert message_of(card[0], path).startswith(f"cannot open raw.plan: {said}")


@pytest.mark.parametrize("other", ["card", "capability", "version"])
def test_an_engine_file_of_another_card_or_version(
    card: Any, engine_file: Path, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flavour, state = card
    if other == "card":
        state.driver.name = b"Stand-in 3080"
    elif other == "capability":
        state.driver.capability = (8, 6)
    else:
        monkeypatch.setattr(standin, "__version__", "10.3")
    message = message_of(flavour, engine_file)
    assert message.startswith(
        "cannot open net.engine: built for tensorrt 10.13.2.6, compute capability 8.9 (Stand-in 4"
    )
    assert "; this machine has tensorrt 10." in message
    assert "Rebuild it with: vidgraph build MODEL --engine tensorrt. " in message


def test_an_engine_file_that_tensorrt_does_not_take(card: Any, tmp_path: Path) -> None:
    path = tmp_path / "raw.engine"
    path.write_bytes(b"ftrt of another version")
    message = message_of(card[0], path)
    assert "cannot open raw.engine with TensorRT 10.13.2.6 on Stand-in 4090: Wrong magic tag; it is of" in message


@pytest.mark.parametrize("length", [3, 30, 60])
def test_an_engine_file_that_is_cut_short(card: Any, engine_file: Path, length: int) -> None:
    engine_file.write_bytes(engine_file.read_bytes()[:length])
    with pytest.raises(EngineError, match=r"^cannot open net\.engine") as caught:
        open_with(card[0], engine_file, options())
    assert "\n" not in str(caught.value)


def test_an_engine_file_of_ultralytics(card: Any, tmp_path: Path) -> None:
    metadata = json.dumps({"description": "Ultralytics YOLO11n model", "stride": 32, "task": "detect"}).encode()
    path = tmp_path / "yolo.engine"
    path.write_bytes(len(metadata).to_bytes(4, "little") + metadata + b"ftrt engine")
    message = message_of(card[0], path)
    assert message.startswith(
        "cannot open yolo.engine: it is an engine of Ultralytics (Ultralytics YOLO11n model), with"
    )
    assert "give the model as ONNX (yolo export format=onnx)" in message


def test_a_file_that_is_missing(card: Any, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"^cannot read engine .*none\.engine: No such file"):
        open_with(card[0], tmp_path / "none.engine", options())


def test_a_library_for_other_cards(card: Any, network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(card[0]), "architectures", ("7.5", "12.0"))
    with pytest.raises(
        NetworkRefused, match=r"does not run on Stand-in 4090 \(compute capability 8\.9\): it runs on 7"
    ):
        open_with(card[0], network, options())


def test_a_forked_process(card: Any, network: Path, conv: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = open_with(card[0], network, options())
    image = put(conv.image(0))
    monkeypatch.setattr(runtime.FORKS, "_lost_threads", True)
    for use in (lambda: engine.run({"image": image}), lambda: open_with(card[0], network, options())):
        with pytest.raises(EngineError, match="TensorRT ran before this process was forked, and cannot run in it"):
            use()


def test_a_library_that_cannot_be_imported(network: Path) -> None:
    flavour = Flavour("tensorrt", "TensorRT", ("no_such_library_of_tensorrt",), "tensorrt")
    with pytest.raises(EngineError, match=r"^TensorRT cannot be imported \(No module named .*install it again\. Use d"):
        build_with(flavour, network, "fp32")


def test_nothing_hangs_without_a_driver(network: Path) -> None:
    """The library itself, where it is installed, on a machine without a driver: asked twice."""
    pytest.importorskip("tensorrt_rtx_bindings", reason="needs TensorRT-RTX (the extra 'tensorrt-rtx')")
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        pass
    else:
        pytest.skip("this machine has a driver")
    from vidgraph.engines import open_engine

    for _ in range(2):
        with pytest.raises(EngineError, match="there is no NVIDIA driver on this machine"):
            open_engine(network, engine="tensorrt-rtx", device="cuda")
