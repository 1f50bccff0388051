"""Cameras that a card decodes, and what becomes of them where it fails."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from vidgraph.kernels.cuda.driver import CudaError
from vidgraph.kernels.device import HOST, Device
from vidgraph.pipeline.errors import SourceError
from vidgraph.stages.sources import av_card, av_picture
from vidgraph.stages.sources.camera import source as camera_source

from .... import emulator
from ....emulator import card, codec
from .cameras import Reading, camera_and_reading

CARD = Device("cuda")
pytestmark = pytest.mark.skipif(emulator.compiler() is None, reason="needs a C++ compiler")


@pytest.fixture(autouse=True)
def emulated(monkeypatch: pytest.MonkeyPatch) -> emulator.EmulatedDriver:
    found = card.plug_in(monkeypatch)
    codec.plug_in(monkeypatch)
    return found


def error(code: int) -> CudaError:
    made = CudaError("cannot get 9 bytes of memory of cuda:0: out of memory")
    made.code = code
    return made


def fail_frames(monkeypatch: pytest.MonkeyPatch, count: int, code: int = 2) -> None:
    """The card fails at so many frames, and then no more."""
    left, planes = [code] * count, av_picture.card_planes

    def taken(frame: Any) -> Any:
        if left:
            raise error(left.pop())
        return planes(frame)

    monkeypatch.setattr(av_picture, "card_planes", taken)


def wait_for_device(reading: Reading, device: Device) -> None:
    reading.wait_until(lambda one: one.frames and one.frames[-1][1].picture.device == device)


def test_frames_stay_on_the_card(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "vidgraph"), camera_and_reading(device=CARD) as (_, reading):
        frames = reading.wait_for_frames(3)
        assert {frame.picture.device for frame in frames} == {CARD}
        assert reading.source.decoder == "cuda:0"
    assert sum("decoded by NVDEC on cuda:0" in line for line in caplog.messages) == 1


def test_the_cpu_decodes_one_connection_where_the_card_has_failed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fail_frames(monkeypatch, 1)
    with camera_and_reading(device=CARD) as (served, reading):
        wait_for_device(reading, HOST)
        assert reading.source.status.reason == "card"
        served.disconnect()
        wait_for_device(reading, CARD)
    first, second = [line for line in caplog.messages if "has failed" in line]
    assert first.startswith("door: not connected, the card that decodes it has failed: rtsp://")
    assert "cannot take a picture over from the card: cannot get 9 bytes" in first
    assert first.endswith("(end what else runs on the card, or --decoder cpu); trying again")
    assert second.endswith(": decoded by the CPU until it is connected again, as the card has failed")


def test_a_card_that_was_asked_for_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_frames(monkeypatch, 2)
    with camera_and_reading(device=CARD, decoder="cuda") as (_, reading):
        frames = reading.wait_for_frames(2)
        assert {frame.picture.device for frame in frames} == {CARD}
        assert not reading.source.problems.get("reconnect_card")


@pytest.mark.parametrize("decoder", ["auto", "cuda"])
def test_a_card_that_is_lost_ends_the_camera(decoder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_frames(monkeypatch, 1, code=700)
    with camera_and_reading(device=CARD, decoder=decoder) as (_, reading):
        reading._thread.join(12)
        assert isinstance(reading.error, SourceError)
        assert "cannot take a picture over from the card: cannot get 9 bytes" in str(reading.error)


@pytest.mark.parametrize("decoder", ["auto", "cuda"])
def test_no_memory_when_it_is_opened_passes(
    decoder: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When the camera is opened, and when it is first connected."""
    left, tried = [2, 2], av_card._tried

    def refuse(device: Device) -> Any:
        if left:
            raise error(left.pop())
        return tried(device)

    monkeypatch.setattr(av_card, "_tried", refuse)
    with camera_and_reading(device=CARD, decoder=decoder) as (_, reading):
        reading.wait_for_frames(1)
        assert reading.frames[0][1].picture.device == (CARD if decoder == "cuda" else HOST)
    why = "NVDEC of cuda:0 is not to be had: cannot get 9 bytes of memory of cuda:0: out of memory"
    assert sum(why in line for line in caplog.messages) == 1


def test_what_is_no_matter_of_time_is_an_error_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(device: Device) -> Any:
        raise error(100)

    monkeypatch.setattr(av_card, "_tried", refuse)
    with pytest.raises(SourceError, match=r"^cannot decode rtsp://.* on cuda:0: NVDEC of cuda:0 is not to be had: "):
        Reading("rtsp://127.0.0.1:9/none", device=CARD, decoder="cuda").source.open()


def test_pictures_of_odd_size_are_decoded_by_the_cpu(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for module in (av_card, camera_source):
        monkeypatch.setattr(module, "is_for_nvdec", lambda frames: False)
    with camera_and_reading(device=CARD) as (_, reading):
        frames = reading.wait_for_frames(2)
        assert {frame.picture.device for frame in frames} == {HOST}
        assert not reading.source.problems
    (line,) = [line for line in caplog.messages if "decoded by" in line]
    assert "decoded by the CPU, as pictures of odd size are not for NVDEC (h264 in yuv420p, 320x240)" in line
