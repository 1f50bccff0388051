"""What holds for every engine: each row of ``ENGINES``, and the replay engine."""

from __future__ import annotations

import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.engines import ENGINES, Engine, ReplayEngine, open_engine
from vidgraph.pipeline.errors import EngineError

from ..material import CPU_ENGINES
from .edge_nets import EDGES

FP32 = "engine fp32, one convolution"


def assert_answers(got: dict[str, np.ndarray], expected: dict[str, np.ndarray], atol: float) -> None:
    assert list(got) == list(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(got[name], array, rtol=0, atol=atol, err_msg=name)


def test_says_what_it_is_takes_and_gives(open_one: Any, conv: Any) -> None:
    engine = open_one()
    assert isinstance(engine, Engine)
    assert engine.name in ("conv_relu.onnx", "conv_relu.pt2")
    assert engine.device == "cpu"
    assert engine.precision == "fp32"
    assert engine.engine in (*ENGINES, "replay")
    assert engine.inputs == conv.inputs
    assert engine.outputs == conv.outputs
    assert str(engine.inputs[0]) == "float32 NCHW [1, 3, 24, 20]"


def test_answers_as_the_definition(open_one: Any, conv: Any, tolerance: Any) -> None:
    images = [conv.image(seed) for seed in range(3)]
    engine = open_one(images=images)
    for image in images:
        got = engine.run({"image": image})
        assert {name: (array.dtype, array.shape) for name, array in got.items()} == {
            spec.name: (spec.dtype, spec.shape) for spec in conv.outputs
        }
        assert_answers(got, conv.answer(image), tolerance(FP32))


@pytest.mark.parametrize("form", ["read-only", "strided", "Fortran order"])
def test_takes_any_array_of_the_right_shape_and_leaves_it(open_one: Any, conv: Any, tolerance: Any, form: str) -> None:
    image = conv.image(5)
    fed = image.copy()
    if form == "strided":
        fed = np.repeat(fed, 2, axis=3)[:, :, :, ::2]
    elif form == "Fortran order":
        fed = np.asfortranarray(fed)
    fed.flags.writeable = False
    engine = open_one(images=[image])
    assert_answers(engine.run({"image": fed}), conv.answer(image), tolerance(FP32))
    np.testing.assert_array_equal(fed, image)


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({}, "conv_relu.onnx: input 'image' (float32 NCHW [1, 3, 24, 20]) is missing; given: nothing"),
        (
            {"picture": np.zeros((1, 3, 24, 20), np.float32)},
            "conv_relu.onnx: input 'image' (float32 NCHW [1, 3, 24, 20]) is missing; given: 'picture'",
        ),
        (
            {"image": np.zeros((1, 3, 24, 20), np.float32), "flow": np.zeros(2)},
            "conv_relu.onnx: unknown input 'flow'; takes: 'image'",
        ),
        (
            {"image": np.zeros((1, 3, 24, 20))},
            "conv_relu.onnx: input 'image' must be float32 NCHW [1, 3, 24, 20], got float64 [1, 3, 24, 20]",
        ),
        (
            {"image": np.zeros((1, 3, 20, 24), np.float32)},
            "conv_relu.onnx: input 'image' must be float32 NCHW [1, 3, 24, 20], got float32 [1, 3, 20, 24]",
        ),
        (
            {"image": [[1.0]]},
            "conv_relu.onnx: input 'image' must be float32 NCHW [1, 3, 24, 20], got a list",
        ),
    ],
    ids=["nothing", "another name", "one too many", "dtype", "shape", "no array"],
)
def test_refuses_wrong_feeds(open_one: Any, feeds: Any, message: str) -> None:
    engine = open_one()
    with pytest.raises(EngineError) as caught:
        engine.run(feeds)
    assert str(caught.value) == message.replace("conv_relu.onnx", engine.name)


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("name", CPU_ENGINES)
def test_inputs_and_outputs_are_those_of_the_file(name: str, edge: str, tmp_path: Path) -> None:
    """Whatever the engine makes of nodes that do nothing; the second time from the cache, where there is one."""
    pytest.importorskip(ENGINES[name].package)
    net = EDGES[edge]
    path, feeds, expected = net.write(tmp_path / "edges.onnx"), net.feeds(), net.expected()
    for precision in ("auto", "auto", "fp32"):
        if name == "onnxruntime" and precision == "fp32" and np.float16 in net.inputs.values():
            continue  # it has the precision of the file
        engine = open_engine(path, engine=name, precision=precision, requests=2, threads=2)
        assert {spec.name: (spec.dtype, spec.shape) for spec in engine.inputs} == {
            given: (array.dtype, array.shape) for given, array in feeds.items()
        }
        assert [(spec.name, spec.dtype, spec.shape) for spec in engine.outputs] == [
            (given, array.dtype, array.shape) for given, array in expected.items()
        ]
        first = engine.run(feeds)
        kept = {given: array.copy() for given, array in first.items()}
        fed = {given: array.copy() for given, array in feeds.items()}
        again = engine.run(fed)
        for array in fed.values():
            array[...] = 0  # a lease is not the feed
        for got in (kept, again):
            assert list(got) == list(expected)
            for given, array in expected.items():
                np.testing.assert_array_equal(got[given], array, err_msg=given)
                assert (got[given].dtype, got[given].shape) == (array.dtype, array.shape)
        engine.close()


def test_a_lease_outlives_the_runs_of_other_threads(open_one: Any, conv: Any) -> None:
    images = [conv.image(seed) for seed in range(9)]
    engine = open_one(images=images, requests=1)
    lease = engine.run({"image": images[0]})
    before = {name: array.copy() for name, array in lease.items()}

    def others() -> None:
        for image in images[1:]:
            engine.run({"image": image})

    thread = threading.Thread(target=others)
    thread.start()
    thread.join()
    gc.collect()
    for name, array in lease.items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("requests", [1, 2])
@pytest.mark.parametrize("name", [*CPU_ENGINES, "torch"])
def test_four_threads_at_once_get_their_own_answers(
    name: str, requests: int, network_for: Any, conv: Any, tolerance: Any
) -> None:
    engine = open_engine(network_for(name), engine=name, precision="fp32", requests=requests, threads=2)
    start = threading.Barrier(4)

    def work(seed: int) -> None:
        image = conv.image(seed)
        expected = conv.answer(image)
        start.wait(10)
        for _ in range(50):
            assert_answers(engine.run({"image": image}), expected, tolerance(FP32))

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(work, seed) for seed in range(4)]:
            done.result(30)
    engine.close()


def test_four_threads_get_every_recorded_answer_once(conv: Any) -> None:
    recorded = [{"features": np.full(1, number)} for number in range(200)]
    engine = ReplayEngine(conv.inputs, conv.outputs, recorded)
    image = conv.image(0)
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(engine.run, {"image": image}) for _ in recorded]
    assert sorted(int(one.result()["features"][0]) for one in asked) == list(range(200))


def test_replay_says_when_its_answers_are_used_up(conv: Any) -> None:
    engine = ReplayEngine(conv.inputs, conv.outputs, [], name="recorded")
    with pytest.raises(IndexError, match=r"^recorded: run\(\) called more often than it was recorded$"):
        engine.run({"image": conv.image(0)})


def test_close_is_final_and_may_come_twice(open_one: Any, conv: Any) -> None:
    image = conv.image(0)
    engine = open_one(images=[image] * 2)
    lease = engine.run({"image": image})
    before = lease["features"].copy()
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match=r"^conv_relu\.\w+: run\(\) after close\(\)$"):
        engine.run({"image": image})
    gc.collect()
    np.testing.assert_array_equal(lease["features"], before)


def test_close_waits_for_runs_under_way(open_one: Any, conv: Any, tolerance: Any) -> None:
    image = conv.image(3)
    engine = open_one(images=[image] * 100_000, requests=2, threads=2)
    expected, answers, refused = conv.answer(image), [0, 0], []

    def work(number: int) -> None:
        try:
            while True:
                assert_answers(engine.run({"image": image}), expected, tolerance(FP32))
                answers[number] += 1
        except EngineError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    engine.close()
    for thread in threads:
        thread.join(10)
    assert all(answers)
    assert refused == [f"{engine.name}: run() after close()"] * 2


@pytest.mark.parametrize("name", CPU_ENGINES)
def test_many_runs_and_many_threads_do_not_grow_memory(name: str, make_conv: Any, tmp_path: Path) -> None:
    pytest.importorskip(ENGINES[name].package)
    large = make_conv(height=128, width=128)  # 256 KiB a run: a leak of one output would be 128 MiB
    engine = open_engine(large.write(tmp_path), engine=name, precision="fp32", requests=2, threads=2)
    image = large.image(0)

    def work(runs: int) -> None:
        for _ in range(runs):
            engine.run({"image": image})

    def in_threads(count: int) -> None:
        for _ in range(count):
            thread = threading.Thread(target=work, args=(2,))
            thread.start()
            thread.join()

    work(50)
    in_threads(20)
    before = resident_bytes()
    work(500)
    in_threads(100)
    assert resident_bytes() - before < 24 * 2**20
    engine.close()


def resident_bytes() -> int:
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("needs /proc to measure memory")
    return int(statm.read_text().split()[1]) * 4096


def test_a_dummy_engine_is_one_module_and_one_row(
    conv: Any, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dummy_engine.py").write_text(
        "from vidgraph.engines import ReplayEngine, TensorSpec\n"
        "from vidgraph.engines.spec import EngineDescription\n"
        "def describe():\n"
        "    return EngineDescription('1.0', ('cpu',), ('fp32',))\n"
        "def open_network(path, options):\n"
        "    return ReplayEngine((), (), [], name=path.name)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    from vidgraph.engines.info import engine_info
    from vidgraph.engines.open import EngineRow

    monkeypatch.setitem(ENGINES, "dummy", EngineRow("dummy", "dummy_engine", package="dummy_engine", extra="dummy"))
    assert open_engine(network, engine="dummy").name == network.name
    assert engine_info()["engines"]["dummy"]["version"] == "1.0"
