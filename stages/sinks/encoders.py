"""The table of video encoders: what each is told, and which one a file gets."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from ...kernels.cuda.driver import CudaError, driver
from ...kernels.device import Device
from ...pipeline.errors import OutputError
from ...pipeline.types.picture import ColorTags, Picture
from ..sources.av_card import refusal_text
from .card_frames import CardFrames, stays_on_card
from .encoder_frame import EncoderFrames, Frames, coded_matrix

log = logging.getLogger("vidgraph")

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
# At most one frame is in the encoder at any time: no lookahead, no B-frames, threads that share a frame. Measured
# at 1080p against the preset's own settings: about as sharp in 3/4 of the time, in a file that is 40 % larger.
NO_DELAY = "rc-lookahead=0:sync-lookahead=0:bframes=0"
RATE_FACTOR = "24"
_MOST_CHROMATICITY, _MOST_LIGHT = 50_000, 65_535  # that H.264 can say. Source: ITU-T H.264, D.2.29 and D.2.31
_NVENC_PRESETS = dict(zip(PRESETS, ("p1", "p2", "p3", "p4", "p4", "p5", "p6", "p7", "p7"), strict=True))


@dataclass(frozen=True, slots=True)
class Encoder:
    """One encoder.

    Attributes:
        codec: FFmpeg's name of it.
        title: of what it writes, for messages.
        options: for FFmpeg, by preset and what the source says of its colours.
        longest_side_px: of its pictures.
        nvenc: it is that of an NVIDIA card, and takes frames that lie there.
        tag: how MP4 calls what it writes, where FFmpeg's choice is not played everywhere.
    """

    codec: str
    title: str
    options: Callable[[str, ColorTags], dict[str, str]]
    longest_side_px: int
    nvenc: bool = False
    tag: str = ""


def _x264(preset: str, tags: ColorTags) -> dict[str, str]:
    return {"preset": preset, "crf": RATE_FACTOR, "x264-params": NO_DELAY + _light(tags)}


def _nvenc(preset: str, tags: ColorTags) -> dict[str, str]:
    """Constant quality, and every frame out before the next goes in."""
    quality = {"rc": "vbr", "cq": RATE_FACTOR}
    return {"preset": _NVENC_PRESETS[preset], **quality, "bf": "0", "rc-lookahead": "0", "delay": "0"}


_CURE = "use encoder auto or libx264"


class EncoderRefused(OutputError):
    """NVENC is not to be had, and nothing was encoded by it; ``reason`` is why."""

    reason: str = ""


def encoder_refused(encoder: Encoder, what: str, error: BaseException) -> EncoderRefused:
    """The error where an encoder is not to be had.

    Args:
        encoder: the one that refuses.
        what: what messages call the video.
        error: of the driver or FFmpeg.
    """
    hint = " (all its sessions may be in use)" if isinstance(error, MemoryError) else ""
    reason = f"{encoder.codec} is not to be had: {refusal_text(error)}{hint}"
    refused = EncoderRefused(f"cannot write {what}: {reason}; {_CURE}")
    refused.reason = reason
    return refused


ENCODERS: dict[str, Encoder] = {
    row.codec: row
    for row in (
        Encoder("libx264", "H.264", _x264, longest_side_px=16_384),
        Encoder("h264_nvenc", "H.264", _nvenc, longest_side_px=4096, nvenc=True),
        Encoder("hevc_nvenc", "H.265", _nvenc, longest_side_px=8192, nvenc=True, tag="hvc1"),
        Encoder("av1_nvenc", "AV1", _nvenc, longest_side_px=8192, nvenc=True),
    )
}
"""By the names of the option ``encoder``."""
ON_CPU, _ON_CARD = "libx264", "h264_nvenc"
"""Of ``auto``."""


def choose_encoder(name: str, picture: Picture, what: str) -> Encoder:
    """The encoder of a video whose first picture is this one.

    Whether NVENC is to be had shows when a picture is encoded: cards have few sessions, which others may take at any
    time.

    Args:
        name: of :data:`ENCODERS`, or ``auto``: of a picture on a card NVENC, if it takes that size, else x264, and a
            line in the log says why.
        what: what messages call the video.

    Raises:
        EncoderRefused: there is no card for it.
        OutputError: it takes no pictures of that size.
    """
    auto = name == "auto"
    encoder = ENCODERS[(_ON_CARD if stays_on_card(picture) else ON_CPU) if auto else name]
    reason = _too_large(encoder, picture)
    if reason and auto and encoder.nvenc:
        say_fallback(what, reason)
        encoder = ENCODERS[ON_CPU]
        reason = _too_large(encoder, picture)
    if reason:
        cure = _CURE if encoder.nvenc else "pictures as files (%06d.png) can be larger"
        raise OutputError(f"cannot write {what}: {reason}; {cure}")
    if encoder.nvenc:
        try:
            driver().card(picture.device if stays_on_card(picture) else Device("cuda"))
        except CudaError as error:  # which says best what is missing
            raise encoder_refused(encoder, what, error) from error
    return encoder


def say_fallback(what: str, reason: str) -> None:
    """Tell the log why the CPU encodes a video."""
    log.warning("%s: encoded by the CPU, as %s", what, reason)


def _too_large(encoder: Encoder, picture: Picture) -> str:
    """Why an encoder cannot encode pictures of this size; empty where it can."""
    if max(picture.height, picture.width) <= encoder.longest_side_px:
        return ""
    return (
        f"{encoder.title} pictures have at most {encoder.longest_side_px} pixels a side, got"
        f" {picture.width}x{picture.height}"
    )


def frames_for(encoder: Encoder, picture: Picture) -> Frames:
    """What makes the frames of pictures like this one for an encoder."""
    if encoder.nvenc and stays_on_card(picture):
        return CardFrames(picture.device, rgb=coded_matrix(picture))
    return EncoderFrames("nv12" if picture.format == "nv12" else "yuv420p", rgb=coded_matrix(picture))


def _light(tags: ColorTags) -> str:
    """x264's parameters for what the source says of the light of HDR video; nothing where it is out of range."""
    text = ""
    if tags.mastering and max(tags.mastering[:8]) <= _MOST_CHROMATICITY and min(tags.mastering) >= 0:
        text += ":mastering-display=G({},{})B({},{})R({},{})WP({},{})L({},{})".format(*tags.mastering)
    if tags.light_level and max(tags.light_level) <= _MOST_LIGHT:
        text += ":cll={},{}".format(*tags.light_level)
    return text
