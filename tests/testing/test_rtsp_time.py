"""Faults of time stamps, as a plain reader sees them."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from vidgraph.testing import Faults, RtspCamera, make_clip

from .reader import CLIP, Reading, read

Make = Callable[..., RtspCamera]

STEP = 90000 // 60
HOUR = 3600 * 90000


def read_with(make: Make, faults: Faults, frames: int = 30, **options: str) -> Reading:
    seen = read(make(CLIP, faults=faults).url, frames, options=options)
    assert seen.numbers == list(range(frames)), seen.message
    return seen


@pytest.mark.parametrize("jump_s", [3600, -30])
def test_jumps_come_through_without_a_word(rtsp_camera: Make, jump_s: int) -> None:
    seen = read_with(rtsp_camera, Faults(jump_at=20, jump_s=jump_s))
    assert [step for step in seen.steps if step != STEP] == [jump_s * 90000 + STEP]


def test_a_jump_back_becomes_one_forth(rtsp_camera: Make) -> None:
    faults = Faults(jump_at=20, jump_s=-3600)
    wrong = read_with(rtsp_camera, faults, correct_ts_overflow="1")
    assert [step for step in wrong.steps if step != STEP] == [2**32 - HOUR + STEP]
    assert -HOUR + STEP in read_with(rtsp_camera, faults).steps


def test_a_jump_while_it_runs(rtsp_camera: Make) -> None:
    camera = rtsp_camera(CLIP)
    seen = read(camera.url, 30, on_frame=lambda count: count == 10 and camera.jump(100))
    assert [step for step in seen.steps if step != STEP] == [9_000_000 + STEP]


def test_the_wrap_is_smooth(rtsp_camera: Make) -> None:
    seen = read_with(rtsp_camera, Faults(first_rtp_time=2**32 - 22500))
    assert set(seen.steps) == {STEP}


def test_single_frames_are_off(rtsp_camera: Make) -> None:
    seen = read_with(rtsp_camera, Faults(stray_every=10, stray_s=7200))
    assert sorted(set(seen.steps)) == [STEP - 2 * HOUR, STEP, STEP + 2 * HOUR]


def test_stamps_that_go_back_a_little(rtsp_camera: Make) -> None:
    assert min(read_with(rtsp_camera, Faults(stray_every=10)).steps) == STEP - 9000


def test_equal_stamps_in_pairs(rtsp_camera: Make) -> None:
    seen = read_with(rtsp_camera, Faults(repeat_times=True))
    assert {0, 2 * STEP} >= set(seen.steps)


def test_all_stamps_are_equal(rtsp_camera: Make) -> None:
    seen = read(rtsp_camera(CLIP, faults=Faults(same_time=True)).url, 10)
    assert len(seen.frames) == 10
    assert not any(seen.steps)


def wall_clock(_: int) -> float:
    return time.time()


def test_reports_give_the_time_of_the_scene(rtsp_camera: Make) -> None:
    seen = read_with(rtsp_camera, Faults(report_clock=wall_clock, report_at=0))
    assert seen.start_realtime is not None
    assert abs(seen.start_realtime / 1e6 - time.time()) < 5


@pytest.mark.parametrize("claimed", [12.0, -2208988800.0], ids=["1970", "NTP 0"])
def test_reports_may_be_nonsense(rtsp_camera: Make, claimed: float) -> None:
    seen = read_with(rtsp_camera, Faults(report_clock=lambda frame: claimed, report_at=0))
    assert seen.start_realtime is not None
    assert abs(seen.start_realtime / 1e6 - time.time()) > 1e9


def test_without_reports_there_is_no_such_time(rtsp_camera: Make) -> None:
    start = read_with(rtsp_camera, Faults()).start_realtime
    assert start is None or start < 0


def test_the_first_report_counts_for_ever(rtsp_camera: Make) -> None:
    camera = rtsp_camera(CLIP, faults=Faults(report_clock=wall_clock, report_at=0, jump_at=20))
    seen = read(camera.url, 40)
    last = seen.frames[-1].pts
    assert seen.start_realtime is not None
    assert last is not None
    assert seen.start_realtime / 1e6 + last / 90000 - time.time() > 3500


def test_the_wall_clock_steps(rtsp_camera: Make) -> None:
    """With two tracks, FFmpeg derives time stamps from the reports."""
    faults = Faults(audio="silent", report_at=0, report_clock=lambda frame: time.time() + (3600 if frame >= 30 else 0))
    camera = rtsp_camera(CLIP, faults=faults)
    video = read(camera.url, 45)
    both = read(camera.url, 45, options={"allowed_media_types": "video+audio"})
    assert max(video.steps) < 90000
    assert max(both.steps) > 0.9 * HOUR


def test_b_frames_come_in_order(rtsp_camera: Make) -> None:
    seen = read(rtsp_camera(make_clip(60, (120, 160), 60, gop=10, b_frames=2)).url, 30)
    assert seen.numbers == list(range(30))


def test_the_claimed_rate_is_believed(rtsp_camera: Make) -> None:
    camera = rtsp_camera(make_clip(20, (120, 160), 10, gop=5), faults=Faults(sdp_fps=25))
    assert read(camera.url, 5).rate == 25


def test_variable_rates(rtsp_camera: Make) -> None:
    camera = rtsp_camera(make_clip(40, (120, 160), 60, gop=10, intervals=(0.02, 0.1)))
    seen = read(camera.url, 20)
    assert set(seen.steps) == {1800, 9000}
    gaps = [after.at_s - before.at_s for before, after in zip(seen.frames[10:], seen.frames[11:], strict=False)]
    assert max(gaps) > 0.07 > 0.05 > min(gaps)
