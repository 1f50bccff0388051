"""Times of a live stream, by stamps that the test makes up."""

from __future__ import annotations

from fractions import Fraction

import pytest
from vidgraph.stages.sources.camera.timeline import Moment, Timeline

MS = Fraction(1, 1000)
WALL_NS = 1_800_000_000 * 10**9


def place(timeline: Timeline, stamp_ms: int | None, arrival_ms: float, realtime_ns: int | None = None) -> Moment:
    arrival_ns = round(arrival_ms * 1e6)
    return timeline.place(stamp_ms, MS, arrival_ns=arrival_ns, wall_ns=WALL_NS + arrival_ns, realtime_ns=realtime_ns)


def test_stamps_give_the_distances_and_arrival_the_place() -> None:
    timeline = Timeline()
    assert place(timeline, None, 5000).pts_ns == 0
    assert place(timeline, 100, 5040).pts_ns == 40_000_000
    assert place(timeline, 140, 5095).pts_ns == 80_000_000  # it came late
    assert place(timeline, 180, 5120).pts_ns == 120_000_000


def test_after_a_reconnection_time_has_gone_on() -> None:
    timeline = Timeline()
    place(timeline, 0, 1000)
    place(timeline, 40, 1040)
    timeline.reconnect()
    assert place(timeline, 900_000, 4000).pts_ns == 3_000_000_000
    assert place(timeline, 900_040, 4040).pts_ns == 3_040_000_000


def test_a_clock_that_ran_fast_does_not_turn_time_back() -> None:
    timeline = Timeline()
    place(timeline, 0, 1000)
    for step in range(1, 200):
        last = place(timeline, step * 50, 1000 + step * 40)
    timeline.reconnect()
    again = place(timeline, 0, 1000 + 200 * 40)
    assert again.pts_ns > last.pts_ns


def test_a_gap_that_was_a_gap_is_no_jump() -> None:
    """A camera that sends a picture a quarter of a minute."""
    timeline = Timeline()
    for step in range(4):
        moment = place(timeline, step * 15_000, 1000 + step * 15_010)
        assert not moment.new_epoch
    assert moment.pts_ns == 45_000_000_000
    assert timeline.bad_pts == 0


def test_three_frames_must_agree_on_a_jump() -> None:
    timeline = Timeline()
    place(timeline, 0, 0)
    moments = [place(timeline, stamp, 40 * n) for n, stamp in enumerate((3_600_040, 80, 3_600_120, 7_000_000), 1)]
    assert not any(moment.new_epoch for moment in moments)
    moments = [place(timeline, 7_000_000 + 40 * n, 160 + 40 * n) for n in range(1, 4)]
    assert [moment.new_epoch for moment in moments] == [False, True, False]
    assert moments[-1].pts_ns == moments[-2].pts_ns + 40_000_000
    assert timeline.bad_pts == 2


def test_stamps_that_are_no_times() -> None:
    timeline = Timeline(by_arrival=True)
    assert [place(timeline, 40 * n, 200 * n).pts_ns for n in range(3)] == [0, 200_000_000, 400_000_000]


def test_lag_is_against_the_best() -> None:
    timeline = Timeline()
    for step in range(100):
        place(timeline, 40 * step, 40 * step + (500 if step > 50 else 0))
    assert timeline.lag_ns == 500_000_000
    for step in range(100, 10_000):  # a clock that is a little slow is no lag, after a while
        place(timeline, 40 * step, 40.001 * step)
    assert timeline.lag_ns < 350_000_000


def test_the_camera_clock_is_believed_within_a_day_and_while_it_is_steady() -> None:
    timeline = Timeline()
    assert place(timeline, 0, 0).clock == "arrival"
    moment = place(timeline, 40, 40, WALL_NS - 5 * 10**9)
    assert (moment.clock, moment.capture_ns) == ("camera", WALL_NS - 5 * 10**9 + 40_000_000)
    assert place(timeline, 80, 80, 12 * 10**9).clock == "arrival"  # 1970


def test_a_camera_clock_that_drifts_is_not_believed_any_more() -> None:
    timeline = Timeline()
    clocks = [place(timeline, 40 * n, 40 * n, WALL_NS + n * 10**8).clock for n in range(200)]
    assert clocks[0] == "camera"
    assert clocks[-1] == "arrival"
    timeline.reconnect()
    assert place(timeline, 0, 5000, WALL_NS).clock == "camera"


def test_a_camera_clock_that_is_corrected_is_believed_anew_but_not_for_ever() -> None:
    timeline = Timeline()
    for hour in range(5):
        moments = [
            place(timeline, 40 * n, 40 * n, WALL_NS + hour * 3600 * 10**9) for n in range(hour * 30, hour * 30 + 30)
        ]
        if hour < 4:
            assert {moment.clock for moment in moments} == {"camera"}
            assert moments[0].capture_ns == WALL_NS + hour * (3600 * 10**9 + 30 * 40_000_000)
    assert moments[-1].clock == "arrival"


def test_after_a_jump_the_camera_clock_is_believed_from_its_next_report_on() -> None:
    timeline = Timeline()
    assert {place(timeline, 40 * n, 40 * n, WALL_NS).clock for n in range(10)} == {"camera"}
    jumped = [place(timeline, 3_600_000 + 40 * n, 40 * n, WALL_NS).clock for n in range(10, 20)]
    assert set(jumped) == {"arrival"}
    after = [place(timeline, 3_600_000 + 40 * n, 40 * n, WALL_NS - 3600 * 10**9) for n in range(20, 30)]
    assert {moment.clock for moment in after} == {"camera"}
    assert after[-1].capture_ns == WALL_NS + 29 * 40_000_000


@pytest.mark.parametrize("step_s", [-3600, 3, 3600])
def test_a_step_of_our_own_clock_says_nothing_of_that_of_the_camera(step_s: int) -> None:
    timeline = Timeline()
    for n in range(200):
        arrival_ns = n * 40_000_000
        wall_ns = WALL_NS + arrival_ns + (step_s * 10**9 if n >= 50 else 0)
        moment = timeline.place(40 * n, MS, arrival_ns=arrival_ns, wall_ns=wall_ns, realtime_ns=WALL_NS)
        assert (moment.clock, moment.capture_ns) == ("camera", WALL_NS + arrival_ns)


def test_stamps_of_mpeg_ts_that_wrap_are_a_jump_and_time_goes_on() -> None:
    """Every 26.5 hours: FFmpeg evens out the first wrap, and not every further one."""
    timeline, ticks = Timeline(), Fraction(1, 90_000)
    moments = [
        timeline.place((2**33 - 18_000 + 3600 * n) % 2**33, ticks, arrival_ns=n * 40_000_000, wall_ns=WALL_NS)
        for n in range(20)
    ]
    assert [moment.pts_ns for moment in moments] == [n * 40_000_000 for n in range(20)]
    assert sum(moment.new_epoch for moment in moments) == 1
