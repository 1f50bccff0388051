"""Turns pictures on a card into the frames that NVENC takes: NV12 in one piece of memory, which stays where it is.

NVENC is told one address, and finds the chroma directly below the rows of luma. It registers that address, which it may
not with memory in the order of a stream, as all other is: pictures are copied on the card. It encodes on the default
stream, which waits for ours.
"""

from __future__ import annotations

import weakref
from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np
from av.video.frame import CudaContext, PictureType, VideoFrame
from av.video.reformatter import ColorRange

from ...kernels import eight_bits
from ...kernels.cuda.driver import driver
from ...kernels.cuda.memory import fixed
from ...kernels.device import Device, DeviceArray, to_device
from ...kernels.exchange import dlpack_capsule
from ...pipeline.types.picture import Picture, Size
from ..drawing.card_planes import card_bytes, card_planes_in
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
        self._surfaces: Surfaces | None = None

    def make(self, picture: Picture) -> VideoFrame:
        """An FFmpeg frame of a copy of a picture.

        Raises:
            CudaError: the driver fails.
            FFmpegError, OSError: FFmpeg cannot use the card.
        """
        planes, full_range = self._planes(picture)
        opened = driver()
        opened.wait_for(_DEFAULT_STREAM, opened.stream(self._device), self._device)
        capsules = tuple(map(dlpack_capsule, planes))
        with opened.active(self._device):
            if self._context is None:  # the thread's own, as that of everything else here
                self._context = CudaContext(self._device.index, primary_ctx=False, current_ctx=True)
            frame = VideoFrame.from_dlpack(capsules, format="nv12", cuda_context=self._context)
        frame.colorspace, frame.color_range = matrix_tag(picture), ColorRange.JPEG if full_range else ColorRange.MPEG
        frame.pict_type = PictureType.NONE
        return frame

    def _planes(self, picture: Picture) -> tuple[tuple[DeviceArray, ...], bool]:
        """A copy as NV12 on the card in memory that NVENC may register, and whether its range is the full one."""
        size = coded_size(picture)
        if self._surfaces is None or self._surfaces.size != size:
            self._surfaces = Surfaces(self._device, size)
        made = self._surfaces.take()
        if stays_on_card(picture) and picture.device == self._device:
            held: Any = picture.planes
            eight_bits(held, picture.format, out=made)
            return made, picture.full_range
        frame = self._host.make(picture)
        planes = tuple(to_device(np.from_dlpack(plane), self._device) for plane in frame.planes)
        eight_bits(planes, "nv12", out=made)
        return made, frame.color_range == ColorRange.JPEG


class Surfaces:
    """Memory for NV12 pictures of one (height, width), used again when nobody holds a picture in it any more.

    NVENC registers memory by its address and keeps that until it is closed, so it is given few places, always the same.
    """

    def __init__(self, device: Device, size: Size) -> None:
        self._device, self.size = device, size
        self._idle: deque[DeviceArray] = deque()

    def take(self) -> tuple[DeviceArray, ...]:
        """The planes of a picture, with arbitrary content."""
        try:
            piece = self._idle.popleft()
        except IndexError:
            piece = fixed(card_bytes("nv12", *self.size), self._device)
        lease = _Lease()
        weakref.finalize(lease, self._idle.append, piece).atexit = False
        return tuple(replace(plane, owner=lease) for plane in card_planes_in(piece, "nv12", *self.size))


class _Lease:
    """Owns the planes of a picture."""

    __slots__ = ("__weakref__",)
