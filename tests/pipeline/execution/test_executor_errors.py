"""Bad frames, bad sources, bad sinks: what goes on, what ends the run, and what is told."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from vidgraph.kernels.cuda.driver import CudaError
from vidgraph.pipeline.errors import (
    DeviceError,
    EngineError,
    OutputError,
    ResultsError,
    SourceError,
    StageError,
    UsageError,
    VidgraphError,
)
from vidgraph.pipeline.execution.stage_calls import FAILURES_IN_A_ROW
from vidgraph.pipeline.graph import Graph
from vidgraph.pipeline.packet import Frame

from ..parts import Collect, Create, FailOn, LookAhead, Numbers, Part, frame, threads_of_runs

EXECUTORS = ["serial", "threaded"]
pytestmark = pytest.mark.parametrize("executor", EXECUTORS)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Any:
    yield
    assert threads_of_runs() == []


@pytest.mark.parametrize("stateless", [True, False])
def test_one_bad_frame_is_dropped_and_counted(executor: str, stateless: bool, caplog: pytest.LogCaptureFixture) -> None:
    collect = Collect()
    stages = [Part("before"), FailOn(lambda index: index in (3, 41), stateless=stateless), Part("after")]
    with caplog.at_level(logging.WARNING, "vidgraph"):
        stats = Graph(Numbers(50, "door"), stages, collect).run(executor=executor)
    message = "stage 'fail' failed on frame 3 of stream 'door' (t = 0.120 s): RuntimeError: bad luck"
    assert collect.indices("door") == [*range(50)]
    assert collect.causes("door") == {3: "failed", 41: "failed"}
    assert stats.dropped == {"failed": 2}
    assert stats.errors == (message,)
    assert [record.getMessage() for record in caplog.records] == [message]  # once per stage
    assert {row.name: (row.frames, row.failed) for row in stats.stages}["fail"] == (48, 2)
    assert not stats.complete


def test_strict_ends_the_run_with_the_first_bad_frame(executor: str) -> None:
    collect, source = Collect(), Numbers(500)
    with pytest.raises(StageError) as caught:
        Graph(source, FailOn(lambda index: index == 41), collect).run(executor=executor, strict=True)
    assert str(caught.value) == "stage 'fail' failed on frame 41 of stream 'a' (t = 1.640 s): RuntimeError: bad luck"
    assert (caught.value.stage, caught.value.stream_id, caught.value.frame_index) == ("fail", "a", 41)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert 42 <= len(collect.indices()) < 500
    assert collect.indices() == [*range(len(collect.indices()))]
    assert collect.causes() == {41: "failed"}
    assert collect.log == ["open", "end a failed", "close"]
    assert source.log == ["open", "close"]


def test_an_error_of_our_own_keeps_its_words(executor: str) -> None:
    with pytest.raises(StageError, match=r"\(t = 0.000 s\): net.onnx: input 'image' must be float32"):
        Graph(Numbers(1), FailOn(lambda i: True, error=EngineError("net.onnx: input 'image'\nmust be float32"))).run(
            executor=executor
        )


@pytest.mark.parametrize(
    ("error", "fails", "frames"),
    [
        (EngineError("wrong shape"), lambda index: True, 1),  # an engine that has not worked once
        (CudaError("there is no cuda:3"), lambda index: True, 1),
        (UsageError("no such class"), lambda index: index == 5, 6),
        (ResultsError("results.jsonl, line 7: not JSON"), lambda index: index == 5, 6),
        (RuntimeError("always"), lambda index: index >= 3, 3 + FAILURES_IN_A_ROW),
        (SystemExit(3), lambda index: index == 5, 6),
    ],
)
def test_hopeless_errors_end_the_run(executor: str, error: BaseException, fails: Any, frames: int) -> None:
    collect = Collect()
    with pytest.raises(StageError, match="stage 'fail' failed on frame"):
        Graph(Numbers(500), FailOn(fails, error=error), collect).run(executor=executor)
    assert frames <= len(collect.indices()) < 100
    assert collect.log[-2:] == ["end a failed", "close"]


def test_a_card_that_cannot_be_used(executor: str) -> None:
    with pytest.raises(StageError, match=r"\(t = 0.000 s\): there is no cuda:3\. Use device cpu$") as caught:
        Graph(Numbers(9), FailOn(lambda index: True, error=CudaError("there is no cuda:3"))).run(executor=executor)
    error = caught.value.__cause__
    assert type(error) is DeviceError
    assert isinstance(error.__cause__, CudaError)


def test_an_engine_error_later_is_one_bad_frame(executor: str) -> None:
    stats = Graph(Numbers(9), FailOn(lambda index: index == 4, error=EngineError("overheated"))).run(executor=executor)
    assert stats.dropped == {"failed": 1}


def test_a_run_whose_every_frame_failed_has_failed(executor: str) -> None:
    collect = Collect()
    with pytest.raises(StageError, match=r"failed on frame 1 .*bad luck \(it failed on every frame\)"):
        Graph(Numbers(2), FailOn(lambda index: True), collect).run(executor=executor)
    assert collect.causes() == {0: "failed", 1: "failed"}


def test_a_stage_that_holds_frames_is_flushed_when_it_fails(executor: str) -> None:
    class Fragile(LookAhead):
        def process(self, packet: Any) -> Any:
            if packet.frame.index == 5:
                raise RuntimeError("bad luck")
            yield from super().process(packet)

    collect, fragile = Collect(), Fragile(holds=3)
    Graph(Numbers(12), [Create("create"), fragile], collect).run(executor=executor)
    assert collect.indices() == [*range(12)]
    assert collect.causes() == {5: "failed"}
    assert fragile.log == ["open", "end a failed", "end a finished", "close"]


def test_a_stage_that_fails_at_the_end_of_a_stream(executor: str) -> None:
    class Fragile(LookAhead):
        def end_stream(self, stream_id: str, reason: Any) -> Any:
            raise RuntimeError("bad luck")

    collect = Collect()
    with pytest.raises(StageError, match=r"stage 'look_ahead' failed at the end of stream 'a': RuntimeError: bad luck"):
        Graph(Numbers(6), [Create("create"), Fragile(holds=2)], collect).run(executor=executor)
    assert collect.causes() == {4: "failed", 5: "failed"}
    assert collect.indices() == [*range(6)]


def test_the_only_source_fails(executor: str) -> None:
    collect, ended = Collect(), Part()
    graph = Graph(Numbers(50, fail_at=7), [Create(), ended, LookAhead(holds=2)], collect)
    with pytest.raises(SourceError, match="source 'a' failed after frame 6: OSError: the cable is out") as caught:
        graph.run(executor=executor)
    assert isinstance(caught.value.__cause__, OSError)
    assert collect.indices() == [*range(7)]
    assert collect.log == ended.log == ["open", "end a failed", "close"]


def test_one_of_two_sources_fails_and_the_other_goes_on(executor: str) -> None:
    collect = Collect()
    bad = Numbers(50, "bad", fail_at=7, error=SourceError("bad.mp4: nothing more can be read"))
    stats = Graph([bad, Numbers(50, "good")], Part(), collect).run(executor=executor)
    assert collect.indices("bad") == [*range(7)]
    assert collect.indices("good") == [*range(50)]
    assert [(s.ended, s.error) for s in stats.streams] == [
        ("failed", "bad.mp4: nothing more can be read"),
        ("finished", None),
    ]
    assert stats.errors == ("bad.mp4: nothing more can be read",)
    assert not stats.complete
    with pytest.raises(SourceError, match=r"bad.mp4: nothing more"):
        Graph([Numbers(5, "bad", fail_at=2, error=bad.error), Numbers(50, "good")]).run(executor=executor, strict=True)


def test_a_camera_that_cannot_be_opened_leaves_the_others(executor: str) -> None:
    def fail() -> None:
        raise SourceError("no such camera")

    collect, bad = Collect(), Numbers(5, "bad")
    bad.open = fail  # type: ignore[method-assign]
    with pytest.raises(SourceError, match="no such camera"):  # a file: nothing starts
        Graph([bad, Numbers(5, "good")], [], collect).run(executor=executor)
    assert collect.log == []
    bad.live = True
    stats = Graph([bad, Numbers(5, "good")], [], collect).run(executor=executor)
    assert collect.indices("good") == [*range(5)]
    assert [s.ended for s in stats.streams] == ["failed", "finished"]


def test_secrets_do_not_reach_messages(executor: str) -> None:
    error = OSError("rtsp://admin:hunter2@door/live?token=abc: no route")
    with pytest.raises(SourceError, match=r"before its first frame: OSError: rtsp://\*\*\*@door/live\?token=\*\*\*"):
        Graph(Numbers(5, fail_at=0, error=error)).run(executor=executor)


@pytest.mark.parametrize("when", [0, 3, 9])
def test_damage_ends_a_strict_run(executor: str, when: int) -> None:
    class Damaged(Numbers):
        def frames(self) -> Any:
            for item in super().frames():
                self.problems = {"damaged": 1} if item.index >= when else {}
                yield item
            self.problems = {"damaged": 1, "truncated": 4}

    collect = Collect()
    stats = Graph(Damaged(9), [], collect).run(executor=executor)
    assert stats.problems == {"damaged": 1, "truncated": 4}
    assert not stats.complete
    with pytest.raises(SourceError, match=r"source 'a' has bad frames after frame .* \(1 damaged.*Without strict"):
        Graph(Damaged(9), [], collect := Collect()).run(executor=executor, strict=True)
    assert collect.indices() == [*range(when)]
    assert collect.log == ["open", "end a failed", "close"]


def test_a_source_must_give_its_own_stream_in_order(executor: str) -> None:
    class Confused(Numbers):
        def frames(self) -> Any:
            yield frame(3)
            yield frame(2)

    with pytest.raises(SourceError, match=r"source 'a' gave frame 2 of stream 'a' after frame 3; .*rising"):
        Graph(Confused(2)).run(executor=executor)


def test_a_full_disk_ends_the_run_and_other_outputs_are_whole(executor: str) -> None:
    full, good = Collect("full.mp4", fail_at=4), Collect("good.jsonl")
    with pytest.raises(OutputError, match=r"output 'full.mp4' failed on frame 4 .*No space left on device") as caught:
        Graph(Numbers(500, delay_s=0.001), Part(), [full, good]).run(executor=executor)
    assert isinstance(caught.value.__cause__, OSError)
    assert full.indices() == [*range(4)]  # no more is written after the error
    assert 5 <= len(good.indices()) < 500
    assert good.indices() == [*range(len(good.indices()))]
    assert good.log == full.log == ["open", "end a failed", "close"]


@pytest.mark.parametrize("method", ["end_stream", "close"])
def test_an_output_that_cannot_be_finished_fails_the_run(executor: str, method: str) -> None:
    def fail(*args: object) -> None:
        raise OSError("No space left on device")

    bad, good = Collect("bad"), Collect("good")
    setattr(bad, method, fail)
    with pytest.raises(
        OutputError, match=r"output 'bad' failed (at the end of stream 'a'|when it was closed): .*No space"
    ):
        Graph(Numbers(5), [], [bad, good]).run(executor=executor)
    assert good.log[0] == "open"
    assert good.log[-1] == "close"
    assert good.indices() == [*range(5)]


class _Evil(Exception):
    """What a program should not raise."""

    def __str__(self) -> str:
        raise self.args[0]


@pytest.mark.parametrize("inner", [RuntimeError("no"), SystemExit(3), KeyboardInterrupt(), RecursionError()])
@pytest.mark.parametrize("where", ["source", "stage", "sink", "open", "close"])
def test_an_error_that_cannot_be_shown_is_reported_at_once(executor: str, where: str, inner: BaseException) -> None:
    def fail(*_: object) -> Any:
        raise _Evil(inner)

    source, collect = Numbers(5, fail_at=2 if where == "source" else None, error=_Evil(inner)), Collect()
    if where in ("sink", "open", "close"):
        setattr(collect, "write" if where == "sink" else where, fail)
    stages = [fail] if where == "stage" else []
    began = time.monotonic()
    with pytest.raises(VidgraphError, match=rf"_Evil: its message cannot be shown \({type(inner).__name__}\)"):
        Graph(source, stages, collect).run(executor=executor, strict=True)
    assert time.monotonic() - began < 5.0


@pytest.mark.parametrize("text", [None, b"bytes", 3])
def test_an_error_whose_text_is_none(executor: str, text: object) -> None:
    class Odd(Exception):
        __module__ = None  # type: ignore[assignment]

        def __str__(self) -> Any:
            return text

    with pytest.raises(SourceError, match="Odd: its message cannot be shown"):
        Graph(Numbers(5, fail_at=0, error=Odd())).run(executor=executor)


def test_an_error_of_a_source_has_the_cause_that_it_had(executor: str) -> None:
    """Not itself, which whoever follows causes would follow for ever."""

    class Gone(Numbers):
        def frames(self) -> Iterator[Frame]:
            yield from super().frames()
            raise SourceError("given up") from ValueError("no answer")

    with pytest.raises(SourceError, match="given up") as caught:
        Graph(Gone(2)).run(executor=executor)
    assert isinstance(caught.value.__cause__, ValueError)
