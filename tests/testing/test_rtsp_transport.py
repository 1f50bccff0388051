"""Faults of the way and of the end, as a plain reader sees them: losses, stalls, ends of connections."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest
from vidgraph.testing import Faults, RtspCamera, make_clip

from .reader import CLIP, HEAVY, UDP, read, together

Make = Callable[..., RtspCamera]


def test_stall(rtsp_camera: Make) -> None:
    """The first time-out only gives the frame that the parser kept back; the second raises."""
    seen = read(rtsp_camera(CLIP, faults=Faults(stall_at=20)).url, 60)
    assert seen.end in ("TimeoutError", "ExitError")
    assert seen.numbers == list(range(20))
    assert 0.9 < seen.ended_s - seen.frames[-2].at_s < 2.0


def test_stall_and_freeze_while_it_runs(rtsp_camera: Make) -> None:
    stalled, frozen = rtsp_camera(CLIP), rtsp_camera(CLIP)
    both = together(
        lambda: read(stalled.url, 60, on_frame=lambda count: count == 10 and stalled.stall()),
        lambda: read(frozen.url, 60, on_frame=lambda count: count == 10 and frozen.freeze()),
    )
    for seen, camera in zip(both, (stalled, frozen), strict=True):
        assert seen.end in ("TimeoutError", "ExitError")
        assert 10 <= len(seen.frames) <= 20
        camera.resume()
        assert read(camera.url).numbers == list(range(15))


def test_a_short_stall_is_a_gap(rtsp_camera: Make) -> None:
    seen = read(rtsp_camera(CLIP, faults=Faults(stall_at=20, stall_frames=10)).url, 30)
    assert seen.numbers == [*range(20), *range(30, 40)]


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_the_connection_is_closed(rtsp_camera: Make, how: str) -> None:
    seen = read(rtsp_camera(CLIP, faults=Faults(close_at=20, close_with=how)).url, 60)  # type: ignore[arg-type]
    assert (seen.end, seen.numbers) == ("EOF", list(range(20)))


def test_bye(rtsp_camera: Make) -> None:
    seen = read(rtsp_camera(CLIP, faults=Faults(bye_at=20)).url, 60)
    assert (seen.end, len(seen.frames)) == ("EOF", 20)
    assert seen.ended_s - seen.last_packet_s < 0.5
    lone = read(rtsp_camera(CLIP, faults=Faults(bye_at=20, bye="lone")).url, 60)
    assert lone.end in ("TimeoutError", "ExitError")


def test_the_clip_is_sent_once(rtsp_camera: Make) -> None:
    seen = read(rtsp_camera(make_clip(20, (64, 64), 60), faults=Faults(loop=False)).url, 60)
    assert seen.numbers == list(range(20))
    assert seen.end in ("TimeoutError", "ExitError")


@pytest.mark.parametrize("place", ["payload", "header"])
def test_a_byte_is_lost(rtsp_camera: Make, place: str) -> None:
    faults = Faults(lose_byte_at=15, lose_byte=place)  # type: ignore[arg-type]
    seen = read(rtsp_camera(HEAVY, faults=faults).url, 50, seconds=3)
    assert seen.numbers[:14] == list(range(14))
    assert not (seen.in_order() and len(seen.frames) == 50)  # a gap, or silence from there on


def test_a_byte_is_lost_while_it_runs(rtsp_camera: Make) -> None:
    camera = rtsp_camera(HEAVY)
    seen = read(camera.url, 50, seconds=3, on_frame=lambda count: count == 10 and camera.lose_byte())
    assert seen.numbers[:9] == list(range(9))
    assert not (seen.in_order() and len(seen.frames) == 50)


def test_corrupt_packets(rtsp_camera: Make) -> None:
    camera = rtsp_camera(HEAVY)
    seen = read(camera.url, 50, on_frame=lambda count: count == 10 and camera.corrupt(20))
    assert len(seen.frames) > 40
    assert None in seen.numbers or any(frame.corrupt for frame in seen.frames) or not seen.in_order()
    assert seen.numbers[-1] is not None
    rather = read(rtsp_camera(HEAVY, faults=Faults(corrupt=0.05)).url, 50, seconds=3)
    assert any(frame.corrupt for frame in rather.frames) or rather.bad_packets or not rather.in_order()


def test_loss(rtsp_camera: Make) -> None:
    cameras = [rtsp_camera(HEAVY, faults=Faults(loss=0.05, seed=seed)) for seed in (1, 1, 2)]
    seen = together(*(partial(read, camera.url, 40, seconds=2, options=UDP) for camera in cameras))
    assert all(any(frame.corrupt for frame in each.frames) for each in seen)
    whole = [[frame.number for frame in each.frames if not frame.corrupt][:8] for each in seen]
    assert whole[0] == whole[1] != whole[2]


def test_reordering_is_repaired(rtsp_camera: Make) -> None:
    camera = rtsp_camera(HEAVY, faults=Faults(reorder=0.2))
    assert read(camera.url, 40, options=UDP).numbers == list(range(40))
    ruined = read(camera.url, 40, seconds=2, options=UDP | {"max_delay": "0"})
    assert not ruined.in_order() or any(frame.corrupt for frame in ruined.frames)


def test_packets_of_another_session(rtsp_camera: Make) -> None:
    seen = read(rtsp_camera(CLIP, faults=Faults(other_session_every=3)).url, 40, seconds=1)
    assert len(seen.frames) > 32
    assert len(set(seen.numbers)) < len(seen.numbers)


@pytest.mark.parametrize("mtu", [9000, 60000])
def test_large_packets(rtsp_camera: Make, mtu: int) -> None:
    assert read(rtsp_camera(HEAVY, faults=Faults(mtu=mtu)).url, 20).numbers == list(range(20))


def test_a_slow_reader_gets_it_late_and_complete(rtsp_camera: Make) -> None:
    pause = threading.Event()
    seen = read(rtsp_camera(CLIP).url, 40, on_frame=lambda count: pause.wait(0.03))
    assert seen.numbers == list(range(40))
