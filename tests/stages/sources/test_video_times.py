"""Times where the container rounds them, has none, or starts them again; the rate in results and written files."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from vidgraph.pipeline.packet import Frame
from vidgraph.stages.sources.peekable import PeekableSource
from vidgraph.stages.sources.video import VideoSource

from ..clips import make_clip, read_number
from ..sinks.sinks import packets_of, read_video, write_all
from ..sinks.test_video import encoder

NTSC = [Fraction(rate, 1001) for rate in (24_000, 30_000, 60_000, 120_000)]
RATES = [*NTSC, Fraction(25, 2), Fraction(15), Fraction(24), Fraction(60), Fraction(144)]


def read(path: Path) -> tuple[list[Frame], int | None]:
    """All frames of a clip that is expected to be whole, and how many were expected."""
    source = VideoSource(path)
    source.open()
    frames, expected = list(source.frames()), source.expected_frames
    source.close()
    assert source.problems == {}
    return frames, expected


def steps(frames: list[Frame]) -> set[int]:
    """Milliseconds from each frame to the next."""
    return {round((after.pts_ns - before.pts_ns) / 1e6) for before, after in itertools.pairwise(frames)}


def header_rate(path: Path) -> float | None:
    """The rate as the header of the results has it."""
    peeked = PeekableSource(VideoSource(path))
    peeked.open()
    peeked.close()
    return peeked.rate


# Half a second of FLV and TS does not tell 119.88 from 120, and an AVI of times in 90 kHz has ticks of a 600th.
COARSE = {("avi", rate) for rate in RATES if rate > 30} | {("flv", NTSC[3]), ("ts", NTSC[3])}
CONTAINERS = [
    (s, rate) for s in ("mkv", "webm", "flv", "ts", "mp4", "avi") for rate in RATES if (s, rate) not in COARSE
]


@pytest.mark.parametrize(("suffix", "rate"), CONTAINERS, ids=str)
def test_the_rate_of_a_constant_rate(tmp_path: Path, suffix: str, rate: Fraction) -> None:
    codec: dict[str, Any] = {"codec": "libvpx", "options": {}} if suffix == "webm" else {}
    clip = make_clip(tmp_path / f"clip.{suffix}", frames=60, rate=rate, **codec)
    assert header_rate(clip) == pytest.approx(round(float(rate), 3), abs=2e-3)
    frames, expected = read(clip)
    assert (len(frames), expected) == (60, 60)


def test_a_gif_of_a_rate_that_its_hundredths_do_not_hold(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.gif", frames=60, rate=15, codec="gif", pix_fmt="rgb8", options={})
    assert header_rate(clip) == 15


@pytest.mark.parametrize("rate", NTSC[:3], ids=lambda rate: f"{float(rate):.3f}")
@pytest.mark.parametrize("suffix", ["mkv", "flv"])
def test_a_written_file_has_the_rate_and_its_even_times(tmp_path: Path, rate: Fraction, suffix: str) -> None:
    given = packets_of(make_clip(tmp_path / f"in.{suffix}", frames=48, rate=rate))
    write_all(encoder(tmp_path / "out.mp4"), given)
    times = read_video(tmp_path / "out.mp4").times
    assert times == pytest.approx([times[0] + n / float(rate) for n in range(48)], abs=1e-4)
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.guessed_rate == rate
        assert float(stream.average_rate or 0) == pytest.approx(float(rate), rel=1e-4)


def test_a_variable_rate_is_not_made_even(tmp_path: Path) -> None:
    times = [0, 0.031, 0.068, 0.1, 0.134, 0.166, 0.203]
    given = packets_of(make_clip(tmp_path / "in.mkv", frames=7, rate=30, times=times))
    write_all(encoder(tmp_path / "out.mp4"), given)
    assert read_video(tmp_path / "out.mp4").times == pytest.approx(times, abs=1e-9)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "mpeg2video"])
@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("gop", [5, 60])
def test_an_avi_has_even_times(tmp_path: Path, codec: str, b_frames: int, gop: int) -> None:
    options = None if codec == "libx264" else {"qmin": "1", "qmax": "1"}
    clip = make_clip(
        tmp_path / "clip.avi", frames=60, rate=30, gop=gop, codec=codec, b_frames=b_frames, options=options
    )
    frames, expected = read(clip)
    assert [read_number(frame.picture.rgb()) for frame in frames] == list(range(60))
    assert [frame.pts_ns for frame in frames] == pytest.approx([n * 1e9 / 30 for n in range(60)], abs=1)
    assert {frame.duration_ns for frame in frames} == {33_333_333}
    assert (header_rate(clip), expected) == (30, 60)


@pytest.mark.parametrize("suffix", ["h264", "m4v"])
def test_pictures_without_any_times_are_even(tmp_path: Path, suffix: str) -> None:
    codec: dict[str, Any] = {"codec": "mpeg4", "options": {}} if suffix == "m4v" else {}
    frames, _ = read(make_clip(tmp_path / f"clip.{suffix}", frames=30, b_frames=2, **codec))
    assert (len(frames), steps(frames)) == (30, {40})


def joined(path: Path, lengths: list[int], **options: Any) -> Path:
    """Recordings whose times all begin at 0, one behind the other in one file."""
    parts = [
        make_clip(path.with_name(f"{number}-{path.name}"), frames=frames, **options).read_bytes()
        for number, frames in enumerate(lengths)
    ]
    path.write_bytes(b"".join(parts))
    return path


@pytest.mark.parametrize("lengths", [[25, 25], [25, 8, 30, 12], [60, 60]])
@pytest.mark.parametrize("name", ["h264.ts", "sound.ts", "mpeg2.ts", "blu.m2ts"])
def test_joined_recordings_follow_each_other(tmp_path: Path, lengths: list[int], name: str) -> None:
    options: dict[str, Any] = {"b_frames": 2}
    if "mpeg2" in name:
        options |= {"codec": "mpeg2video", "options": {}}
    if name == "blu.m2ts":
        options |= {"container_options": {"mpegts_m2ts_mode": "1"}}
    frames, _ = read(joined(tmp_path / name, lengths, audio="sound" in name, **options))
    assert len(frames) == sum(lengths)
    assert steps(frames) == {40}
    assert frames[-1].epoch == len(lengths) - 1


@pytest.mark.parametrize("codec", ["libx264", "libvpx"])
def test_two_joined_matroska_files_follow_each_other(tmp_path: Path, codec: str) -> None:
    options = None if codec == "libx264" else {}
    frames, _ = read(joined(tmp_path / "clip.mkv", [30, 20], codec=codec, options=options))
    assert (len(frames), steps(frames), frames[-1].epoch) == (50, {40}, 1)


@pytest.mark.parametrize(
    ("name", "count", "rate", "last_s"),
    [
        ("rate_60.mkv", 60, 60.0, 0.983),
        ("rate_24000_1001.flv", 24, 23.976, 0.959),
        ("b_frames.avi", 60, 30.0, 1.966666667),
        ("concat_same.ts", 50, 25.0, 1.96),
        ("change.ts", 50, 25.0, 1.96),
    ],
)
def test_real_cases(shared: Callable[[str], Path], name: str, count: int, rate: float, last_s: float) -> None:
    path = shared(f"cases/{name}")
    frames, _ = read(path)
    assert (len(frames), header_rate(path)) == (count, rate)
    assert frames[-1].time_s == pytest.approx(last_s, abs=1e-9)
    expected = 1000 / rate
    assert all(abs(step - expected) <= 1 for step in steps(frames))
