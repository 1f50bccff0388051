"""Clips: every frame has its number, whatever the codec does, and what cannot be read is not guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from vidgraph.pipeline.errors import UsageError
from vidgraph.pipeline.types.picture import Picture
from vidgraph.testing import Clip, make_clip, number_in
from vidgraph.testing.numbers import NUMBERS, numbered_luma


def decoded(clip: Clip) -> list[av.VideoFrame]:
    decoder = av.CodecContext.create({"av1": "libdav1d"}.get(clip.codec, clip.codec), "r")
    assert isinstance(decoder, av.VideoCodecContext)
    packets: list[av.Packet | None] = []
    for unit in clip.units:
        packet = av.Packet(clip.data(unit))
        packet.pts = unit.pts
        packets.append(packet)
    return [frame for packet in [*packets, None] for frame in decoder.decode(packet)]


KINDS: list[dict[str, Any]] = [
    {},
    {"codec": "hevc"},
    {"codec": "mjpeg"},
    {"codec": "av1"},
    {"codec": "av1", "noise": 40},
    {"b_frames": 2},
    {"codec": "hevc", "b_frames": 2},
    {"slices": 4},
    {"full_range": True},
    {"interlaced": True},
    {"noise": 40},
    {"size": (64, 64)},
    {"size": (360, 640), "frames": 5},
    {"first": 4000, "crf": 30},
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_numbers_come_back(kind: dict[str, Any]) -> None:
    clip = make_clip(**{"frames": 30, "size": (120, 160), **kind})
    frames = decoded(clip)
    first = kind.get("first", 0)
    assert [number_in(frame) for frame in frames] == list(range(first, first + len(clip.units)))
    assert [frame.pts for frame in frames] == list(clip.due)
    assert all(frame.interlaced_frame == kind.get("interlaced", False) for frame in frames)
    assert {frame.color_range for frame in frames} <= ({2} if kind.get("full_range") else {0, 1, 2})
    keys = [n for n, unit in enumerate(clip.units) if unit.key]
    assert keys == (list(range(30)) if clip.codec == "mjpeg" else list(range(0, len(clip.units), 15)))


def test_b_frames_are_sent_out_of_order() -> None:
    clip = make_clip(30, b_frames=2)
    assert [unit.pts for unit in clip.units] != list(clip.due)


def test_the_rate_may_vary() -> None:
    assert make_clip(4, (64, 64), intervals=(0.1, 0.3)).due == (0, 9000, 36000, 45000)


@pytest.mark.parametrize("size", [(64, 64), (240, 320), (1080, 1920)])
def test_every_number_is_readable(size: tuple[int, int]) -> None:
    for number in range(0, NUMBERS, 37):
        assert number_in(numbered_luma(number, size)) == number


def test_pictures_of_all_kinds_are_read() -> None:
    luma = numbered_luma(77, (120, 160))
    chroma = np.full((60, 80), 128, np.uint8)
    assert number_in(np.stack([luma] * 3, axis=2)) == 77
    assert number_in(Picture("yuv420p", (luma.copy(), chroma, chroma.copy()))) == 77
    assert number_in(av.VideoFrame.from_ndarray(np.stack([luma] * 3, axis=2), format="rgb24")) == 77


def test_what_cannot_be_read_is_none() -> None:
    one, two = numbered_luma(1, (120, 160)), numbered_luma(2, (120, 160))
    torn = np.concatenate([one[:22], two[22:]])
    assert number_in(torn) is None
    assert number_in(np.full((120, 160), 128, np.uint8)) is None
    assert number_in(np.zeros((120, 160), np.uint8)) is None
    assert number_in(np.zeros((4, 4), np.uint8)) is None
    noise = np.random.default_rng(0).integers(0, 256, (120, 160)).astype(np.uint8)
    assert number_in(noise) is None


def test_a_clip_may_go_to_another_process(tmp_path: Path) -> None:
    clip = make_clip(20, (64, 64), codec="hevc", b_frames=2, intervals=(0.1, 0.2))
    clip.save(tmp_path / "clip")
    again = Clip.load(tmp_path / "clip")
    assert again.due == clip.due
    assert [unit.nals for unit in again.units] == [unit.nals for unit in clip.units]
    assert (again.codec, again.width, again.fps, again.duration) == (clip.codec, clip.width, clip.fps, clip.duration)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"codec": "vp9"}, "clips are of codec h264, hevc, mjpeg, av1, not 'vp9'"),
        ({"size": (63, 64)}, "size of a clip must be"),
        ({"first": 4090}, "numbers of frames go from 0 to 4095"),
    ],
)
def test_impossible_clips_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_clip(**given)
