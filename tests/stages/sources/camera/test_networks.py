"""Streams that are no RTSP: MPEG-TS over UDP and TCP, RTMP."""

from __future__ import annotations

import time
from typing import Any

import av
import pytest
from vidgraph.pipeline.errors import SourceError
from vidgraph.testing import Publisher, make_clip

from .cameras import BUSY_S, Reading, rising


def test_srt_is_refused_at_once_where_ffmpeg_has_none() -> None:
    try:
        av.open("srt://127.0.0.1:9", timeout=1.0).close()
    except av.error.ProtocolNotFoundError:
        pass
    except (av.error.FFmpegError, OSError):
        pytest.skip("this FFmpeg has SRT")
    with Reading("srt://127.0.0.1:9") as reading:
        deadline_s = time.monotonic() + 10
        while not reading.ended and time.monotonic() < deadline_s:
            pass
    assert isinstance(reading.error, SourceError)
    assert str(reading.error) == (
        "camera 'door' (srt://127.0.0.1:9): the FFmpeg of this PyAV does not have this protocol; "
        "build PyAV against one that has it: pip install --no-binary av av"
    )


@pytest.mark.parametrize("protocol", ["udp", "tcp", "rtmp"])
def test_a_publisher_that_is_killed_and_comes_back(protocol: Any) -> None:
    clip = make_clip()
    with Publisher(clip, protocol=protocol) as publisher:
        url, listen = publisher.url, publisher.listen_options

        def opener(**arguments: Any) -> Any:
            return av.open(**{**arguments, "options": arguments["options"] | listen})

        with Reading(url, freeze_s=1.5, opener=opener) as reading:
            reading.wait_for_frames(20, 20)
            publisher.kill()
            reading.wait_for_reason("stall" if protocol == "udp" else "closed", 6)
            with Publisher(clip, url, protocol=protocol):
                first = reading.wait_for_epoch(1, 20)
                frames = reading.wait_for_frames(first.index + 10, 20)
            assert rising(frames)
            assert reading.stop() < BUSY_S
