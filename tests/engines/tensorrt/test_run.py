"""Engines on a card that is not there: buffers bound once, streams, graphs, leases, and caches."""

from __future__ import annotations

import ctypes
import gc
import logging
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.engines import Engine
from vidgraph.engines.cache import cache_root
from vidgraph.engines.half import choice
from vidgraph.engines.half.record import HalfRecord, remember
from vidgraph.engines.onnx_file import file_digest
from vidgraph.engines.tensorrt.open import build_with, open_with
from vidgraph.kernels.cuda.driver import driver
from vidgraph.kernels.device import to_host
from vidgraph.pipeline.errors import EngineError

from .running import check, options, put
from .standin import CARD

pytest.importorskip("onnxruntime", reason="it runs in place of a card (the extra 'onnxruntime')")
THEIRS = 77  # a stream of another library


def test_it_builds_opens_and_runs(card: Any, network: Path, conv: Any) -> None:
    engine = open_with(card[0], network, options())
    assert isinstance(engine, Engine)
    assert (engine.name, engine.engine, engine.device, engine.precision) == (
        network.name, "tensorrt", "cuda:0", "fp32",
    )  # fmt: skip
    assert (engine.inputs, engine.outputs) == (conv.inputs, conv.outputs)
    for seed in range(4):
        check(engine, conv, seed)
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match=r"^conv_relu\.onnx: run\(\) after close\(\)$"):
        engine.run({"image": put(conv.image(0))})


def test_the_second_run_is_captured_and_launched_from_then_on(card: Any, network: Path, conv: Any) -> None:
    flavour, state = card
    engine = open_with(flavour, network, options())
    for seed in range(5):
        check(engine, conv, seed)
    assert len(state.streams) == 2, "once queued, once captured"
    assert state.streams[0] == driver().stream(CARD)
    assert state.driver.captures == state.streams[1:]
    assert state.streams[1] != state.streams[0], "what other threads queue there would be captured"
    assert state.driver.calls.count("cuGraphLaunch") == 4
    assert "cuStreamSynchronize" in state.driver.calls
    engine.close()
    assert "cuGraphExecDestroy" in state.driver.calls


def test_what_cannot_be_captured_is_queued_each_time(card: Any, network: Path, conv: Any) -> None:
    flavour, state = card
    state.driver.fails["cuGraphInstantiateWithFlags"] = 900
    engine = open_with(flavour, network, options())
    for seed in range(4):
        check(engine, conv, seed)
    assert state.driver.calls.count("cuGraphLaunch") == 0


def test_results_are_right_whenever_streams_work(any_card: Any, network: Path, conv: Any) -> None:
    flavour, state = any_card
    engine = open_with(flavour, network, options())
    ours = driver().stream(CARD)
    for seed in range(5):
        outputs = check(engine, conv, seed)
        assert {array.stream for array in outputs.values()} == {ours}
    assert (ours in state.streams) == (not state.rtx), "it captures by itself, which nothing else may get into"


def test_feeds_of_other_streams_are_waited_for_and_may_be_written_again_there(
    any_card: Any, network: Path, conv: Any
) -> None:
    flavour, state = any_card
    engine = open_with(flavour, network, options())
    memory = put(np.zeros_like(conv.image(0)))
    driver().wait_for(THEIRS, driver().stream(CARD), CARD)
    for seed in range(4):
        image = conv.image(seed)
        with driver().active(CARD):
            state.driver.put(THEIRS, partial(ctypes.memmove, memory.pointer, image.ctypes.data, image.nbytes))
        outputs = engine.run({"image": replace(memory, stream=THEIRS)})
        with driver().active(CARD):
            state.driver.put(THEIRS, partial(ctypes.memset, memory.pointer, 0, memory.nbytes))
        assert {array.stream for array in outputs.values()} == {driver().stream(CARD)}
        np.testing.assert_allclose(to_host(outputs["features"]), conv.answer(image)["features"], atol=1e-5)


def test_the_calling_thread_keeps_its_context(any_card: Any, network: Path, conv: Any) -> None:
    flavour, state = any_card
    engine = open_with(flavour, network, options())
    assert not state.driver.context
    engine.run({"image": put(conv.image(0))})
    assert not state.driver.context
    engine.close()
    assert not state.driver.context


def test_a_run_does_not_wait(card: Any, network: Path, conv: Any) -> None:
    flavour, state = card
    engine = open_with(flavour, network, options())
    check(engine, conv, 0)
    check(engine, conv, 1)
    feeds = {"image": put(conv.image(2))}
    state.driver.calls.clear()
    engine.run(feeds)
    assert not [call for call in state.driver.calls if "Synchronize" in call]


def test_buffers_are_bound_once(card: Any, network: Path, conv: Any) -> None:
    engine = open_with(card[0], network, options())
    pointers = {tuple(array.pointer for array in check(engine, conv, seed).values()) for seed in range(3)}
    assert len(pointers) == 1


def test_feeds_that_are_not_contiguous(card: Any, network: Path, conv: Any) -> None:
    image = conv.image(5)
    wide = put(np.repeat(image, 2, axis=3))
    strided = replace(wide, shape=image.shape, strides=(*wide.strides[:3], 2 * wide.strides[3]))
    outputs = open_with(card[0], network, options()).run({"image": strided})
    np.testing.assert_allclose(to_host(outputs["features"]), conv.answer(image)["features"], atol=1e-5)


def test_feeds_of_the_host_are_refused(card: Any, network: Path, conv: Any) -> None:
    with pytest.raises(EngineError, match="'image' must lie on cuda:0, got one in host memory; copy it with to_device"):
        open_with(card[0], network, options()).run({"image": conv.image(0)})


@pytest.mark.parametrize("requests", [1, 2])
def test_each_thread_has_outputs_of_its_own(card: Any, network: Path, conv: Any, requests: int) -> None:
    engine = open_with(card[0], network, options(requests=requests))
    lease = check(engine, conv, 0)
    before = to_host(lease["features"])
    failed: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            for _ in range(5):
                check(engine, conv, seed)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(1, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    gc.collect()
    np.testing.assert_array_equal(to_host(lease["features"]), before)
    engine.close()
    np.testing.assert_array_equal(to_host(lease["features"]), before)


def test_what_threads_that_ended_held_is_freed_or_used_again(card: Any, network: Path, conv: Any) -> None:
    flavour, state = card
    engine = open_with(flavour, network, options())

    def work(seed: int) -> None:
        for _ in range(2):
            check(engine, conv, seed)

    for seed in range(6):
        thread = threading.Thread(target=work, args=(seed,))
        thread.start()
        thread.join()
        gc.collect()
    calls = state.driver.calls
    assert calls.count("cuStreamCreate") - calls.count("cuStreamDestroy_v2") == 3, "those of the card"
    assert calls.count("cuGraphExecDestroy") == calls.count("cuGraphInstantiateWithFlags") == 6


def test_rtx_captures_by_itself_and_its_kernels_are_kept(rtx_card: Any, network: Path, conv: Any) -> None:
    flavour, state = rtx_card
    for _ in range(2):
        engine = open_with(flavour, network, options())
        for seed in range(3):
            check(engine, conv, seed)
        engine.close()
    assert "cuStreamBeginCapture_v2" not in state.driver.calls
    assert state.caches == [b"", b"compiled"]
    assert len(list(cache_root().glob("engines/*.kernels"))) == 1


def test_timings_are_kept_between_builds(card: Any, network: Path, make_conv: Any, tmp_path: Path) -> None:
    for size in (24, 16):
        path = make_conv(height=size).write(tmp_path, f"{size}.onnx")
        assert not build_with(card[0], path, "fp32").cached
    (kept,) = cache_root().glob("engines/*.timing")
    assert kept.read_bytes() == b"timed;timed;"


def test_another_card_builds_again(card: Any, network: Path) -> None:
    flavour, state = card
    assert not build_with(flavour, network, "fp32").cached
    assert build_with(flavour, network, "fp32").facts.card == "Stand-in 4090"
    state.driver.name = b"Stand-in 3080"
    assert not build_with(flavour, network, "fp32").cached


def test_fp16_by_itself_only_where_it_was_checked(
    card: Any, network: Path, conv: Any, caplog: pytest.LogCaptureFixture
) -> None:
    flavour = card[0]
    choice.say_unchecked.cache_clear()
    with caplog.at_level(logging.WARNING, "vidgraph"):
        assert open_with(flavour, network, options("auto")).precision == "fp32"
        assert open_with(flavour, network, options("fp16")).precision == "fp16"
    assert [message.partition(";")[0] for message in caplog.messages] == [
        "conv_relu.onnx was not checked in fp16, so it runs in fp32",
        "conv_relu.onnx was not checked in fp16, so results may be wrong",
    ]
    assert all("vidgraph build MODEL --precision fp16" in message for message in caplog.messages)
    caplog.clear()
    remember(file_digest(network), HalfRecord((), 8, "in.mp4", 0.001))
    engine = open_with(flavour, network, options("auto"))
    assert engine.precision == "fp16"
    image = conv.image(0)
    got = to_host(engine.run({"image": put(image)})["features"])
    assert 0 < np.abs(got - conv.answer(image)["features"]).max() < 1e-2
    assert caplog.messages == []


def test_a_build_at_the_start_of_a_run_is_said(card: Any, network: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "vidgraph"):
        for _ in range(2):
            open_with(card[0], network, options())
    assert caplog.messages == ["building the engine of conv_relu.onnx with TensorRT in fp32"]
