"""Pictures and times that a camera gets wrong: what comes out is counted, in order, and of now."""

from __future__ import annotations

import logging
import re
import time
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from vidgraph.stages.sources.camera import connection, decoding, packet_loss, status as status_module
from vidgraph.testing import Faults, make_clip

from .cameras import BUSY_S, Reading, camera_and_reading, rising

HOUR_S = timedelta(hours=1).total_seconds()
JUNK = {
    "h264": (b"\x1f\x00\x01", b"\x06\xff\xff\xff"),
    "hevc": (b"\x52\x01\x00\x01", b"\x4e\x01\xff\xff\xff"),
}
"""NAL units of a type that is reserved, and SEI that is longer than it is."""


def off_s(reading: Reading, number: int, camera_ahead_s: float = 0.0) -> float:
    """How far the capture time of a frame is from when it was given, where the camera's clock is so much ahead."""
    given_s, frame = reading.frames[number]
    assert frame.capture_ns is not None
    return abs(frame.capture_ns / 1e9 - camera_ahead_s - (reading.began_at_s + given_s - reading.began_s))


def test_frames_are_those_that_were_sent() -> None:
    with camera_and_reading() as (_, reading):
        frames = reading.wait_for_frames(40)
        numbers = reading.numbers[:40]
        assert None not in numbers
        assert all((b - a) % 60 == 1 for a, b in pairwise(numbers))  # type: ignore[operator]
        assert rising(frames)
        assert {frame.epoch for frame in frames} == {0}
        assert frames[0].pts_ns == 0
        before_s = reading.frames[-2][0]  # the last frame, and its packet, came after it
        status = reading.source.status
        at_most_s = time.monotonic() - before_s
        assert (status.state, status.size, status.codec) == ("up", (240, 320), "h264")
        assert status.rate == pytest.approx(15, rel=0.2)
        assert status.packet_age_s is not None
        assert status.packet_age_s < at_most_s
        assert status.frame_age_s is not None
        assert status.frame_age_s < at_most_s
        assert status.lag_s < BUSY_S
        assert reading.source.problems == {}


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S, -30.0, -2.0])
def test_a_jump_of_the_camera_clock_is_a_new_epoch(jump_s: float) -> None:
    with camera_and_reading(faults=Faults(jump_at=20, jump_s=jump_s)) as (_, reading):
        after = reading.wait_for_epoch(1)
        frames = reading.wait_for_frames(after.index + 15)
        assert rising(frames)
        assert frames[-1].epoch == 1
        assert frames[-1].pts_ns / 1e9 == pytest.approx((len(frames) - 1) / 15, abs=1.0)
        assert reading.source.problems == {"time_jump": 1}


def test_the_rate_is_that_of_the_pictures_whatever_is_announced() -> None:
    with camera_and_reading(faults=Faults(sdp_fps=100), freeze_s=5.0) as (_, reading):
        reading.wait_for_frames(40)
        assert reading.source.status.rate == pytest.approx(15, rel=0.2)


def test_single_stamps_that_are_hours_off_are_counted_only() -> None:
    with camera_and_reading(faults=Faults(stray_every=10, stray_s=HOUR_S)) as (_, reading):
        frames = reading.wait_for_frames(45)
        assert {frame.epoch for frame in frames} == {0}
        assert rising(frames)
        assert frames[-1].pts_ns / 1e9 == pytest.approx(44 / 15, abs=1.0)
        assert 2 <= reading.source.problems["bad_pts"] <= 5


@pytest.mark.parametrize("faults", [Faults(same_time=True), Faults(repeat_times=True), Faults(stray_every=5)])
def test_stamps_that_do_not_rise(faults: Faults) -> None:
    with camera_and_reading(faults=faults) as (_, reading):
        frames = reading.wait_for_frames(30)
        assert rising(frames)
        assert {frame.epoch for frame in frames} == {0}
        steps = [(b.pts_ns - a.pts_ns) / 1e9 for a, b in pairwise(frames[8:])]
        assert max(steps) < 0.5
        assert reading.frames[0][0] - reading.began_s < 2 + BUSY_S  # by default FFmpeg looks at them for over 5 s


def test_stamps_that_wrap_are_no_jump() -> None:
    faults = Faults(first_rtp_time=2**32 - 90000, report_clock=lambda frame: time.time())
    with camera_and_reading(faults=faults, freeze_s=5.0) as (_, reading):
        frames = reading.wait_for_frames(40)
        assert {frame.epoch for frame in frames} == {0}
        assert reading.source.problems == {}
        assert {frame.capture_clock for frame in frames[10:]} == {"camera"}
        assert all(off_s(reading, number) < BUSY_S for number in range(40))


def test_no_rtp_info() -> None:
    with camera_and_reading(faults=Faults(rtp_info=False)) as (_, reading):
        assert rising(reading.wait_for_frames(20))


def test_the_wall_clock_of_a_camera() -> None:
    offset_s = -3.0
    with camera_and_reading(faults=Faults(report_clock=lambda frame: time.time() + offset_s)) as (_, reading):
        frames = reading.wait_for_frames(40)
        assert frames[-1].capture_clock == reading.source.status.capture_clock == "camera"
        assert frames[-1].capture_ns is not None
        assert frames[-1].capture_ns / 1e9 == pytest.approx(time.time() + offset_s, abs=2.5)
        clocks = [frame.capture_clock for frame in frames]
        assert clocks[0] == "arrival"
        assert clocks == sorted(clocks)  # once it is the camera's, it stays so


@pytest.mark.parametrize("claimed_s", [12.0, -2208988800.0 + 1])
def test_a_wall_clock_that_cannot_be_right(claimed_s: float) -> None:
    with camera_and_reading(faults=Faults(report_clock=lambda frame: claimed_s + frame / 15)) as (_, reading):
        frames = reading.wait_for_frames(30)
        assert {frame.capture_clock for frame in frames} == {"arrival"}
        assert frames[-1].capture_ns is not None
        assert frames[-1].capture_ns / 1e9 == pytest.approx(time.time(), abs=1.0)


def test_a_wall_clock_that_steps_changes_no_times() -> None:
    """The camera corrects its clock (NTP), and its stamps go on: capture times follow from the next report on."""

    def clock(frame: int) -> float:
        return time.time() + (HOUR_S if frame > 30 else 0)

    with camera_and_reading(faults=Faults(report_clock=clock, audio="silent"), freeze_s=5.0) as (_, reading):
        frames = reading.wait_for_frames(60)
        assert {frame.epoch for frame in frames} == {0}
        assert rising(frames)
        assert {frame.capture_clock for frame in frames[10:]} == {"camera"}
        assert off_s(reading, 20) < BUSY_S
        assert off_s(reading, 55, HOUR_S) < BUSY_S


def test_a_clock_that_jumped_is_believed_again_from_the_next_report_on() -> None:
    """FFmpeg's start time is that of the first report for ever: by it, frames would be an hour off."""
    faults = Faults(report_clock=lambda frame: time.time(), jump_at=40, jump_s=HOUR_S)
    with camera_and_reading(faults=faults, freeze_s=5.0) as (_, reading):
        after = reading.wait_for_epoch(1)
        frames = reading.wait_for_frames(after.index + 25)
        clocks = [frame.capture_clock for frame in frames]
        assert clocks[20] == "camera"
        assert clocks[after.index] == "arrival"  # the reports before it were of frames 20 and 35
        assert clocks[-1] == "camera"
        assert all(off_s(reading, number) < BUSY_S for number in range(len(frames)))


def test_another_size_is_a_new_epoch() -> None:
    clip = make_clip(size=(480, 640), first=100)
    with camera_and_reading(faults=Faults(then_clip=clip, then_clip_at=20), freeze_s=5.0) as (_, reading):
        after = reading.wait_for_epoch(1)
        assert (after.picture.height, after.picture.width) == (480, 640)
        reading.wait_for_frames(40)
        assert reading.numbers[:40] == [*range(20), *range(100, 120)]  # none is lost
        assert reading.source.status.size == (480, 640)
        assert reading.source.status.reconnects == {}
        assert rising([frame for _, frame in reading.frames])


def test_another_codec_is_opened_anew(caplog: pytest.LogCaptureFixture) -> None:
    with camera_and_reading(freeze_s=5.0) as (served, reading):
        reading.wait_for_frames(45)  # damage in the first 2 s is that of a wrong SDP
        served.switch_clip(make_clip(codec="hevc", first=200))
        reading.wait_until(lambda one: one.source.status.codec == "hevc", 20)
        assert reading.source.status.reconnects == {"codec_change": 1}
        assert reading.source.problems["bad_packets"] >= decoding.BAD_IN_A_ROW
        assert "lost, the codec seems to have changed; connecting again" in caplog.text


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_a_session_that_begins_without_a_key_frame(codec: str) -> None:
    clip = make_clip(frames=40, gop=40, codec=codec)  # type: ignore[arg-type]
    with camera_and_reading(clip, Faults(start_at=15)) as (_, reading):
        frames = reading.wait_for_frames(3)
        assert not frames[0].damaged
        assert reading.numbers[0] == 0
        assert reading.source.status.reconnects == {}


def test_waiting_for_a_key_frame_is_said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(decoding, "EARLY_S", 0.3)
    monkeypatch.setattr(decoding, "LATE_S", 1.5)
    clip = make_clip(frames=120, gop=120)
    with camera_and_reading(clip, Faults(start_at=20)) as (_, reading):
        reading.wait_until(lambda one: one.source.status.reason == "no_key_frame" or one.frames, 8)
        reading.wait_for_frames(1)
        assert reading.source.status.state == "up"
        lines = [line.getMessage() for line in caplog.records if "key frame" in line.getMessage()]
        waited_s = [int(after) for line in lines for after in re.findall(r"key frame, (\d+) s by now;", line)]
        assert len(waited_s) == len(lines) == 2
        assert waited_s[0] < waited_s[1]
        assert all(line.endswith("; set a key frame every 1 to 2 s, no smart codec") for line in lines)


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize(
    "faults",
    [
        Faults(band_parameter_sets=False),
        Faults(sdp_parameter_sets=False),
        Faults(marker="none"),
        Faults(marker="all"),
        Faults(junk_nals=JUNK["h264"]),
        Faults(channels=(4, 5), announced_channels=(4, 5)),
        Faults(junk_channel=7),
        Faults(mtu=30_000),
        Faults(sdp_fps=100),
        Faults(audio="silent"),
        Faults(content_base="rtsp://10.1.2.3/x/"),
        Faults(content_base="rtsp://rtsp://10.1.2.3/x/"),
        Faults(content_base="10.1.2.3/x/"),
    ],
    ids=lambda faults: (
        ",".join(f"{name}" for name in Faults.__dataclass_fields__ if getattr(faults, name) != getattr(Faults(), name))
        if isinstance(faults, Faults)
        else str(faults)
    ),
)
def test_oddities_that_do_no_harm(codec: str, faults: Faults) -> None:
    if faults.junk_nals:
        faults = Faults(junk_nals=JUNK[codec])
    with camera_and_reading(make_clip(codec=codec), faults) as (_, reading):  # type: ignore[arg-type]
        frames = reading.wait_for_frames(20)
        assert rising(frames)
        assert not any(frame.damaged for frame in frames)
        assert None not in reading.numbers[:20]
        assert reading.frames[0][0] - reading.began_s < 5 + BUSY_S


def test_a_camera_that_sends_nothing_without_its_sound() -> None:
    """All tracks are what is tried second, before another transport."""
    with camera_and_reading(faults=Faults(audio="needed")) as (served, reading):
        reading.wait_for_frames(5)
        assert reading.frames[0][0] - reading.began_s < 4 + BUSY_S
        set_up = [request for request in served.requests if request.method == "SETUP"]
        assert all("TCP" in request.headers["transport"] for request in set_up)
        assert len(set_up) == 3  # the picture; then sound and picture
        assert reading.source.status.transport == "tcp"


def test_channels_that_were_not_announced_are_read_over_udp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "OPEN_S", 2.0)
    with camera_and_reading(faults=Faults(channels=(0, 1), announced_channels=(2, 3))) as (_, reading):
        reading.wait_for_frames(5, 25)


def test_no_parameter_sets_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "OPEN_S", 2.0)
    faults = Faults(band_parameter_sets=False, sdp_parameter_sets=False)
    with camera_and_reading(faults=faults) as (_, reading):
        reading.wait_until(lambda one: one.source.status.reason == "no_parameter_sets", 12)
        assert not reading.frames


def test_b_frames_come_in_order_and_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "vidgraph")
    with camera_and_reading(make_clip(b_frames=2), freeze_s=5.0) as (served, reading):
        frames = reading.wait_for_frames(30)
        numbers = reading.numbers[:30]
        assert all((b - a) % 60 == 1 for a, b in pairwise(numbers))  # type: ignore[operator]
        assert rising(frames)
        late = reading.source.status.has_b_frames
        assert late in (1, 2)
        served.disconnect()
        reading.wait_for_frames(reading.wait_for_epoch(1).index + 3)
        lines = [line.getMessage() for line in caplog.records if "B-frames" in line.getMessage()]
        assert lines == [f"door: B-frames: {late} frame{'s' * (late - 1)} of delay"]


@pytest.mark.parametrize(("full_range", "shown"), [(True, (50, 110)), (False, (40, 109))])
def test_the_range_of_a_picture_is_its_own(full_range: bool, shown: tuple[int, int]) -> None:
    """The numbers are drawn with a luma of 50 and 200 on 110, which limited range has on a scale from 16 to 235."""
    with camera_and_reading(make_clip(full_range=full_range)) as (_, reading):
        picture = reading.wait_for_frames(5)[-1].picture
        assert picture.full_range is full_range
        assert np.min(np.asarray(picture.planes[0])) == pytest.approx(50, abs=3)
        rgb = picture.rgb()
        assert rgb.min() == pytest.approx(shown[0], abs=3)
        assert np.median(rgb) == pytest.approx(shown[1], abs=1)


@pytest.mark.parametrize("loss", [0.01, 0.05, 0.10])
def test_packets_lost_over_udp_are_counted(loss: float) -> None:
    clip = make_clip(noise=40, fps=30)
    with camera_and_reading(clip, Faults(loss=loss), transport="udp", freeze_s=3.0) as (_, reading):
        frames = reading.wait_for_frames(60, 25)
        assert rising(frames)
        assert reading.source.problems["lost_packets"] == reading.source.status.lost_packets
        assert reading.source.problems["lost_packets"] > 0
        assert any(frame.damaged for frame in frames) or loss < 0.02


def test_packets_of_nine_kilobytes_come_by_udp() -> None:
    clip = make_clip(noise=40)
    with camera_and_reading(clip, Faults(mtu=9000), transport="udp", freeze_s=5.0) as (_, reading):
        frames = reading.wait_for_frames(45, 25)
        assert rising(frames)
        assert sum(frame.damaged for frame in frames) <= 15  # a group of pictures
        assert reading.source.status.reconnects == {}


def test_tcp_is_proposed_where_udp_loses_packets(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(packet_loss, "LOSS_OVER", 100)
    clip = make_clip(noise=40, fps=30)
    with camera_and_reading(clip, Faults(loss=0.05), transport="udp", freeze_s=5.0) as (_, reading):
        reading.wait_for_frames(60, 25)
        lines = [line.getMessage() for line in caplog.records if "over UDP" in line.getMessage()]
        assert len(lines) == 1
        share = re.fullmatch(r'door: (.*) % of packets are lost over UDP; transport = "tcp" loses none', lines[0])
        assert share
        assert 0.5 < float(share[1]) < 15


def test_nothing_is_lost_over_tcp_and_that_is_known() -> None:
    with camera_and_reading() as (_, reading):
        reading.wait_for_frames(10)
        assert reading.source.status.lost_packets == 0


def test_packets_out_of_order_are_put_right() -> None:
    with camera_and_reading(faults=Faults(reorder=0.2), transport="udp") as (_, reading):
        frames = reading.wait_for_frames(40)
        lost = reading.source.status.lost_packets
        assert lost in (0, 1)  # on a machine so busy that one comes too late
        steps = [(b - a) % 60 for a, b in pairwise(reading.numbers[:40])]  # type: ignore[operator]
        assert min(steps) == 1
        assert sum(steps) - len(steps) <= lost
        assert sum(frame.damaged for frame in frames) <= max(1, 15 * lost)


def test_bad_packets_are_counted_and_the_stream_goes_on() -> None:
    clip = make_clip(noise=40, fps=30)
    with camera_and_reading(clip, Faults(corrupt=0.05), freeze_s=3.0) as (_, reading):
        frames = reading.wait_for_frames(60, 25)
        assert rising(frames)
        problems = reading.source.problems
        assert problems.get("damaged", 0) + problems.get("bad_packets", 0) > 0
        assert problems.get("damaged", 0) >= sum(frame.damaged for frame in frames) - 1


def test_a_flood_of_damage_is_a_line_a_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    minute_s = 1.0
    monkeypatch.setattr(status_module, "FLOOD_S", minute_s)
    monkeypatch.setattr(decoding, "EARLY_S", 0.0)  # else so much damage from the start is a wrong SDP
    with camera_and_reading(make_clip(noise=40, fps=30), Faults(corrupt=0.3), freeze_s=5.0) as (_, reading):
        reading.wait_until(lambda one: sum(one.source.problems.values()) > 60, 25)
        took_s = time.monotonic() - reading.began_s
        lines = [line.getMessage() for line in caplog.records if "is damaged" in line.getMessage()]
        assert len(lines) <= 2 * (1 + took_s / minute_s)
        said = [int(times) for line in lines for times in re.findall(r"\((\d+) times more since\)", line)]
        assert sum(said) > 10
        assert {line.partition(" (")[0] for line in lines} <= {
            "door: a picture is damaged",
            "door: a packet is damaged, and gives no picture",
        }


def test_packets_of_another_session() -> None:
    with camera_and_reading(faults=Faults(other_session_every=3)) as (_, reading):
        assert rising(reading.wait_for_frames(40))


def test_so_many_frames_and_no_more() -> None:
    with camera_and_reading(frames=12) as (served, reading):
        reading.wait_until(lambda one: one.ended)
        assert len(reading.frames) == 12
        assert reading.error is None
        served.wait_until(lambda one: one.counts.sessions == 0)
        assert served.counts.teardowns == 1


def test_pictures_that_are_too_large_are_refused_with_what_to_do() -> None:
    with camera_and_reading(max_pixels=320 * 240 - 1) as (_, reading):
        deadline_s = time.monotonic() + 12
        while not reading.ended and time.monotonic() < deadline_s:
            time.sleep(0.01)
        assert reading.source.status.reason == "too_large"
        assert reading.source.status.state == "down"
        assert not reading.frames
        assert str(reading.error).endswith(
            ": its pictures are larger than --max-pixels (320x240 is more than 76799); "
            "choose its smaller stream, or allow more pixels"
        )
