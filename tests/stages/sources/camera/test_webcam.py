"""Webcams, by an opener that stands in for the device: there is none on a machine that tests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from vidgraph.stages.sources.camera import backoff, webcam
from vidgraph.testing import make_clip

from .cameras import BUSY_S, Reading


class Device:
    """Opens a file in place of a device, after the failures it was given."""

    def __init__(self, file: Path, *failures: Exception, mjpeg: bool = True) -> None:
        self.file, self.failures, self.mjpeg = file, list(failures), mjpeg
        self.opened: list[dict[str, Any]] = []

    def __call__(self, **arguments: Any) -> Any:
        self.opened.append(arguments)
        assert arguments["file"] == "/dev/video0"
        assert arguments["format"] == "v4l2"
        if arguments["options"] and not self.mjpeg:
            raise av.error.ArgumentError(22, "no such format")
        if self.failures:
            raise self.failures.pop(0)
        return av.open(str(self.file))


@pytest.fixture
def film(tmp_path: Path) -> Path:
    clip = make_clip(frames=30)
    file = tmp_path / "webcam.h264"
    file.write_bytes(b"".join(clip.data(unit) for unit in clip.units))
    return file


def test_mjpeg_is_asked_for_first(film: Path) -> None:
    device = Device(film)
    with Reading("/dev/video0", opener=device) as reading:
        reading.wait_for_frames(10)
    assert device.opened[0]["options"] == {"input_format": "mjpeg"}


def test_a_webcam_without_mjpeg(film: Path) -> None:
    device = Device(film, mjpeg=False)
    with Reading("/dev/video0", opener=device) as reading:
        reading.wait_for_frames(10)
    assert [each["options"] for each in device.opened[:2]] == [{"input_format": "mjpeg"}, {}]


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (OSError(16, "Device or resource busy"), "busy"),
        (OSError(19, "No such device"), "no_device"),
        (FileNotFoundError(2, "No such file or directory"), "no_device"),
        (PermissionError(13, "Permission denied"), "denied"),
        (OSError(25, "Inappropriate ioctl for device"), "no_capture"),
        (OSError(28, "No space left on device"), "usb_full"),
    ],
)
def test_a_webcam_that_cannot_be_opened_yet(failure: Exception, reason: str, film: Path) -> None:
    device = Device(film, *[failure] * 2)
    with Reading("/dev/video0", opener=device) as reading:
        reading.wait_for_reason(reason)
        reading.wait_for_frames(5)
        assert reading.frames[0][0] - reading.began_s < 5 + BUSY_S


def test_two_webcams_that_need_more_than_their_bus_has(film: Path, caplog: pytest.LogCaptureFixture) -> None:
    """MJPEG, which takes least of it, is asked for already."""
    device = Device(film, OSError(28, "No space left on device"))
    with Reading("/dev/video0", opener=device) as reading:
        reading.wait_for_frames(1)
    assert (
        "not connected, the USB bus has no room for a further camera (plug it into a port of another USB controller, "
        "or set a smaller size with v4l2-ctl)"
    ) in caplog.text


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ({"video2": 0, "video0": 1}, "this device gives no pictures: /dev/video2 of the same webcam does (a webcam"),
        ({"video0": 0, "video1": 1}, "this device gives no pictures (a webcam often has two: try the one before)"),
        ({}, "this device gives no pictures (a webcam often has two: try the one before)"),
    ],
)
def test_the_node_of_a_webcam_that_has_pictures_is_named(
    nodes: dict[str, int],
    said: str,
    film: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name, index in nodes.items():
        node = tmp_path / "usb1" / "video4linux" / name
        node.mkdir(parents=True)
        (node / "index").write_text(f"{index}\n")
        (node / "device").symlink_to(tmp_path / "usb1")
        (tmp_path / name).symlink_to(node)
    monkeypatch.setattr(webcam, "NODES", tmp_path)
    device = Device(film, OSError(25, "Inappropriate ioctl for device"))
    with Reading("/dev/video0", opener=device) as reading:
        reading.wait_for_frames(1)
    assert said in caplog.text


class Dimmed:
    """A container whose packets come ever more rarely, as a webcam's in the dark."""

    def __init__(self, file: Path, gaps_s: list[float]) -> None:
        self._container, self._gaps_s = av.open(str(file)), gaps_s

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def demux(self, stream: Any) -> Iterator[Any]:
        for packet, gap_s in zip(self._container.demux(stream), self._gaps_s, strict=False):
            came_s = time.monotonic() + gap_s
            while time.monotonic() < came_s:
                if av.container.core.time.monotonic() > came_s + 1e6:  # type: ignore[attr-defined]
                    raise av.error.ExitError(1, "the wait was ended")  # as FFmpeg's is, when it asks for the time
                time.sleep(0.01)
            packet.pts = packet.dts = None  # so it is by arrival
            yield packet


def test_a_rate_that_falls_in_the_dark_ends_nothing(film: Path) -> None:
    """The last gaps are longer than ``freeze_s``, and less than ten of the usual ones."""
    gaps_s = [0.02] * 5 + [0.3] * 20 + [2.0]
    with Reading("/dev/video0", freeze_s=1.5, opener=lambda **_: Dimmed(film, gaps_s)) as reading:
        reading.wait_for_frames(len(gaps_s), 30)
        frames = reading.frames[: len(gaps_s)]
        assert not {"stall", "freeze"} & reading.source.status.reconnects.keys()
    assert {frame.epoch for _, frame in frames} == {0}
    assert frames[-1][0] - frames[-2][0] > 1.5


def test_a_webcam_that_is_unplugged_and_plugged_in_again(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "STEADY_S", 0.1)
    device = Device(film)
    with Reading("/dev/video0", opener=device) as reading:
        reading.wait_for_frames(10)
        device.failures += [OSError(19, "No such device")] * 3
        reading.wait_for_reason("no_device")
        reading.wait_for_epoch(reading.source.status.epoch + 1)
