"""Both executors: the same results, every frame once, in order, bounded, and everything closed."""

from __future__ import annotations

import os
import random
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.pipeline.errors import StageError
from vidgraph.pipeline.graph import Graph
from vidgraph.pipeline.packet import Packet
from vidgraph.pipeline.stage import EndReason, Sink
from vidgraph.pipeline.types.picture import Picture

from ..parts import Call, Collect, Create, FailOn, Jitter, LookAhead, Numbers, Part, RunningSum, frame, threads_of_runs

EXECUTORS = ["serial", "threaded"]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Any:
    yield
    assert threads_of_runs() == []


def random_stages(seed: int) -> list[Part]:
    """Up to seven stages, stateless, stateful, holding, failing, in random order."""
    rng = random.Random(seed)
    stages: list[Part] = [Create("create")]
    for number in range(rng.randint(1, 6)):
        name = f"stage_{number}"
        kind = rng.randrange(5)
        if kind == 0:
            stages.append(RunningSum(name))
        elif kind == 1:
            stages.append(LookAhead(name, holds=rng.randint(1, 4), burst=rng.random() < 0.5))
        elif kind == 2:
            every, stateless = rng.randint(3, 9), rng.random() < 0.5
            stages.append(FailOn(lambda index, n=every: index % n == n - 1, name, stateless=stateless))
        else:
            stages.append(Jitter(name))
    return stages


@pytest.mark.parametrize("seed", range(25))
def test_serial_and_threaded_give_the_same(seed: int) -> None:
    seen = []
    for executor in EXECUTORS:
        sinks = [Collect("one"), Collect("two")]
        sources = [Numbers(23, "a"), Numbers(31, "b")]
        stats = Graph(sources, random_stages(seed), sinks).run(executor=executor, threads=3)
        assert sinks[0].seen == sinks[1].seen
        assert sinks[0].indices("a") == [*range(23)]
        assert sinks[0].indices("b") == [*range(31)]
        assert [s.frames for s in stats.streams] == [23, 31]
        seen.append((sinks[0].seen, stats.dropped))
    assert seen[0] == seen[1]


def test_stateful_stages_are_in_order_and_streams_concurrent() -> None:
    meet = threading.Barrier(2, timeout=5)  # passed only if both streams are inside at one time
    total = RunningSum()

    def wait_for_other(packet: Packet) -> list[Packet]:
        if packet.frame.index == 0:
            meet.wait()
        return [packet]

    stages = [Create("create"), Jitter("jitter"), total, Call(wait_for_other)]
    Graph([Numbers(40, "a"), Numbers(40, "b")], stages).run(threads=4, strict=True)
    assert not total.overlapped


def test_stateless_stages_run_concurrently_within_a_stream() -> None:
    meet = threading.Barrier(3, timeout=5)

    def wait_for_others(packet: Packet) -> list[Packet]:
        meet.wait()
        return [packet]

    collect = Collect()
    Graph(Numbers(6), Call(wait_for_others, stateless=True), collect).run(threads=3, strict=True)
    assert collect.indices() == [*range(6)]


def test_plain_functions_are_never_called_by_two_threads_at_once() -> None:
    inside: list[str] = []
    overlapped: list[bool] = []

    def note(packet: Packet) -> None:
        inside.append(packet.frame.stream_id)
        time.sleep(0.001)
        overlapped.append(len(inside) > 1)
        inside.pop()

    Graph([Numbers(20, "a"), Numbers(20, "b")], note).run(threads=4)
    assert len(overlapped) == 40
    assert not any(overlapped)


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_frames_in_flight_are_bounded(limit: int) -> None:
    inside = threading.Semaphore(limit)
    exceeded: list[int] = []

    def enter(packet: Packet) -> None:
        if not inside.acquire(blocking=False):
            exceeded.append(packet.frame.index)

    def leave(packet: Packet) -> None:
        time.sleep(0.001)
        inside.release()

    stats = Graph(Numbers(40), [enter, Create(), Jitter("jitter")], leave).run(threads=4, max_in_flight=limit)
    assert exceeded == []
    assert stats.peak_in_flight == limit


class CountedSource(Numbers):
    """Notes how many frames it has given."""

    given = 0

    def frames(self) -> Any:
        for item in super().frames():
            self.given += 1
            yield item


def test_a_file_waits_and_loses_nothing_while_a_sink_is_slow() -> None:
    source, collect = CountedSource(30), Collect()
    ahead: list[int] = []

    def slow(packet: Packet) -> None:
        time.sleep(0.003)
        ahead.append(source.given - packet.frame.index)

    slow.on_dropped = True  # type: ignore[attr-defined]
    stats = Graph(source, Part(), [slow, collect]).run(max_in_flight=4)
    assert collect.indices() == [*range(30)]
    assert stats.dropped == {}
    assert max(ahead) <= 4 + 1  # one more is read while it waits for room


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("sinks", [0, 1])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_graphs_without_stages_or_sinks_count_frames(executor: str, sinks: int, count: int) -> None:
    stats = Graph(Numbers(count), [], [Collect()] * sinks).run(executor=executor)
    assert stats.frames == count
    assert stats.streams[0].ended == "finished"
    assert Graph(Numbers(count), Part()).run(executor=executor).frames == count


@pytest.mark.parametrize("executor", EXECUTORS)
def test_opened_and_closed_in_order(executor: str) -> None:
    log: list[str] = []

    class Logged(Part):
        def open(self) -> None:
            log.append(f"open {self.name}")

        def end_stream(self, stream_id: str, reason: EndReason) -> Any:
            log.append(f"end {self.name} {stream_id} {reason.value}")
            return ()

        def close(self) -> None:
            log.append(f"close {self.name}")

    class LoggedSink(Logged, Sink):
        def write(self, packet: Packet) -> None: ...

    source = Numbers(3)
    Graph(source, [Logged("one"), Logged("two", stateless=True)], LoggedSink("out")).run(executor=executor)
    assert log[:3] == ["open one", "open two", "open out"]
    assert log[3:6] == ["end one a finished", "end two a finished", "end out a finished"]
    assert log[6:] == ["close out", "close one", "close two"]
    assert source.log == ["open", "close"]
    assert source.closed_by.name == source.reader.name


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("broken", ["source", "two", "three", "out"])
def test_what_was_opened_is_closed_when_another_cannot_be(executor: str, broken: str) -> None:
    class Broken(Collect):
        def open(self) -> None:
            super().open()
            raise PermissionError("not allowed")

    source = Numbers(3)
    if broken == "source":
        source.open = Broken().open  # type: ignore[method-assign]
    stages = [Part("one"), *(Broken(name) if broken == name else Part(name) for name in ("two", "three"))]
    sinks = [Broken("out") if broken == "out" else Collect("out"), Collect("last")]
    with pytest.raises(Exception, match="PermissionError: not allowed"):
        Graph(source, stages, sinks).start(executor=executor)
    opened = [part for part in (*stages, *sinks) if part.log == ["open", "close"]]
    names = ["one", "two", "three", "out"]
    assert [part.name for part in opened] == names[: names.index(broken) if broken in names else 0]
    assert source.log == ([] if broken == "source" else ["open", "close"])


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    ("process", "message"),
    [
        (lambda p: [], r"stage 'call' lost frame 0 of stream 'a' \(t = 0.000 s\): .*packet.dropped\(cause\).*'holds'"),
        (lambda p: [p, p], r"stage 'call' gave frame 0 of stream 'a' .*, which it did not have"),
        (lambda p: [7], r"stage 'call' gave int instead of packets"),
        (lambda p: None, r"stage 'call' gave None instead of packets"),
    ],
)
@pytest.mark.parametrize("stateless", [True, False])
def test_a_broken_contract_names_the_stage(executor: str, process: Any, message: str, stateless: bool) -> None:
    collect = Collect()
    with pytest.raises(StageError, match=message):
        Graph(Numbers(9), Call(process, stateless=stateless), collect).run(executor=executor)
    assert collect.indices() == [*range(len(collect.indices()))]  # every frame once, lost ones as dropped
    assert collect.indices() != []
    assert collect.log[-2:] == ["end a failed", "close"]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_frames_that_a_stage_never_gives_back(executor: str) -> None:
    collect = Collect()
    swallow = Call(lambda p: [], "swallow", holds=3, on_dropped=True)
    with pytest.raises(StageError, match=r"stage 'swallow' lost frame 0 of stream 'a'"):
        Graph(Numbers(20), swallow, collect).run(executor=executor)
    assert collect.causes()[0] == "failed"

    keep = Call(lambda p: [], "keep", holds=30, on_dropped=True)
    with pytest.raises(StageError, match=r"stage 'keep' lost frame 0"):  # at the end of the stream
        Graph(Numbers(20), keep, collect := Collect()).run(executor=executor)
    assert collect.indices() == [*range(20)]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_dropped_packets_pass_stages_by_unless_they_ask_for_them(executor: str) -> None:
    seen: dict[str, list[int]] = {"plain": [], "curious": []}

    def note(name: str) -> Any:
        return lambda packet: seen[name].append(packet.frame.index) or [packet]

    drop = Call(lambda p: [p.dropped("dull") if p.frame.index == 2 else p], "drop", stateless=True)
    plain, curious = Call(note("plain"), "plain"), Call(note("curious"), "curious", on_dropped=True)
    collect = Collect()
    stats = Graph(Numbers(5), [drop, plain, curious], collect).run(executor=executor)
    assert seen == {"plain": [0, 1, 3, 4], "curious": [0, 1, 2, 3, 4]}
    assert collect.causes() == {2: "dull"}
    assert stats.dropped == {"dull": 1}


def test_workers_take_what_is_furthest_downstream() -> None:
    order: list[tuple[str, int]] = []
    first = Call(lambda p: order.append(("first", p.frame.index)) or [p], "first")
    last = Call(lambda p: order.append(("last", p.frame.index)) or [p], "last")
    Graph(Numbers(50), [first, last]).run(threads=1)
    assert order == [(name, index) for index in range(50) for name in ("first", "last")]


def test_values_flow_between_stages_and_sinks() -> None:
    collect = Collect()
    Graph(Numbers(3), [Create("create"), LookAhead(holds=1)], collect).run()
    assert collect.seen["a"] == [(0, None, 0 + 31), (1, None, 31 + 62), (2, None, 62)]


def test_memory_is_flat_over_ten_thousand_frames() -> None:
    """Slope of resident memory over frames, after the first two thousand; each frame is 100 kB that is new."""
    page_kb = os.sysconf("SC_PAGE_SIZE") / 1024
    resident_kb: list[float] = []

    class Fresh(Numbers):
        def frames(self) -> Any:
            for item in super().frames():
                pixels = np.full((180, 185, 3), item.index % 256, np.uint8)
                yield frame(item.index, picture=Picture.from_rgb(pixels))

    def measure(packet: Packet) -> None:
        if packet.frame.index % 50 == 0 and packet.frame.index >= 2000:
            resident_kb.append(int(Path("/proc/self/statm").read_text("ascii").split()[1]) * page_kb)

    if not Path("/proc/self/statm").exists():
        pytest.skip("needs /proc/self/statm, which is not on this machine")
    Graph(Fresh(10_000), [Part("one"), Part("two", stateless=True)], measure).run(threads=2)
    slope = np.polyfit(np.arange(len(resident_kb)) * 50, resident_kb, 1)[0]
    assert len(resident_kb) == 160
    assert abs(slope) * 10_000 < 4_000  # kB per 10,000 frames, of 1,000,000 that went through
