"""A video that is played as a camera."""

from __future__ import annotations

import itertools
import os
import threading
import time
from pathlib import Path

import pytest
from vidgraph.pipeline.errors import SourceError, UsageError
from vidgraph.pipeline.packet import Frame
from vidgraph.pipeline.stage import Source
from vidgraph.stages.sources.played import PlayedCamera
from vidgraph.stages.sources.registry import open_source

from ...material import make_clip
from ...pipeline.parts import Numbers
from ..clips import make_clip as clip_at


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Ten frames, 25 a second."""
    return make_clip(tmp_path / "in.mp4", 10, rate=25)


def played(source: Source, count: int = 1_000) -> tuple[list[float], list[Frame]]:
    """How long after the start each frame came, in seconds, and the frames."""
    began_s = time.monotonic()
    source.open()
    came = [(time.monotonic() - began_s, frame) for frame in itertools.islice(source.frames(), count)]
    source.close()
    return [moment_s for moment_s, _ in came], [frame for _, frame in came]


def test_it_goes_round_with_a_new_epoch_and_rising_times() -> None:
    camera = PlayedCamera(Numbers(3, "x"), "camera-1")
    camera.open()
    stream = camera.frames()
    frames = list(itertools.islice(stream, 7))
    assert [frame.index for frame in frames] == [*range(7)]
    assert [frame.epoch for frame in frames] == [0, 0, 0, 1, 1, 1, 2]
    assert [frame.pts_ns for frame in frames] == [index * 40_000_000 for index in range(7)]
    assert [frame.pts * frame.time_base for frame in frames] == [frame.pts_ns * frame.time_base for frame in frames]
    assert {frame.stream_id for frame in frames} == {"camera-1"}
    captured = [frame.capture_ns or 0 for frame in frames]
    assert captured == sorted(captured)
    assert {frame.capture_clock for frame in frames} == {"arrival"}
    camera.interrupt()
    assert list(stream) == []


def test_a_file_is_played_at_its_pace_until_there_are_enough_frames(clip: Path) -> None:
    (source,) = open_source(clip, as_camera=True, frames=25)
    assert source.live
    assert source.expected_frames == 25
    assert not source.has_audio
    assert clip in source.files  # no output may write it
    moments_s, frames = played(source)
    assert len(frames) == 25
    assert [frame.epoch for frame in frames] == [0] * 10 + [1] * 10 + [2] * 5
    assert [frame.pts_ns for frame in frames] == [index * 40_000_000 for index in range(25)]
    assert all(moment_s >= frame.time_s for moment_s, frame in zip(moments_s, frames, strict=True))
    assert source.problems == {}


def test_a_part_of_a_file_is_played(clip: Path) -> None:
    """Its first frame comes at once, at time 0, and not when it would come in the whole file."""
    (source,) = open_source(clip, as_camera=True, start=0.2, end=0.32, frames=7)
    _, frames = played(source)
    assert [frame.epoch for frame in frames] == [0, 0, 0, 1, 1, 1, 2]
    assert [frame.pts_ns for frame in frames] == [index * 40_000_000 for index in range(7)]


def test_a_part_without_frames_is_no_endless_loop(clip: Path) -> None:
    (source,) = open_source(clip, as_camera=True, start=60)
    with pytest.raises(SourceError, match="there is no frame at or after start = 60 s"):
        played(source)
    with pytest.raises(SourceError, match="there is no frame in what is to be played"):
        played(PlayedCamera(Numbers(0)))


def test_it_ends_while_it_waits_for_a_frame(tmp_path: Path) -> None:
    (source,) = open_source(clip_at(tmp_path / "slow.mp4", frames=3, times=[0, 30, 60]), as_camera=True)
    source.open()
    frames = source.frames()
    assert next(frames).index == 0
    started = time.monotonic()
    threading.Timer(0.1, source.interrupt).start()
    assert list(frames) == []
    assert time.monotonic() - started < 5
    source.close()


def test_problems_are_those_of_all_rounds() -> None:
    class Damaged(Numbers):
        problems = {"damaged": 2}

    camera = PlayedCamera(Damaged(2))
    played(camera, 5)
    assert camera.problems == {"damaged": 6}


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("photos", "pictures, which have no times"),
        ("photos/p1.png", "pictures, which have no times"),
        ("-", "not a file, and cannot be played again"),
        ("pipe", "not a file, and cannot be played again"),
        ("http://127.0.0.1:9/in.mp4", "not a file, and cannot be played again"),
    ],
)
def test_what_cannot_be_played_is_refused_in_a_line(
    address: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (8, 6)).save(tmp_path / "photos" / "p1.png")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        open_source(address, as_camera=True)
    assert str(caught.value) == f"as_camera plays video files, and {address} is {what}; give a video file"


def test_cameras_and_lists_stay_what_they_are(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"rtsp://127.0.0.1:9/none\nfilm={clip}\n")
    camera, film = open_source(tmp_path / "list.txt", as_camera=True)
    assert not isinstance(camera, PlayedCamera)
    assert isinstance(film, PlayedCamera)
    assert film.stream_id == "film"
