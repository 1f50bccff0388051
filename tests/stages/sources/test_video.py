"""Video sources: colours, pixel formats, timing, orientation, choice of the stream."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.pipeline.errors import SourceError
from vidgraph.pipeline.packet import Frame
from vidgraph.pipeline.stage import Source
from vidgraph.stages.sources.av_picture import Orientation, PictureReader, display_orientation
from vidgraph.stages.sources.video import VideoSource

from ...tolerances import TOLERANCES
from ..clips import (
    PATCHES,
    make_changing_size,
    make_clip,
    make_jumping_clock,
    make_multi_stream,
    patch_means,
    picture_rgb,
    read_number,
    to_yuv,
    video_frame,
)


def read(path: Path, **options: Any) -> list[Frame]:
    """All frames of a clip that is expected to be whole."""
    source = VideoSource(path, **options)
    source.open()
    try:
        frames = list(source.frames())
        assert source.problems == {}
    finally:
        source.close()
    return frames


def numbers(frames: list[Frame]) -> list[int]:
    return [read_number(frame.picture.rgb()) for frame in frames]


def test_it_is_a_source(tmp_path: Path) -> None:
    source = VideoSource(make_clip(tmp_path / "clip.mp4"))
    assert isinstance(source, Source)
    assert (source.stream_id, source.live, source.expected_frames) == ("clip", False, None)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "mov", "flv"])
@pytest.mark.parametrize("threads", [1, 3])
def test_constant_rate(tmp_path: Path, suffix: str, threads: int) -> None:
    clip = make_clip(tmp_path / f"clip.{suffix}", frames=12, b_frames=2)
    frames = read(clip, threads=threads)
    assert numbers(frames) == list(range(12))
    assert [frame.pts_ns for frame in frames] == [40_000_000 * n for n in range(12)]
    assert [frame.index for frame in frames] == list(range(12))
    assert {(f.epoch, f.stream_id, f.damaged, f.capture_ns, f.duration_ns) for f in frames} == {
        (0, "clip", False, None, 40_000_000)
    }
    assert all(
        round(f.pts * f.time_base * 10**9) - round(frames[0].pts * f.time_base * 10**9) == f.pts_ns for f in frames
    )


def test_thirds_are_rounded_to_the_nearest_nanosecond(tmp_path: Path) -> None:
    frames = read(make_clip(tmp_path / "clip.mp4", frames=4, rate=30))
    assert [frame.pts_ns for frame in frames] == [0, 33_333_333, 66_666_667, 100_000_000]


def test_variable_rate(tmp_path: Path) -> None:
    times = [0, 0.04, 0.1, 0.5, 0.52, 0.6, 1.5, 1.54]
    frames = read(make_clip(tmp_path / "clip.mp4", frames=8, times=times, b_frames=2))
    assert numbers(frames) == list(range(8))
    assert [frame.time_s for frame in frames] == pytest.approx(times, abs=1e-9)
    assert [frame.duration_ns for frame in frames[:-1]] == [
        after.pts_ns - before.pts_ns for before, after in itertools.pairwise(frames)
    ]
    assert {frame.epoch for frame in frames} == {0}


def test_a_stream_that_starts_late_starts_at_zero(tmp_path: Path) -> None:
    frames = read(make_clip(tmp_path / "clip.ts", frames=4, times=[3, 3.04, 3.08, 3.12]))
    assert [frame.pts_ns for frame in frames] == [0, 40_000_000, 80_000_000, 120_000_000]
    assert frames[0].pts * frames[0].time_base >= 3


def test_frames_without_timestamps_are_timed_by_the_rate(tmp_path: Path) -> None:
    import av

    clip = make_clip(tmp_path / "clip.mkv", frames=6)
    with av.open(str(clip)) as container, (tmp_path / "raw.h264").open("wb") as raw:
        context = container.streams.video[0].codec_context
        annex_b = av.BitStreamFilterContext("h264_mp4toannexb", container.streams.video[0])
        assert context is not None
        for packet in container.demux(video=0):
            for part in annex_b.filter(packet if packet.size else None):
                raw.write(bytes(part))
    frames = read(tmp_path / "raw.h264")
    assert numbers(frames) == list(range(6))
    assert [frame.pts_ns for frame in frames] == [40_000_000 * n for n in range(6)]


@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020"])
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_marked_colours(tmp_path: Path, matrix: str, full_range: bool, pix_fmt: str) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=1, pix_fmt=pix_fmt, matrix=matrix, full_range=full_range)
    picture = read(clip)[0].picture
    assert (picture.format, picture.matrix, picture.full_range) == (pix_fmt, matrix, full_range)
    limit = TOLERANCES["decoded colour patch, 10 bit" if "10" in pix_fmt else "decoded colour patch, 8 bit"][0]
    assert np.abs(patch_means(picture.rgb()) - PATCHES).max() <= limit


@pytest.mark.parametrize("lines", [576, 720])
def test_unmarked_colours_are_read_as_opencv_reads_them(tmp_path: Path, lines: int) -> None:
    picture = read(make_clip(tmp_path / "clip.mp4", frames=1, size=(lines, 96)))[0].picture
    assert (picture.matrix, picture.matrix_assumed, picture.full_range) == ("bt601", True, False)


@pytest.mark.parametrize(
    ("coded", "codec", "expected"),
    [
        ("yuv422p", "libx264", "yuv422p"),
        ("yuv422p10le", "libx264", "yuv422p10le"),
        ("yuv444p10le", "libx264", "yuv444p10le"),
        ("yuvj420p", "mjpeg", "yuv420p"),
        ("yuva420p", "ffv1", "yuv420p"),
        ("nv12", "rawvideo", "nv12"),
        ("yuv411p", "ffv1", "yuv444p"),
        ("yuv410p", "ffv1", "yuv444p"),
        ("yuv440p", "ffv1", "yuv444p"),
        ("yuv420p12le", "ffv1", "yuv420p10le"),
        ("yuv422p12le", "ffv1", "yuv422p10le"),
        ("yuv444p16le", "ffv1", "yuv444p10le"),
        ("yuyv422", "rawvideo", "yuv422p"),
        ("bgr0", "ffv1", "rgb24"),
        ("bgra", "ffv1", "rgb24"),
        ("gbrp12le", "ffv1", "rgb24"),
        ("bgr24", "rawvideo", "rgb24"),
    ],
)
def test_pixel_formats(tmp_path: Path, coded: str, codec: str, expected: str) -> None:
    options = {"qmin": "1", "qmax": "1"} if codec == "mjpeg" else None
    suffix = "nut" if codec == "rawvideo" else "mkv"
    clip = make_clip(
        tmp_path / f"clip.{suffix}", frames=2, pix_fmt=coded, codec=codec, options=options,
        full_range=True if coded.startswith("yuvj") else None,
    )  # fmt: skip
    frames = read(clip)
    picture = frames[1].picture
    assert (picture.format, picture.full_range) == (expected, expected == "rgb24" or coded.startswith("yuvj"))
    assert numbers(frames) == [0, 1]
    name = "decoded colour patch, JPEG" if codec == "mjpeg" else "decoded colour patch, 8 bit"
    assert np.abs(patch_means(picture.rgb()) - PATCHES).max() <= TOLERANCES[name][0]


@pytest.mark.parametrize(("form", "expected"), [("p010le", "p010le"), ("p016le", "yuv420p10le"), ("nv24", "yuv444p")])
def test_formats_that_only_hardware_decodes_to(form: str, expected: str) -> None:
    picture = PictureReader().read(video_frame(picture_rgb(3), form))
    assert picture.format == expected
    assert read_number(picture.rgb()) == 3
    assert np.abs(patch_means(picture.rgb()) - PATCHES).max() <= TOLERANCES["decoded colour patch, 8 bit"][0]


def test_unknown_side_data_does_not_hide_the_rotation(monkeypatch: pytest.MonkeyPatch) -> None:
    class WithExif:
        rotation = -90

    def unknown(frame: WithExif) -> Any:
        raise ValueError("31 is not a valid Type")

    monkeypatch.setattr("vidgraph.stages.sources.av_picture.SideDataContainer", unknown)
    assert display_orientation(WithExif()) == Orientation(90)  # type: ignore[arg-type]


@pytest.mark.parametrize("coded", ["gray", "gray16le", "gray10le"])
def test_gray(tmp_path: Path, coded: str) -> None:
    clip = make_clip(tmp_path / "clip.mkv", frames=2, pix_fmt=coded, codec="ffv1", full_range=True)
    picture = read(clip)[1].picture
    assert (picture.format, picture.full_range) == ("gray", True)
    expected = to_yuv(picture_rgb(1), full_range=True)[0]
    assert np.abs(picture.planes[0] - expected).max() <= TOLERANCES["decoded colour patch, 8 bit"][0]


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p"])
def test_odd_sizes(tmp_path: Path, pix_fmt: str) -> None:
    clip = make_clip(tmp_path / "clip.mkv", frames=2, size=(63, 97), pix_fmt=pix_fmt, codec="ffv1")
    frames = read(clip)
    assert numbers(frames) == [0, 1]
    assert frames[0].picture.rgb().shape == (63, 97, 3)


def test_odd_size_of_a_semi_planar_format(tmp_path: Path) -> None:
    picture = read(make_clip(tmp_path / "clip.nut", frames=1, size=(63, 97), pix_fmt="nv12", codec="rawvideo"))[
        0
    ].picture
    assert (picture.format, picture.height, picture.width) == ("yuv420p", 63, 97)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv420p10le"])
def test_orientation(tmp_path: Path, rotation: int, mirrored: bool, pix_fmt: str) -> None:
    aspect = Fraction(4, 3)
    clip = make_clip(
        tmp_path / "clip.mp4", frames=2, pix_fmt=pix_fmt, rotation=rotation, mirrored=mirrored, sample_aspect=aspect
    )
    plain = read(make_clip(tmp_path / "plain.mp4", frames=2, pix_fmt=pix_fmt))[1].picture
    picture = read(clip)[1].picture
    quarter = rotation in (90, 270)
    assert picture.rotation == rotation
    assert picture.sample_aspect == (1 / aspect if quarter else aspect)
    finer = quarter and pix_fmt == "yuv422p"  # its chroma cannot be turned as it is
    assert picture.format == ("yuv444p" if finer else pix_fmt)
    for plane, before in zip(picture.planes[: 1 if finer else 3], plain.planes, strict=False):
        np.testing.assert_array_equal(plane, np.rot90(before[:, ::-1] if mirrored else before, -rotation // 90))
    colors = np.rot90(picture.rgb(), rotation // 90)
    assert (
        np.abs(patch_means(colors[:, ::-1] if mirrored else colors) - PATCHES).max()
        <= TOLERANCES["decoded colour patch, 8 bit"][0]
    )


def test_interlaced_is_marked(tmp_path: Path) -> None:
    assert read(make_clip(tmp_path / "clip.mp4", frames=2, interlaced=True))[0].picture.interlaced
    assert not read(make_clip(tmp_path / "plain.mp4", frames=2))[0].picture.interlaced


def test_the_best_of_several_streams_or_the_one_asked_for(tmp_path: Path) -> None:
    clip = make_multi_stream(tmp_path / "clip.mp4", [(64, 96), (96, 128), (32, 64)])
    assert numbers(read(clip)) == [0, 1, 2, 3, 4]  # equal ratings: the first
    assert numbers(read(clip, video_stream=1)) == [100, 101, 102, 103, 104]
    assert read(clip, video_stream=2)[0].picture.width == 64
    with pytest.raises(SourceError, match=r"clip.mp4 has 3 video stream\(s\), counted from 0; there is no number 3"):
        read(clip, video_stream=3)


def test_a_change_of_size_begins_an_epoch(tmp_path: Path) -> None:
    frames = read(make_changing_size(tmp_path / "clip.ts"))
    assert numbers(frames) == list(range(10))
    assert [frame.epoch for frame in frames] == [0] * 5 + [1] * 5
    assert [(f.picture.height, f.picture.width) for f in (frames[4], frames[5])] == [(64, 96), (96, 128)]
    assert [frame.index for frame in frames] == list(range(10))


def test_a_clock_that_starts_again_begins_an_epoch_and_time_goes_on(tmp_path: Path) -> None:
    frames = read(make_jumping_clock(tmp_path / "clip.ts"))
    assert numbers(frames) == list(range(10))
    assert [frame.epoch for frame in frames] == [0] * 5 + [1] * 5
    assert [frame.pts_ns for frame in frames] == [40_000_000 * n for n in range(10)]
    assert all(after.pts > before.pts for before, after in itertools.pairwise(frames))


def test_planes_are_read_only_views_that_outlive_the_source(tmp_path: Path) -> None:
    frames = read(make_clip(tmp_path / "clip.mp4", frames=30))
    gc.collect()
    assert not any(plane.flags.writeable or plane.flags.owndata for f in frames for plane in f.picture.planes)
    assert numbers(frames) == list(range(30))
    assert len({frame.picture.planes[0].__array_interface__["data"][0] for frame in frames}) == 30


def test_only_cameras_say_when_a_picture_was_taken(tmp_path: Path) -> None:
    import av

    for key, expected in (
        ("com.apple.quicktime.creationdate", 1_700_000_000 * 10**9),
        ("creation_time", None),
    ):
        path = tmp_path / f"{key}.mov"
        with av.open(str(make_clip(tmp_path / "clip.mp4", frames=3))) as source:
            with av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as target:
                target.metadata[key] = "2023-11-14T23:13:20+0100"
                stream = target.add_stream_from_template(source.streams.video[0])
                for packet in source.demux(video=0):
                    if packet.size:
                        packet.stream = stream
                        target.mux(packet)
        frames = read(path)
        assert frames[0].capture_ns == expected
        assert frames[2].capture_ns == (None if expected is None else expected + 80_000_000)


@pytest.mark.parametrize(
    ("name", "size", "count", "seconds"),
    [
        ("faces_1080p.mp4", (1080, 1920), 105, 4.16),
        ("two_people_1080p.mp4", (1080, 1920), 72, 2.533333333),
        ("motorway_720p.mp4", (720, 1280), 67, 2.2),
        ("car_park.mp4", (432, 768), 377, 30.08),
        ("people_passing.mp4", (432, 768), 1394, 139.3),
        ("bikes.mp4", (272, 640), 250, 9.96),
        ("dog_720p.mp4", (720, 1280), 289, 9.6096),
        ("driving.mp4", (540, 960), 221, 8.8),
        ("multi_stream.mp4", (270, 480), 390, 12.979633333),
        ("mpeg4_3fps.mp4", (1080, 1920), 8, 2.333333333),
    ],
)
def test_real_clips(
    shared: Callable[[str], Path], name: str, size: tuple[int, int], count: int, seconds: float
) -> None:
    source = VideoSource(shared(f"media/{name}"))
    source.open()
    seen = 0
    for frame in source.frames():
        assert (frame.picture.height, frame.picture.width) == size
        assert (frame.index, frame.epoch, frame.damaged) == (seen, 0, False)
        seen, last = seen + 1, frame.time_s
    source.close()
    assert (seen, source.expected_frames, source.problems) == (count, count, {})
    assert last == pytest.approx(seconds, abs=1e-9)
