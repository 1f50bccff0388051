"""How soon a camera is tried again, by a clock that the test moves."""

from __future__ import annotations

import threading
import time

import pytest
from vidgraph.stages.sources.camera.backoff import Backoff, OpenGate
from vidgraph.stages.sources.camera.interrupt import Wait
from vidgraph.stages.sources.camera.reasons import REASONS


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def delays(backoff: Backoff, clock: Clock, reason: str, over_s: float) -> list[float]:
    """The waits of all tries in so many seconds."""
    found, end = [], clock.now + over_s
    while clock.now < end:
        delay = backoff.delay_s(REASONS[reason])
        if delay is None:
            break
        found.append(delay)
        clock.now += delay
    return found


def test_an_outage_is_tried_often_for_a_minute_and_then_every_five_seconds() -> None:
    clock = Clock()
    backoff = Backoff(clock, lambda: 1.0)
    backoff.worked()
    backoff.lost()
    first = delays(backoff, clock, "refused", 59)
    assert first[0] == 0.1
    assert max(first) == 0.3
    later = delays(backoff, clock, "refused", 600)
    assert max(later) == 5.0
    assert later.count(5.0) > 100
    backoff.worked()
    assert backoff.outage_s == 0
    clock.now += 20
    backoff.lost()
    assert delays(backoff, clock, "closed", 1)[:2] == [0.1, 0.2]


def test_waits_are_spread() -> None:
    assert Backoff(Clock(), lambda: 0.0).delay_s(REASONS["forbidden"]) == pytest.approx(20.0)
    assert Backoff(Clock(), lambda: 1.0).delay_s(REASONS["forbidden"]) == pytest.approx(30.0)


def test_a_transport_that_is_refused_is_not_asked_for_again_at_once() -> None:
    clock = Clock()
    assert delays(Backoff(clock, lambda: 1.0), clock, "transport", 60) == [10.0] * 6


def test_a_wrong_password_is_tried_ten_times_and_ever_more_slowly() -> None:
    clock = Clock()
    found = delays(Backoff(clock, lambda: 1.0), clock, "password", 1e6)
    assert found == [30, 60, 120, 240, 480, 600, 600, 600, 600]
    assert len(found) == 9  # and the tenth failure is the last


def test_a_path_that_is_gone_may_be_a_camera_that_starts() -> None:
    clock = Clock()
    backoff = Backoff(clock, lambda: 1.0)
    assert backoff.delay_s(REASONS["not_found"]) == 30
    backoff.worked()
    clock.now += 3600
    backoff.lost()
    found = delays(backoff, clock, "not_found", 240)
    assert found[:24] == [5.0] * 24
    assert set(found[24:]) == {30.0}


def test_what_cannot_become_right_is_not_tried_again() -> None:
    assert Backoff(Clock()).delay_s(REASONS["address"]) is None


def test_a_camera_that_comes_up_for_a_moment_only_does_not_begin_anew() -> None:
    clock = Clock()
    backoff = Backoff(clock, lambda: 1.0)
    waits = []
    for _ in range(60):
        backoff.worked()
        clock.now += 2
        backoff.lost()
        wait = backoff.delay_s(REASONS["closed"])
        assert wait is not None
        waits.append(wait)
        clock.now += wait
    assert waits[0] == 0.1
    assert waits[-1] == 5.0


def test_four_at_a_time_open_at_a_host() -> None:
    gate, wait = OpenGate(4), Wait()
    inside, most, lock = 0, 0, threading.Lock()

    def enter(host: str) -> None:
        nonlocal inside, most
        with gate.enter(host, wait) as entered:
            assert entered
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.05)
            with lock:
                inside -= 1

    threads = [threading.Thread(target=enter, args=("nvr",)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 4


def test_a_stop_ends_the_wait_for_a_turn() -> None:
    gate, wait = OpenGate(1), Wait()
    with gate.enter("nvr", wait):
        other = Wait()
        other.stop()
        with gate.enter("nvr", other) as entered:
            assert not entered
        with gate.enter("elsewhere", wait) as entered:
            assert entered
