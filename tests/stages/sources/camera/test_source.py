"""What a camera source does by itself: waits that end, lag, sleep, foreign packets, opens that never succeed."""

from __future__ import annotations

import socket
import threading
import time

import av
import av.container.core
import pytest
from vidgraph.pipeline.errors import SourceError
from vidgraph.stages.sources.camera import backoff, source as source_module
from vidgraph.stages.sources.camera.backoff import Backoff
from vidgraph.stages.sources.camera.interrupt import Wait
from vidgraph.stages.sources.camera.reasons import REASONS
from vidgraph.stages.sources.camera.source import CameraSource
from vidgraph.stages.sources.camera.timeline import Timeline
from vidgraph.testing import Faults, RtspCamera, make_clip

from .cameras import BUSY_S, Reading, camera_and_reading


def test_a_camera_that_falls_behind_is_connected_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def behind(self: Timeline, stamp_ns: int, arrived_ns: int) -> None:
        self.lag_ns = 3_000_000_000

    monkeypatch.setattr(Timeline, "_measure_lag", behind)
    monkeypatch.setattr(source_module, "LAG_FOR_S", 0.5)
    with camera_and_reading() as (_, reading):
        reading.wait_for_epoch(1)
        assert reading.source.status.reconnects == {"lag": 1}


def test_a_camera_that_catches_up_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    lags = iter(range(6_000, 0, -10))

    def behind(self: Timeline, stamp_ns: int, arrived_ns: int) -> None:
        self.lag_ns = next(lags) * 1_000_000

    monkeypatch.setattr(Timeline, "_measure_lag", behind)
    monkeypatch.setattr(source_module, "LAG_FOR_S", 0.5)
    with camera_and_reading(freeze_s=5.0) as (_, reading):
        assert reading.wait_for_frames(30)[-1].epoch == 0


def test_after_a_sleep_of_the_machine_it_is_connected_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asleep_s = 0.0
    monkeypatch.setattr(source_module, "_asleep_s", lambda: asleep_s)
    with camera_and_reading() as (_, reading):
        reading.wait_for_frames(5)
        asleep_s = 10.0
        time.sleep(0.3)
        assert reading.source.status.reconnects == {}
        asleep_s = 60.0
        reading.wait_for_epoch(1)
        assert reading.source.status.reconnects == {"suspend": 1}


def test_a_loss_in_a_sleep_of_the_machine_is_of_the_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection ends before a frame comes that would tell: FFmpeg holds none back of MJPEG."""
    asleep_s = 0.0
    monkeypatch.setattr(source_module, "_asleep_s", lambda: asleep_s)
    with camera_and_reading(make_clip(codec="mjpeg"), freeze_s=5.0) as (served, reading):
        reading.wait_for_frames(5)
        served.stall()
        time.sleep(0.3)
        asleep_s = 60.0
        served.disconnect()
        served.resume()
        reading.wait_for_frames(reading.wait_for_epoch(1, 20).index + 5)
        assert reading.source.status.reconnects == {"suspend": 1}


def test_cameras_are_tried_at_different_times_after_a_sleep() -> None:
    shares = iter((0.0, 0.3, 1.0))
    tries = [Backoff(jitter=lambda: next(shares)).delay_s(REASONS["suspend"]) for _ in range(3)]
    assert tries == [0.0, 1.5, 5.0]


def test_packets_of_a_session_from_before_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "OTHERS_FOR_S", 1.0)
    with camera_and_reading() as (served, reading):
        reading.wait_for_frames(20)
        served.faults = Faults(other_session_every=1)
        served.disconnect()
        reading.wait_until(lambda one: one.source.status.reconnects.get("foreign_packets"), 10)


def test_they_are_noticed_in_a_first_session_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "OTHERS_FOR_S", 1.0)
    monkeypatch.setattr(source_module, "USUAL_FRAMES", 25)
    with camera_and_reading(freeze_s=5.0) as (served, reading):
        reading.wait_for_frames(30)
        served.faults = Faults(other_session_every=1)
        reading.wait_until(lambda one: one.source.status.reconnects == {"foreign_packets": 1}, 15)


def test_a_password_that_stays_wrong_ends_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "REFUSED_S", 0.0)
    with (
        RtspCamera(make_clip(), auth="md5") as served,
        Reading(served.login_url.replace(":password@", ":guess@")) as reading,
    ):
        reading.wait_until(lambda one: one.ended, 10)
        assert isinstance(reading.error, SourceError)
        assert "the password or the user is wrong" in str(reading.error)
        assert served.counts.refused_log_ins == backoff.PASSWORD_TRIES


def test_a_source_is_opened_again_for_another_run() -> None:
    with RtspCamera(make_clip()) as served:
        source = CameraSource(served.url, frames=5)
        for _ in range(2):
            source.open()
            frames = list(source.frames())
            source.close()
            assert [frame.index for frame in frames] == list(range(5))


def test_waits_of_one_thread_end_and_others_go_on() -> None:
    """FFmpeg's own time-out is 20 s here, and so is that of PyAV."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"rtsp://127.0.0.1:{server.getsockname()[1]}/x"
        ended: dict[str, float] = {}

        def wait_for(name: str, wait: Wait, limit_s: float) -> None:
            began = time.monotonic()
            with wait.inside(limit_s), pytest.raises(av.error.InvalidDataError):
                av.open(url, options={"timeout": "20000000"}, timeout=(20, 20))
            ended[name] = time.monotonic() - began

        late, stopped = Wait(), Wait()
        threads = [
            threading.Thread(target=wait_for, args=("late", late, 0.5)),
            threading.Thread(target=wait_for, args=("stopped", stopped, 20.0)),
        ]
        for thread in threads:
            thread.start()
        time.sleep(1.5)
        stopped.stop()
        for thread in threads:
            thread.join(5)
        assert 0.5 <= ended["late"] < 0.5 + BUSY_S
        assert 1.5 <= ended["stopped"] < 1.5 + BUSY_S
        assert late.expired
        assert not stopped.expired
        assert av.container.core.time.monotonic() == pytest.approx(time.monotonic(), abs=0.1)  # type: ignore[attr-defined]
