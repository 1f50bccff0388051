"""Times that users write, and clocks of streams."""

from __future__ import annotations

from fractions import Fraction

import pytest
from vidgraph.pipeline.errors import UsageError
from vidgraph.stages.sources.clock import StreamClock, frames_between, parse_time, to_ns, to_ticks

MS = Fraction(1, 1000)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0), (62.5, 62.5), ("62.5", 62.5), ("1:02.5", 62.5), ("01:02", 62), ("0:01:02.5", 62.5),
        ("100:00:00", 360_000),        (".5", 0.5), ("90", 90), (" 3 ", 3), (1e-7, 1e-7), ("0.000000001", 1e-9),
    ],
)  # fmt: skip
def test_times(value: str | float, seconds: float) -> None:
    assert parse_time(value) == round(seconds * 1e9)


@pytest.mark.parametrize(
    "value", ["", "soon", "-1", -1, "1:60", "1:2:3:4", "1:-2", float("nan"), float("inf"), "1/2", "1:90:00", "1e3"]
)
def test_what_is_not_a_time(value: str | float) -> None:
    with pytest.raises(UsageError, match="start must be seconds or"):
        parse_time(value, "start")


def test_ticks_and_nanoseconds() -> None:
    third = Fraction(1, 30)
    assert [to_ns(n, third) for n in range(4)] == [0, 33_333_333, 66_666_667, 100_000_000]
    assert to_ns(-1, third) == -33_333_333
    assert [to_ticks(ns, MS) for ns in (0, 999_999, 1_000_000)] == [0, 0, 1]


def place(clock: StreamClock, *times: int | None) -> list[tuple[int, bool]]:
    """(milliseconds from the start, jumped) of each frame."""
    ticks = [clock.place(time, 0) for time in times]
    return [(tick.pts_ns // 1_000_000, tick.jumped) for tick in ticks]


def test_the_stream_starts_at_its_stated_start_or_at_an_earlier_first_frame() -> None:
    assert place(StreamClock(MS, rate=None, start=1000), 1040, 1080) == [(40, False), (80, False)]
    assert place(StreamClock(MS, rate=None, start=1000), 960, 1000) == [(0, False), (40, False)]
    assert place(StreamClock(MS, rate=None, start=None), 960, 1000) == [(0, False), (40, False)]
    assert StreamClock(MS, rate=None, start=None).start == 0


def test_missing_times_follow_the_rate() -> None:
    clock = StreamClock(MS, rate=Fraction(10), start=None)
    assert place(clock, None, None, 250, None) == [(0, False), (100, False), (250, False), (350, False)]
    assert StreamClock(MS, rate=None, start=None).place(None, 0).duration_ns == 0
    tick = clock.place(None, 70)
    assert (tick.pts_ns, tick.duration_ns) == (450_000_000, 70_000_000)
    assert clock.place(None, 0).pts_ns == 520_000_000


def test_disorder_is_evened_out() -> None:
    clock = StreamClock(MS, rate=Fraction(25), start=0)
    assert place(clock, 0, 40, 40, 20, 80) == [(0, False), (40, False), (41, False), (42, False), (80, False)]


def test_a_clock_that_starts_again_goes_on() -> None:
    clock = StreamClock(MS, rate=Fraction(25), start=0)
    assert place(clock, 5000, 5040, 0, 40, 80) == [
        (5000, False), (5040, False), (5080, True), (5120, False), (5160, False)
    ]  # fmt: skip


def test_a_long_gap_is_kept_and_is_a_jump() -> None:
    clock = StreamClock(MS, rate=Fraction(25), start=0)
    assert place(clock, 0, 10_000, 20_001) == [(0, False), (10_000, False), (20_001, True)]
    slow = StreamClock(MS, rate=Fraction(1, 60), start=0)  # one frame a minute
    assert place(slow, 0, 60_000, 120_000) == [(0, False), (60_000, False), (120_000, False)]


@pytest.mark.parametrize(
    ("start", "end", "count"),
    [(None, None, 10), (0, 120, 3), (1, 121, 3), (100, None, 7), (400, None, 0), (0, 900, 10)],
)
def test_frames_between(start: int | None, end: int | None, count: int) -> None:
    in_ns = [None if ms is None else ms * 1_000_000 for ms in (start, end)]
    shown = [n * 40 for n in range(10) if (start or 0) <= n * 40 < (end or 1000)]
    assert frames_between(10, Fraction(25), *in_ns) == len(shown) == count


def placed(clock: StreamClock, *frames: tuple[int, bool]) -> list[tuple[int, bool]]:
    """As ``place``, of (time, whether it is a key frame)."""
    ticks = [clock.place(time, 0, is_key=is_key) for time, is_key in frames]
    return [(tick.pts_ns // 1_000_000, tick.jumped) for tick in ticks]


@pytest.mark.parametrize("overlap", [40, 80, 960])
def test_a_key_frame_that_lies_back_begins_a_new_recording(overlap: int) -> None:
    clock = StreamClock(MS, rate=Fraction(25), start=0)
    back = 1000 - overlap
    assert placed(clock, (960, True), (1000, False), (back, True), (back + 40, False), (back + 80, False)) == [
        (960, False), (1000, False), (1040, True), (1080, False), (1120, False)
    ]  # fmt: skip


def test_a_picture_that_is_late_or_a_key_frame_that_is_slightly_so_is_disorder() -> None:
    clock = StreamClock(MS, rate=Fraction(25), start=0)
    assert placed(clock, (0, True), (120, False), (40, False), (160, False)) == [
        (0, False), (120, False), (121, False), (160, False)
    ]  # fmt: skip
    assert placed(clock, (157, True), (200, False)) == [(161, False), (200, False)]


@pytest.mark.parametrize(
    "rate", [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001), Fraction(120000, 1001), 60, 12.5, 7.3]
)
def test_a_duration_that_the_container_rounds_is_that_of_the_rate(rate: Fraction | float) -> None:
    exact = Fraction(rate).limit_denominator(1001)
    clock = StreamClock(MS, rate=exact, start=0)
    for ticks in {int(1000 / exact), -int(-1000 / exact), 0}:
        assert clock.place(None, ticks).duration_ns == round(10**9 / exact)
    assert clock.place(None, 2 * int(1000 / exact)).duration_ns == 2 * int(1000 / exact) * 1_000_000
    assert clock.place(None, 3).duration_ns == 3_000_000


def test_without_a_rate_a_duration_is_what_it_is() -> None:
    clock = StreamClock(MS, rate=None, start=0)
    assert [clock.place(None, ticks).duration_ns for ticks in (40, 41, 0)] == [40_000_000, 41_000_000, 0]
