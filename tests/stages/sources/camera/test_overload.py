"""A machine that is too slow to decode a camera: it decodes less of it, and says so, before it connects again."""

from __future__ import annotations

import time
from typing import Any

import pytest
from vidgraph.stages.sources.camera import overload
from vidgraph.stages.sources.camera.decoding import Decoding
from vidgraph.stages.sources.camera.overload import Relief
from vidgraph.stages.sources.camera.status import Monitor
from vidgraph.testing import make_clip

from .cameras import Reading, camera_and_reading, rising


class Context:
    skip_frame = "DEFAULT"


class Machine:
    """A clock, and a stream that is behind and busy as told."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.context, self.monitor = Context(), Monitor("door", "rtsp://door")
        self.relief = Relief(self.context, self.monitor, lambda: self.now_s)

    def run(self, seconds: float, *, lag_s: float, busy: float, keys: bool = True) -> None:
        for _ in range(round(seconds / 0.1)):
            self.now_s += 0.1
            self.relief.before(key=keys)
            self.relief.worked(0.1 * busy)
            self.relief.judge(lag_s)

    @property
    def skips(self) -> str:
        return self.context.skip_frame


def test_levels_follow_one_another() -> None:
    machine = Machine()
    machine.run(3, lag_s=0.5, busy=1.0)
    assert machine.skips == "DEFAULT"
    machine.run(0.6, lag_s=1.2, busy=1.0)
    assert (machine.skips, machine.monitor.status.decoding) == ("NONREF", "referenced")
    machine.run(1.0, lag_s=1.5, busy=1.0)
    assert machine.skips == "NONREF"
    machine.run(2.0, lag_s=1.8, busy=1.0)
    assert (machine.skips, machine.monitor.status.decoding) == ("NONKEY", "key_frames")
    machine.run(20.0, lag_s=3.0, busy=1.0)
    assert machine.skips == "NONKEY"


def test_lag_without_work_leaves_nothing_out() -> None:
    """The network is slow, or the pipeline takes its time with every frame."""
    machine = Machine()
    machine.run(20, lag_s=9.0, busy=0.3)
    assert machine.skips == "DEFAULT"


def test_back_only_at_a_key_frame_and_step_by_step() -> None:
    machine = Machine()
    machine.run(4, lag_s=1.5, busy=1.0)
    assert machine.skips == "NONKEY"
    machine.run(8, lag_s=0.1, busy=0.1, keys=False)
    assert machine.skips == "NONKEY"
    machine.run(0.1, lag_s=0.1, busy=0.1, keys=True)
    assert machine.skips == "NONREF"
    machine.run(8, lag_s=0.1, busy=0.3, keys=False)
    assert (machine.skips, machine.monitor.status.decoding) == ("DEFAULT", "all")


def test_what_was_too_early_is_tried_later() -> None:
    machine = Machine()
    machine.run(1, lag_s=1.5, busy=1.0)
    machine.run(6, lag_s=0.1, busy=0.5)
    assert machine.skips == "DEFAULT"
    machine.run(1, lag_s=1.5, busy=1.0)
    machine.run(7, lag_s=0.1, busy=0.5)
    assert machine.skips == "NONREF"
    machine.run(5, lag_s=0.1, busy=0.5)
    assert machine.skips == "DEFAULT"


class SlowContext:
    """A decoder that takes its time with all that it decodes."""

    seconds = 0.13

    def __init__(self, context: Any) -> None:
        self.context = context

    def decode(self, packet: Any) -> Any:
        if packet.is_keyframe or self.context.skip_frame != "NONKEY":
            time.sleep(self.seconds)
        return self.context.decode(packet)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> type[SlowContext]:
    """The decoder is slow, and what is done about it is quick."""
    begin = Decoding.__init__

    def begun(self: Decoding, *given: Any, **named: Any) -> None:
        begin(self, *given, **named)
        self._context = SlowContext(self._context)

    monkeypatch.setattr(Decoding, "__init__", begun)
    for name, seconds in {"LAG_S": 0.5, "BUSY_OVER_S": 0.3, "STEP_S": 0.6, "TRY_S": 0.8}.items():
        monkeypatch.setattr(overload, name, seconds)
    monkeypatch.setattr(SlowContext, "seconds", 0.13)
    return SlowContext


def has_level(name: str) -> Any:
    def holds(reading: Reading) -> bool:
        return reading.source.status.decoding == name

    return holds


def test_a_slow_decoder_is_relieved_and_gets_back_to_all_pictures(
    slow: type[SlowContext], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with camera_and_reading(make_clip(gop=15)) as (_, reading):
        reading.wait_until(has_level("referenced"), 6)
        reading.wait_until(has_level("key_frames"), 4)
        before = len(reading.frames)
        reading.wait_until(lambda one: one.source.status.lag_s < 0.3, 6)
        status = reading.source.status
        assert status.left_out > 0
        assert all(number is not None and number % 15 == 0 for number in reading.numbers[before + 1 :])
        monkeypatch.setattr(slow, "seconds", 0.0)
        reading.wait_until(has_level("all"), 8)
        frames = reading.wait_for_frames(len(reading.frames) + 10)
        assert rising(frames)
        assert None not in reading.numbers
        assert {frame.epoch for frame in frames} == {0}
        assert not any(frame.damaged for frame in frames)
        assert reading.source.status.reconnects == {}
        assert reading.source.problems == {}
    for said in ("no other refers to", "only key frames", "every picture is decoded again"):
        assert said in caplog.text
