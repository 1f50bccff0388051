"""Damaged and truncated videos: the good frames come through, the loss is reported, nothing lands on standard error."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.pipeline.errors import SourceError
from vidgraph.pipeline.packet import Frame
from vidgraph.stages.sources.video import VideoSource

from ..clips import damage, make_clip, packet_places, read_number, truncate

FAST_START = {"movflags": "faststart"}
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}


def read(path: Path, **options: Any) -> tuple[list[Frame], dict[str, int]]:
    """The frames, and the problems once the source is closed."""
    source = VideoSource(path, **options)
    source.open()
    frames = list(source.frames())
    source.close()
    return frames, source.problems


def pixels(frames: list[Frame]) -> str:
    digest = hashlib.sha256()
    for frame in frames:
        for plane in frame.picture.planes:
            digest.update(np.ascontiguousarray(plane))
    return digest.hexdigest()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 frames, a key frame every ten, with B-frames and its index in front."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, frames=100, gop=10, b_frames=2, container_options=FAST_START)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.97])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_a_truncated_mp4_gives_what_is_there(clip: Path, tmp_path: Path, share: float, threads: int) -> None:
    cut = truncate(clip, tmp_path / "cut.mp4", share=share)
    whole = sum(place + size <= cut.stat().st_size for place, size in packet_places(clip))
    frames, problems = read(cut, threads=threads)
    assert 0 < whole < 100
    assert len(frames) in (whole, whole + 1)  # of the packet that was cut, a part may have been decoded
    assert problems["truncated"] == 100 - whole
    assert problems.keys() <= {"truncated", "damaged"}
    good = [read_number(frame.picture.rgb()) for frame in frames if not frame.damaged]
    assert good == sorted(good)
    assert good[: whole - 3] == list(range(whole - 3))  # behind that, B-frames may miss what they build on
    assert [frame.index for frame in frames] == list(range(len(frames)))


@pytest.mark.parametrize("suffix", ["mkv", "flv", "ts", "avi"])
def test_other_truncated_containers_give_what_is_there(tmp_path: Path, suffix: str) -> None:
    whole = make_clip(tmp_path / f"whole.{suffix}", frames=100, gop=10)
    frames, problems = read(truncate(whole, tmp_path / f"cut.{suffix}", share=0.5))
    numbers = [read_number(frame.picture.rgb()) for frame in frames if not frame.damaged]
    assert numbers == list(range(len(numbers)))
    assert 30 < len(frames) < 80
    if suffix == "avi":  # what it says of its length is lost with the index at its end
        assert problems["truncated"] >= 1
    elif suffix != "ts":  # a transport stream does not say how long it should be
        assert abs(problems["truncated"] - (100 - len(frames))) <= 2


def test_a_truncated_fragmented_mp4_gives_what_is_there(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "whole.mp4", frames=100, gop=10, container_options=FRAGMENTED)
    frames, problems = read(truncate(whole, tmp_path / "cut.mp4", share=0.5))
    numbers = [read_number(frame.picture.rgb()) for frame in frames if not frame.damaged]
    assert numbers == list(range(len(numbers)))
    assert 30 < len(frames) < 70
    assert problems["truncated"] >= 1


def test_a_whole_file_has_no_problems(clip: Path, tmp_path: Path) -> None:
    assert read(clip)[1] == {}
    for suffix in ("mkv", "flv", "ts", "avi"):
        assert read(make_clip(tmp_path / f"clip.{suffix}", frames=30, times=[n**1.7 / 25 for n in range(30)]))[1] == {}


def test_reading_a_part_reports_no_loss_behind_it(clip: Path, tmp_path: Path) -> None:
    cut = truncate(clip, tmp_path / "cut.mp4", share=0.6)
    assert read(cut, frames=10)[1] == {}
    assert read(cut, end=0.4)[1] == {}


@pytest.mark.parametrize("packets", [[-1], [-2], [-4], [-3, -5], [50], [50, 51, 90]])
@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_undecodable_packets_cost_no_more_than_themselves(tmp_path: Path, packets: list[int], threads: int) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=100, gop=1)
    frames, problems = read(damage(clip, tmp_path / "bad.mp4", packets=packets), threads=threads)
    missing = {packet % 100 for packet in packets}
    assert [read_number(frame.picture.rgb()) for frame in frames] == [n for n in range(100) if n not in missing]
    assert [frame.pts_ns for frame in frames] == [40_000_000 * n for n in range(100) if n not in missing]
    assert problems == {"lost": len(missing)}


@pytest.mark.parametrize("seed", range(3))
def test_damage_is_marked_and_deterministic_decoding_is(clip: Path, tmp_path: Path, seed: int) -> None:
    bad = damage(clip, tmp_path / "bad.mp4", share=0.1, seed=seed)
    first, problems = read(bad, deterministic=True)
    assert problems.get("damaged", 0) == sum(frame.damaged for frame in first)
    assert problems.get("damaged", 0) + problems.get("lost", 0) > 0
    assert len(first) + problems.get("lost", 0) == 100
    for _ in range(2):
        again, _ = read(bad, deterministic=True)
        assert pixels(again) == pixels(first)


@pytest.mark.parametrize("seed", range(3))
def test_count_and_timing_do_not_depend_on_threads(clip: Path, tmp_path: Path, seed: int) -> None:
    bad = damage(clip, tmp_path / "bad.mp4", share=0.1, seed=seed)
    reference = [(f.pts, f.pts_ns, f.index, f.epoch, f.duration_ns) for f in read(bad, deterministic=True)[0]]
    for threads in (2, 3, 8):
        frames, _ = read(bad, threads=threads)
        assert [(f.pts, f.pts_ns, f.index, f.epoch, f.duration_ns) for f in frames] == reference


@pytest.mark.parametrize("name", ["car_park.mp4", "faces_1080p.mp4"])
def test_real_damage(shared: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    bad = damage(shared(f"media/{name}"), tmp_path / "bad.mp4", share=0.05, seed=1)
    first, problems = read(bad, deterministic=True, frames=60)
    assert sum(frame.damaged for frame in first) == problems["damaged"] > 0
    assert pixels(read(bad, deterministic=True, frames=60)[0]) == pixels(first)
    assert [frame.pts for frame in read(bad, frames=60)[0]] == [frame.pts for frame in first]


def test_a_file_in_which_nothing_can_be_decoded(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=5, gop=1)
    bad = damage(clip, tmp_path / "bad.mp4", packets=range(5))
    with pytest.raises(SourceError, match=r"bad.mp4: no frame could be decoded; \d of 5 packets are damaged"):
        read(bad, threads=1)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "flv"])
def test_random_bytes_anywhere_give_frames_in_order_or_a_reason(tmp_path: Path, suffix: str) -> None:
    whole = make_clip(tmp_path / f"whole.{suffix}", frames=40, gop=10, b_frames=2).read_bytes()
    bad, delivered = tmp_path / f"bad.{suffix}", 0
    reasons: list[str] = []
    for seed in range(25):
        source = random.Random(seed)
        data = bytearray(whole)
        for _ in range(source.choice([1, 10, 100, 500])):
            data[source.randrange(len(data))] = source.randrange(256)
        bad.write_bytes(data)
        try:
            frames, _ = read(bad, threads=source.choice([1, 2, 4]), start=source.choice([None, 0.9]))
        except SourceError as error:
            reasons.append(str(error))
        else:
            delivered += len(frames)
            assert all(after.pts_ns > before.pts_ns for before, after in itertools.pairwise(frames))
    assert delivered > 100
    assert all(str(bad) in reason and "\n" not in reason for reason in reasons)


def test_ffmpeg_writes_nothing_on_standard_error(clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    read(damage(clip, tmp_path / "bad.mp4", share=0.5))
    read(truncate(clip, tmp_path / "cut.mp4", share=0.5))
    assert capfd.readouterr() == ("", "")
