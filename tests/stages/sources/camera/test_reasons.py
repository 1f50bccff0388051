"""What FFmpeg raises, and what it means."""

from __future__ import annotations

import av
import pytest
from vidgraph.stages.sources.camera.reasons import REASONS, reason_of, reason_of_status

FFMPEG = {
    "HTTPUnauthorizedError": "password",
    "HTTPForbiddenError": "forbidden",
    "HTTPNotFoundError": "not_found",
    "HTTPOtherClientError": "client_error",
    "HTTPServerError": "server_error",
    "ArgumentError": "address",
    "InvalidDataError": "no_answer",
    "ExitError": "no_answer",
}


@pytest.mark.parametrize(("kind", "reason"), FFMPEG.items())
def test_errors_of_an_opening(kind: str, reason: str) -> None:
    error = getattr(av.error, kind)(22, "text", "rtsp://ann:word@h")
    assert reason_of(error, opening=True).name == reason


@pytest.mark.parametrize(
    ("error", "opening", "device", "reason"),
    [
        (ConnectionRefusedError(111, ""), True, False, "refused"),
        (PermissionError(1, ""), True, False, "no_play"),
        (OSError(5, ""), True, False, "io"),
        (OSError(93, ""), True, False, "transport"),
        (OSError(113, ""), True, False, "unreachable"),
        (TimeoutError(110, ""), False, False, "stall"),
        (av.error.ExitError(1, ""), False, False, "stall"),
        (av.error.InvalidDataError(1, ""), False, False, "lost"),
        (OSError(104, ""), False, False, "lost"),
        (OSError(16, ""), True, True, "busy"),
        (OSError(19, ""), False, True, "no_device"),
        (FileNotFoundError(2, ""), True, True, "no_device"),
        (OSError(25, ""), True, True, "no_capture"),
        (OSError(28, ""), True, True, "usb_full"),
        (PermissionError(13, ""), True, True, "denied"),
    ],
)
def test_errors_by_number(error: Exception, opening: bool, device: bool, reason: str) -> None:
    assert reason_of(error, opening=opening, device=device).name == reason


def test_every_reason_says_something() -> None:
    for name, reason in REASONS.items():
        assert reason.name == name
        assert reason.text
        assert not reason.text.endswith(".")


@pytest.mark.parametrize(
    ("code", "reason"),
    [(200, None), (302, None), (401, "password"), (404, "not_found"), (453, "camera_full"), (461, "transport"),
     (451, "client_error"), (503, "server_error")],
)  # fmt: skip
def test_statuses(code: int, reason: str | None) -> None:
    found = reason_of_status(code)
    assert (found and found.name) == reason
