"""Turns pictures into the frames that the H.264 encoder takes: 4:2:0, 8 bits, even sizes; shared where they fit."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
from av.codec.context import CodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

from ...kernels import PIXEL_FORMATS
from ...kernels.arrays import lent
from ...kernels.device import HOST
from ...pipeline.types.picture import HDR_TRANSFERS, UNMARKED, Picture

MATRIX_TAGS = {"bt601": Colorspace.SMPTE170M, "bt709": Colorspace.ITU709, "bt2020": 9}
"""FFmpeg's AVColorSpace by matrix; 9 is BT.2020 with non-constant luminance."""
_SCALER_MATRIX = {"bt601": 5, "bt709": 1, "bt2020": 9}  # swscale's numbers


def coded_matrix(picture: Picture) -> tuple[str, bool]:
    """Matrix and range (True: full) in which a picture is encoded: its own, or limited BT.709 for RGB."""
    if picture.format == "rgb24":
        return "bt709", False
    return "bt709" if picture.matrix == "rgb" else picture.matrix, picture.full_range


def matrix_tag(picture: Picture) -> int:
    """FFmpeg's AVColorSpace that names the matrix in which a picture is encoded; unmarked stays unmarked."""
    if picture.matrix != "rgb" and picture.tags.matrix != UNMARKED:
        return picture.tags.matrix
    return UNMARKED if picture.matrix_assumed else int(MATRIX_TAGS[coded_matrix(picture)[0]])


@dataclass(frozen=True, slots=True)
class Coding:
    """What all pictures of a video file have in common; ``size`` is (height, width), ``hdr`` HDR's transfer or 0."""

    size: tuple[int, int]
    matrix: str
    full_range: bool
    sample_aspect: Fraction
    hdr: int

    @classmethod
    def of(cls, picture: Picture) -> Coding:
        """How a picture is coded by itself."""
        transfer = picture.tags.transfer
        size, hdr = (picture.height, picture.width), transfer if transfer in HDR_TRANSFERS else 0
        return cls(size, *coded_matrix(picture), picture.sample_aspect, hdr)

    def fit(self, picture: Picture) -> Picture:
        """A picture in RGB in this size: enlarged or shrunk as a whole, with black bars where its shape is another."""
        from PIL import Image, ImageOps

        rgb = picture.rgb()
        if rgb.shape[:2] != self.size:
            height, width = self.size
            rgb = np.asarray(ImageOps.pad(Image.fromarray(rgb), (width, height), Image.Resampling.BILINEAR))
        return Picture.from_rgb(rgb)


def coded_size(picture: Picture) -> tuple[int, int]:
    """(height, width) of a picture as encoded: odd ones get one more row or column, a copy of the last."""
    return picture.height + picture.height % 2, picture.width + picture.width % 2


class Frames(Protocol):
    """Makes encoder frames of one stream's pictures; ``form`` is FFmpeg's name of their format."""

    form: str

    def make(self, picture: Picture) -> VideoFrame:
        """An FFmpeg frame of a picture."""


class EncoderFrames:
    """Makes encoder frames of one stream's pictures, with one converter.

    Args:
        form: of the frames, ``yuv420p`` or ``nv12``.
        rgb: matrix and range (True: full) that pictures in RGB get.
    """

    def __init__(self, form: str = "yuv420p", *, rgb: tuple[str, bool] = ("bt709", False)) -> None:
        self.form, self._rgb = form, rgb
        self._reformatter = VideoReformatter()

    def make(self, picture: Picture) -> VideoFrame:
        """An FFmpeg frame of a picture; it shares the picture's memory where nothing has to change. One that lies on a
        device is copied from there."""
        planes = picture.on(HOST).host_planes
        height, width = coded_size(picture)
        if (height, width) != (picture.height, picture.width):
            shapes = PIXEL_FORMATS[picture.format].shapes(height, width)
            planes = tuple(_grown(plane, shape) for plane, shape in zip(planes, shapes, strict=True))
        if picture.format == "rgb24":
            frame = VideoFrame.from_numpy_buffer(lent(planes[0]), "rgb24")
        elif picture.format == "gray":
            chroma = np.full((height // 2, width // 2), 128, np.uint8)
            frame = VideoFrame.from_dlpack((lent(planes[0]), chroma, chroma.copy()), format="yuv420p")
        else:
            frame = VideoFrame.from_dlpack(tuple(lent(plane) for plane in planes), format=picture.format)
        matrix, full_range = self._rgb if picture.format == "rgb24" else coded_matrix(picture)
        coded_range = ColorRange.JPEG if full_range else ColorRange.MPEG
        if frame.format.name != self.form:
            frame = self._convert(frame, picture, matrix, coded_range)
        frame.colorspace, frame.color_range = matrix_tag(picture), coded_range
        frame.pict_type = PictureType.NONE
        return frame

    def _convert(self, frame: VideoFrame, picture: Picture, matrix: str, coded_range: ColorRange) -> VideoFrame:
        table = _SCALER_MATRIX[matrix]
        return self._reformatter.reformat(
            frame,
            format=self.form,
            src_colorspace=table,
            dst_colorspace=table,
            src_color_range=ColorRange.JPEG if picture.full_range else ColorRange.MPEG,
            dst_color_range=coded_range,
            threads=1,
        )


class JpegEncoder:
    """Codes pictures as JPEG, each for itself.

    Args:
        quality: FFmpeg's scale of quantisers, 2 (best) to 31.
    """

    def __init__(self, quality: int = 4) -> None:
        self._quality = quality
        self._frames, self._reformatter = EncoderFrames(), VideoReformatter()
        self._size = (0, 0)
        self._context: VideoCodecContext | None = None

    def encode(self, picture: Picture) -> bytes:
        """The JPEG file of a picture; odd sizes get one more row or column."""
        frame = self._frames.make(picture)
        matrix, full_range = coded_matrix(picture)
        # JFIF is BT.601 in full range whatever the picture was
        frame = self._reformatter.reformat(
            frame,
            format="yuvj420p",
            src_colorspace=_SCALER_MATRIX[matrix],
            dst_colorspace=_SCALER_MATRIX["bt601"],
            src_color_range=ColorRange.JPEG if full_range else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
            threads=1,
        )
        if self._context is None or self._size != (frame.height, frame.width):
            self._context = self._open(frame)
        frame.pts = None
        return b"".join(bytes(packet) for packet in self._context.encode(frame))

    def _open(self, frame: VideoFrame) -> VideoCodecContext:
        context = CodecContext.create("mjpeg", "w")
        assert isinstance(context, VideoCodecContext)
        context.height, context.width = self._size = (frame.height, frame.width)
        context.pix_fmt, context.color_range = "yuvj420p", ColorRange.JPEG
        context.time_base = Fraction(1, 25)
        context.thread_count = 1
        context.options = {"qmin": str(self._quality), "qmax": str(self._quality), "huffman": "default"}
        return context


def _grown(plane: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """A copy with the last row and column repeated to fill ``shape``; the plane itself where it has that shape."""
    if plane.shape == shape:
        return plane
    margins = [(0, want - have) for want, have in zip(shape, plane.shape, strict=True)]
    return np.pad(plane, margins, mode="edge")
