"""The engine queue: batches form across streams, keep each stream's order, and never wait beyond the deadline."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.engines import ENGINES, EngineQueue, ReplayEngine, TensorSpec, open_engine
from vidgraph.engines.queue import batches_run
from vidgraph.pipeline.errors import EngineError

from ..material import CPU_ENGINES

SPEC = TensorSpec("x", np.dtype(np.float32), (1, 2))


class Doubler:
    """``y = 2 x`` for one batch size; notes its calls, can be told to wait or fail."""

    engine, device, precision = "test", "cpu", "fp32"

    def __init__(self, batch: int) -> None:
        self.name, self.batch = f"doubler-{batch}.onnx", batch
        self.inputs = (TensorSpec("x", SPEC.dtype, (batch, 2)),)
        self.outputs = (TensorSpec("y", SPEC.dtype, (batch, 2)),)
        self.lease = np.zeros((batch, 2), np.float32)
        self.threads: list[str] = []
        self.delays_s: dict[float, float] = {}
        self.go = threading.Event()
        self.go.set()
        self.closed = 0

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.threads.append(threading.current_thread().name)
        assert self.go.wait(10)
        time.sleep(max(self.delays_s.get(float(value), 0.0) for value in feeds["x"][:, 0]))
        if (feeds["x"] < 0).any():
            raise EngineError(f"{self.name}: negative")
        np.multiply(feeds["x"], 2, out=self.lease)
        return {"y": self.lease}

    def close(self) -> None:
        self.closed += 1


def feed(value: float) -> dict[str, np.ndarray]:
    return {"x": np.full((1, 2), value, np.float32)}


def value_of(future: Future[Any]) -> float:
    return float(future.result(10)["y"][0, 0])


@pytest.mark.parametrize("name", CPU_ENGINES)
def test_two_streams_share_batches_and_get_what_batch_one_gives(
    name: str, make_conv: Any, tmp_path: Path, tolerance: Any
) -> None:
    pytest.importorskip(ENGINES[name].package)
    conv = make_conv()
    engines = {
        size: open_engine(make_conv(batch=size).write(tmp_path, f"b{size}.onnx"), engine=name, precision="fp32")
        for size in (1, 2)
    }
    single = open_engine(tmp_path / "b1.onnx", engine=name, precision="fp32")
    queue = EngineQueue(engines, deadline_ms=2000)
    answers: dict[str, list[dict[str, np.ndarray]]] = {"left": [], "right": []}

    def produce(stream: str, seed: int) -> None:
        for frame in range(20):
            future = queue.submit({"image": conv.image(seed + frame)}, stream_id=stream)
            answers[stream].append(future.result(10))

    producers = [threading.Thread(target=produce, args=args) for args in (("left", 0), ("right", 100))]
    for producer in producers:
        producer.start()
    for producer in producers:
        producer.join(30)
    queue.close()
    assert queue.batches == {2: 20}
    for stream, seed in (("left", 0), ("right", 100)):
        for frame, answer in enumerate(answers[stream]):
            expected = single.run({"image": conv.image(seed + frame)})
            for output, array in expected.items():
                assert answer[output].shape == array.shape
                np.testing.assert_allclose(
                    answer[output], array, rtol=0, atol=tolerance("engine fp32, one convolution"), err_msg=output
                )
    single.close()


def test_results_are_owned() -> None:
    queue = EngineQueue({1: Doubler(1), 2: Doubler(2)}, deadline_ms=1)
    first = queue.submit(feed(1)).result(10)["y"]
    for value in range(2, 6):
        queue.submit(feed(value)).result(10)
    assert first.tolist() == [[2.0, 2.0]]
    queue.close()


def test_one_stream_alone_waits_for_the_deadline_and_no_longer() -> None:
    queue = EngineQueue({1: Doubler(1), 2: Doubler(2)}, deadline_ms=100)
    for value in range(3):
        started = time.monotonic()
        assert value_of(queue.submit(feed(value))) == 2 * value
        assert 0.09 < time.monotonic() - started < 1.0
    assert queue.batches == {1: 3}
    queue.close()


def test_the_largest_batch_that_is_full_runs_first() -> None:
    engines = {size: Doubler(size) for size in (1, 2, 4)}
    queue = EngineQueue(engines, deadline_ms=200)
    futures = [queue.submit(feed(value), stream_id=str(value)) for value in range(7)]
    assert [value_of(future) for future in futures] == [2.0 * value for value in range(7)]
    assert queue.batches == {4: 1, 2: 1, 1: 1}
    queue.close()


def test_batch_one_only_runs_in_the_caller() -> None:
    engine = Doubler(1)
    queue = EngineQueue({1: engine})
    future = queue.submit(feed(3))
    assert future.done()
    assert engine.threads == [threading.current_thread().name]
    assert future.result()["y"] is engine.lease
    assert isinstance(queue.submit(feed(-1)).exception(), EngineError)
    assert queue.batches == {1: 2}
    queue.close()


@pytest.mark.parametrize("engines", [{1: Doubler(1)}, {1: Doubler(1), 2: Doubler(2)}], ids=["inline", "queued"])
def test_wrong_feeds_go_to_their_future_only(engines: dict[int, Doubler]) -> None:
    queue = EngineQueue(engines, deadline_ms=20)
    wrong, right = queue.submit({"x": np.zeros((2, 2), np.float32)}), queue.submit(feed(1))
    if len(engines) > 1:
        with pytest.raises(EngineError, match=r"^doubler-1\.onnx: input 'x' must be float32 \[1, 2\], got"):
            wrong.result(10)
    assert value_of(right) == 2
    queue.close()


def test_a_failing_batch_fails_its_futures_and_no_others() -> None:
    queue = EngineQueue({1: Doubler(1), 2: Doubler(2)}, deadline_ms=1000)
    failing = [queue.submit(feed(value)) for value in (1, -1)]
    for future in failing:
        with pytest.raises(EngineError, match="negative"):
            future.result(10)
    assert [value_of(future) for future in [queue.submit(feed(value)) for value in (3, 4)]] == [6, 8]
    queue.close()


def test_each_stream_is_answered_in_its_order_with_several_workers() -> None:
    engines = {1: Doubler(1), 2: Doubler(2)}
    engines[2].lease = np.zeros((2, 2), np.float32)
    engines[2].delays_s = {0.0: 0.3}  # the first batch takes longest
    queue = EngineQueue(engines, deadline_ms=20, workers=2)
    order: list[tuple[str, int]] = []
    futures = []
    for value, stream in enumerate(["a", "a", "a", "b", "a", "b"]):
        future = queue.submit(feed(value), stream_id=stream)
        future.add_done_callback(lambda _, at=(stream, value): order.append(at))
        futures.append(future)
    for future in futures:
        future.result(10)
    assert [value for stream, value in order if stream == "a"] == [0, 1, 2, 4]
    assert [value for stream, value in order if stream == "b"] == [3, 5]
    assert order.index(("b", 3)) < len(order) - 1  # and b does not wait for a
    assert order[0][0] == "b"
    queue.close()


def test_close_answers_what_waits_then_refuses() -> None:
    engines = {1: Doubler(1), 4: Doubler(4)}
    queue = EngineQueue(engines, deadline_ms=60_000)
    futures = [queue.submit(feed(value)) for value in range(3)]
    started = time.monotonic()
    queue.close()
    queue.close()
    assert time.monotonic() - started < 5
    assert [value_of(future) for future in futures] == [0, 2, 4]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("engine-queue")]
    assert all(engine.closed for engine in engines.values())
    with pytest.raises(EngineError, match=r"^doubler-1\.onnx: submit\(\) after close\(\)$"):
        queue.submit(feed(1))


def test_a_cancelled_request_holds_nobody_up() -> None:
    engines = {1: Doubler(1), 2: Doubler(2)}
    engines[2].go.clear()
    queue = EngineQueue(engines, deadline_ms=20)
    futures = [queue.submit(feed(value)) for value in range(4)]
    assert futures[0].cancel()
    engines[2].go.set()
    assert [value_of(future) for future in futures[1:]] == [2, 4, 6]
    queue.close()


@pytest.mark.parametrize("sizes", [(2,), (1, 3)])
def test_sizes_that_do_not_belong_together(sizes: tuple[int, ...]) -> None:
    engines = {size: ReplayEngine((SPEC,), (SPEC,), []) for size in sizes}
    with pytest.raises(ValueError, match=r"needs the network exported for batch 1|is not replay for batch 3"):
        EngineQueue(engines)


def test_batches_of_a_process_are_counted_by_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidgraph.engines.queue._ran", defaultdict(Counter))
    for _ in range(2):
        queue = EngineQueue({1: Doubler(1), 2: Doubler(2)}, deadline_ms=10_000.0)
        futures = [queue.submit(feed(value)) for value in (1.0, 2.0, 3.0)]
        queue.close()
        assert [value_of(future) for future in futures] == [2, 4, 6]
    alone = EngineQueue({1: Doubler(1)})
    alone.submit(feed(1.0)).result(10)
    alone.close()
    assert batches_run() == {"doubler-1.onnx": {2: 2, 1: 2}}
