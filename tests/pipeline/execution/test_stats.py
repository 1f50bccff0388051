"""Statistics: exact, bounded, cheap, and readable."""

from __future__ import annotations

import json
import sys
import tracemalloc
from time import perf_counter_ns

import numpy as np
import pytest
from vidgraph.pipeline.execution.stage_calls import Faults, StageCaller
from vidgraph.pipeline.execution.stats import RunStats, Samples, StageStats, StreamStats, Summary
from vidgraph.pipeline.graph import Graph
from vidgraph.pipeline.packet import Packet

from ...waiting import until
from ..parts import Collect, FailOn, Numbers, Part, frame


@pytest.mark.parametrize("count", [1, 2, 3, 99, 100, 101, 1000])
def test_percentiles_are_nearest_rank(count: int) -> None:
    values = np.random.default_rng(count).permutation(count).astype(float)
    samples = Samples()
    for value in values:
        samples.add(value)
    expected = np.percentile(values, [50, 95, 99], method="inverted_cdf")
    summary = samples.summary()
    assert [summary.p50, summary.p95, summary.p99] == list(expected)
    assert (summary.count, summary.total, summary.max) == (count, values.sum(), values.max())
    assert summary.mean == pytest.approx(values.mean())


def test_nothing_is_all_zeros() -> None:
    assert Samples().summary() == Summary(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def test_the_newest_samples_count_for_percentiles_all_for_the_rest() -> None:
    samples = Samples(capacity=10)
    for value in range(25):
        samples.add(value)
    summary = samples.summary()
    assert (summary.count, summary.total, summary.max, summary.p50) == (25, 300.0, 24.0, 19.0)


def test_memory_does_not_grow() -> None:
    samples = Samples(capacity=1000)
    samples.add(1.0)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(20_000):
            samples.add(1.25)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 1000
    assert sys.getsizeof(Samples()._ring) < 500_000


def test_a_stage_call_costs_little() -> None:
    """The time of a call and of taking its statistics, against the bare call; measured 1 µs, allowed 20."""
    part = Part()
    caller = StageCaller(part, Faults(strict=False, stop=lambda: None))
    packets = [Packet(frame(index)) for index in range(2000)]
    costs = []
    for _ in range(5):
        started = perf_counter_ns()
        for packet in packets:
            list(part.process(packet))
        bare = perf_counter_ns() - started
        started = perf_counter_ns()
        for packet in packets:
            caller.process(packet)
        costs.append((perf_counter_ns() - started - bare) / len(packets))
    assert min(costs) < 20_000


@pytest.mark.parametrize("executor", ["serial", "threaded"])
def test_a_run_counts(executor: str) -> None:
    source = Numbers(40)
    source.problems = {"damaged": 2}
    stages = [Part("one"), FailOn(lambda index: index == 7, "two"), Part("three")]
    stats = Graph(source, stages, Collect("out.jsonl")).run(executor=executor)
    assert stats.frames == stats.streams[0].frames == 40
    assert stats.problems == {"damaged": 2}
    assert stats.dropped == {"failed": 1}
    assert [(row.name, row.calls, row.frames, row.failed) for row in (*stats.sources, *stats.stages, *stats.sinks)] == [
        ("a", 40, 40, 0),
        ("one", 40, 40, 0),
        ("two", 40, 39, 1),
        ("three", 39, 39, 0),
        ("out.jsonl", 40, 40, 0),
    ]
    assert stats.latency_ms.count == 39
    assert stats.latency_ms.p50 >= max(row.busy_ms.p50 for row in stats.stages)
    assert stats.wall_s > 0
    assert stats.fps == pytest.approx(40 / stats.wall_s)
    assert not stats.complete
    assert json.loads(json.dumps(stats.to_dict()))["stages"][1]["busy_ms"]["count"] == 40


def test_busy_time_is_that_of_the_call() -> None:
    import time

    def slow(packet: Packet) -> None:
        time.sleep(0.005)

    stats = Graph(Numbers(20), slow, slow).run()
    for row in (stats.stages[0], stats.sinks[0]):
        assert 5.0 <= row.busy_ms.p50 < 50.0
        assert row.busy_ms.total >= 100.0
    assert stats.latency_ms.p50 >= 10.0


def test_a_snapshot_while_it_runs() -> None:
    with Graph(Numbers(10_000, delay_s=0.001), Part(), Collect()).start() as run:
        until(lambda: run.stats().frames >= 5)
        stats = run.stats()
        assert stats.streams[0].ended is None
        assert 0 < stats.wall_s < 60
        assert not run.done
    assert run.stats().streams[0].ended == "cancelled"


def stats_of(streams: int, stages: int, name: str) -> RunStats:
    busy = Summary(123_456, 1.5e6, 12.15, 11.9, 20.123456, 31.0, 99.9)
    return RunStats(
        streams=tuple(
            StreamStats(
                stream_id=f"{name}{n}",
                frames=123_456,
                dropped={"mailbox_full": 12, "failed": 3, "dull": 1},
                problems={"damaged": 1},
                expected_frames=None,
                latency_ms=busy,
                wall_s=100.0,
                peak_in_flight=9,
                ended=None,
                error=None,
            )
            for n in range(streams)
        ),
        sources=tuple(StageStats(f"{name}{n}", 1, 0, busy) for n in range(streams)),
        stages=tuple(StageStats(f"{name}_{n}", 1, 0, busy) for n in range(stages)),
        sinks=(StageStats("/a/long/folder/" * 5 + "out.mp4", 1, 0, busy),),
        latency_ms=busy,
        wall_s=100.0,
    )


@pytest.mark.parametrize("name", ["x", "a_name_that_goes_on_and_on_and_does_not_fit_into_its_column"])
def test_the_table_is_aligned_and_fits(name: str) -> None:
    lines = stats_of(2, 3, name).table().splitlines()
    assert max(map(len, lines)) <= 100
    rows = [line for line in lines if line[34:].strip().startswith("123456")]
    assert len(rows) == 2 + 2 + 3 + 1 + 1  # streams; sources, stages, the sink, end to end
    assert {line[34:43] for line in rows} == {"    123456"[1:]}
    assert lines[-1].startswith(
        "246912 frames in 100.00 s = 2469.1 fps; dropped: mailbox_full 24, failed 6, …; damaged: "
    )


def test_the_table_of_a_run_that_did_nothing() -> None:
    text = RunStats((), (), (), (), Summary(), 0.0).table()
    assert text.splitlines()[-1] == "0 frames in 0.00 s = 0.0 fps"
