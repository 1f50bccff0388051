"""How a camera is read: what a user may choose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from ....pipeline.errors import UsageError
from ....pipeline.limits import MAX_PIXELS

if TYPE_CHECKING:
    from ....kernels.device import Device  # which needs NumPy

Transport = Literal["auto", "tcp", "udp", "multicast"]
Corrupt = Literal["mark", "drop"]
Deinterlace = Literal["auto", "off"]
Rotation = Literal[0, 90, 180, 270]
DecoderName = Literal["auto", "cpu", "cuda"]

_KNOWN = {
    "transport": get_args(Transport),
    "corrupt": get_args(Corrupt),
    "deinterlace": get_args(Deinterlace),
    "rotate": get_args(Rotation),
    "decoder": get_args(DecoderName),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraOptions:
    """How a camera is read.

    Attributes:
        freeze_s: without a picture for so long it is connected again; of a slow camera, ten frames' time.
        give_up_s: the stream fails when the camera was away for so long; None: never.
        transport: of RTSP. ``auto``: TCP, and UDP where the camera refuses that; ``udp``: the other way round.
        corrupt: damaged pictures: ``mark``: they are marked in the results; ``drop``: they are left out.
        deinterlace: ``auto``: of a picture woven of two fields, one is shown, its lines filled in; ``off``: both.
        rotate, mirror: how the camera hangs: it is mirrored left to right, then turned clockwise by so many degrees.
        allow_redirect: follow an RTSP redirection to another host, which gets the password too.
        tls_pin: file with the certificate that the camera must have; None: any will do, and a warning says so.
        max_pixels: larger pictures are refused.
        threads: of the decoder.
        decoder: ``auto``: on the card that takes the frames (NVDEC), else by the CPU; ``cpu``; ``cuda``: on a card.
        device: where the frames are needed; None: in host memory.

    Raises:
        UsageError: a value that cannot be.
    """

    freeze_s: float = 5.0
    give_up_s: float | None = None
    transport: Transport = "auto"
    corrupt: Corrupt = "mark"
    deinterlace: Deinterlace = "auto"
    rotate: Rotation = 0
    mirror: bool = False
    allow_redirect: bool = False
    tls_pin: str | None = None
    max_pixels: int = MAX_PIXELS
    threads: int = 1
    decoder: DecoderName = "auto"
    device: Device | None = None

    def __post_init__(self) -> None:
        if not 0 < self.freeze_s < float("inf"):
            raise UsageError(f"freeze_s must be seconds above 0, got {self.freeze_s!r}")
        if self.give_up_s is not None and not self.give_up_s >= 0:
            raise UsageError(f"give_up_s must be seconds from 0, or None, got {self.give_up_s!r}")
        for name, known in _KNOWN.items():
            if getattr(self, name) not in known:
                raise UsageError(f"{name} must be one of {', '.join(map(str, known))}, got {getattr(self, name)!r}")
        if self.tls_pin is not None:
            check_certificate(self.tls_pin)


FEW_FRAMES = CameraOptions(give_up_s=30.0)
"""How a camera is read where a few frames of it are wanted: one that is away for so long is an error."""


def check_certificate(file: str) -> None:
    """Check that a file has a certificate.

    Raises:
        UsageError: it cannot be read, or has none.
    """
    import ssl  # takes a while, and few cameras need it

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except ssl.SSLError as error:
        raise UsageError(f"{file} has no certificate; it must be a PEM file with that of the camera") from error
    except OSError as error:
        raise UsageError(f"cannot read the certificate {file}: {error.strerror}") from error
