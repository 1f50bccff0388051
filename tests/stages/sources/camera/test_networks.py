"""Streams that are no RTSP: MPEG-TS over UDP and TCP, RTMP."""

from __future__ import annotations

from typing import Any

import av
import pytest
from vidgraph.testing import Publisher, make_clip

from .cameras import BUSY_S, Reading, rising


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
