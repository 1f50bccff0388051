"""Reading a part of a video: --start, --end, --frames, exact to the frame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from vidgraph.pipeline.errors import SourceError, UsageError
from vidgraph.pipeline.packet import Frame
from vidgraph.stages.sources.video import VideoSource

from ..clips import make_clip, read_number

FRAMES = 60


def read(path: Path, **options: Any) -> tuple[list[Frame], int | None]:
    """The frames, and how many were expected."""
    source = VideoSource(path, **options)
    source.open()
    frames = list(source.frames())
    expected = source.expected_frames
    source.close()
    assert source.problems == {}
    return frames, expected


@pytest.fixture(scope="module", params=["mp4", "mkv", "ts", "open-gop.mp4", "raw.h264"])
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 frames at 25 a second; key frames every seven, closed and open groups of pictures, B-frames, and none."""
    path = tmp_path_factory.mktemp("clip") / f"clip.{request.param}"
    options = {"qp": "0", "preset": "ultrafast"}
    if "open" in request.param:
        options["x264-params"] = "open-gop=1:scenecut=0"
    return make_clip(path, frames=FRAMES, gop=7, b_frames=0 if path.suffix == ".h264" else 3, options=options)


@pytest.mark.parametrize("first", [0, 1, 6, 7, 8, 30, 41, 42, 59])
def test_start_is_exact(clip: Path, first: int) -> None:
    frames, expected = read(clip, start=first / 25)
    assert [read_number(frame.picture.rgb()) for frame in frames] == list(range(first, FRAMES))
    assert [frame.pts_ns for frame in frames] == [40_000_000 * n for n in range(first, FRAMES)]
    assert [frame.index for frame in frames] == list(range(FRAMES - first))
    assert {frame.epoch for frame in frames} == {0}
    assert expected in (FRAMES - first, None)


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ({"start": 0.401, "end": "0:00.6"}, range(11, 15)),
        ({"start": "0.4", "end": 0.6001}, range(10, 16)),
        ({"end": 0.2}, range(5)),
        ({"frames": 3}, range(3)),
        ({"start": 1, "frames": 4}, range(25, 29)),
        ({"start": 2.3, "end": 100, "frames": 100}, range(58, 60)),
    ],
)
def test_end_and_frames(clip: Path, options: dict[str, Any], numbers: range) -> None:
    frames, expected = read(clip, **options)
    assert [read_number(frame.picture.rgb()) for frame in frames] == list(numbers)
    assert expected in (len(numbers), None, options.get("frames"))


def test_times_of_a_variable_rate(tmp_path: Path) -> None:
    times = [0, 0.04, 0.1, 0.5, 0.52, 0.6, 1.5, 1.54]
    clip = make_clip(tmp_path / "clip.mp4", frames=8, times=times, b_frames=2)
    frames, _ = read(clip, start=0.5, end=1.5)
    assert [read_number(frame.picture.rgb()) for frame in frames] == [3, 4, 5]
    assert [frame.time_s for frame in frames] == pytest.approx([0.5, 0.52, 0.6], abs=1e-9)


@pytest.mark.parametrize("name", ["faces_1080p.mp4", "dog_720p.mp4", "mpeg4_3fps.mp4", "people_passing.mp4"])
def test_real_clips(shared: Callable[[str], Path], name: str) -> None:
    path = shared(f"media/{name}")
    source = VideoSource(path, frames=200)
    source.open()
    times = [frame.pts_ns for frame in source.frames()]
    source.close()
    start = times[len(times) * 2 // 3]
    frames, _ = read(path, start=start / 1e9, frames=5)
    assert [frame.pts_ns for frame in frames] == times[len(times) * 2 // 3 :][:5]


def test_a_start_behind_the_end(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    with pytest.raises(SourceError, match=r"clip.mp4: there is no frame at or after start = 7 s"):
        read(clip, start=7)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": "soon"}, r"start must be seconds or \[hours:\]minutes:seconds \(62.5, 1:02.5\), got 'soon'"),
        ({"start": -1}, "start must be"),
        ({"end": float("nan")}, "end must be"),
        ({"start": 2, "end": 2}, r"end \(2 s\) must be after start \(2 s\)"),
        ({"end": 0}, r"end \(0 s\) must be after start \(0 s\)"),
        ({"frames": 0}, "frames must be at least 1, got 0"),
    ],
)
def test_parts_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        VideoSource("clip.mp4", **options)
