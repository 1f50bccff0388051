"""Turns pictures on a card into the frames that NVENC takes: NV12 in one piece of memory, which stays where it is.

NVENC is told one address, and finds the chroma directly below the rows of luma: planes that lie otherwise, as those of
a decoder whose surface has more rows, are copied on the card. It encodes on the default stream, which waits for ours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from av.video.frame import CudaContext, PictureType, VideoFrame
from av.video.reformatter import ColorRange

from ...kernels import eight_bits
from ...kernels.cuda.driver import CudaError, driver
from ...kernels.device import Device, DeviceArray, to_device
from ...kernels.exchange import dlpack_capsule
from ...pipeline.errors import OutputError
from ...pipeline.types.picture import Picture
from ..drawing.card_planes import in_one_piece, new_card_planes
from .encoder_frame import EncoderFrames, coded_size, matrix_tag

CARD_FORMAT = "cuda"
"""FFmpeg's name for the format of frames that lie on a card."""
_SAMPLES = ("nv12", "p010le")
_DEFAULT_STREAM = 1  # CU_STREAM_LEGACY


def stays_on_card(picture: Picture) -> bool:
    """Whether a picture's planes can be made NVENC's on the card: 4:2:0 with pairs of chroma, of even size."""
    even = coded_size(picture) == (picture.height, picture.width)
    return picture.device.kind == "cuda" and picture.format in _SAMPLES and even


class CardFrames:
    """Makes encoder frames of one stream's pictures, on a card.

    Args:
        device: the card.
        rgb: matrix and range (True: full) that pictures in RGB get.
    """

    form = CARD_FORMAT

    def __init__(self, device: Device, *, rgb: tuple[str, bool] = ("bt709", False)) -> None:
        self._device = device
        self._host = EncoderFrames("nv12", rgb=rgb)
        self._context: CudaContext | None = None

    def make(self, picture: Picture) -> VideoFrame:
        """An FFmpeg frame of a picture; it shares the picture's memory where that lies as it must.

        Raises:
            OutputError: the driver fails.
            FFmpegError, OSError: FFmpeg cannot use the card.
        """
        try:
            planes, full_range = self._planes(picture)
            opened = driver()
            opened.activate(self._device)
            opened.wait_for(_DEFAULT_STREAM, opened.stream(self._device), self._device)
        except CudaError as error:
            raise OutputError(f"cannot encode on {self._device}: {error}") from error
        if self._context is None:  # the thread's own, as that of everything else here
            self._context = CudaContext(self._device.index, primary_ctx=False, current_ctx=True)
        capsules = tuple(map(dlpack_capsule, planes))
        frame = VideoFrame.from_dlpack(capsules, format="nv12", cuda_context=self._context)
        frame.colorspace, frame.color_range = matrix_tag(picture), ColorRange.JPEG if full_range else ColorRange.MPEG
        frame.pict_type = PictureType.NONE
        return frame

    def _planes(self, picture: Picture) -> tuple[tuple[DeviceArray, ...], bool]:
        """NV12 in one piece on the card, and whether its range is the full one."""
        held: Any = picture.planes
        if picture.format == "nv12" and picture.device == self._device and in_one_piece(held):
            return held, picture.full_range
        height, width = coded_size(picture)
        made = new_card_planes("nv12", height, width, self._device)
        if stays_on_card(picture) and picture.device == self._device:
            eight_bits(held, picture.format, out=made)
            return made, picture.full_range
        frame = self._host.make(picture)
        planes = tuple(to_device(np.from_dlpack(plane), self._device) for plane in frame.planes)
        eight_bits(planes, "nv12", out=made)
        return made, frame.color_range == ColorRange.JPEG
