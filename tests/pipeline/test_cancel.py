"""Stopping early: by hand, by signal, by leaving; outputs finished and threads free within two seconds."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from vidgraph.pipeline.cancel import StopOnSignal
from vidgraph.pipeline.errors import SourceError
from vidgraph.pipeline.graph import Graph
from vidgraph.pipeline.packet import Packet

from .parts import Call, Collect, Create, LookAhead, Numbers, Part, threads_of_runs

EXECUTORS = ["serial", "threaded"]
LIMIT_S = 2.0


def wait_until(true: Callable[[], bool], timeout_s: float = 5.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.002)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_cancel_finishes_outputs(executor: str) -> None:
    source, collect, part = Numbers(100_000, delay_s=0.0005), Collect(delay_s=0.001), Part()
    run = Graph(source, [Create(), LookAhead(holds=3), part], collect).start(executor=executor)
    wait_until(lambda: len(collect.indices()) > 5)
    started = time.monotonic()
    run.cancel()
    stats = run.wait()
    assert time.monotonic() - started < LIMIT_S
    assert run.cancelled
    assert run.error is None
    assert stats.streams[0].ended == "cancelled"
    assert collect.indices() == [*range(stats.frames)]  # in order, none missing, held ones flushed
    assert collect.causes() == {}
    assert collect.log == part.log == ["open", "end a cancelled", "close"]
    assert source.log == ["open", "close"]
    assert source.left
    assert threads_of_runs() == []


@pytest.mark.parametrize("executor", EXECUTORS)
def test_leaving_the_context_cancels(executor: str) -> None:
    collect = Collect()
    with Graph(Numbers(100_000, delay_s=0.001), Part(), collect).start(executor=executor) as run:
        wait_until(lambda: len(collect.indices()) > 2)
    assert run.done
    assert collect.log[-1] == "close"
    assert threads_of_runs() == []


@pytest.mark.parametrize("executor", EXECUTORS)
def test_cancel_before_and_after(executor: str) -> None:
    collect, graph = Collect(), Graph(Numbers(5), [], Collect())
    run = Graph(Numbers(5), Part(), collect).prepare(executor=executor)
    run.cancel()
    run.start()
    assert run.wait().frames == 0
    assert run.stats().streams[0].ended == "cancelled"
    assert collect.log in ([], ["open", "close"])
    run = graph.start(executor=executor)
    run.wait()
    run.cancel()
    assert run.wait().frames == 5


def test_frames_that_take_too_long_are_dropped_as_cancelled() -> None:
    collect = Collect()
    slow = Call(lambda p: time.sleep(0.4) or [p], "slow")
    run = Graph(Numbers(100), [slow], collect).start(threads=2, max_in_flight=12)
    wait_until(lambda: len(collect.indices()) == 1)
    started = time.monotonic()
    run.cancel()
    stats = run.wait()
    assert time.monotonic() - started < LIMIT_S
    assert collect.indices() == [*range(stats.frames)]
    assert set(collect.causes().values()) == {"cancelled"}
    assert 12 <= stats.frames < 30


def test_cancel_now_drops_them_at_once() -> None:
    collect = Collect()
    slow = Call(lambda p: time.sleep(0.1) or [p], "slow")
    run = Graph(Numbers(100), [slow], collect).start(threads=1, max_in_flight=8)
    wait_until(lambda: len(collect.indices()) == 1)
    run.cancel(now=True)
    stats = run.wait()
    assert stats.dropped["cancelled"] >= 6
    assert collect.indices() == [*range(stats.frames)]


class Stuck(Numbers):
    """A source whose read does not return; ``interrupt`` ends it where ``can_interrupt``."""

    def __init__(self, *, can_interrupt: bool) -> None:
        super().__init__(10)
        self.free = threading.Event()
        if can_interrupt:
            self.interrupt = self.free.set

    def frames(self) -> Iterator[Any]:
        yield from Numbers(3).frames()
        self.free.wait(20)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_source_that_waits_is_interrupted(executor: str) -> None:
    collect = Collect()
    run = Graph(Stuck(can_interrupt=True), Part(), collect).start(executor=executor)
    wait_until(lambda: len(collect.indices()) == 3)
    started = time.monotonic()
    run.cancel()
    assert run.wait().frames == 3
    assert time.monotonic() - started < 1.0
    assert threads_of_runs() == []


def test_a_source_that_does_not_return_is_left_behind() -> None:
    collect, source = Collect(), Stuck(can_interrupt=False)
    run = Graph(source, Part(), collect).start()
    wait_until(lambda: len(collect.indices()) == 3)
    started = time.monotonic()
    run.cancel()
    stats = run.wait()
    assert time.monotonic() - started < LIMIT_S
    assert collect.log == ["open", "end a cancelled", "close"]
    assert stats.errors == ("thread 'read a' did not end within 1.5 s of the stop and was left behind",)
    source.free.set()
    wait_until(lambda: threads_of_runs() == [])
    assert source.log == ["open", "close"]  # by its own thread, when it came back


def test_a_stage_that_does_not_return_is_left_behind_and_not_closed() -> None:
    free = threading.Event()
    collect, other = Collect(), Part("other")
    stuck = Call(lambda p: free.wait(20) and [p] if p.frame.index == 3 else [p], "stuck")
    run = Graph(Numbers(50), [stuck, other], collect).start(threads=1)
    wait_until(lambda: len(collect.indices()) == 3)
    started = time.monotonic()
    run.cancel()
    stats = run.wait()
    assert time.monotonic() - started < LIMIT_S
    assert collect.log == ["open", "end a cancelled", "close"]
    assert "close" not in stuck.log
    assert any("'work 0' did not end" in line for line in stats.errors)
    free.set()
    wait_until(lambda: threads_of_runs() == [])


def test_wait_with_a_timeout() -> None:
    run = Graph(Numbers(100_000, delay_s=0.001)).start()
    with pytest.raises(TimeoutError, match=r"not over after 0.05 s"):
        run.wait(0.05)
    assert not run.done
    run.cancel()
    run.wait(LIMIT_S)


def test_an_interrupt_while_waiting_finishes_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    collect = Collect()
    run = Graph(Numbers(100_000, delay_s=0.001), [], collect).start()
    wait_until(lambda: len(collect.indices()) > 2)
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        run.wait()
    timer.join()
    assert run.done
    assert collect.log == ["open", "end a cancelled", "close"]


def after(delay_s: float, *signals: int) -> threading.Thread:
    """Send signals to this process, ``delay_s`` before each."""

    def send() -> None:
        for number in signals:
            time.sleep(delay_s)
            os.kill(os.getpid(), number)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_in_order(executor: str, number: int) -> None:
    before = signal.getsignal(number)
    collect = Collect()
    run = Graph(Numbers(100_000, delay_s=0.001), Part(), collect).prepare(executor=executor)
    with StopOnSignal(run.cancel) as stop:
        sender = after(0.1, number)
        stats = run.start().wait()
    sender.join()
    assert stop.received == number
    assert stats.frames > 0
    assert collect.indices() == [*range(stats.frames)]
    assert collect.log == ["open", "end a cancelled", "close"]
    assert signal.getsignal(number) == before


def test_the_second_signal_is_harder_and_the_third_is_as_before() -> None:
    calls: list[bool] = []
    with StopOnSignal(calls.append) as stop, pytest.raises(KeyboardInterrupt):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGINT):
            os.kill(os.getpid(), number)
            time.sleep(0.05)
    assert calls == [False, True]
    assert stop.received == signal.SIGTERM


def test_signals_in_another_thread_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    inside: list[Any] = []

    def enter() -> None:
        with StopOnSignal(lambda now: None):
            inside.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert inside == [before]


def test_a_signal_while_stages_are_opened() -> None:
    class Heavy(Part):
        def open(self) -> None:
            super().open()
            time.sleep(0.3)

    parts, source = [Heavy("one"), Heavy("two"), Heavy("three")], Numbers(5)
    run = Graph(source, parts, collect := Collect()).prepare()
    with StopOnSignal(run.cancel):
        sender = after(0.1, signal.SIGINT)
        assert run.start().wait().frames == 0
    sender.join()
    assert [part.log for part in parts] == [["open", "close"], [], []]
    assert collect.log == []
    assert source.log == ["open", "close"]


def test_many_runs_leave_nothing_behind() -> None:
    for number in range(30):
        sources, sinks = [Numbers(50, "a"), Numbers(50, "b")], [Collect(), Collect("two")]
        run = Graph(sources, [Create(), LookAhead(holds=2)], sinks).start()
        if number % 3:
            run.cancel(now=number % 3 == 2)
        run.wait()
        assert threads_of_runs() == []


class Camera(Numbers):
    live = True


def test_a_live_source_keeps_only_the_newest() -> None:
    collect = Collect()
    ages: list[int] = []
    source = Camera(60, delay_s=0.005)

    def slow(packet: Packet) -> None:
        time.sleep(0.03)

    stats = Graph(source, [slow, Create()], [collect, lambda p: ages.append(p.frame.index)]).run()
    assert collect.indices() == [*range(60)]  # every frame is told of, in order
    assert set(collect.causes().values()) == {"mailbox_full"}
    assert stats.dropped == {"mailbox_full": len(collect.causes())}
    assert 60 - len(ages) == len(collect.causes()) > 20
    assert ages[-1] == 59  # the newest at the end of the stream is not lost
    assert stats.peak_in_flight <= 2
    assert stats.latency_ms.max < 400
    assert stats.complete  # being late is no damage


@pytest.mark.parametrize(
    ("latest", "live", "dropped"), [(True, False, True), (False, True, False), (None, False, False)]
)
def test_latest_and_lossless_override_the_source(latest: bool | None, live: bool, dropped: bool) -> None:
    source = Numbers(40)
    source.live = live  # type: ignore[misc]
    stats = Graph(source, lambda p: time.sleep(0.002)).run(latest=latest)
    assert stats.frames == 40
    assert bool(stats.dropped) == dropped


def test_dropped_frames_of_a_mailbox_hold_no_pixels() -> None:
    strides: set[int] = set()
    shapes: set[tuple[int, ...]] = set()

    def note(packet: Packet) -> None:
        if packet.drop_cause:
            strides.add(packet.frame.picture.planes[0].strides[0])
            shapes.add(packet.frame.picture.planes[0].shape)

    note.on_dropped = True  # type: ignore[attr-defined]
    Graph(Camera(50), lambda p: time.sleep(0.002), note).run()
    assert strides == {0}
    assert shapes == {(4, 6, 3)}


def test_a_slow_camera_does_not_slow_the_other() -> None:
    collect = Collect()
    fast, slow = Camera(40, "fast", delay_s=0.002), Camera(4, "slow", delay_s=0.1)
    run = Graph([fast, slow], Part(), collect).start()
    wait_until(lambda: len(collect.indices("fast")) == 40, 0.35)
    assert len(collect.indices("slow")) < 4
    run.cancel()
    run.wait()


def test_a_live_source_that_fails_still_gives_its_last_frame() -> None:
    collect = Collect()
    source = Camera(20, fail_at=10)
    with pytest.raises(SourceError):
        Graph(source, lambda p: time.sleep(0.02), collect).run()
    assert collect.indices() == [*range(10)]
    assert 9 not in collect.causes()


def test_cancelling_a_live_run() -> None:
    collect = Collect()
    run = Graph(Camera(100_000, delay_s=0.001), lambda p: time.sleep(0.02), collect).start()
    wait_until(lambda: len(collect.indices()) > 20)
    run.cancel()
    stats = run.wait()
    assert collect.indices() == [*range(stats.frames)]
    assert set(collect.causes().values()) <= {"mailbox_full", "cancelled"}
    assert threads_of_runs() == []
