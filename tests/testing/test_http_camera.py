"""HLS and MJPEG over HTTP, as a plain reader sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from vidgraph.pipeline.errors import UsageError
from vidgraph.testing import HlsCamera, MjpegCamera, make_clip

from ..waiting import threads_and_descriptors
from .reader import read

Make = Callable[..., HlsCamera]
MakeMjpeg = Callable[..., MjpegCamera]

CLIP = make_clip(60, (120, 160), 40, gop=10)  # segments of a quarter of a second
JPEG = make_clip(60, (120, 160), 60, "mjpeg")
LIVE = {"live_start_index": "-1"}


def test_a_live_list_slides(hls_camera: Make) -> None:
    camera = hls_camera(CLIP)
    seen = read(camera.url, 50, options=LIVE)
    assert seen.in_order()
    assert seen.numbers[0] == 30
    assert set(seen.steps) == {2250}
    assert seen.ended_s > 0.8


def test_by_default_a_live_list_is_read_from_three_segments_back(hls_camera: Make) -> None:
    seen = read(hls_camera(CLIP).url, 30)
    assert seen.numbers == list(range(10, 40))
    assert seen.ended_s < 0.8


def test_a_finished_list_is_complete(hls_camera: Make) -> None:
    clip = make_clip(60, (120, 160), 40, "hevc", gop=10, b_frames=2)
    seen = read(hls_camera(clip, window=6, finished=True).url, 100)
    assert (seen.end, seen.numbers) == ("EOF", list(range(60)))


def test_a_live_list_ends(hls_camera: Make) -> None:
    camera = hls_camera(CLIP)
    seen = read(camera.url, 100, options=LIVE, on_frame=lambda count: count == 15 and camera.end())
    assert seen.end == "EOF"
    assert seen.in_order()
    assert len(seen.frames) < 60


def test_the_encoder_dies(hls_camera: Make) -> None:
    """The list stands: the read time-out twice, then EOF, not an exception."""
    camera = hls_camera(CLIP)
    seen = read(camera.url, 100, options=LIVE, on_frame=lambda count: count == 15 and camera.die())
    assert seen.end == "EOF"
    assert seen.ended_s - seen.frames[-1].at_s < 3


def test_the_list_is_gone(hls_camera: Make) -> None:
    camera = hls_camera(CLIP)
    seen = read(camera.url, 100, options=LIVE, on_frame=lambda count: count == 15 and camera.vanish())
    assert seen.end == "EOF"
    assert read(camera.url).end == "HTTPNotFoundError"


def test_the_encoder_starts_again(hls_camera: Make) -> None:
    """The reader waits until the numbers have caught up with the old ones."""
    camera = hls_camera(CLIP, window=8)
    seen = read(
        camera.url, 100, seconds=4, options=LIVE, on_frame=lambda count: count == 5 and camera.restart_encoder()
    )
    assert seen.end in ("ExitError", "EOF")
    assert len(seen.frames) <= 40


@pytest.mark.parametrize("tagged", [True, False])
def test_a_discontinuity(hls_camera: Make, tagged: bool) -> None:
    camera = hls_camera(CLIP)
    other = make_clip(60, (240, 320), 40, gop=10, first=100)
    seen = read(
        camera.url, 50, options=LIVE, on_frame=lambda count: count == 5 and camera.switch_clip(other, tagged=tagged)
    )
    sizes = [frame.size for frame in seen.frames]
    assert (sizes[0], sizes[-1]) == ((120, 160), (240, 320))
    assert min(seen.steps) < 0
    assert not any(frame.corrupt for frame in seen.frames)


def test_a_segment_is_missing(hls_camera: Make) -> None:
    camera = hls_camera(CLIP)
    seen = read(camera.url, 70, options=LIVE, timeout_s=(6, 3), on_frame=lambda count: count == 5 and camera.lose())
    assert sorted(set(seen.steps)) == [2250, 24750]
    assert sum(step > 2250 for step in seen.steps) == 1


def test_mjpeg(mjpeg_camera: MakeMjpeg) -> None:
    camera = mjpeg_camera(JPEG)
    seen = read(camera.url, 20, form="mpjpeg")
    assert seen.numbers == list(range(20))
    assert set(seen.steps) == {1}  # of 25 a second, whatever the rate is
    assert camera.requests == ["/video.mjpg"]


@pytest.mark.parametrize(
    ("faults", "end"),
    [
        ({"first_boundary": False}, "InvalidDataError"),
        ({"length": "wrong"}, "InvalidDataError"),
        ({"length": "none"}, "enough"),
        ({"frames": 10}, "OSError"),
    ],
    ids=str,
)
def test_mjpeg_faults(mjpeg_camera: MakeMjpeg, faults: dict[str, Any], end: str) -> None:
    seen = read(mjpeg_camera(JPEG, **faults).url, 20, form="mpjpeg")
    assert seen.end == end
    if "frames" in faults:
        assert (len(seen.frames), seen.errno) == (10, 5)


def test_mjpeg_stalls_and_is_cut(mjpeg_camera: MakeMjpeg) -> None:
    camera = mjpeg_camera(JPEG)
    seen = read(camera.url, 60, form="mpjpeg", on_frame=lambda count: count == 10 and camera.stall())
    assert seen.end == "ExitError"
    camera.resume()
    cut = read(camera.url, 60, form="mpjpeg", on_frame=lambda count: count == 10 and camera.disconnect())
    assert cut.end == "OSError"


def test_nothing_is_left_behind() -> None:
    before = threads_and_descriptors()
    for kind, clip, form in ((HlsCamera, CLIP, None), (MjpegCamera, JPEG, "mpjpeg")):
        with kind(clip) as camera:
            read(camera.url, 20, form=form, on_frame=lambda count, camera=camera: count == 5 and camera.close())
        camera.close()
        assert threads_and_descriptors() == before


def test_clips_of_another_codec_are_refused() -> None:
    with pytest.raises(UsageError, match="take MjpegCamera"):
        HlsCamera(JPEG)
    with pytest.raises(UsageError, match='codec="mjpeg"'):
        MjpegCamera(CLIP)
