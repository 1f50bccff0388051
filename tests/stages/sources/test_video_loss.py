"""What a file says was there and did not come is counted; what is whole is not called damaged."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest
from vidgraph.stages.sources.file_structure import structure_of
from vidgraph.stages.sources.gif_blocks import ends_whole, further_pictures
from vidgraph.stages.sources.video import VideoSource

from ..clips import make_clip, packet_places, truncate

FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
RATE = 25
FRAMES = 100
# container: what make_clip needs for it, and whether every frame that is cut out of the middle can be told
KINDS: dict[str, tuple[dict[str, Any], bool]] = {
    "h264.mkv": ({"b_frames": 2}, True),
    "live.mkv": ({"container_options": {"live": "1"}}, True),
    "vp8.webm": ({"codec": "libvpx", "options": {}}, True),
    "sound.mkv": ({"audio": True}, True),
    "h264.ts": ({"b_frames": 2}, True),
    "sound.ts": ({"audio": True}, True),
    "mpeg2.ts": ({"codec": "mpeg2video", "options": {}}, True),
    "blu.m2ts": ({"container_options": {"mpegts_m2ts_mode": "1"}}, True),
    "h264.flv": ({"b_frames": 2}, True),
    "mpeg2.mpg": ({"codec": "mpeg2video", "options": {}}, True),
    "wmv.asf": ({"codec": "wmv2", "options": {}}, True),
    "mpeg4.avi": ({"codec": "mpeg4", "options": {}}, True),
    "mjpeg.avi": ({"codec": "mjpeg", "pix_fmt": "yuvj420p", "options": {}}, True),
    "mpeg2.mxf": ({"codec": "mpeg2video", "pix_fmt": "yuv422p", "options": {}}, True),
    "fragments.mp4": ({"container_options": FRAGMENTED, "b_frames": 2}, False),
    "colours.gif": ({"codec": "gif", "pix_fmt": "rgb8", "options": {}}, False),
}


def read(path: Path, **options: Any) -> tuple[int, dict[str, int]]:
    """How many frames came, and the problems."""
    source = VideoSource(path, **options)
    source.open()
    try:
        return sum(1 for _ in source.frames()), source.problems
    finally:
        source.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """100 frames at 25 a second in one of the ``KINDS``, made once."""
    folder = tmp_path_factory.mktemp("whole")

    def make(name: str) -> Path:
        path = folder / name
        size = (144, 176)  # large enough for more than a few packets of a transport stream a frame
        return path if path.exists() else make_clip(path, frames=FRAMES, gop=10, size=size, **KINDS[name][0])

    return make


@pytest.mark.parametrize("name", KINDS)
def test_a_whole_file_has_no_problems(whole: Callable[[str], Path], name: str) -> None:
    assert read(whole(name)) == (FRAMES, {})
    assert read(whole(name), start=2, end=3)[1] == {}
    assert read(whole(name), frames=30)[1] == {}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("zeroed", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_what_is_missing_in_the_middle_is_counted(
    whole: Callable[[str], Path], tmp_path: Path, name: str, zeroed: bool, seed: int
) -> None:
    data, source = whole(name).read_bytes(), random.Random(f"{name}{seed}")
    start = int(len(data) * source.uniform(0.2, 0.5))
    stop = start + int(len(data) * source.uniform(0.1, 0.3))
    bad = tmp_path / name
    bad.write_bytes(data[:start] + (bytes(stop - start) if zeroed else b"") + data[stop:])
    came, problems = read(bad)
    counted = problems.get("lost", 0) + problems.get("truncated", 0)
    assert came < FRAMES or problems.get("damaged")
    assert sum(problems.values()) >= 1
    if KINDS[name][1]:
        assert came + counted >= FRAMES


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("share", [0.41, 0.73, 0.97])
def test_what_is_missing_at_the_end_is_told(
    whole: Callable[[str], Path], tmp_path: Path, name: str, share: float
) -> None:
    came, problems = read(truncate(whole(name), tmp_path / name, share=share))
    assert (came < FRAMES) == (problems.get("truncated", 0) >= 1)
    assert came < FRAMES or share > 0.9  # then only the index may be missing


@pytest.mark.parametrize("name", ["raw.y4m", "av1.ivf", "raw.mjpeg"])
def test_files_of_frames_alone_are_cut_off_within_one(tmp_path: Path, name: str) -> None:
    codec = {"y4m": "rawvideo", "ivf": "libvpx", "mjpeg": "mjpeg"}[name.rpartition(".")[2]]
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    whole = make_clip(tmp_path / name, frames=20, codec=codec, options={}, pix_fmt=pix_fmt)
    assert read(whole) == (20, {})
    came, problems = read(truncate(whole, tmp_path / f"cut-{name}", share=0.6))
    assert problems == {"truncated": 20 - came if codec == "libvpx" else 1}  # IVF says how many there are


def gaps(kind: str) -> list[float]:
    """Times of a recording that leaves out frames on purpose."""
    source = random.Random(kind)
    steps = {
        "duplicates": lambda: source.choice([1, 1, 1, 1, 2, 3, 12]) / RATE,
        "one gap": lambda: 1 / RATE,
        "jitter": lambda: 1 / 30 + source.uniform(-0.004, 0.004),
        "screen": lambda: source.choice([1 / 60, 1 / 30, 0.5, 1.2]),
    }[kind]
    times = [0.0]
    for index in range(59):
        times.append(times[-1] + steps() + (1.8 if kind == "one gap" and index == 30 else 0))
    return times


@pytest.mark.parametrize("kind", ["duplicates", "one gap", "jitter", "screen"])
@pytest.mark.parametrize(
    "name", ["h264.mkv", "sound.mkv", "live.mkv", "h264.ts", "sound.ts", "blu.m2ts", "h264.flv", "fragments.mp4"]
)
def test_gaps_on_purpose_are_no_loss(tmp_path: Path, kind: str, name: str) -> None:
    times = gaps(kind)
    clip = make_clip(tmp_path / name, frames=len(times), times=times, **KINDS[name][0])
    assert read(clip) == (len(times), {})


def test_a_gif_with_mixed_delays_is_whole(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.08, 0.6, 2.6, 2.7, 2.74]
    clip = make_clip(tmp_path / "clip.gif", frames=7, times=times, codec="gif", pix_fmt="rgb8", options={})
    assert read(clip) == (7, {})


@pytest.mark.parametrize("first", [4, 40_000])
@pytest.mark.parametrize("name", ["h264.mkv", "sound.mkv", "vp8.webm", "live.mkv", "h264.ts", "h264.flv", "wmv.asf"])
def test_a_part_of_a_recording_that_keeps_its_times_is_whole(tmp_path: Path, name: str, first: int) -> None:
    times = [first + index / RATE for index in range(50)]
    clip = make_clip(tmp_path / name, frames=50, times=times, **KINDS[name][0])
    assert read(clip) == (50, {})
    if name.endswith(("mkv", "webm", "ts")) and name != "live.mkv":
        source = VideoSource(clip)
        source.open()
        assert source.expected_frames == 50
        source.close()


def fragments(path: Path) -> tuple[bytes, list[bytes]]:
    """What is in front of the fragments of an MP4, and the fragments."""
    data, place, front, parts = path.read_bytes(), 0, b"", [b""]
    while place < len(data):
        length, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        box = data[place : place + length]
        if kind in (b"ftyp", b"moov"):
            front += box
        elif kind in (b"moof", b"mdat"):
            parts[-1] += box
            parts += [b""] if kind == b"mdat" else []
        place += length
    return front, parts[:-1]


def test_fragments_that_do_not_start_at_zero_are_whole_and_one_that_is_missing_is_counted(
    whole: Callable[[str], Path], tmp_path: Path
) -> None:
    front, parts = fragments(whole("fragments.mp4"))
    assert len(parts) == 10
    path = tmp_path / "part.mp4"
    path.write_bytes(front + b"".join(parts[4:]))
    assert read(path) == (60, {})
    path.write_bytes(front + b"".join(parts[:3] + parts[5:]))
    assert read(path) == (80, {"lost": 20})


def without_first(clip: Path, target: Path, packets: int, format_name: str) -> int:
    """A copy of a clip that lacks its first packets; returns how many it has."""
    left = 0
    with av.open(str(clip)) as source, av.open(str(target), "w", format=format_name) as copy:
        stream = copy.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(packet for packet in source.demux(video=0) if packet.size):
            if number >= packets:
                packet.stream = stream
                copy.mux(packet)
                left += 1
    return left


@pytest.mark.parametrize("suffix", ["ts", "mkv", "mp4", "flv"])
@pytest.mark.parametrize("skipped", [3, 17])
def test_a_start_without_a_key_frame_is_counted(tmp_path: Path, suffix: str, skipped: int) -> None:
    clip = make_clip(tmp_path / "whole.mp4", frames=60, gop=20)
    names = {"ts": "mpegts", "mkv": "matroska"}
    cut = tmp_path / f"cut.{suffix}"
    left = without_first(clip, cut, skipped, names.get(suffix, suffix))
    assert read(cut) == (40, {"lost": left - 40})
    assert read(cut, start=(25 - skipped) / RATE)[1] == {}


def test_leading_pictures_that_build_on_what_is_not_there_are_counted(tmp_path: Path) -> None:
    options = {"bf": "2", "flags": "-cgop"}
    clip = make_clip(tmp_path / "whole.mkv", frames=60, gop=12, b_frames=2, codec="mpeg2video", options=options)
    for skipped in (11, 12, 13):
        left = without_first(clip, tmp_path / "cut.ts", skipped, "mpegts")
        came, problems = read(tmp_path / "cut.ts")
        assert came + problems["lost"] == left


def test_pictures_decoded_without_a_key_frame_are_marked(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "whole.mkv", frames=40, gop=20, codec="mpeg4", options={})
    left = without_first(clip, tmp_path / "cut.mkv", 5, "matroska")
    source = VideoSource(tmp_path / "cut.mkv")
    source.open()
    damaged = [frame.damaged for frame in source.frames()]
    assert damaged == [True] * 15 + [False] * 20
    assert (left, source.problems) == (35, {"damaged": 15})
    source.close()


@pytest.mark.parametrize("suffix", ["flv", "asf"])
def test_a_second_recording_that_is_not_read_is_told(tmp_path: Path, suffix: str) -> None:
    codec: dict[str, Any] = {"codec": "wmv2", "options": {}} if suffix == "asf" else {}
    clip = make_clip(tmp_path / f"clip.{suffix}", **codec)
    both = tmp_path / f"both.{suffix}"
    both.write_bytes(clip.read_bytes() * 2)
    assert read(both) == (10, {"truncated": 1})


def test_a_program_stream_starts_where_it_is_asked_to(whole: Callable[[str], Path]) -> None:
    source = VideoSource(whole("mpeg2.mpg"), start=1.0, frames=5)
    source.open()
    assert [frame.pts_ns for frame in source.frames()] == [40_000_000 * n for n in range(25, 30)]
    assert source.problems == {}
    source.close()


def test_pictures_that_run_together_in_a_gif_are_counted(whole: Callable[[str], Path]) -> None:
    with av.open(str(whole("colours.gif"))) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    assert [further_pictures(packet) for packet in packets] == [0] * FRAMES
    assert further_pictures(b"".join(packets[:5])) == 4
    assert [ends_whole(packet) for packet in packets] == [False] * (FRAMES - 1) + [True]
    assert ends_whole(packets[-1] + b"padding")
    assert not any(ends_whole(packets[-1][:size]) for size in range(len(packets[-1]) - 1))


@pytest.mark.parametrize("name", [name for name in KINDS if not name.endswith("gif")])
def test_the_structure_of_a_file(whole: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    path = whole(name)
    with av.open(str(path)) as container:
        family = container.format.name
    places = [place for place, _ in packet_places(path)]
    first, last = min(places), max(places)

    def structure(of: Path) -> Any:
        found = structure_of(of, family, fragmented=True)
        assert found is not None
        return found

    assert not structure(path).broken_between(first, last)
    data, middle = path.read_bytes(), places[len(places) // 2]
    bad = tmp_path / name
    bad.write_bytes(data[: middle - 50] + bytes(900) + data[middle + 850 :])
    assert structure(bad).broken_between(first, last) or family == "mov,mp4,m4a,3gp,3g2,mj2"
    bad.write_bytes(data[: middle - 50] + data[middle + 351 :])
    assert structure(bad).broken_between(first, len(data))
    for seed in range(20):
        bad.write_bytes(data[:1000] + random.Random(seed).randbytes(5000))
        damaged = structure(bad)
        damaged.broken_between(0, 6000)
        damaged.cut_off(900, 100)


def test_a_file_of_false_elements_takes_time_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "many.mkv"
    path.write_bytes(b"\x1f\x43\xb6\x75\x00" * 120_000)
    found = structure_of(path, "matroska,webm", fragmented=False)
    assert found is not None
    started = time.process_time()
    assert found.broken_between(0, 600_000)
    assert found.cut_off(0, 10)
    assert time.process_time() - started < 5


def test_no_structure_of_what_is_no_file_or_has_none(tmp_path: Path) -> None:
    assert structure_of(tmp_path / "missing.mkv", "matroska,webm", fragmented=False) is None
    assert structure_of(make_clip(tmp_path / "clip.mp4"), "mov,mp4", fragmented=False) is None


@pytest.mark.parametrize(
    ("name", "came", "problems"),
    [
        ("segment2.mkv", 100, {}),
        ("nokey.ts", 100, {"lost": 30}),
        ("hostile/silentloss_del_68of200.webm", 132, {"lost": 68}),
        ("hostile/silentloss_trunc_114of200.ts", 86, {"lost": 3, "truncated": 1}),
        ("hostile/silentloss_trunc_138of200.gif", 62, {"truncated": 1}),
    ],
)
def test_real_cases(shared: Callable[[str], Path], name: str, came: int, problems: dict[str, int]) -> None:
    assert read(shared(f"cases/{name}")) == (came, problems)


def test_the_gap_is_where_the_frames_are_missing(whole: Callable[[str], Path], tmp_path: Path) -> None:
    data, places = whole("h264.ts").read_bytes(), packet_places(whole("h264.ts"))
    bad = tmp_path / "gap.ts"
    bad.write_bytes(data[: places[40][0]] + data[places[60][0] :])
    source = VideoSource(bad)
    source.open()
    times = [frame.pts_ns for frame in source.frames()]
    steps = [after - before for before, after in pairwise(times)]
    assert source.problems["lost"] == FRAMES - len(times) == sum(steps) // 40_000_000 - len(steps)
    source.close()
    assert "lost" not in read(bad, end=1)[1]
    assert read(bad, end=2.8)[1]["lost"] == source.problems["lost"]
    assert "lost" not in read(bad, start=3)[1]
