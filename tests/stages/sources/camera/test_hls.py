"""Live HLS whose encoder, list or segments fail, and MJPEG with odd parts."""

from __future__ import annotations

import itertools

import pytest
from vidgraph.testing import HlsCamera, MjpegCamera, make_clip

from .cameras import rising, web_reading

CLIP = make_clip(gop=15)


def test_an_encoder_that_dies_is_waited_for() -> None:
    with HlsCamera(CLIP) as camera, web_reading(camera.url, 5.0) as read:
        read.wait_for_frames(10)
        camera.die()
        read.wait_until(lambda one: sum(one.source.status.reconnects.values()), 12)
        assert read.source.status.reconnects == {"closed": 1}
        assert not read.ended
        camera.restart_encoder()
        before = read.source.status.epoch
        read.wait_for_epoch(before + 1, 25)


def test_a_list_that_ends_is_the_end() -> None:
    with HlsCamera(CLIP) as camera, web_reading(camera.url) as read:
        read.wait_for_frames(10)
        camera.end()
        read.wait_until(lambda one: one.ended, 20)
        assert read.error is None
        assert rising([frame for _, frame in read.frames])


def test_a_list_that_is_gone_is_looked_for() -> None:
    with HlsCamera(CLIP) as camera, web_reading(camera.url) as read:
        read.wait_for_frames(10)
        camera.vanish()
        read.wait_for_reason("not_found", 15)
        assert not read.ended


def test_segments_that_are_missing_are_a_gap() -> None:
    with HlsCamera(CLIP) as camera, web_reading(camera.url, 5.0) as read:
        read.wait_for_frames(20)
        camera.lose(1)
        frames = read.wait_for_frames(60, 20)
        assert rising(frames)
        assert {frame.epoch for frame in frames} == {0}
        numbers = [number for number in read.numbers if number is not None]
        assert any((b - a) % 60 > 10 for a, b in itertools.pairwise(numbers))
        assert read.source.problems == {"lost_frames": 15}


def test_an_encoder_that_starts_again_is_followed() -> None:
    """Its list counts from 0 again: FFmpeg would wait until it has caught up."""
    with HlsCamera(CLIP, window=6) as camera, web_reading(camera.url, 1.5) as read:
        read.wait_for_frames(5)
        camera.restart_encoder()
        after = read.wait_for_epoch(1, 15)
        assert sum(read.source.status.reconnects.values()) == 1
        assert rising(read.wait_for_frames(after.index + 5))


@pytest.mark.parametrize("tagged", [True, False])
def test_another_clip_in_between_is_a_new_epoch(tagged: bool) -> None:
    """An advertisement, say: it is not left out."""
    with HlsCamera(CLIP) as camera, web_reading(camera.url, 5.0) as read:
        read.wait_for_frames(20)
        camera.switch_clip(make_clip(gop=15, size=(360, 480), first=200), tagged=tagged)
        after = read.wait_for_epoch(1, 20)
        assert after.picture.height == 360
        assert rising(read.wait_for_frames(after.index + 10, 20))


@pytest.mark.parametrize("stalled", [False, True])
def test_pictures_of_a_camera(stalled: bool) -> None:
    clip = make_clip(frames=30, codec="mjpeg")
    with MjpegCamera(clip, frames=None if stalled else 20) as camera, web_reading(camera.url, 1.0) as read:
        read.wait_for_frames(10)
        if stalled:
            camera.stall()
            read.wait_for_reason("stall", 5)
            camera.resume()
        read.wait_for_epoch(1, 15)
        assert ("stall" if stalled else "closed") in read.source.status.reconnects
        assert {frame.capture_clock for _, frame in read.frames} == {"arrival"}


def test_parts_without_a_length() -> None:
    with MjpegCamera(make_clip(frames=30, codec="mjpeg"), length="none") as camera, web_reading(camera.url) as read:
        read.wait_for_frames(5)
