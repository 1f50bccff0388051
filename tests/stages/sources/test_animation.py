"""Animated pictures and pages, by themselves: every picture, at its time."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin
from vidgraph.pipeline.errors import SourceError, UsageError
from vidgraph.pipeline.packet import Frame
from vidgraph.pipeline.stage import Source
from vidgraph.stages.sources.animation import AnimationSource
from vidgraph.stages.sources.image_bytes import _ORIENTATION_TAG
from vidgraph.stages.sources.images import ImageSource, read_image
from vidgraph.stages.sources.picture_count import how_to_play, picture_count, whole_chunks
from vidgraph.stages.sources.registry import open_source

from ..clips import picture_rgb, read_number

TIMES_MS = [40, 100, 20, 200, 60]


def animation(path: Path, count: int = 5, *, times_ms: Any = TIMES_MS, **options: Any) -> Path:
    """Pictures with the numbers 0, 1, …"""
    first, *rest = (Image.fromarray(picture_rgb(number)) for number in range(count))
    if path.suffix == ".webp":
        options = {"lossless": True, **options}
    if path.suffix not in (".tif", ".tiff"):
        options = {"duration": times_ms, **options}
    first.save(path, save_all=True, append_images=rest, **options)
    return path


def read(path: Path, **options: Any) -> tuple[list[Frame], dict[str, int]]:
    (source,) = open_source(path, **options)
    source.open()
    frames = list(source.frames())
    problems = source.problems
    source.close()
    return frames, problems


@pytest.mark.parametrize("name", ["a.webp", "a.png", "A.PNG", "webp.png", "png.webp", "a.jpg"])
def test_every_picture_comes_at_its_time(tmp_path: Path, name: str) -> None:
    made = {"webp.png": "b.webp", "png.webp": "b.png", "a.jpg": "c.webp"}.get(name, name)
    animation(tmp_path / made).rename(tmp_path / name)  # the content counts
    (source,) = open_source(tmp_path / name)
    assert isinstance(source, AnimationSource)
    assert isinstance(source, Source)
    frames, problems = read(tmp_path / name)
    assert [read_number(frame.picture.rgb()) for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.pts_ns // 1_000_000 for frame in frames] == [0, 40, 140, 160, 360]
    assert [frame.duration_ns // 1_000_000 for frame in frames] == TIMES_MS
    assert [(frame.index, frame.epoch, frame.file, frame.stream_id) for frame in frames] == [
        (index, 0, None, Path(name).stem) for index in range(5)
    ]
    np.testing.assert_array_equal(frames[3].picture.rgb(), picture_rgb(3))
    assert problems == {}


@pytest.mark.parametrize("suffix", ["gif", "avif"])
def test_what_ffmpeg_plays_is_a_video(tmp_path: Path, suffix: str) -> None:
    frames, problems = read(animation(tmp_path / f"a.{suffix}", times_ms=100))
    assert [read_number(frame.picture.rgb()) for frame in frames] == [0, 1, 2, 3, 4]
    assert [round(frame.time_s, 6) for frame in frames] == [0, 0.1, 0.2, 0.3, 0.4]
    assert problems == {}


@pytest.mark.parametrize("big", [False, True])
def test_pages_of_a_tiff(tmp_path: Path, big: bool) -> None:
    frames, _ = read(animation(tmp_path / "a.tiff", big_tiff=big))
    assert [read_number(frame.picture.rgb()) for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.pts_ns // 1_000_000 for frame in frames] == [0, 40, 80, 120, 160]


def test_pages_of_every_kind(tmp_path: Path) -> None:
    deep = np.full((20, 30), 40_000, np.uint16)
    pages = [
        Image.new("RGB", (96, 64), (250, 20, 30)),
        Image.new("L", (50, 40), 99),
        Image.new("CMYK", (96, 64), (0, 255, 255, 0)),
        Image.fromarray(deep),
        Image.new("1", (30, 20), 1),
        Image.new("RGBA", (30, 20), (1, 2, 3, 4)),
        Image.new("P", (30, 20)),
    ]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    frames, problems = read(tmp_path / "a.tif")
    assert [tuple(frame.picture.rgb()[5, 5].tolist()) for frame in frames] == [
        (250, 20, 30), (99, 99, 99), (255, 0, 0), (156, 156, 156), (255, 255, 255), (1, 2, 3), (0, 0, 0),
    ]  # fmt: skip
    assert [frame.epoch for frame in frames] == [0, 1, 2, 3, 3, 4, 4]  # the size or the format changes
    assert problems == {}


def test_smaller_versions_of_a_page_are_no_pages(tmp_path: Path) -> None:
    with TiffImagePlugin.AppendingTiffWriter(str(tmp_path / "a.tiff"), True) as writer:
        for number, kind in enumerate((0, 1, 0, 4)):
            size = (32, 48) if kind else (64, 96)
            Image.fromarray(picture_rgb(number, size)).save(writer, "TIFF", tiffinfo={254: kind} if kind else {})
            writer.newFrame()
    frames, problems = read(tmp_path / "a.tiff")
    assert [read_number(frame.picture.rgb()) for frame in frames] == [0, 2]
    assert problems == {}


@pytest.mark.parametrize("suffix", ["webp", "png", "tiff"])
def test_pictures_are_turned_as_exif_says(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[_ORIENTATION_TAG] = 6
    frames, _ = read(animation(tmp_path / f"a.{suffix}", exif=exif))
    np.testing.assert_array_equal(frames[1].picture.rgb(), np.rot90(picture_rgb(1), -1))


def test_the_default_picture_of_a_png_is_no_part_of_the_animation(tmp_path: Path) -> None:
    frames, _ = read(animation(tmp_path / "a.png", default_image=True, times_ms=100))
    assert [read_number(frame.picture.rgb()) for frame in frames] == [1, 2, 3, 4]
    assert frames[0].pts_ns == 0


def test_a_picture_that_is_shown_for_no_time_is_shown_as_browsers_do(tmp_path: Path) -> None:
    frames, _ = read(animation(tmp_path / "a.png", 3, times_ms=[0, 50, 0]))
    assert [frame.pts_ns // 1_000_000 for frame in frames] == [0, 100, 150]


def test_a_part_of_an_animation(tmp_path: Path) -> None:
    path = animation(tmp_path / "a.webp")
    frames, _ = read(path, start=0.1, end=0.36)
    assert [(f.index, read_number(f.picture.rgb()), f.pts_ns // 1_000_000) for f in frames] == [
        (0, 2, 140),
        (1, 3, 160),
    ]
    assert [read_number(f.picture.rgb()) for f in read(path, frames=2)[0]] == [0, 1]
    with pytest.raises(SourceError, match=r"a\.webp: there is no frame at or after start = 9 s"):
        read(path, start=9)
    with pytest.raises(UsageError, match="frames must be at least 1"):
        open_source(path, frames=0)


def test_what_is_expected(tmp_path: Path) -> None:
    (source,) = open_source(animation(tmp_path / "a.webp"))
    assert source.expected_frames is None
    with pytest.raises(SourceError, match=r"open\(\) the source"):
        next(iter(source.frames()))
    source.open()
    assert source.expected_frames == 5
    source.close()


@pytest.mark.parametrize("suffix", ["webp", "png", "tiff"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.7, 0.95])
def test_what_is_cut_off_is_counted(tmp_path: Path, suffix: str, share: float) -> None:
    path = animation(tmp_path / f"a.{suffix}")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    if share == 0.05 or (suffix, share) == ("webp", 0.5):  # nothing whole is left of the first picture
        with pytest.raises(SourceError, match=path.name):
            read(path)
        return
    frames, problems = read(path)
    assert [read_number(frame.picture.rgb()) for frame in frames] == list(range(len(frames)))
    assert len(frames) < 5
    assert problems.get("lost", 0) + problems.get("damaged", 0) >= 1


def test_what_is_no_animation(tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    Image.fromarray(picture_rgb(0)).save(tmp_path / "one.webp")
    for name in ("empty.png", "none.png", "one.webp"):
        assert how_to_play(tmp_path / name) == "image"
    (source,) = open_source(tmp_path / "one.webp")
    assert isinstance(source, ImageSource)


def test_nonsense_in_headers_is_one_picture_and_ends() -> None:
    ring = b"II*\0\x08\0\0\0" + b"\0\0" + b"\x08\0\0\0"  # a directory that is its own next one
    png, gif = b"\x89PNG\r\n\x1a\n", b"GIF89a"
    cut_off = (b"", b"II*\0\xff\xff\xff\xff", b"MM\0+", gif, gif + bytes(7) + b",", png, png + b"\0\0\0\x08acTL")
    for data in (*cut_off, ring, b"RIFF\0\0\0\0WEBPVP8X", b"\0\0\0\x10ftypavis"):
        assert picture_count(data) == 1


def test_a_webp_is_cut_to_whole_chunks() -> None:
    chunk = b"ANMF\x02\0\0\0xy"
    whole = b"RIFF\x16\0\0\0WEBP" + chunk
    assert whole_chunks(whole) == whole[:4] + b"\x0e\0\0\0" + whole[8:]
    assert whole_chunks(whole + b"ANMF") == whole[:4] + b"\x0e\0\0\0" + whole[8:]
    assert whole_chunks(b"II*\0") == b"II*\0"


@pytest.mark.parametrize("suffix", ["webp", "png", "tiff", "avif"])
def test_in_a_folder_the_first_picture_is_used_and_that_is_said(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    animation(tmp_path / f"a.{suffix}", times_ms=100)
    Image.fromarray(picture_rgb(9)).save(tmp_path / "b.png")
    with caplog.at_level(logging.WARNING):
        frames, problems = read(tmp_path)
    assert [(read_number(frame.picture.rgb()), frame.file) for frame in frames] == [(0, f"a.{suffix}"), (9, "b.png")]
    assert problems == {}
    (message,) = (record.getMessage() for record in caplog.records)
    assert f"a.{suffix} is an animation or has several pages; its first picture is used" in message


def test_the_first_picture_is_read_where_one_is_asked_for(tmp_path: Path) -> None:
    first: NDArray[np.uint8] = read_image(animation(tmp_path / "a.webp")).rgb()
    np.testing.assert_array_equal(first, picture_rgb(0))


@pytest.mark.parametrize("name", ["anim.webp", "anim.png"])
def test_the_animations_of_the_cases_are_played(shared: Any, name: str) -> None:
    frames, problems = read(shared(f"cases/{name}"))
    assert [frame.pts_ns // 1_000_000 for frame in frames] == [0, 100, 200, 300, 400, 500]
    assert problems == {}
