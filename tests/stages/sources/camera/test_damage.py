"""Pictures that cannot be right: named where the camera announces what it does not send, marked, or left out."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterator
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import av
import pytest
from vidgraph.stages.sources.camera import connection, decoding
from vidgraph.stages.sources.camera.connection import Hints
from vidgraph.stages.sources.camera.decoding import Decoding
from vidgraph.stages.sources.camera.reasons import CameraError
from vidgraph.stages.sources.camera.status import Monitor
from vidgraph.testing import Faults, make_clip

from .cameras import Reading, camera_and_reading, rising

_SETS = re.compile(r"sprop-parameter-sets=([^\r;]*)")
NOISY = make_clip(noise=40)


def without_pps(text: str) -> str:
    """An SDP with the first of the parameter sets only."""
    return _SETS.sub(lambda found: f"sprop-parameter-sets={found[1].partition(',')[0]}", text)


def with_start_codes(text: str) -> str:
    """An SDP whose parameter sets have the start code of a file."""
    sets = [b"\0\0\0\1" + base64.b64decode(each) for each in _SETS.findall(text)[0].split(",")]
    return _SETS.sub(f"sprop-parameter-sets={','.join(base64.b64encode(each).decode() for each in sets)}", text)


def test_parameter_sets_of_another_size_are_named_and_the_stream_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    faults = Faults(band_parameter_sets=False, sdp_clip=make_clip(size=(480, 640)))
    with camera_and_reading(NOISY, faults) as (served, reading):
        reading.wait_until(lambda one: one.source.status.reconnects.get("bad_sdp") == 2)
        assert reading.source.problems["reconnect_bad_sdp"] == 2
        frames = reading.wait_for_frames(len(reading.frames) + 12)
        assert all(frame.damaged for frame in frames)
        assert "what it announces of its video does not fit" in caplog.text
        assert served.counts.most_sessions == 1


def test_right_parameter_sets_in_the_stream_win() -> None:
    with camera_and_reading(NOISY, Faults(sdp_clip=make_clip(size=(480, 640)))) as (_, reading):
        frames = reading.wait_for_frames(20)
        assert not any(frame.damaged for frame in frames)
        assert frames[0].picture.planes[0].shape == (240, 320)


def test_parameter_sets_with_start_codes_are_read() -> None:
    faults = Faults(band_parameter_sets=False, edit_sdp=with_start_codes)
    with camera_and_reading(faults=faults) as (_, reading):
        assert not any(frame.damaged for frame in reading.wait_for_frames(10))


def test_a_set_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "OPEN_S", 1.0)
    monkeypatch.setattr(decoding, "KEY_FRAME_S", 1.0)
    with camera_and_reading(faults=Faults(band_parameter_sets=False, edit_sdp=without_pps)) as (_, reading):
        reading.wait_until(lambda one: one.source.status.reason == "no_parameter_sets", 6)
        assert not reading.frames


@pytest.mark.parametrize(
    ("size", "faults"), [((480, 2048), Faults()), ((240, 320), Faults(jpeg_q=110))], ids=["too wide", "Q 110"]
)
def test_mjpeg_that_rtp_cannot_carry(
    size: tuple[int, int], faults: Faults, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection, "OPEN_S", 2.0)
    with camera_and_reading(make_clip(10, size, codec="mjpeg"), faults) as (_, reading):
        reading.wait_until(lambda one: one.source.status.reason == "rtp_jpeg", 6)
        assert not reading.frames
        assert "switch it to H.264, or read its MJPEG over HTTP" in caplog.text


def test_mjpeg_with_tables_of_its_own_over_rtp() -> None:
    with camera_and_reading(make_clip(30, codec="mjpeg")) as (_, reading):
        reading.wait_for_frames(10)
        assert None not in reading.numbers[:10]


def gaps_at(monkeypatch: pytest.MonkeyPatch, packets: tuple[int, ...]) -> None:
    """Packets before which FFmpeg says that others are missing."""
    look = Decoding._look_for_gap

    def looked(self: Decoding, packet: Any) -> None:
        self._lost_packets = lambda: sum(at <= self._packets for at in packets)
        look(self, packet)

    monkeypatch.setattr(Decoding, "_look_for_gap", looked)


def damaged_of(reading: Reading) -> list[int | None]:
    return [number for number, (_, frame) in zip(reading.numbers, reading.frames, strict=False) if frame.damaged]


def test_after_a_gap_pictures_are_distrusted_to_the_next_key_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    gaps_at(monkeypatch, (10, 30))
    with camera_and_reading(make_clip(gop=15)) as (_, reading):
        reading.wait_for_frames(50)
        # The 10th and the 30th packet have the numbers 9 and 29. That after the 30th begins a group, but may be hit.
        assert damaged_of(reading)[:22] == [*range(9, 15), *range(29, 45)]
        assert reading.source.problems["damaged"] >= 22


def test_damaged_pictures_are_left_out_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    gaps_at(monkeypatch, (10,))
    with camera_and_reading(make_clip(gop=15), corrupt="drop") as (_, reading):
        frames = reading.wait_for_frames(20)
        assert rising(frames)
        assert reading.numbers[:20] == [*range(9), *range(15, 26)]
        assert not any(frame.damaged for frame in frames)
        assert reading.source.problems == {"damaged": 6}
        assert {frame.epoch for frame in frames} == {0}


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_no_picture_with_a_gap_in_it_gets_through(transport: str) -> None:
    faults = Faults(loss=0.01, seed=3)
    with camera_and_reading(NOISY, faults, transport=transport, corrupt="drop", freeze_s=3.0) as (_, reading):
        frames = reading.wait_for_frames(25, 25)
        assert rising(frames)
        assert None not in reading.numbers
        assert reading.source.problems["damaged"] > 0
        assert all((b - a) % 60 >= 1 for a, b in pairwise(reading.numbers))  # type: ignore[operator]


def test_pictures_after_a_lost_byte_are_marked() -> None:
    with camera_and_reading(NOISY, Faults(lose_byte_at=20)) as (_, reading):
        reading.wait_for_frames(50)
        assert reading.source.problems["lost_packets"] > 0
        pictures = zip(reading.numbers, reading.frames, strict=False)
        trusted = [number for number, (_, frame) in pictures if not frame.damaged]
        assert [number for number in trusted if number not in (18, 19)][:30] == [*range(18), *range(30, 42)]


class Decoder:
    """Refuses packets without a stamp."""

    skip_frame = "DEFAULT"

    def decode(self, packet: Any) -> list[Any]:
        if packet.pts is None:
            raise av.error.InvalidDataError(1, "it is none")
        return [SimpleNamespace(is_corrupt=False)]


@pytest.mark.parametrize(("bad", "changed"), [(2, False), (3, True)])
def test_three_bad_packets_in_a_row_are_another_codec(bad: int, changed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    hints = Hints(known=True)
    stream: Any = SimpleNamespace(codec_context=Decoder())
    reader = Decoding(stream, hints, Monitor("door", "rtsp://door"), limit_s=lambda: 5.0, lost_packets=lambda: None)

    def packets() -> Iterator[tuple[Any, int, int]]:
        nonlocal now_s
        for pts in (0, *[None] * bad, 1):
            now_s += 0.5
            yield SimpleNamespace(pts=pts, size=100, is_keyframe=False), 0, 0

    if changed:
        with pytest.raises(CameraError) as caught:
            list(reader.pictures(packets()))
        assert caught.value.reason.name == "codec_change"
    else:
        assert len(list(reader.pictures(packets()))) == 2
    assert hints.known is not changed
    assert reader.bad_packets == bad
