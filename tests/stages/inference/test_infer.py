"""Running a network in a graph: engines by size, owned outputs, nothing lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
from vidgraph import Frame, Key, Packet, Picture
from vidgraph.pipeline.errors import UsageError
from vidgraph.pipeline.packet import SKIPPED
from vidgraph.pipeline.types.affine import Affine
from vidgraph.stages.inference.engine_cache import EngineCache
from vidgraph.stages.inference.infer import Infer, RawOutputs
from vidgraph.stages.inference.preprocess import BufferPool, ModelInput

INPUT, RAW = Key("input", ModelInput), Key("raw", RawOutputs)


class Doubler:
    """Answers with twice its input, in memory that the next run overwrites, as engines do."""

    def __init__(self, size: tuple[int, int], log: list[str], delay_s: float = 0.0) -> None:
        self.size, self.log, self.delay_s, self.closed = size, log, delay_s, False
        self.lease = np.zeros((1, 3, *size), np.float32)
        log.append(f"open {size}")

    def submit(self, feeds: Mapping[str, np.ndarray], *, stream_id: str = "") -> Future[dict[str, np.ndarray]]:
        assert not self.closed
        time.sleep(self.delay_s)
        np.multiply(feeds["image"], 2, out=self.lease)
        assert not self.closed
        future: Future[dict[str, np.ndarray]] = Future()
        future.set_result({"out": self.lease})
        return future

    def close(self) -> None:
        self.closed = True
        self.log.append(f"close {self.size}")


def packet_of(value: float, size: tuple[int, int], pool: BufferPool, index: int = 0) -> Packet:
    picture = Picture.from_rgb(np.zeros((2, 2, 3), np.uint8))
    given = ModelInput(np.full((1, 3, *size), value, np.float32), Affine((3.0, 3.0)), pool)
    return Packet(Frame("one", index, 0, 0, 0, picture)).with_item(INPUT, given)


def infer(cache: EngineCache, packet: Packet, **more: Any) -> Packet:
    (out,) = Infer(cache, "image", INPUT, RAW, **more).process(packet)
    return out


def test_outputs_are_owned_and_the_input_is_given_back() -> None:
    pool = BufferPool()
    cache = EngineCache(lambda size: Doubler(size, []))
    first = infer(cache, packet_of(1.0, (2, 2), pool))
    given_back = pool.take((2, 2))
    assert (given_back == 1.0).all()
    infer(cache, packet_of(5.0, (2, 2), pool))
    assert (first[RAW].arrays["out"] == 2.0).all()
    assert first[RAW].size == (2, 2)
    assert first[RAW].affine == Affine((3.0, 3.0))
    assert INPUT not in first


def test_only_what_is_taken_is_kept() -> None:
    cache = EngineCache(lambda size: Doubler(size, []))
    out = infer(
        cache, packet_of(1.0, (2, 2), BufferPool()), select_outputs=lambda outputs: {"sum": outputs["out"].sum()}
    )
    assert out[RAW].arrays == {"sum": 24.0}


def test_dropped_and_skipped_frames_pass() -> None:
    packet = packet_of(1.0, (2, 2), BufferPool()).without(INPUT)
    cache = EngineCache(lambda size: Doubler(size, []))
    for each in (packet.dropped("failed"), packet.with_item(SKIPPED, True)):
        assert infer(cache, each) is each
    assert len(cache) == 0


def test_one_engine_per_size_and_the_oldest_goes() -> None:
    log: list[str] = []
    cache = EngineCache(lambda size: Doubler(size, log), limit=2)
    pool = BufferPool()
    for side in (1, 2, 1, 3, 1):
        infer(cache, packet_of(1.0, (side, side), pool))
    assert log == ["open (1, 1)", "open (2, 2)", "open (3, 3)", "close (2, 2)"]
    cache.close()
    assert sorted(log[4:]) == ["close (1, 1)", "close (3, 3)"]


def test_a_size_is_opened_once_by_many_threads() -> None:
    log: list[str] = []

    def slowly(size: tuple[int, int]) -> Doubler:
        time.sleep(0.05)
        return Doubler(size, log)

    cache = EngineCache(slowly)
    threads = [threading.Thread(target=infer, args=(cache, packet_of(1.0, (2, 2), BufferPool()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log == ["open (2, 2)"]


def test_opening_one_size_does_not_stop_another() -> None:
    slow = threading.Event()

    def open_it(size: tuple[int, int]) -> Doubler:
        if size == (9, 9):
            assert slow.wait(5)
        return Doubler(size, [])

    cache = EngineCache(open_it)
    waiting = threading.Thread(target=infer, args=(cache, packet_of(1.0, (9, 9), BufferPool())))
    waiting.start()
    infer(cache, packet_of(1.0, (2, 2), BufferPool()))  # would hang
    slow.set()
    waiting.join(5)
    assert len(cache) == 2


def test_a_runner_in_use_is_not_closed() -> None:
    log: list[str] = []
    cache = EngineCache(lambda size: Doubler(size, log), limit=1)
    with cache.runner((1, 1)):
        with cache.runner((2, 2)):
            pass
        assert "close (1, 1)" not in log
        cache.close()
        assert "close (1, 1)" not in log
    assert sorted(log) == ["close (1, 1)", "close (2, 2)", "open (1, 1)", "open (2, 2)"]
    with pytest.raises(UsageError, match="the model is closed"), cache.runner((1, 1)):
        pass


def test_a_failed_opening_is_tried_again() -> None:
    attempts: list[int] = []

    def open_it(size: tuple[int, int]) -> Doubler:
        attempts.append(1)
        if len(attempts) == 1:
            raise OSError("not yet")
        return Doubler(size, [])

    cache = EngineCache(open_it)
    with pytest.raises(OSError, match="not yet"):
        infer(cache, packet_of(1.0, (2, 2), BufferPool()))
    assert (infer(cache, packet_of(1.0, (2, 2), BufferPool()))[RAW].arrays["out"] == 2.0).all()


def test_many_threads_many_sizes() -> None:
    """More sizes than places, all in use at once: every answer is right and everything is closed in the end."""
    log: list[str] = []
    failures: list[str] = []
    cache = EngineCache(lambda size: Doubler(size, log), limit=2)

    def work(number: int) -> None:
        pool = BufferPool()
        for turn in range(60):
            side = (number + turn) % 5 * 10 + number + 1  # sizes of its own: a Doubler is not for several threads
            out = infer(cache, packet_of(float(turn), (side, 1), pool))
            if not (out[RAW].arrays["out"] == 2.0 * turn).all():
                failures.append(f"{number} {turn}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(cache) <= 2
    cache.close()
    opened, closed = (sum(line.startswith(word) for line in log) for word in ("open", "close"))
    assert opened == closed
