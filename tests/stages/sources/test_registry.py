"""From addresses to sources: what each kind of address opens, names, and what is refused."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from vidgraph.pipeline.errors import SourceError, UsageError
from vidgraph.pipeline.stage import Source
from vidgraph.stages.sources.images import ImageSource
from vidgraph.stages.sources.realtime import RealtimeSource
from vidgraph.stages.sources.registry import in_real_time, open_source, open_sources
from vidgraph.stages.sources.video import VideoSource

from ..clips import make_clip, picture_rgb, read_number


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with clips, a folder of images, and names that are hard to tell apart."""
    from PIL import Image

    for name in ("a.mp4", "b.mp4", "x=y.mp4", "clip[1].mp4", "odd:name.mp4"):
        make_clip(tmp_path / name, frames=4)
    (tmp_path / "photos").mkdir()
    (tmp_path / "empty").mkdir()
    for number in (1, 2, 10):
        Image.fromarray(picture_rgb(number)).save(tmp_path / "photos" / f"p{number}.png")
    Image.fromarray(picture_rgb(7)).save(tmp_path / "one.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def numbers(source: Source) -> list[int]:
    source.open()
    try:
        return [read_number(frame.picture.rgb()) for frame in source.frames()]
    finally:
        source.close()


@pytest.mark.parametrize(
    ("address", "kind", "name", "expected"),
    [
        ("a.mp4", VideoSource, "a", [0, 1, 2, 3]),
        ("./a.mp4", VideoSource, "a", [0, 1, 2, 3]),
        ("x=y.mp4", VideoSource, "x=y", [0, 1, 2, 3]),
        ("clip[1].mp4", VideoSource, "clip[1]", [0, 1, 2, 3]),
        ("odd:name.mp4", VideoSource, "odd:name", [0, 1, 2, 3]),
        ("door=a.mp4", VideoSource, "door", [0, 1, 2, 3]),
        ("front door=x=y.mp4", VideoSource, "front door", [0, 1, 2, 3]),
        ("b*.mp4", VideoSource, "b", [0, 1, 2, 3]),
        ("photos", ImageSource, "photos", [1, 2, 10]),
        ("photos/", ImageSource, "photos", [1, 2, 10]),
        ("trip=photos", ImageSource, "trip", [1, 2, 10]),
        ("photos/*.png", ImageSource, "photos", [1, 2, 10]),
        ("photos/p[12].png", ImageSource, "photos", [1, 2]),
        ("**/p?.png", ImageSource, None, [1, 2]),
        ("photos/p%d.png", ImageSource, "photos", [1, 2, 10]),
        ("photos/p%02d.png", ImageSource, "photos", [10]),
        ("one.png", ImageSource, "one", [7]),
    ],
)
def test_addresses(place: Path, address: str, kind: type, name: str | None, expected: list[int]) -> None:
    (source,) = open_source(address)
    assert isinstance(source, kind)
    assert isinstance(source, Source)
    assert source.stream_id == (place.name if name is None else name)
    assert numbers(source) == expected
    (named,) = open_source(Path(address) if "=" not in address else address, stream_id="given")
    assert named.stream_id == "given"


def test_a_glob_of_videos_is_a_source_each(place: Path) -> None:
    sources = open_source("[ab].mp4")
    assert [source.stream_id for source in sources] == ["a", "b"]
    with pytest.raises(UsageError, match=r"the name 'n' is for one stream, but \[ab\].mp4 matches 2 files"):
        open_source("n=[ab].mp4")


def test_standard_input_and_web_addresses_are_not_opened_yet() -> None:
    (source,) = open_source("-")
    assert source.stream_id == "stdin"
    (source,) = open_source("gate=https://example.org/a/b.mp4?key=1")
    assert source.stream_id == "gate"
    (source,) = open_source("https://user:word@example.org/a/b.mp4?key=1")
    assert source.stream_id == "b"
    (source,) = open_source("http://example.org")
    assert source.stream_id == "example.org"


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        ("none.mp4", SourceError, "no such file: none.mp4"),
        ("bb.mp4", SourceError, r"no such file: bb.mp4 \(is it b.mp4\?\)"),
        ("name=none.mp4", SourceError, "no such file: none.mp4"),
        ("empty", SourceError, "empty is a folder without images"),
        ("*.mkv", SourceError, r"no file matches \*.mkv"),
        ("photos/q%d.png", SourceError, "no file matches photos/q%d.png"),
        ("*.*", UsageError, r"\*.\* matches images \(one.png\) and other files"),
        ("", UsageError, "an empty source address; give a video or image file, a folder of images"),
        ("rtsp://u:wo/rd@camera/1", UsageError, r"rtsp://\*\*\*@camera/1: the password has a raw '/'"),
        (
            "synth:ball",
            UsageError,
            "synth:ball: there is no synthetic scene 'ball'; there are synth:street, synth:faces",
        ),
        ("ftp://host/a.mp4", UsageError, "unknown kind of source 'ftp:'; give a video or image file"),
    ],
)
def test_what_is_refused(place: Path, address: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        open_source(address)
    assert "\n" not in str(caught.value)
    assert "word" not in str(caught.value)


@pytest.mark.parametrize("address", ["a.mp4", "photos"])
def test_options_reach_every_kind(place: Path, address: str) -> None:
    (source,) = open_source(address, start=0.04, end="0:00.12", frames=1, deterministic=True, threads=1)
    assert len(numbers(source)) == 1
    with pytest.raises(UsageError, match="start must be seconds"):
        open_source(address, start="soon")


def test_names_are_made_unique(place: Path) -> None:
    sources = open_sources(["a.mp4", "./a.mp4", "b.mp4", "photos/p*.png", "photos", "a-3=b.mp4", "a.mp4"])
    assert [source.stream_id for source in sources] == ["a", "a-2", "b", "photos", "photos-2", "a-3", "a-4"]
    paced = in_real_time(open_sources(["a.mp4", "a.mp4"], latest=True), latest=True)
    assert [source.stream_id for source in paced] == ["a", "a-2"]
    paced[1].open()
    assert next(iter(paced[1].frames())).stream_id == "a-2"
    paced[1].close()


@pytest.mark.parametrize(
    ("addresses", "message"),
    [
        (["n=a.mp4", "n=b.mp4"], "two sources are named 'n'; give each its own NAME=ADDRESS"),
        (["-", "n=-"], r"standard input \(-\) can be read by one source only"),
    ],
)
def test_addresses_that_exclude_each_other(place: Path, addresses: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_sources(addresses)


@pytest.mark.parametrize("address", ["a.mp4", "photos"])
def test_latest_plays_at_the_pace_of_the_file(place: Path, address: str) -> None:
    (source,) = open_source(address, latest=True)
    assert isinstance(source, RealtimeSource)
    assert isinstance(source, Source)
    assert source.live
    source.open()
    shown: list[tuple[float, Any]] = [(time.monotonic(), frame) for frame in source.frames()]
    count = len(shown)
    source.close()
    assert count == source.expected_frames
    assert source.problems == {}
    for moment, frame in shown:
        assert moment - shown[0][0] >= frame.time_s - 0.005
    assert shown[-1][0] - shown[0][0] < 0.04 * count + 1


def test_a_paced_source_can_be_interrupted(tmp_path: Path) -> None:
    source = RealtimeSource(VideoSource(make_clip(tmp_path / "slow.mp4", frames=3, times=[0, 30, 60])))
    source.open()
    frames = source.frames()
    assert next(frames).index == 0
    source.interrupt()
    started = time.monotonic()
    assert list(frames) == []
    assert time.monotonic() - started < 2
    source.close()
