"""Decoding on an NVIDIA card (NVDEC) with FFmpeg: where that is to be had, and its frames as arrays that stay there.

FFmpeg works in the CUDA context of everything else here, and on its default stream. What it hands out is a copy of the
decoder's surface, so that pictures may be held for as long as anyone likes: surfaces are few.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from av.codec import Codec
from av.codec.hwaccel import HWAccel
from av.error import FFmpegError

from ...kernels.cuda.driver import CudaError, driver
from ...kernels.device import HOST, Device, DeviceArray
from ...kernels.exchange import device_array
from ...pipeline.errors import SourceError
from .camera.options import DecoderName
from .said import Said

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext
    from av.video.format import VideoFormat
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

CARD_FORMAT = "cuda"
"""FFmpeg's name for the format of frames that lie on a card."""
MOST_THREADS_ON_CARD = 8
"""Threads of a decoder that may have to decode on the CPU after all: each takes a surface, of which NVDEC has 32."""
CARD_SAMPLES = ("nv12", "p010le")
"""The formats of their samples that can stay there: those of 4:2:0 in 8 and 10 bits."""
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

    @contextmanager
    def acceleration(self) -> Iterator[HWAccel]:
        """What ``av.open`` takes meanwhile, on this thread. FFmpeg decodes itself what the card cannot.

        Raises:
            CardFault: the card cannot be used now.
            SourceError: it cannot be used any more.
        """
        with ExitStack() as held:
            with card_faults(f"cannot decode on {self.device}"):
                held.enter_context(driver().active(self.device))
            yield self._acceleration


def acceleration_of(card: CardDecoding | None) -> AbstractContextManager[HWAccel | None]:
    """As :meth:`CardDecoding.acceleration`; None: the CPU decodes."""
    return nullcontext() if card is None else card.acceleration()


class CardFault(SourceError):
    """A card has failed a source, perhaps for a while only: as where it has no memory left."""


@contextmanager
def card_faults(what: str) -> Iterator[None]:
    """What fails of a card comes out as a ``CardFault``, or as a ``SourceError`` where another try is of no use."""
    try:
        yield
    except (CudaError, FFmpegError) as error:
        lost = isinstance(error, CudaError) and error.lost
        raise (SourceError if lost else CardFault)(f"{what}: {refusal_text(error)}") from error


def card_decoding(decoder: DecoderName, device: Device, said: Said) -> CardDecoding | None:
    """NVDEC where it is asked for and to be had; None: the CPU decodes.

    Args:
        decoder: ``auto``: on the card that takes the frames, if it is to be had; a line in the log says why it is not.
        device: where the frames are needed.
        said: of the source.

    Raises:
        CardFault: ``cuda``, and the card has no memory left for it.
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
            passing = isinstance(error, MemoryError) or (isinstance(error, CudaError) and error.out_of_memory)
            raise (CardFault if passing else SourceError)(
                f"cannot decode {said.name} on {card}: {reason}; use decoder auto or cpu"
            ) from error
        said.say(f"decoded by the CPU, as {reason}")
        return None


def _tried(card: Device) -> HWAccel:
    """Raises what FFmpeg and the driver raise where a card does not decode.

    Without a card FFmpeg does not go on by itself, whatever it is told, and once a container was opened in vain, what
    it has read is lost: so it is tried before. FFmpeg takes the context of the thread, as it refuses a card's primary
    context that is there already with other flags than its own.
    """
    made = HWAccel(
        "cuda",
        device=card.index,
        allow_software_fallback=True,
        options={"primary_ctx": "0", "current_ctx": "1"},
        is_hw_owned=True,
    )
    with driver().active(card):
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


def is_for_nvdec(frames: VideoFrame | VideoCodecContext) -> bool:
    """Whether NVDEC has a stream's pictures right, as far as their size says: FFmpeg misses the chroma of odd ones.

    It takes the chroma of a picture for right below its luma, where NVDEC leaves a row between the two.
    """
    return not (frames.width % 2 or frames.height % 2)


def odd_size(who: str, frames: VideoFrame | VideoCodecContext) -> CardFault:
    """The error where NVDEC does not have pictures right, and the CPU cannot take over."""
    return CardFault(
        f"{who}: its pictures are {frames.width}x{frames.height}, and NVDEC is for even sizes; use decoder cpu"
    )


class CardReport:
    """Says once where a stream is decoded, by its decoder and its first frame.

    Args:
        said: of the stream.
    """

    def __init__(self, said: Said) -> None:
        self._said = said
        self._wanted: CardDecoding | None = None
        self._begins = False
        self.decoder = ""  # of the frames so far: "cpu", "cuda:0"

    def begin(self, wanted: CardDecoding | None) -> None:
        """The stream is opened, to be decoded on a card; None: by the CPU, and nothing is said."""
        self._wanted, self._begins = wanted, True

    def look(self, stream: VideoStream, frame: VideoFrame) -> None:
        """Take note of a frame; the first one, and one that is the first from another decoder, is reported."""
        on_card = frame.format.name == CARD_FORMAT
        decoder = str(self._wanted.device) if on_card and self._wanted is not None else str(HOST)
        if decoder == self.decoder and not self._begins:
            return
        self.decoder, self._begins = decoder, False
        if self._wanted is None:
            return
        if on_card:
            self._said.say(f"decoded by NVDEC on {self._wanted.device}", logging.INFO)
            return
        context = stream.codec_context
        what = f"{context.name} in {frame.format.name}, {frame.width}x{frame.height}"
        if not is_for_nvdec(frame):
            why = "pictures of odd size are not for"
        elif context.is_hwaccel:
            why = f"{self._wanted.device} does not take it in"
        else:
            why = "FFmpeg's decoder for it has no"
        self._said.say(f"decoded by the CPU, as {why} NVDEC ({what})")


class ShownPart:
    """Where what is shown begins in the frames of one stream that lie on a card.

    Of what a stream says is not to be shown, FFmpeg leaves out of such frames what is at the right and at the bottom;
    what is at the left and at the top is still there, while the decoder has the size of the rest. (``libavutil``,
    ``av_frame_apply_cropping``.)

    Args:
        context: the stream's decoder.
    """

    def __init__(self, context: VideoCodecContext) -> None:
        self._context = context
        self._size = self._begin = (0, 0)

    def begin(self, frame: VideoFrame) -> tuple[int, int]:
        """Row and column of the first pixel that is shown."""
        size = frame.height, frame.width
        if size != self._size:  # a frame of the size before may come when the decoder has gone on to another
            context, self._size = self._context, size
            self._begin = max(0, size[0] - context.height), max(0, size[1] - context.width)
        return self._begin


def card_planes(frame: VideoFrame) -> tuple[DeviceArray, ...]:
    """The planes of a frame that lies on a card, without a copy: uint8 [h, w] and [h / 2, w / 2, 2], or uint16.

    Work that is asked for from now on waits for what the decoder still does; the decoder gets the memory back with the
    last plane, and writes there once the work that was asked for until then is done.

    Raises:
        CudaError: the driver fails.
    """
    return tuple(replace(device_array(plane), writeable=False) for plane in frame.planes)
