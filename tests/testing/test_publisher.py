"""The publisher, for which the reader listens."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from vidgraph.testing import Publisher, make_clip

from .reader import CLIP, read

Make = Callable[..., Publisher]


@pytest.mark.parametrize(
    ("protocol", "end"), [("rtsp", "EOF"), ("rtmp", "OSError"), ("tcp", "EOF")], ids=["rtsp", "rtmp", "tcp"]
)
def test_all_frames_arrive(publisher: Make, protocol: str, end: str) -> None:
    source = publisher(CLIP, protocol=protocol, frames=30)
    seen = read(source.url, 60, options=source.listen_options)
    assert (seen.end, seen.numbers) == (end, list(range(30)))
    assert source.wait() == 0


def test_udp_has_no_end(publisher: Make) -> None:
    source = publisher(CLIP, protocol="udp", frames=30)
    seen = read(source.url, 60, options=source.listen_options)
    assert seen.end == "ExitError"
    assert len(seen.frames) >= 10  # UDP: what nobody takes in time is lost


def test_hevc_with_b_frames(publisher: Make) -> None:
    source = publisher(make_clip(60, (120, 160), 60, "hevc", gop=10, b_frames=2), frames=30)
    assert read(source.url, 60, options=source.listen_options).numbers == list(range(30))


def test_kill_and_freeze(publisher: Make) -> None:
    source = publisher(CLIP)
    seen = read(source.url, 90, options=source.listen_options, on_frame=lambda count: count == 10 and source.kill())
    assert seen.end == "EOF"
    source = publisher(CLIP)
    seen = read(source.url, 90, options=source.listen_options, on_frame=lambda count: count == 10 and source.freeze())
    assert seen.end in ("TimeoutError", "ExitError")
    source.thaw()


def test_a_reader_that_never_listens(publisher: Make) -> None:
    source = publisher(CLIP)
    with pytest.raises(TimeoutError):
        source.wait(0.3)
    source.close()
