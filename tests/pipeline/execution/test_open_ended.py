"""Streams that come and go while a graph runs, the turns that live streams take, and stages that hang."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from queue import SimpleQueue
from typing import Any

import pytest
from vidgraph.pipeline.errors import GraphError, OutputError, StageError, UsageError
from vidgraph.pipeline.execution.base import RunOptions, StreamRecord
from vidgraph.pipeline.execution.run import GraphRun
from vidgraph.pipeline.execution.scheduler import Scheduler
from vidgraph.pipeline.execution.stage_calls import Faults, StageCaller
from vidgraph.pipeline.execution.stats import Samples
from vidgraph.pipeline.execution.threads import ThreadBudget
from vidgraph.pipeline.graph import Graph
from vidgraph.pipeline.packet import Frame, Packet
from vidgraph.pipeline.stage import EndReason, Source, Stage

from ..parts import Collect, Create, Numbers, Part, RunningSum, frame, threads_of_runs


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Any:
    yield
    assert threads_of_runs() == []


class Live(Source):
    """Frames at a pace, until it is interrupted; the one that it then gives may find the stream ended."""

    live = True

    def __init__(self, stream_id: str, every_s: float = 0.002) -> None:
        self.stream_id, self.every_s, self.made, self.times_closed = stream_id, every_s, 0, 0
        self.stopped = threading.Event()

    def frames(self) -> Iterator[Frame]:
        while not self.stopped.wait(self.every_s):
            self.made += 1
            yield frame(self.made - 1, self.stream_id)

    def interrupt(self) -> None:
        self.stopped.set()

    def close(self) -> None:
        self.times_closed += 1


def until(condition: Any, within_s: float = 20.0) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.002)


def frames_of(run: GraphRun, stream_id: str) -> int:
    return next((stream.frames for stream in run.stats().streams if stream.stream_id == stream_id), -1)


def test_streams_are_added_and_removed_while_it_runs() -> None:
    seen, own = Collect("shared"), Collect("own")
    sources = {name: Live(name) for name in ("a", "b", "c")}
    with Graph([], [Create(), RunningSum()], seen, open_ended=True).start() as run:
        assert run.stats().streams == ()
        run.add(sources["a"])
        run.add(sources["b"], [own])
        until(lambda: frames_of(run, "a") > 5 and frames_of(run, "b") > 5)
        stats = run.remove("b")
        assert (stats.stream_id, stats.ended) == ("b", "cancelled")
        assert sources["b"].made - 1 <= stats.frames <= sources["b"].made
        assert own.log == ["open", "end b cancelled", "close"]
        assert own.indices("b") == [*range(stats.frames)]
        before = frames_of(run, "a")
        run.add(sources["c"])
        until(lambda: frames_of(run, "a") > before + 5 and frames_of(run, "c") > 5)
        until(lambda: [stream.stream_id for stream in run.stats().streams] == ["a", "c"])
        assert not run.done
    assert [source.times_closed for source in sources.values()] == [1, 1, 1]
    assert sorted(line for line in seen.log if "end" in line) == [
        "end a cancelled",
        "end b cancelled",
        "end c cancelled",
    ]
    assert seen.indices("a") == [*range(run.stats().streams[0].frames)]
    assert set(own.seen) == {"b"}


def test_a_name_is_free_again_once_its_stream_is_over() -> None:
    with Graph([], Part(), open_ended=True).start() as run:
        run.add(Numbers(3, "a"))
        until(lambda: run.stats().streams == ())
        run.add(Live("a"))
        with pytest.raises(UsageError, match="there is a stream 'a' already; remove it first"):
            run.add(Live("a"))
        run.remove("a")
        run.add(Live("a"))
        until(lambda: frames_of(run, "a") > 0)


def test_a_stream_that_fails_ends_alone() -> None:
    with Graph([], Part(), open_ended=True).start() as run:
        run.add(Live("good"))
        run.add(Numbers(5, "bad", fail_at=2))
        until(lambda: [stream.stream_id for stream in run.stats().streams] == ["good"])
        assert run.stats().errors == ("source 'bad' failed after frame 1: OSError: the cable is out",)
        before = frames_of(run, "good")
        until(lambda: frames_of(run, "good") > before)
    assert run.error is None


class FullDisk(Collect):
    def write(self, packet: Packet) -> None:
        raise OSError(28, "no space left on device")


def test_an_output_of_one_stream_that_fails_ends_that_stream() -> None:
    with Graph([], Part(), open_ended=True).start() as run:
        run.add(Live("good"))
        run.add(Live("full"), [FullDisk("disk")])
        until(lambda: [stream.stream_id for stream in run.stats().streams] == ["good"])
        (line,) = run.stats().errors
        assert line.startswith("output 'disk' failed on frame 0 of stream 'full'")
        before = frames_of(run, "good")
        until(lambda: frames_of(run, "good") > before)
    assert run.error is None


def test_an_output_that_cannot_be_opened_adds_nothing() -> None:
    class Shut(Collect):
        def open(self) -> None:
            raise OutputError("shut")

    other = Collect("other")
    with Graph([], open_ended=True).start() as run:
        with pytest.raises(OutputError, match="shut"):
            run.add(Live("a"), [other, Shut("shut")])
        assert other.log[-1] == "close"
        assert run.stats().streams == ()


def test_what_cannot_be_added_or_removed() -> None:
    with pytest.raises(GraphError, match="a graph needs at least one source"):
        Graph([])
    with Graph(Live("a")).start() as run, pytest.raises(UsageError, match="the graph is not open-ended"):
        run.add(Live("b"))
    with Graph([], open_ended=True).start() as run:
        run.add(Live("a"))
        with pytest.raises(UsageError, match="there is no stream 'b' to remove; there are: a"):
            run.remove("b")
    with pytest.raises(UsageError, match="the run is not going on"):
        run.add(Live("a"))
    with Graph(Live("a"), open_ended=True).start(executor="serial") as run, pytest.raises(UsageError, match="threaded"):
        run.add(Live("b"))


def test_a_source_that_opens_after_its_stream_was_removed_is_not_read() -> None:
    """Like a camera, it forgets an interrupt when it is opened."""
    asked = threading.Event()

    class Forgetful(Live):
        def open(self) -> None:
            asked.wait()
            self.stopped.clear()

        def frames(self) -> Iterator[Frame]:
            self.stopped.wait()
            yield from ()

    source = Forgetful("a")
    with Graph([], Part(), open_ended=True).start() as run:
        run.add(source)
        run.remove("a")
        asked.set()
        until(lambda: run.stats().streams == ())
        assert source.times_closed == 1


def test_a_source_is_one_stream_only() -> None:
    with Graph([], Part(), open_ended=True).start() as run:
        source = Live("a")
        run.add(source)
        source.stream_id = "b"
        with pytest.raises(UsageError, match="the source of stream 'b' is in the run already; make another one"):
            run.add(source)
        source.stream_id = "a"


def test_a_callback_does_not_wait_for_itself() -> None:
    done: dict[str, Any] = {}

    class Remover(Collect):
        def write(self, packet: Packet) -> None:
            if packet.frame.index == 2:
                done["removed"] = run.remove("a")
                with pytest.raises(UsageError, match="a callback of a run cannot wait for the end of that run"):
                    run.wait()
                with run:
                    done["inside"] = run.inside

    with Graph([], Part(), open_ended=True).start() as run:
        run.add(Live("a"), [Remover("remover")])
        until(lambda: run.done, 5.0)
        assert not run.inside
    assert done["removed"].ended == "cancelled"
    assert done["inside"]


def test_workers_that_only_wait_are_not_left_behind() -> None:
    """Where the stop has taken all its time because an output hangs."""
    go_on = threading.Event()

    class Stuck(Collect):
        def write(self, packet: Packet) -> None:
            go_on.wait()

    part = Part("part")
    run = Graph(Live("a"), part, Stuck("stuck")).start()
    until(lambda: frames_of(run, "a") >= 0 and run.stats().stages[0].calls > 0)
    run.cancel(now=True)
    threading.Timer(3.0, go_on.set).start()
    assert not [line for line in run.wait().errors if "left behind" in line]
    assert part.log[-1] == "close"


def test_a_slow_output_does_not_fall_behind(caplog: pytest.LogCaptureFixture) -> None:
    """It is told of a tenth of the frames; all are counted."""
    seen: list[tuple[bool, int]] = []
    source = Live("a", every_s=0.01)

    class Slow(Collect):
        def write(self, packet: Packet) -> None:
            time.sleep(0.1)
            seen.append((packet.drop_cause is None, source.made - packet.frame.index))

    with Graph(source, Part(), Slow("slow")).start() as run:
        time.sleep(6.0)
        run.cancel()
        stats = run.wait().streams[0]
    assert stats.frames == stats.processed + sum(stats.dropped.values())
    assert stats.frames > 2 * len(seen)
    assert max(behind for is_result, behind in seen if is_result) < 250
    assert stats.processed == sum(is_result for is_result, _ in seen)
    assert "stream 'a': an output is slow, and not told of all frames that are dropped" in caplog.text


def scheduler_of(*names: str, stages: Iterable[Stage] = ()) -> tuple[Scheduler, list[Any]]:
    faults = Faults(strict=False, stop=lambda: None)
    scheduler = Scheduler([StageCaller(stage, faults) for stage in stages], latency=Samples(9), events=SimpleQueue())
    records = [StreamRecord(Live(name), 2, latest=True, strict=False) for name in names]
    return scheduler, [scheduler.add(record, []) for record in records]


def begin(scheduler: Scheduler, *, dropped: bool = False) -> Any:
    """Take the next task and finish it; which frame it was, and with ``dropped``, whether it was a dropped one."""
    task = scheduler.take()
    assert task is not None
    assert task.packet is not None
    scheduler.complete(task, [task.packet])
    done = task.packet.frame.stream_id, task.packet.frame.index
    return (*done, task.packet.drop_cause is not None) if dropped else done


def test_workers_begin_with_the_newest_frame_however_many_streams_wait() -> None:
    scheduler, streams = scheduler_of("a", "b", stages=[Part()])
    for index in range(5):
        for stream in streams:
            scheduler.post(stream, frame(index, stream.stream_id))
    done = [begin(scheduler) for _ in range(10)]
    assert [one for one in done if one[1] == 4] == [("a", 4), ("b", 4)]
    assert [stream.record.dropped for stream in streams] == [{"mailbox_full": 4}] * 2
    assert [stream.record.frames for stream in streams] == [5, 5]


def test_the_stream_whose_last_turn_is_longest_ago_is_next() -> None:
    """Frames always come in the order a, b, c, and two are served in between: still each stream gets two of three."""
    scheduler, streams = scheduler_of("a", "b", "c", stages=[Part()])
    turns = {"a": 0, "b": 0, "c": 0}
    for index in range(30):
        for stream in streams:
            scheduler.post(stream, frame(index, stream.stream_id))
        served = 0
        while served < 2:
            task = scheduler.take()
            assert task is not None
            assert task.packet is not None
            if task.packet.drop_cause is None:
                turns[task.packet.frame.stream_id] += 1
                served += 1
            scheduler.complete(task, [task.packet])
    assert turns == {"a": 20, "b": 20, "c": 20}


def test_a_stateful_first_stage_has_the_newest_frame_too() -> None:
    scheduler, (stream,) = scheduler_of("a", stages=[Part(stateless=False)])
    scheduler.post(stream, frame(0))
    first = scheduler.take()
    assert first is not None
    assert first.packet is not None
    for index in range(1, 6):
        scheduler.post(stream, frame(index))
    scheduler.complete(first, [first.packet])
    done = [begin(scheduler) for _ in range(5)]
    assert done[-1] == ("a", 5)
    assert stream.record.dropped == {"mailbox_full": 4}


@pytest.mark.parametrize("stateless", [True, False])
def test_cameras_and_a_file_take_turns(stateless: bool) -> None:
    """A file always has frames ready; still each stream is begun with once in a round."""
    faults = Faults(strict=False, stop=lambda: None)
    stage = Part(stateless=stateless)
    scheduler = Scheduler([StageCaller(stage, faults)], latency=Samples(9), events=SimpleQueue())
    file = scheduler.add(StreamRecord(Numbers(99, "file"), 8, latest=False, strict=False), [])
    cameras = [scheduler.add(StreamRecord(Live(name), 2, latest=True, strict=False), []) for name in ("a", "b")]
    for index in range(8):
        scheduler.hand_over(file, frame(index, "file"))
    begun = []
    for index in range(12):
        for stream in cameras:
            scheduler.post(stream, frame(index, stream.stream_id))
        while (done := begin(scheduler, dropped=True))[2]:  # those that were replaced go first, and cost nothing
            pass
        begun.append(done[0])
        if done[0] == "file":
            scheduler.hand_over(file, frame(7 + begun.count("file"), "file"))
    assert sorted(begun[:3]) == ["a", "b", "file"]
    assert [begun.count(name) for name in ("a", "b", "file")] == [4, 4, 4]


def test_a_turn_whose_frame_is_gone_leaves_no_worker_idle() -> None:
    scheduler, (a, b) = scheduler_of("a", "b", stages=[Part()])
    scheduler.post(a, frame(0, "a"))
    scheduler.post(b, frame(0, "b"))
    scheduler.stop_intake(a, EndReason.CANCELLED)
    tasks = []
    for _ in range(3):
        task = scheduler.take()
        assert task is not None
        tasks.append((task.lane.stream.stream_id, task.packet and task.packet.drop_cause, task.packet is None))
        scheduler.complete(task, [task.packet] if task.packet is not None else [])
    assert sorted(tasks, key=str) == [("a", "cancelled", False), ("a", None, True), ("b", None, False)]


class Hangs(Part):
    """Does not return from one frame until it is let go."""

    def __init__(self) -> None:
        super().__init__("infer")
        self.let_go = threading.Event()

    def process(self, packet: Packet) -> Iterable[Packet]:
        if packet.frame.index == 3:
            self.let_go.wait()
        return (packet,)


def test_a_stage_that_hangs_is_named_and_ends_the_run() -> None:
    stage, sink, source = Hangs(), Collect(), Live("door")
    run = Graph(source, stage, sink).start(stage_limit_s=0.2)
    try:
        with pytest.raises(StageError, match=r"stage 'infer' has not returned for 0\.2 s, on frame 3 of stream 'door'"):
            run.wait()
        assert source.made > 4  # the reader never waited
        assert sink.indices("door") == [0, 1, 2]
        assert sink.log[-1] == "close"
    finally:
        stage.let_go.set()
        until(lambda: threads_of_runs() == [])


def test_achieved_rates_and_latency_are_kept_by_stream() -> None:
    sources = [Live("a"), Live("b")]
    with Graph(sources, Part()).start() as run:
        until(lambda: frames_of(run, "b") > 20)
    for stream, source in zip(run.stats().streams, sources, strict=True):
        assert source.made - 1 <= stream.frames <= source.made
        assert stream.frames == stream.processed + sum(stream.dropped.values())
        assert stream.latency_ms.count == stream.processed
        assert stream.fps == pytest.approx(stream.processed / stream.wall_s)
    assert RunOptions(ThreadBudget.share_out(1)).open_ended is False
