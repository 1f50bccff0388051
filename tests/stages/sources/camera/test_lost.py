"""A camera that was up and is lost, in every way that this machine can show, comes back, with its reason."""

from __future__ import annotations

import logging
import time
from itertools import pairwise
from typing import Any

import av
import pytest
from vidgraph.stages.sources.camera import backoff, connection, source
from vidgraph.stages.sources.camera.reasons import REASONS
from vidgraph.testing import Faults, make_clip

from .cameras import BUSY_S, FREEZE_S, camera_and_reading, rising


@pytest.mark.parametrize(
    ("faults", "reason", "within_s"),
    [
        ({"close_at": 30, "close_with": "fin"}, "closed", 0.0),
        ({"close_at": 30, "close_with": "rst"}, "closed", 0.0),
        ({"stall_at": 30}, "stall", FREEZE_S),
        ({"bye_at": 30, "bye": "compound"}, "closed", 0.0),
        ({"bye_at": 30, "bye": "lone"}, "stall", FREEZE_S),
    ],
)
def test_what_ends_a_session(faults: dict[str, Any], reason: str, within_s: float) -> None:
    with camera_and_reading(faults=Faults(**faults)) as (_, reading):
        lost_s = reading.wait_for_reason(reason, 8)
        last_s = max(when for when, frame in reading.frames if frame.epoch == 0)
        assert lost_s - last_s < within_s + BUSY_S
        first = reading.wait_for_epoch(1)
        back_s = next(when for when, frame in reading.frames if frame.epoch == 1)
        assert back_s - last_s < within_s + 2.0 + BUSY_S
        frames = reading.wait_for_frames(first.index + 5)
        assert rising(frames)
        assert reading.source.status.reconnects == {reason: 1}
        assert reading.source.status.state == "up"
        assert reading.source.problems[f"reconnect_{reason}"] == 1
        gap_s = (first.pts_ns - frames[first.index - 1].pts_ns) / 1e9
        assert gap_s == pytest.approx(back_s - last_s, abs=0.5)


def test_a_camera_without_power() -> None:
    """The connection is half open: nothing comes, and nothing is answered."""
    with camera_and_reading() as (served, reading):
        reading.wait_for_frames(15)
        served.freeze()
        frozen_s = time.monotonic()
        assert reading.wait_for_reason("stall", 4) - frozen_s < FREEZE_S + BUSY_S
        served.resume()
        reading.wait_for_epoch(1)


def test_a_server_that_is_killed_and_comes_back() -> None:
    with camera_and_reading() as (served, reading):
        for epoch in range(4):
            reading.wait_for_epoch(epoch)
            served.kill()
            reading.wait_for_reason("refused")
            time.sleep(0.2)
            served.restart()
            restarted_s = time.monotonic()
            reading.wait_for_epoch(epoch + 1)
            assert time.monotonic() - restarted_s < 2.0 + BUSY_S
        assert rising([frame for _, frame in reading.frames])
        assert sum(reading.source.status.reconnects.values()) == 4


def test_silence_shorter_than_the_limit_ends_nothing() -> None:
    """FFmpeg's own time-out, half the limit, gets the last frame out of its parser: that is stamped by when it came."""
    with camera_and_reading(faults=Faults(stall_at=20, stall_frames=12), freeze_s=1.2) as (_, reading):
        frames = reading.wait_for_frames(40)
        assert {frame.epoch for frame in frames} == {0}
        assert rising(frames)
        late = [(when, frame) for when, frame in reading.frames if 12 <= frame.index <= 40]
        waits = [b - a for (a, _), (b, _) in pairwise(late)]
        assert max(waits) > 0.4
        captured = [frame.capture_ns for frame in frames if frame.capture_ns is not None]
        steps = [b - a for a, b in pairwise(captured[15:])]
        assert sum(step > 0.3e9 for step in steps) <= 1


def test_a_slow_camera_is_not_taken_for_a_frozen_one() -> None:
    """The limit is ten times the usual interval where that is more."""
    clip = make_clip(frames=12, gop=1, intervals=(0.08,) * 5 + (0.6,))
    with camera_and_reading(clip, freeze_s=0.4) as (_, reading):
        frames = reading.wait_for_frames(26, 20)
        assert len({frame.epoch for frame in frames[14:]}) == 1  # the interval is known now


def test_a_rate_that_changes() -> None:
    """A camera that sends less at night."""
    clip = make_clip(frames=40, gop=5, intervals=(0.05,) * 12 + (0.25,) * 8)
    with camera_and_reading(clip, freeze_s=0.8) as (_, reading):
        frames = reading.wait_for_frames(25, 16)
        assert frames[-1].epoch == 0
        rate = reading.source.status.rate
        assert rate is not None
        assert 2 < rate < 25


def test_a_session_that_always_ends_at_the_same_age(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers whose session time-out nothing keeps from running out."""
    monkeypatch.setattr(source, "SAME_AGE_S", 0.5)
    with camera_and_reading(make_clip(), Faults(close_at=27)) as (_, reading):
        reading.wait_for_epoch(3, 30)
        assert reading.source.status.reconnects == {"closed": 2, "session_timeout": 1}
        assert "session time-out" in caplog.text


@pytest.mark.parametrize(
    ("clip", "faults"),
    [
        # OPTIONS, which FFmpeg sends as GET_PARAMETER is not named, does not count
        ({}, {"keep_alive_method": "GET_PARAMETER", "public": "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"}),
        # FFmpeg sends keep-alives after a packet only, and is not told of the time-out
        ({"frames": 6, "fps": 0.25, "gop": 1}, {"announce_timeout": False}),
    ],
    ids=["only GET_PARAMETER counts", "rare frames"],
)
def test_a_session_that_nothing_keeps_alive(
    clip: dict[str, Any], faults: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    camera = {"session_timeout_s": 2.5}
    with camera_and_reading(make_clip(**clip), Faults(**faults), camera=camera, freeze_s=6.0) as (served, reading):
        reading.wait_for_reason("session_timeout", 30 + 4 * BUSY_S)
        assert reading.source.status.reconnects["closed"] >= 2
        assert served.counts.timed_out >= 3
        assert 1.5 < (reading.source.status.session_age_s or 0) < 2.5 + BUSY_S
    assert "at the same age again" in caplog.text
    assert "choose a stream with at least 1 frame a second" in caplog.text


def test_how_long_connections_last_is_told() -> None:
    with camera_and_reading() as (served, reading):
        for epoch, seconds in enumerate((0.0, 1.5, 1.5)):
            reading.wait_for_epoch(epoch)
            assert (reading.source.status.session_age_s is None) is (epoch == 0)
            time.sleep(seconds)
            served.disconnect()
        reading.wait_for_epoch(3)
        assert 1.4 < (reading.source.status.session_age_s or 0) < 2.0 + BUSY_S


def test_a_camera_that_starts_again(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """It refuses the connection, knows no path, is not ready, and has no video, before pictures come."""
    monkeypatch.setattr(backoff, "BOOT_S", 0.3)
    caplog.set_level(logging.INFO, "vidgraph")
    with camera_and_reading() as (served, reading):
        reading.wait_for_frames(3)
        served.kill()
        reading.wait_for_reason("refused")
        served.faults = Faults(status=404)
        served.restart()
        reading.wait_for_reason("not_found")
        served.faults = Faults(status=503)
        reading.wait_for_reason("server_error")
        served.faults = Faults(no_media=True)
        reading.wait_for_reason("no_video")
        served.faults = Faults()
        reading.wait_for_epoch(1)
        for name in ("refused", "not_found", "server_error", "no_video"):
            (line,) = (text for text in caplog.messages if f"not connected, {REASONS[name].text}" in text)
            assert "(it was up just now: perhaps it is starting)" in line


def test_a_camera_that_was_never_up_is_not_said_to_start_again(caplog: pytest.LogCaptureFixture) -> None:
    with camera_and_reading(faults=Faults(status=404)) as (_, reading):
        reading.wait_for_reason("not_found")
    assert "is the path of the address right?" in caplog.text
    assert "perhaps it is starting" not in caplog.text


@pytest.mark.parametrize("status", [400, 501, None])
def test_keep_alives_that_are_refused_or_not_answered(status: int | None) -> None:
    """The time-out that the camera announces is kept, by a request every half of it."""
    faults, camera = Faults(keep_alive_status=status), {"session_timeout_s": 1.0}
    with camera_and_reading(faults=faults, camera=camera) as (served, reading):
        frames = reading.wait_for_frames(40)
        assert served.counts.keep_alives >= 2
        assert served.counts.timed_out == 0
        assert {frame.epoch for frame in frames} == {0}


def test_one_lost_byte_of_interleaved_tcp_does_not_end_the_stream() -> None:
    clip = make_clip(noise=40)
    with camera_and_reading(clip, Faults(lose_byte_at=20)) as (_, reading):
        reading.wait_for_frames(45, 20)
        assert rising([frame for _, frame in reading.frames])


def test_a_byte_lost_of_a_header_is_noticed_although_data_comes() -> None:
    """What comes is taken for the rest of a large packet: at a low rate for many seconds."""
    with camera_and_reading(faults=Faults(lose_byte_at=20, lose_byte="header")) as (_, reading):
        lost_s = reading.wait_for_reason("stall", 8)
        assert lost_s - reading.frames[-1][0] < FREEZE_S + BUSY_S
        reading.wait_for_epoch(1)
        assert reading.source.status.reconnects == {"stall": 1}


def test_the_session_is_closed_in_order_and_before_the_next_one() -> None:
    with camera_and_reading() as (served, reading):
        reading.wait_for_frames(5)
        served.stall()
        reading.wait_for_reason("stall", 4)
        served.resume()
        reading.wait_for_epoch(1)
        assert reading.stop() < BUSY_S
        served.wait_until(lambda one: one.counts.sessions == 0)
        assert served.counts.teardowns == 2
        assert served.counts.most_sessions == 1


def test_a_camera_with_room_for_one_viewer_is_read_again_after_a_loss() -> None:
    with camera_and_reading(faults=Faults(max_sessions=1, linger_s=0.0, stall_at=20)) as (served, reading):
        reading.wait_for_frames(10)
        reading.wait_for_epoch(1, 8)
        assert served.counts.most_sessions == 1


def test_one_line_in_the_log_at_each_change(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "vidgraph")
    with camera_and_reading() as (served, reading):
        reading.wait_for_frames(5)
        served.disconnect()
        reading.wait_for_epoch(1)
        lines = [record.getMessage() for record in caplog.records]
        assert lines[:2] == ["door: up", "door: lost, the server closed the connection; connecting again"]
        assert lines[2].startswith("door: back after ")
        assert len(lines) == 3


def test_a_flapping_camera_says_so_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "vidgraph")
    with camera_and_reading(faults=Faults(close_at=15)) as (_, reading):
        reading.wait_for_epoch(3, 20)
        assert len(caplog.records) == 3
        assert sum(reading.source.status.reconnects.values()) >= 3


def test_a_camera_that_was_read_before_opens_quickly() -> None:
    looked_at: list[str] = []

    def opener(**arguments: Any) -> Any:
        looked_at.append(arguments["options"]["analyzeduration"])
        return av.open(**arguments)

    with camera_and_reading(opener=opener) as (served, reading):
        reading.wait_for_frames(15)
        served.disconnect()
        lost_s = time.monotonic()
        reading.wait_for_epoch(1)
        assert time.monotonic() - lost_s < 1.6 + BUSY_S
        assert looked_at == [str(connection.UNKNOWN_US), str(connection.KNOWN_US)]
