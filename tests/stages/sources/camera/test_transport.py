"""By which transport the pictures of an RTSP camera come: which is asked for, which was got, and what is said of it."""

from __future__ import annotations

import logging
import time
from typing import Any

import av
import pytest
from vidgraph.stages.sources.camera import connection
from vidgraph.stages.sources.camera.address import read_address
from vidgraph.stages.sources.camera.options import CameraOptions
from vidgraph.testing import Faults

from .cameras import BUSY_S, camera_and_reading


@pytest.mark.parametrize("chosen", ["auto", "udp"])
@pytest.mark.parametrize("only", ["tcp", "udp"])
def test_a_camera_that_has_one_transport_only(only: str, chosen: str, caplog: pytest.LogCaptureFixture) -> None:
    """The other one is tried at once, and which was got is said; that of the first try is asked for from then on."""
    caplog.set_level(logging.INFO, "vidgraph")
    with camera_and_reading(camera={"transports": (only,)}, transport=chosen, freeze_s=3.0) as (served, reading):
        reading.wait_for_frames(10)
        assert reading.frames[0][0] - reading.began_s < 2 + BUSY_S
        assert reading.source.status.transport == only
        assert caplog.messages == ["door: up, over UDP" if only == "udp" else "door: up"]
        assert served.count("SETUP") == (1 if chosen == only or (chosen, only) == ("auto", "tcp") else 2)
        before = served.count("SETUP")
        served.disconnect()
        reading.wait_for_epoch(1)
        assert served.count("SETUP") == before + 1
        assert caplog.messages[-1].endswith(", over UDP" if only == "udp" else " s")


@pytest.mark.parametrize(
    ("camera", "faults", "transport", "tries"),
    [
        ({"transports": ("udp",)}, {}, "tcp", 1),
        ({}, {}, "multicast", 1),  # which the camera of the kit does not have
        ({"transports": ()}, {}, "auto", 2),
        ({"transports": ()}, {}, "udp", 2),
        ({}, {"status": 461}, "auto", 0),
    ],
)
def test_a_camera_that_refuses_every_transport_is_left_alone_for_a_while(
    camera: dict[str, Any], faults: dict[str, Any], transport: str, tries: int
) -> None:
    with camera_and_reading(faults=Faults(**faults), camera=camera, transport=transport) as (served, reading):
        reading.wait_for_reason("transport", 2 + BUSY_S)
        connections = served.counts.connections
        time.sleep(1.0)
        assert served.counts.connections == connections
        assert served.count("SETUP") == tries
        assert reading.source.status.state == "waiting"


def test_udp_that_does_not_come_through_goes_over_tcp(caplog: pytest.LogCaptureFixture) -> None:
    with camera_and_reading(faults=Faults(udp_blackhole=True), transport="udp", freeze_s=3.0) as (_, reading):
        reading.wait_for_reason("stall", connection.UDP_OPEN_S + BUSY_S)
        assert "nothing came" in caplog.text
        reading.wait_for_frames(5)
        assert reading.frames[0][0] - reading.began_s < connection.UDP_OPEN_S + 2 + 2 * BUSY_S
        assert reading.source.status.transport == "tcp"


def test_multicast_that_does_not_come_names_the_route(caplog: pytest.LogCaptureFixture) -> None:
    """The camera of the kit has no multicast: what comes by UDP is lost on the way here, too."""

    def opener(*, options: dict[str, str], **arguments: Any) -> Any:
        assert options["rtsp_transport"] == "udp_multicast"
        return av.open(**arguments, options=options | {"rtsp_transport": "udp"})

    faults = Faults(udp_blackhole=True)
    with camera_and_reading(faults=faults, transport="multicast", freeze_s=3.0, opener=opener) as (_, reading):
        reading.wait_for_reason("no_multicast", connection.UDP_OPEN_S + BUSY_S)
    assert "no packets come by multicast (the route decides" in caplog.text


@pytest.mark.parametrize(
    ("transport", "asked"),
    [
        ("auto", ["tcp", "tcp with all tracks", "udp", "udp with all tracks", "tcp"]),
        ("tcp", ["tcp", "tcp with all tracks", "tcp"]),
        ("udp", ["udp", "tcp", "udp with all tracks", "tcp with all tracks", "udp"]),
        ("multicast", ["udp_multicast", "udp_multicast with all tracks", "udp_multicast"]),
    ],
)
def test_the_ways_that_a_silent_camera_is_asked(transport: Any, asked: list[str]) -> None:
    hints, address, found = connection.Hints(), read_address("rtsp://h/x", {}), []
    for _ in asked:
        options = connection.open_options(address, CameraOptions(transport=transport), hints, 2.5)
        found.append(options["rtsp_transport"] + ("" if "allowed_media_types" in options else " with all tracks"))
        hints.try_another_way()
    assert found == asked
