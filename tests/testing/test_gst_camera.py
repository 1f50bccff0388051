"""The camera of gst-rtsp-server: pictures, passwords, faults, and a stream published to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import pytest
from vidgraph.pipeline.errors import UsageError
from vidgraph.testing import Clip, GstCamera, Publisher, gst_missing, make_clip, number_in

from ..waiting import threads_and_descriptors
from .reader import CLIP, UDP, read, together

Make = Callable[..., GstCamera]

pytestmark = pytest.mark.skipif(gst_missing() is not None, reason=str(gst_missing()))

HEVC = make_clip(60, (120, 160), 60, "hevc", gop=10, b_frames=2)


@pytest.mark.parametrize(
    "clip",
    [CLIP, make_clip(60, (120, 160), 60, gop=10, b_frames=2, slices=2), HEVC],
    ids=["h264", "b-frames, slices", "hevc"],
)
def test_all_pictures_arrive(gst_camera: Make, clip: Clip) -> None:
    camera = gst_camera(clip)
    seen = read(camera.url, 75)
    assert seen.in_order()
    assert len(seen.frames) == 75
    assert all(abs(step - 1500) <= 1 for step in seen.steps)
    assert read(camera.url, 20, options=UDP).in_order()


def test_variable_rates(gst_camera: Make) -> None:
    seen = read(gst_camera(make_clip(40, (120, 160), 60, gop=10, intervals=(0.02, 0.1))).url, 20)
    assert {round(step, -2) for step in seen.steps} == {1800, 9000}


def test_audio_is_a_second_track(gst_camera: Make) -> None:
    camera = gst_camera(CLIP, audio=True)
    assert read(camera.url, 3, options={"allowed_media_types": "video+audio"}).streams == 2
    assert read(camera.url, 3).streams == 1


@pytest.mark.parametrize("digest", [False, True])
def test_passwords(gst_camera: Make, digest: bool) -> None:
    camera = gst_camera(CLIP, cameras=2, user="ann", password="p@/é", digest=digest)
    assert len(camera.urls) == 2
    assert read(camera.login_url, 3).numbers == [0, 1, 2]
    assert read(camera.url).end == "HTTPUnauthorizedError"


def test_kill_and_restart_on_the_same_port(gst_camera: Make) -> None:
    camera = gst_camera(CLIP)
    url = camera.url
    seen = read(url, 60, on_frame=lambda count: count == 10 and camera.kill())
    assert (seen.end, 10 <= len(seen.frames) < 60) == ("EOF", True)  # what was on its way still comes
    assert read(url).end == "ConnectionRefusedError"
    camera.restart(HEVC)
    assert (camera.url, read(url, 5).numbers) == (url, [0, 1, 2, 3, 4])


def test_freeze_and_stall(gst_camera: Make) -> None:
    stalled, frozen = gst_camera(CLIP), gst_camera(CLIP)
    both = together(
        lambda: read(stalled.url, 60, on_frame=lambda count: count == 10 and stalled.stall()),
        lambda: read(frozen.url, 60, on_frame=lambda count: count == 10 and frozen.freeze()),
    )
    stalled.resume()
    frozen.resume()
    for seen, camera in zip(both, (stalled, frozen), strict=True):
        assert seen.end in ("TimeoutError", "ExitError")
        assert 10 <= len(seen.frames) <= 20
        assert len(read(camera.url, 5).frames) == 5


def test_time_jumps_forward(gst_camera: Make) -> None:
    camera = gst_camera(CLIP)
    seen = read(camera.url, 40, on_frame=lambda count: count == 10 and camera.jump(3600))
    assert len(seen.frames) == 40
    assert [round(step / 90000) for step in seen.steps if step > 3000] == [3600]
    with pytest.raises(UsageError, match="forward only"):
        camera.jump(-1)


def test_what_is_published_is_recorded(gst_camera: Make, tmp_path: Path) -> None:
    file = tmp_path / "recorded.mkv"
    camera = gst_camera(record_to=file)
    with Publisher(CLIP, camera.record_url, frames=45) as publisher:
        assert publisher.wait() == 0
    camera.stop()
    with av.open(str(file)) as container:
        numbers = [number_in(frame) for frame in container.decode(video=0)]
    assert numbers == list(range(45))


def test_nothing_is_left_behind() -> None:
    before = threads_and_descriptors()
    with GstCamera(CLIP) as camera:
        camera.freeze()
    camera.close()
    assert threads_and_descriptors() == before


def test_jpeg_is_refused() -> None:
    with pytest.raises(UsageError, match="h264 or hevc, not mjpeg"):
        GstCamera(make_clip(2, (64, 64), codec="mjpeg"))
