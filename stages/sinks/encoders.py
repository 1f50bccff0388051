"""The table of video encoders: what each is told, and which one a file gets."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from av.codec.context import CodecContext
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext

from ...kernels.cuda.driver import CudaError, driver
from ...kernels.device import Device
from ...pipeline.errors import OutputError
from ...pipeline.types.picture import ColorTags, Picture
from ..sources.av_card import refusal_text
from .card_frames import CARD_FORMAT, CardFrames, stays_on_card
from .encoder_frame import EncoderFrames, Frames, coded_matrix, coded_size

log = logging.getLogger("vidgraph")

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
# At most one frame is in the encoder at any time: no lookahead, no B-frames, threads that share a frame. Measured
# at 1080p against the preset's own settings: about as sharp in 3/4 of the time, in a file that is 40 % larger.
NO_DELAY = "rc-lookahead=0:sync-lookahead=0:bframes=0"
RATE_FACTOR = "24"
_MOST_CHROMATICITY, _MOST_LIGHT = 50_000, 65_535  # that H.264 can say. Source: ITU-T H.264, D.2.29 and D.2.31
_NVENC_PRESETS = dict(zip(PRESETS, ("p1", "p2", "p3", "p4", "p4", "p5", "p6", "p7", "p7"), strict=True))
_NVENC_PROBED = (256, 256)  # (height, width) that every NVENC takes
_PROBED_AT = Fraction(25)


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
_ON_CPU, _ON_CARD = "libx264", "h264_nvenc"  # of ``auto``


def choose_encoder(name: str, picture: Picture, what: str) -> Encoder:
    """The encoder of a video whose first picture is this one.

    Args:
        name: of :data:`ENCODERS`, or ``auto``: of a picture on a card, NVENC where it is to be had, else x264, and a
            line in the log says why.
        what: what messages call the video.

    Raises:
        OutputError: it is not to be had, or takes no pictures of that size.
    """
    auto = name == "auto"
    encoder = ENCODERS[(_ON_CARD if stays_on_card(picture) else _ON_CPU) if auto else name]
    reason = _refusal(encoder, picture)
    if reason and auto and encoder.nvenc:
        log.warning("%s: encoded by the CPU, as %s", what, reason)
        encoder = ENCODERS[_ON_CPU]
        reason = _refusal(encoder, picture)
    if reason:
        cure = "use encoder auto or libx264" if encoder.nvenc else "pictures as files (%06d.png) can be larger"
        raise OutputError(f"cannot write {what}: {reason}; {cure}")
    return encoder


def _refusal(encoder: Encoder, picture: Picture) -> str:
    """Why an encoder cannot encode pictures like this one; empty where it can."""
    if max(picture.height, picture.width) > encoder.longest_side_px:
        return (
            f"{encoder.title} pictures have at most {encoder.longest_side_px} pixels a side, got"
            f" {picture.width}x{picture.height}"
        )
    if not encoder.nvenc:
        return ""
    try:
        _try(encoder, picture)
    except (CudaError, FFmpegError, OSError, ValueError) as error:
        return f"{encoder.codec} is not to be had: {refusal_text(error)}"
    return ""


def _try(encoder: Encoder, picture: Picture) -> None:
    """Encode a picture, and throw it away: only that shows whether a card has an encoder, and one that is free."""
    context = CodecContext.create(encoder.codec, "w")
    assert isinstance(context, VideoCodecContext)
    on_card = stays_on_card(picture)
    driver().activate(picture.device if on_card else Device("cuda"))  # which says best what is missing
    context.height, context.width = coded_size(picture) if on_card else _NVENC_PROBED
    context.pix_fmt = CARD_FORMAT if on_card else "nv12"
    context.framerate, context.time_base = _PROBED_AT, 1 / _PROBED_AT
    context.options = encoder.options("ultrafast", picture.tags)
    if not on_card:
        context.open()
        return
    frame = CardFrames(picture.device).make(picture)
    frame.pts = 0
    for coded in (frame, None):
        context.encode(coded)


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
