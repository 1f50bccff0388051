"""Decoding on an NVIDIA card (NVDEC) with FFmpeg: where that is to be had, and its frames as arrays that stay there.

FFmpeg works in the CUDA context of everything else here, and on its default stream. What it hands out is a copy of the
decoder's surface, so that pictures may be held for as long as anyone likes: surfaces are few.
"""

from __future__ import annotations

import ctypes
import logging
import weakref
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from av.codec import Codec
from av.codec.hwaccel import HWAccel
from av.error import FFmpegError

from ...kernels.cuda.driver import CudaError, driver
from ...kernels.device import HOST, Device, DeviceArray
from ...kernels.exchange import device_array
from ...pipeline.errors import SourceError
from .camera.options import DecoderName

if TYPE_CHECKING:
    from av.video.format import VideoFormat
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

log = logging.getLogger("vidgraph")

CARD_FORMAT = "cuda"
"""FFmpeg's name for the format of frames that lie on a card."""
MOST_THREADS_ON_CARD = 8
"""Threads of a decoder that may have to decode on the CPU after all: each takes a surface, of which NVDEC has 32."""
CARD_SAMPLES = ("nv12", "p010le")
"""The formats of their samples that can stay there: those of 4:2:0 in 8 and 10 bits."""
_DEFAULT_STREAM = 1  # CU_STREAM_LEGACY
_NVDEC = "libnvcuvid.so.1"
_PROBED = "h264"  # a codec that every NVDEC has


@dataclass(frozen=True, slots=True)
class CardDecoding:
    """NVDEC of one card, for the streams that it can decode.

    Attributes:
        device: the card.
    """

    device: Device
    _acceleration: HWAccel

    def acceleration(self) -> HWAccel:
        """What ``av.open`` takes, when it is called next on this thread. FFmpeg decodes itself what the card cannot."""
        driver().activate(self.device)
        return self._acceleration


def card_decoding(decoder: DecoderName, device: Device, name: str) -> CardDecoding | None:
    """NVDEC where it is asked for and to be had; None: the CPU decodes.

    Args:
        decoder: ``auto``: on the card that takes the frames, if it is to be had; a line in the log says why it is not.
        device: where the frames are needed.
        name: what messages call the source.

    Raises:
        SourceError: ``cuda``, and there is none.
    """
    if decoder == "cpu" or (decoder == "auto" and device == HOST):
        return None
    card = device if device != HOST else Device("cuda")
    try:
        return CardDecoding(card, _tried(card))
    except (CudaError, FFmpegError, OSError, NotImplementedError) as error:
        reason = f"NVDEC of {card} is not to be had: {refusal_text(error)}"
        if decoder == "cuda":
            raise SourceError(f"cannot decode {name} on {card}: {reason}; use decoder auto or cpu") from error
        log.warning("%s: decoded by the CPU, as %s", name, reason)
        return None


def _tried(card: Device) -> HWAccel:
    """Raises what FFmpeg and the driver raise where a card does not decode.

    Without a card FFmpeg does not go on by itself, whatever it is told, and once a container was opened in vain, what
    it has read is lost: so it is tried before. FFmpeg takes the context of the thread, as it refuses a card's primary
    context that is there already with other flags than its own.
    """
    driver().activate(card)
    made = HWAccel(
        "cuda",
        device=card.index,
        allow_software_fallback=True,
        options={"primary_ctx": "0", "current_ctx": "1"},
        is_hw_owned=True,
    )
    made.create(Codec(_PROBED, "r"))
    ctypes.CDLL(_NVDEC)  # which FFmpeg loads with the first frame only
    return made


def refusal_text(error: BaseException) -> str:
    """Why a card does not decode or encode, by what the driver or FFmpeg has raised."""
    if isinstance(error, CudaError):
        return str(error.args[0])
    text = getattr(error, "strerror", None)
    return f"FFmpeg says {text!r}" if text else (str(error) or type(error).__name__).splitlines()[0]


def sample_format(frame: VideoFrame) -> VideoFormat:
    """The format of a frame's samples, also of one that lies on a card."""
    return frame.sw_format or frame.format


class CardReport:
    """Says once where a stream is decoded, by its decoder and its first frame.

    Args:
        name: what the log calls it.
        wanted: the card it was to be decoded on; None: none, and nothing is said.
    """

    def __init__(self, name: str, wanted: CardDecoding | None) -> None:
        self._name, self._wanted = name, wanted
        self.decoder = ""  # of the frames so far: "cpu", "cuda:0"

    def look(self, stream: VideoStream, frame: VideoFrame) -> None:
        """Take note of a frame; the first one, and one that is the first from another decoder, is reported."""
        on_card = frame.format.name == CARD_FORMAT
        decoder = str(self._wanted.device) if on_card and self._wanted is not None else str(HOST)
        if decoder == self.decoder:
            return
        self.decoder = decoder
        if self._wanted is None:
            return
        if on_card:
            log.info("%s: decoded by NVDEC on %s", self._name, self._wanted.device)
            return
        context = stream.codec_context
        what = f"{context.name} in {frame.format.name}, {frame.width}x{frame.height}"
        why = (
            "FFmpeg's decoder for it has no" if not context.is_hwaccel else f"{self._wanted.device} does not take it in"
        )
        log.warning("%s: decoded by the CPU, as %s NVDEC (%s)", self._name, why, what)


def card_planes(frame: VideoFrame) -> tuple[DeviceArray, ...]:
    """The planes of a frame that lies on a card, without a copy: uint8 [h, w] and [h / 2, w / 2, 2], or uint16.

    Work that is asked for from now on waits for what the decoder still does; the decoder gets the memory back with the
    last plane, and writes there once the work that was asked for until then is done.

    Raises:
        SourceError: the driver fails.
    """
    try:
        planes = [device_array(plane) for plane in frame.planes]
    except CudaError as error:
        raise SourceError(f"cannot take a frame over from the decoder: {error}") from error
    device, lease = planes[0].device, _Lease()
    weakref.finalize(lease, _give_back, planes, frame, device).atexit = False
    luma, chroma = planes
    shape = (-(-luma.shape[0] // 2), -(-luma.shape[1] // 2), 2)  # PyAV rounds it down, NVDEC makes it even
    chroma = replace(chroma, shape=shape)
    return tuple(replace(plane, owner=lease, writeable=False) for plane in (luma, chroma))


class _Lease:
    """Owns the planes of a frame of the decoder."""

    __slots__ = ("__weakref__",)


def _give_back(planes: list[Any], frame: VideoFrame, device: Device) -> None:
    """Called with the last plane, in any thread. What refers to the frame here goes when this returns."""
    with suppress(CudaError):  # whoever asks a card next that has failed is told
        opened = driver()
        opened.wait_for(_DEFAULT_STREAM, opened.stream(device), device)
    planes.clear()
