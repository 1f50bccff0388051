"""Faults of the coded pictures, as a plain reader sees them: key frames, parameter sets, sizes, JPEG."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from vidgraph.testing import Clip, Faults, RtspCamera, make_clip

from .reader import CLIP, read

Make = Callable[..., RtspCamera]

HEVC = make_clip(60, (120, 160), 60, "hevc", gop=10)
BOTH = pytest.mark.parametrize("clip", [CLIP, HEVC], ids=["h264", "hevc"])


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_nothing_is_seen_before_the_key_frame(rtsp_camera: Make, codec: str) -> None:
    clip = make_clip(60, (120, 160), 60, codec, gop=60)  # type: ignore[arg-type]
    seen = read(rtsp_camera(clip, faults=Faults(start_at=15)).url, 3)
    assert seen.numbers == [0, 1, 2]
    assert 0.6 < seen.frames[0].at_s < 2.0
    assert seen.packets > 40


@BOTH
def test_parameter_sets_only_in_the_sdp(rtsp_camera: Make, clip: Clip) -> None:
    assert read(rtsp_camera(clip, faults=Faults(band_parameter_sets=False)).url).numbers == list(range(15))


@BOTH
def test_parameter_sets_only_in_band(rtsp_camera: Make, clip: Clip) -> None:
    assert read(rtsp_camera(clip, faults=Faults(sdp_parameter_sets=False)).url).numbers == list(range(15))


@BOTH
def test_no_parameter_sets_at_all(rtsp_camera: Make, clip: Clip) -> None:
    faults = Faults(sdp_parameter_sets=False, band_parameter_sets=False)
    seen = read(rtsp_camera(clip, faults=faults).url, seconds=1, timeout_s=(2, 1))
    assert (seen.width, len(seen.frames)) == (0, 0)


def test_the_sets_in_band_win(rtsp_camera: Make) -> None:
    other = make_clip(20, (240, 320), 60, gop=10)
    camera = rtsp_camera(CLIP, faults=Faults(sdp_clip=other))
    assert read(camera.url).numbers == list(range(15))
    camera.faults = replace(camera.faults, band_parameter_sets=False)
    seen = read(camera.url, seconds=2)
    assert CLIP.width not in {frame.size[1] for frame in seen.frames}
    assert not any(number is not None for number in seen.numbers)


def test_the_sdp_may_be_edited(rtsp_camera: Make) -> None:
    def without_pps(sdp: str) -> str:
        sets = sdp.partition("sprop-parameter-sets=")[2].partition("\r\n")[0]
        return sdp.replace(sets, sets.partition(",")[0])

    assert read(rtsp_camera(CLIP, faults=Faults(edit_sdp=without_pps)).url).numbers == list(range(15))


def test_the_size_changes(rtsp_camera: Make) -> None:
    other = make_clip(30, (240, 320), 60, gop=10, first=100)
    seen = read(rtsp_camera(CLIP, faults=Faults(then_clip=other, then_clip_at=15)).url, 30)
    assert seen.numbers == [*range(15), *range(100, 115)]
    assert [frame.size for frame in seen.frames] == [(120, 160)] * 15 + [(240, 320)] * 15
    assert set(seen.steps) == {1500}


def test_the_clip_is_switched_while_it_runs(rtsp_camera: Make) -> None:
    camera = rtsp_camera(CLIP)
    other = make_clip(30, (240, 320), 60, gop=10, first=100)
    seen = read(camera.url, 30, on_frame=lambda count: count == 10 and camera.switch_clip(other))
    assert seen.frames[-1].size == (240, 320)
    assert 100 in seen.numbers


def test_the_codec_changes(rtsp_camera: Make) -> None:
    camera = rtsp_camera(CLIP)
    seen = read(camera.url, 40, seconds=2, on_frame=lambda count: count == 10 and camera.switch_clip(HEVC))
    assert seen.bad_packets + (40 - len(seen.frames)) > 10
    assert read(camera.url).numbers == list(range(15))


@pytest.mark.parametrize("marker", ["last", "none", "all"])
def test_slices_and_markers(rtsp_camera: Make, marker: str) -> None:
    clip = make_clip(40, (240, 320), 60, gop=10, slices=4)
    faults = Faults(marker=marker)  # type: ignore[arg-type]
    assert read(rtsp_camera(clip, faults=faults).url).numbers == list(range(15))


@pytest.mark.parametrize("junk", [b"\x06\xf0" + b"\xff" * 40, b"\x1e" + b"\0" * 20 + b"\x80"], ids=["SEI", "unknown"])
def test_junk_is_ignored(rtsp_camera: Make, junk: bytes) -> None:
    assert read(rtsp_camera(CLIP, faults=Faults(junk_nals=(junk,))).url).numbers == list(range(15))


def test_full_range(rtsp_camera: Make) -> None:
    seen = read(rtsp_camera(make_clip(30, (120, 160), 60, gop=10, full_range=True)).url, 3)
    assert (seen.frames[0].format, seen.frames[0].color_range) == ("yuvj420p", 2)
    assert seen.numbers == [0, 1, 2]


def test_interlaced(rtsp_camera: Make) -> None:
    seen = read(rtsp_camera(make_clip(30, (128, 160), 60, gop=10, interlaced=True)).url, 10)
    assert all(frame.interlaced for frame in seen.frames)
    assert seen.numbers == list(range(10))


def test_jpeg_with_an_unknown_q(rtsp_camera: Make) -> None:
    camera = rtsp_camera(make_clip(30, (120, 160), 60, "mjpeg"))
    assert read(camera.url).numbers == list(range(15))
    camera.faults = Faults(jpeg_q=110)
    seen = read(camera.url, timeout_s=(2, 0.5))
    assert seen.packets == 0


def test_jpeg_that_is_too_wide(rtsp_camera: Make) -> None:
    camera = rtsp_camera(make_clip(5, (64, 2560), 60, "mjpeg"))
    seen = read(camera.url, 3, seconds=1)
    assert not any(frame.size == (64, 2560) for frame in seen.frames)
