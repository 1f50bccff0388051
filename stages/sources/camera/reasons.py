"""Why a camera is not up: one table of reasons, of what FFmpeg raises for them, and of how soon to try again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from av import error as av_error

Retry = Literal["fast", "spread", "steady", "busy", "path", "refused", "password", "never"]
"""How soon to try again: see :mod:`.backoff`."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason.

    Attributes:
        name: the label in counts and metrics.
        text: the same in plain words.
        retry: how soon to try again.
        hint: what the user can do; "": nothing, or nothing that is known.
    """

    name: str
    text: str
    retry: Retry = "fast"
    hint: str = ""

    @property
    def of_start(self) -> bool:
        """A camera that starts refuses in this way for a while."""
        return self.name in _OF_START


_OF_START = ("refused", "unreachable", "no_answer", "password", "not_found", "server_error", "no_video")

# fmt: off
_ROWS = (
    Reason("refused", "the connection is refused", hint="is the camera on, and the port right?"),
    Reason("unreachable", "there is no way to the host", "steady", "is the camera on, and the address right?"),
    Reason("unknown_host", "the name of the host is not known", "steady", "is the name right?"),
    Reason("no_answer", "no answer in time, or none that is of this protocol", "steady",
           "is it the port of this protocol?"),
    Reason("no_play", "no answer to PLAY in time", "steady"),
    Reason("password", "the password or the user is wrong", "password", "after several tries cameras lock an account"),
    Reason("no_password", "a password is needed", "password", "write USER:${PASSWORD}@ before the host"),
    Reason("digest", "it offers no way to log in that FFmpeg has (MD5 digest or basic)", "password",
           "switch the camera's RTSP authentication to digest with MD5, or to basic"),
    Reason("forbidden", "it refuses (403): too many viewers, or this user may not", "refused"),
    Reason("not_found", "there is no such path (404)", "path", "is the path of the address right?"),
    Reason("camera_full", "it has no room for a further viewer (453)", "busy", "close other viewers of the camera"),
    Reason("client_error", "it refuses the request (4xx)", "busy"),
    Reason("server_error", "it is not ready, or has too many viewers (5xx)", "steady"),
    Reason("redirect", "it sends us to another host, and the password would go there too", "refused",
           "give the address it names, or allow_redirect"),
    Reason("redirect_loop", "it sends us back to the address that was asked", "refused"),
    Reason("transport", "it refuses the transport (461)", "busy", "allow the other one: --transport auto"),
    Reason("io", "TLS is not verified, or the data is not what was announced", "steady"),
    Reason("address", "the address cannot be read", "never", "write / and # in a password as %2F and %23"),
    Reason("no_protocol", "the FFmpeg of this PyAV does not have this protocol", "never",
           "build PyAV against one that has it: pip install --no-binary av av"),
    Reason("denied", "no permission", "steady", "may this user read the device? (group video)"),
    Reason("busy", "the device is used by another program", "steady"),
    Reason("usb_full", "the USB bus has no room for a further camera", "steady",
           "plug it into a port of another USB controller, or set a smaller size with v4l2-ctl"),
    Reason("no_capture", "this device gives no pictures", "steady", "a webcam often has two: try the one before"),
    Reason("no_device", "there is no such device", "steady", "is it plugged in? /dev/v4l/by-id has names that stay"),
    Reason("no_video", "it has no video", "steady"),
    Reason("no_parameter_sets", "no picture size came (parameter sets are missing)", "steady",
           "switch the camera to H.264 without smart codec"),
    Reason("rtp_jpeg", "its MJPEG cannot be read over RTP (over 2040 pixels wide, or tables not sent)", "steady",
           "switch it to H.264, or read its MJPEG over HTTP"),
    Reason("no_key_frame", "packets come but no key frame", "steady", "set a key frame every 1 to 2 s, no smart codec"),
    Reason("bad_sdp", "what it announces of its video does not fit what it sends", "steady",
           "switch it to another codec and back, or renew its firmware"),
    Reason("too_large", "its pictures are larger than --max-pixels", "never",
           "choose its smaller stream, or allow more pixels"),
    Reason("card", "the card that decodes it has failed", "steady", "end what else runs on the card, or --decoder cpu"),
    Reason("codec_change", "the codec seems to have changed"),
    Reason("closed", "the server closed the connection"),
    Reason("session_timeout", "the server closed the connection at the same age again",
           hint="perhaps its session time-out: choose a stream with at least 1 frame a second"),
    Reason("stall", "nothing came"),
    Reason("no_multicast", "no packets come by multicast", "steady",
           "the route decides by which network they come: ip route add 239.0.0.0/8 dev ..."),
    Reason("freeze", "packets come but no picture"),
    Reason("lag", "it fell behind and did not catch up", hint="choose a smaller stream, or fewer cameras"),
    Reason("foreign_packets", "packets of another session come too", hint="the old session ends by itself"),
    Reason("suspend", "this machine was asleep", "spread"),
    Reason("lost", "the connection was lost"),
)
# fmt: on

REASONS = {row.name: row for row in _ROWS}
"""Every reason by its name."""

_OF_ERRORS: tuple[tuple[type[BaseException], str], ...] = (
    (av_error.HTTPUnauthorizedError, "password"),
    (av_error.HTTPForbiddenError, "forbidden"),
    (av_error.HTTPNotFoundError, "not_found"),
    (av_error.HTTPBadRequestError, "client_error"),
    (av_error.HTTPOtherClientError, "client_error"),
    (av_error.HTTPServerError, "server_error"),
    (av_error.ArgumentError, "address"),
    (av_error.ProtocolNotFoundError, "no_protocol"),
    (ConnectionRefusedError, "refused"),
    (av_error.InvalidDataError, "no_answer"),
    (av_error.ExitError, "stall"),
    (TimeoutError, "stall"),
    (FileNotFoundError, "no_device"),
)
_OF_ERRNO = {
    1: "no_play",
    5: "io",
    13: "denied",
    22: "address",
    93: "transport",
    101: "unreachable",
    113: "unreachable",
}
_OF_DEVICES = {
    2: "no_device",
    5: "no_device",
    16: "busy",
    19: "no_device",
    22: "no_capture",
    25: "no_capture",
    28: "usb_full",
}
_OF_STATUS = {401: "password", 403: "forbidden", 404: "not_found", 453: "camera_full", 461: "transport"}


class CameraError(Exception):
    """A camera cannot be opened or was lost, for ``reason``; caught where it is connected again."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail or REASONS[reason].text)
        self.reason, self.detail = REASONS[reason], detail


def reason_of(error: BaseException, *, opening: bool, device: bool = False) -> Reason:
    """The reason behind an error of PyAV.

    Args:
        error: what was raised.
        opening: by ``av.open``; else by a read.
        device: of a webcam.
    """
    number = getattr(error, "errno", None) or 0
    if opening and isinstance(error, TimeoutError | av_error.ExitError):
        return REASONS["no_answer"]
    if device and number in _OF_DEVICES:
        return REASONS[_OF_DEVICES[number]]
    for kind, name in _OF_ERRORS:
        if isinstance(error, kind):
            return REASONS["lost" if name == "no_answer" and not opening else name]
    if number == 5 and not opening:  # so ends HTTP MJPEG
        return REASONS["closed"]
    if number in _OF_ERRNO and opening:
        return REASONS[_OF_ERRNO[number]]
    return REASONS["no_answer" if opening else "lost"]


def reason_of_status(code: int) -> Reason | None:
    """The reason that a status of RTSP or HTTP stands for; None where it stands for success."""
    if code < 400:
        return None
    return REASONS[_OF_STATUS.get(code, "client_error" if code < 500 else "server_error")]
