"""Webcams, by an opener that stands in for the device: there is none on a machine that tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import pytest
from vidgraph.stages.sources.camera import backoff
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
    ],
)
def test_a_webcam_that_cannot_be_opened_yet(failure: Exception, reason: str, film: Path) -> None:
    device = Device(film, *[failure] * 2)
    with Reading("/dev/video0", opener=device) as reading:
        reading.wait_for_reason(reason)
        reading.wait_for_frames(5)
        assert reading.frames[0][0] - reading.began_s < 5 + BUSY_S


def test_a_webcam_that_is_unplugged_and_plugged_in_again(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "STEADY_S", 0.1)
    device = Device(film)
    with Reading("/dev/video0", opener=device) as reading:
        reading.wait_for_frames(10)
        device.failures += [OSError(19, "No such device")] * 3
        reading.wait_for_reason("no_device")
        reading.wait_for_epoch(reading.source.status.epoch + 1)
