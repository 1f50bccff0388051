"""ONNX Runtime on a card that is not there: its provider of the CPU, bound to memory that stands for a card's."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.engines import Engine, EngineOptions, open_engine
from vidgraph.engines.half import choice
from vidgraph.engines.half.record import HalfRecord, remember
from vidgraph.engines.onnx_file import file_digest
from vidgraph.engines.spec import NetworkRefused
from vidgraph.kernels.cuda import driver as cuda_driver, libcuda, memory
from vidgraph.kernels.cuda.driver import driver
from vidgraph.kernels.device import to_device, to_host
from vidgraph.pipeline.errors import EngineError

from .tensorrt import standin
from .tensorrt.running import check, put

pytest.importorskip("onnxruntime", reason="needs the extra 'onnxruntime'")
from vidgraph.engines import onnxruntime, onnxruntime_card

CARD = "cuda:0"


class OnStream:
    """A session whose runs are work on a stream, done when somebody waits for it, as on a card."""

    def __init__(self, real: Any, stream: int, made_by: Sessions) -> None:
        self._real, self._stream, self._made_by = real, stream, made_by

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def run_with_iobinding(self, binding: Any, options: Any) -> None:
        if self._made_by.run_errors:
            raise self._made_by.run_errors.pop(0)
        self._made_by.driver.put(self._stream, lambda: self._real.run_with_iobinding(binding, options))


class Sessions:
    """Makes sessions, keeps what they are made with, and fails where it is told to."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.options: list[dict[str, str]] = []
        self.refuses = ""
        self.run_errors: list[Exception] = []
        self.real = onnxruntime.ort.InferenceSession

    def __call__(self, network: Any, chosen: Any, *, providers: Any, enable_fallback: int) -> Any:
        ((name, options),) = providers
        assert enable_fallback == 0, "it would print, and run on the CPU"
        self.options.append(options)
        if self.refuses:
            raise RuntimeError(self.refuses)
        return OnStream(self.real(network, chosen, providers=[name]), int(options["user_compute_stream"]), self)


@pytest.fixture(params=[None, 0, 1])
def card(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Its streams are as late as may be, or work at any moment."""
    with standin.plugged_in(monkeypatch, request.param) as (_, state):
        monkeypatch.setattr(onnxruntime_card, "_lanes", {})
        yield state


@pytest.fixture
def sessions(card: Any, monkeypatch: pytest.MonkeyPatch) -> Sessions:
    made = Sessions(card.driver)
    monkeypatch.setattr(onnxruntime_card, "PROVIDER", "CPUExecutionProvider")
    monkeypatch.setattr(onnxruntime_card, "MEMORY", "cpu")
    monkeypatch.setattr(onnxruntime.ort, "InferenceSession", made)
    return made


def open_it(path: Path, precision: str = "fp32", requests: int = 1, deterministic: bool = False) -> Any:
    options = EngineOptions(CARD, precision, requests, deterministic=deterministic)
    return onnxruntime.open_network(path, options)


def test_it_opens_and_runs(sessions: Sessions, network: Path, conv: Any) -> None:
    engine = open_engine(network, engine="onnxruntime", device=CARD, precision="fp32")
    assert isinstance(engine, Engine)
    assert (engine.name, engine.engine, engine.device, engine.precision) == (network.name, "onnxruntime", CARD, "fp32")
    assert (engine.inputs, engine.outputs) == (conv.inputs, conv.outputs)
    for seed in range(3):
        check(engine, conv, seed)
    strided = to_device(np.repeat(conv.image(9), 2, axis=3), standin.CARD)
    strided = replace(strided, shape=conv.inputs[0].shape, strides=(*strided.strides[:3], 2 * strided.strides[3]))
    np.testing.assert_allclose(
        to_host(engine.run({"image": strided})["means"]), conv.answer(conv.image(9))["means"], atol=1e-5
    )
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match=r"^conv_relu\.onnx: run\(\) after close\(\)$"):
        engine.run({"image": put(conv.image(0))})


def test_nothing_goes_through_host_memory(
    sessions: Sessions, network: Path, conv: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, image = open_it(network), put(conv.image(1))
    first = engine.run({"image": image})
    with monkeypatch.context() as patch:
        for name in ("to_host", "from_host"):
            patch.setattr(memory, name, lambda *_: pytest.fail("a copy through the host"))
        again = engine.run({"image": image})
    assert [array.pointer for array in again.values()] == [array.pointer for array in first.values()], "bound once"
    np.testing.assert_allclose(to_host(again["features"]), conv.answer(conv.image(1))["features"], atol=1e-5)


def test_it_asks_for_exact_fp32_our_stream_and_no_graph(sessions: Sessions, card: Any, network: Path) -> None:
    engine = open_it(network)
    (options,) = sessions.options
    assert options == {
        "device_id": "0",
        "user_compute_stream": str(engine._lane.stream),
        "use_tf32": "0",
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        "enable_cuda_graph": "0",
    }
    made = card.driver.calls.count("cuStreamCreate")
    open_it(network, deterministic=True)
    assert sessions.options[1]["cudnn_conv_algo_search"] == "HEURISTIC"
    assert card.driver.calls.count("cuStreamCreate") == made, "one stream for all engines of a card"


def test_it_runs_after_its_feeds_and_says_on_which_stream(
    sessions: Sessions, card: Any, network: Path, conv: Any
) -> None:
    engine = open_it(network)
    for seed in range(3):
        check(engine, conv, seed)
    image, compute, own = put(conv.image(0)), driver().stream(standin.CARD), engine._lane.stream
    for stream, before in ((image.stream, []), (77, [(77, compute), (compute, 77)])):
        card.driver.orders.clear()
        outputs = engine.run({"image": replace(image, stream=stream)})
        assert card.driver.orders == [*before, (compute, own), (own, compute)]
        assert {array.stream for array in outputs.values()} == {compute}


def test_every_thread_has_outputs_of_its_own(sessions: Sessions, network: Path, conv: Any) -> None:
    engine = open_it(network, requests=2)
    lease = engine.run({"image": put(conv.image(0))})
    others: list[Any] = []

    def work() -> None:
        others.extend(check(engine, conv, seed) for seed in range(1, 4))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    np.testing.assert_allclose(to_host(lease["features"]), conv.answer(conv.image(0))["features"], atol=1e-5)
    assert not {array.pointer for array in lease.values()} & {array.pointer for array in others[0].values()}
    engine.close()
    np.testing.assert_allclose(to_host(lease["features"]), conv.answer(conv.image(0))["features"], atol=1e-5)


def test_feeds_must_lie_on_the_card(sessions: Sessions, network: Path, conv: Any) -> None:
    with pytest.raises(EngineError, match=r"input 'image' must lie on cuda:0, got one in host memory"):
        open_it(network).run({"image": conv.image(0)})


def test_a_session_is_freed_in_a_turn_of_its_own(sessions: Sessions, card: Any, network: Path, conv: Any) -> None:
    engine = open_it(network, requests=2)
    image, alone = put(conv.image(0)), []
    done: list[bool] = []
    weakref.finalize(engine._session, lambda: alone.append((engine._lane.turn.locked(), len(done))))
    thread = threading.Thread(target=engine.run, args=({"image": image},))
    thread.start()
    thread.join()  # with what it had
    with driver().active(standin.CARD):
        card.driver.put(driver().stream(standin.CARD), lambda: done.append(True))
    engine.close()
    assert alone == [(True, 1)]


def test_what_comes_next_waits_for_a_run_that_failed_half_way(
    sessions: Sessions, card: Any, network: Path, conv: Any
) -> None:
    engine, image = open_it(network), put(conv.image(0))
    compute, own = driver().stream(standin.CARD), engine._lane.stream
    sessions.run_errors.append(RuntimeError("CUDNN failure 4"))
    card.driver.orders.clear()
    with pytest.raises(EngineError, match="CUDNN failure 4"):
        engine.run({"image": image})
    assert card.driver.orders == [(compute, own), (own, compute)]
    check(engine, conv, 1)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("[ONNXRuntimeError] : 1 : FAIL : CUDNN failure 4", r"^conv_relu\.onnx: onnxruntime failed: CUDNN failure 4$"),
        ("BFCArena: Failed to allocate memory for 9 bytes", r"^conv_relu\.onnx: the card has no memory left \(BFC"),
    ],
)
def test_errors_of_a_run_are_ours(said: str, expected: str, sessions: Sessions, network: Path, conv: Any) -> None:
    engine = open_it(network)
    sessions.run_errors.append(RuntimeError(said))
    with pytest.raises(EngineError, match=expected):
        engine.run({"image": put(conv.image(0))})


@pytest.mark.parametrize(
    ("said", "kind", "expected"),
    [
        ("CUDA failure 2: out of memory", EngineError, r"^conv_relu\.onnx: the card has no memory left"),
        (
            "Fatal error: Frob is not a registered op",
            NetworkRefused,
            r"^cannot open conv_relu\.onnx with onnxruntime on",
        ),
    ],
)
def test_errors_of_opening_are_ours(
    said: str, kind: type[EngineError], expected: str, sessions: Sessions, network: Path
) -> None:
    sessions.refuses = said
    with pytest.raises(kind, match=expected) as caught:
        open_it(network)
    assert type(caught.value) is kind


def test_without_a_driver_it_says_so(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_driver, "_drivers", [])
    monkeypatch.setattr(libcuda, "_NAME", "libnone.so.1")
    with pytest.raises(EngineError) as caught:
        open_engine(network, engine="onnxruntime", device=CARD)
    assert str(caught.value) == (
        "cannot run conv_relu.onnx on cuda:0: there is no NVIDIA driver on this machine (libnone.so.1). Use device cpu"
    )


def test_a_build_without_the_provider_names_what_to_install(card: Any, network: Path) -> None:
    if "CUDAExecutionProvider" in onnxruntime.ort.get_available_providers():
        pytest.skip("needs an onnxruntime that has no CUDA provider")
    with pytest.raises(EngineError) as caught:
        open_it(network)
    assert str(caught.value) == (
        "cannot run conv_relu.onnx on cuda:0: the installed onnxruntime has no CUDA provider; pip uninstall onnxruntime"
        " onnxruntime-gpu, then pip install 'vidgraph[onnxruntime-gpu]' (both packages write the same files, so only "
        "one of them can be installed). Use device cpu (engine openvino)"
    )


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_silent_fall_back_to_the_cpu_is_an_error(
    card: Any, network: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    """What ONNX Runtime does when it cannot load its provider, or does not have it: a session on the CPU."""
    if "CUDAExecutionProvider" in onnxruntime.ort.get_available_providers():
        pytest.skip("needs an onnxruntime that has no CUDA provider")
    monkeypatch.setattr(onnxruntime.ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    with pytest.raises(EngineError, match=r"on cuda:0: ONNX Runtime cannot load its CUDA provider.*pip install 'vidgr"):
        open_it(network)
    assert capfd.readouterr().out == ""


def test_nodes_that_stay_on_the_cpu_are_told(
    sessions: Sessions, network: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if not hasattr(sessions.real, "get_provider_graph_assignment_info"):
        pytest.skip("needs an ONNX Runtime that says where nodes run")
    open_it(network)
    assert caplog.text == ""
    nodes = onnxruntime_card.nodes_elsewhere

    def of_another(session: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(onnxruntime_card, "PROVIDER", "CUDAExecutionProvider")
            return nodes(session)

    monkeypatch.setattr(onnxruntime_card, "nodes_elsewhere", of_another)
    open_it(network)
    assert "conv_relu.onnx: ONNX Runtime runs nodes on the CPU, to which their inputs are copied: 1 " in caplog.text
    assert "GlobalAveragePool" in caplog.text


def test_fp16_is_made_where_it_was_checked(
    sessions: Sessions, network: Path, conv: Any, caplog: pytest.LogCaptureFixture
) -> None:
    choice.say_unchecked.cache_clear()
    image = put(conv.image(4))
    assert open_it(network, "auto").precision == "fp32"
    assert "conv_relu.onnx was not checked in fp16, so it runs in fp32" in caplog.text
    exact = to_host(open_it(network).run({"image": image})["features"])
    remember(file_digest(network), HalfRecord((), 1, "a test", 0.0))
    engine = open_it(network, "auto")
    assert (engine.precision, engine.inputs, engine.outputs) == ("fp16", conv.inputs, conv.outputs)
    half = to_host(engine.run({"image": image})["features"])
    assert 1e-5 < np.abs(half - exact).max() < 2e-2


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_precisions_that_it_does_not_have(precision: str, sessions: Sessions, network: Path) -> None:
    with pytest.raises(EngineError, match=rf"^conv_relu\.onnx: precision '{precision}' "):
        open_it(network, precision)
