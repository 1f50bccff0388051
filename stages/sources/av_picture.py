"""Turns FFmpeg's frames into pictures: pixel formats, colour, orientation; planes are shared, not copied."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.video.format import VideoFormat
from av.video.reformatter import ColorRange, VideoReformatter
from numpy.typing import NDArray

from ...kernels import PIXEL_FORMATS, PlaneLayout, rotate
from ...kernels.device import DeviceArray, Tensor, to_host
from ...pipeline.types.picture import HDR_TRANSFERS, UNMARKED, ColorTags, Matrix, Picture
from .av_card import (
    CARD_FORMAT,
    CARD_SAMPLES,
    ShownPart,
    card_faults,
    card_planes,
    is_for_nvdec,
    odd_size,
    sample_format,
)
from .deep_samples import DEEP_FORMATS, to_8_bits
from .one_field import one_field
from .said import Said

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame

Planes = tuple[Tensor, ...]

# FFmpeg's AVColorSpace. 4 (FCC) is within 0.003 of BT.601's weights, 7 (SMPTE 240M) within 0.02 of BT.709's.
_MATRICES: dict[int, Matrix] = {
    1: "bt709", 4: "bt601", 5: "bt601", 6: "bt601", 7: "bt709", 9: "bt2020", 10: "bt2020",
}  # fmt: skip
# What H.273 names, and H.264 can: a file that is written has no other codes.
_PRIMARIES = frozenset({1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 22})
_TRANSFERS = frozenset({1, *range(4, 19)})
_CODED_MATRICES = frozenset({1, *range(4, 15)})
UNMARKED_MATRIX: Matrix = "bt601"
"""Of pictures that do not name their matrix, whatever their size: as swscale and OpenCV read them, and so as
the pictures were that published models were tested with. (Players take BT.709 for high definition.)"""


@dataclass(frozen=True, slots=True)
class Orientation:
    """How to turn a picture for display: mirror left to right first, then turn clockwise by ``degrees``."""

    degrees: int = 0
    mirrored: bool = False


UPRIGHT = Orientation()


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to do with frames of one format: ``round`` to 8 bits, ``convert`` with swscale, or share ``planes``, which
    may lie ``on_card``; of others that lie there, ``fetch`` the samples first."""

    target: str
    planes: int
    convert: bool
    round: bool = False
    on_card: bool = False
    fetch: str = ""


class PictureReader:
    """Makes pictures of one source's frames, with one converter for the formats that kernels do not read.

    Formats of ``kernels.PIXEL_FORMATS`` and their full-range (``yuvj…``) and alpha (``yuva…``) forms are
    views of the decoder's memory; it stays valid as long as a plane of the picture lives. Others are
    converted to the nearest of these: gray to ``gray``, RGB and palettes to ``rgb24``, YUV to the planar
    format of the same or the next finer chroma resolution, in 8 or 10 bits. Gray and RGB of more than 8 bits
    are rounded to the nearest. Alpha is left out.

    Frames that lie on a card stay there in ``nv12`` and ``p010le``, turned or not; for what else there is to do with
    them they are copied to host memory, and the log says so once.

    Args:
        context: the decoder that the frames come from; None: they come from none.
        deinterlace: of a picture woven of two fields, show one.
        said: of the source; None: of no source in particular.
    """

    def __init__(
        self, context: VideoCodecContext | None = None, *, deinterlace: bool = False, said: Said | None = None
    ) -> None:
        self._deinterlace, self._said = deinterlace, said or Said("video")
        self._shown = None if context is None else ShownPart(context)
        # PyAV frees the texts that belong to side data, and FFmpeg does too. Only these decoders attach such: the name
        # of a colour profile.
        self._has_side_data = context is None or context.name not in ("png", "apng")
        self._reformatter = VideoReformatter()
        self._plans: dict[tuple[str, str, bool, bool], _Plan] = {}
        self._tags: dict[tuple[int, int, int], ColorTags] = {}

    def read(
        self, frame: VideoFrame, *, sample_aspect: Fraction = Fraction(1), orientation: Orientation | None = None
    ) -> Picture:
        """The picture of ``frame``, the right way up.

        Args:
            sample_aspect: width of a pixel over its height, before turning.
            orientation: how to turn it; None: as the frame's own display matrix says.

        Raises:
            CardFault: it lies on a card, which fails, or in a size that the card's decoder does not do right.
            SourceError: it lies on a card that cannot be used any more.
        """
        if frame.format.name != CARD_FORMAT:
            return self._read(frame, sample_aspect, orientation)
        if not is_for_nvdec(frame):
            raise odd_size(self._said.name, frame)
        with card_faults(f"{self._said.name}: cannot take a picture over from the card"):
            return self._read(frame, sample_aspect, orientation)

    def _read(self, frame: VideoFrame, sample_aspect: Fraction, orientation: Orientation | None) -> Picture:
        if orientation is None:
            turn = display_orientation(frame) if self._has_side_data else _plain_orientation(frame)
        else:
            turn = orientation
        quarter = turn.degrees in (90, 270)
        odd = bool(frame.width % 2 or frame.height % 2)
        form = sample_format(frame)
        key = (frame.format.name, form.name, quarter, odd)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = _plan(form, quarter=quarter, odd=odd, on_card=frame.format.name == CARD_FORMAT)
        full_range = _is_full_range(frame)
        planes = self._planes(frame, plan, full_range)
        if self._shown is not None and frame.format.name == CARD_FORMAT:
            planes = _from(planes, PIXEL_FORMATS[plan.target], *self._shown.begin(frame))
        woven = frame.interlaced_frame
        if woven and self._deinterlace:
            planes, woven = tuple(map(one_field, self._fetched(planes, "deinterlaced"))), False
        if turn.mirrored:
            hosted = self._fetched(planes, "mirrored")
            planes = tuple(np.ascontiguousarray(plane[:, ::-1]) for plane in hosted)
        if turn.degrees:
            planes = rotate(planes, plan.target, turn.degrees)
        rgb = plan.target == "rgb24"
        return Picture(
            plan.target,
            planes,
            matrix="rgb" if rgb else _MATRICES.get(int(frame.colorspace), UNMARKED_MATRIX),
            matrix_assumed=not rgb and int(frame.colorspace) not in _MATRICES,
            full_range=rgb or full_range,
            rotation=turn.degrees,
            interlaced=woven,
            sample_aspect=1 / sample_aspect if quarter else sample_aspect,
            tags=self._tags_of(frame),
        )

    def _tags_of(self, frame: VideoFrame) -> ColorTags:
        """How the frame names its colours; what it says of HDR is that of the first frame of these colours."""
        codes = (int(frame.color_primaries), int(frame.color_trc), int(frame.colorspace))
        tags = self._tags.get(codes)
        if tags is None:
            coded = codes[2]
            if coded not in (UNMARKED, *_MATRICES) and coded in _CODED_MATRICES and not frame.format.is_rgb:
                self._said.say(
                    f"the colour matrix {coded} of ITU-T H.273 is not read; colours are taken for BT.601, and wrong"
                )
            tags = self._tags[codes] = _color_tags(frame, *codes, has_side_data=self._has_side_data)
        return tags

    def _fetched(self, planes: Planes, what: str) -> tuple[NDArray[Any], ...]:
        """The planes in host memory, where they are ``what`` then."""
        if isinstance(planes[0], DeviceArray):
            self._say_fetched(what)
        return tuple(map(to_host, planes))

    def _say_fetched(self, what: str) -> None:
        self._said.say(f"every picture is copied from the card to host memory, to be {what} there")

    def _planes(self, frame: VideoFrame, plan: _Plan, full_range: bool) -> Planes:
        if plan.on_card:
            return card_planes(frame)
        if plan.fetch:
            self._say_fetched(f"read ({plan.fetch})")
            frame = self._reformatter.reformat(frame, format=plan.fetch, threads=1)
        if plan.round:
            return (to_8_bits(frame, full_range=full_range),)
        if plan.convert:
            span = ColorRange.JPEG if full_range else ColorRange.MPEG
            frame = self._reformatter.reformat(
                frame, format=plan.target, src_color_range=span, dst_color_range=span, threads=1
            )
        return tuple(_share(frame, index) for index in range(plan.planes))


def _from(planes: Planes, layout: PlaneLayout, row: int, column: int) -> Planes:
    """The part of a picture from a pixel on, without a copy; of chroma, from the sample of that pixel."""
    if not (row or column):
        return planes
    shift_x, shift_y = layout.chroma_shift
    luma, *chroma = planes
    return _part(luma, row, column), *(_part(plane, row >> shift_y, column >> shift_x) for plane in chroma)


def _part(plane: Tensor, row: int, column: int) -> Tensor:
    if not isinstance(plane, DeviceArray):
        return plane[row:, column:]
    height, width, *samples = plane.shape
    begin = plane.pointer + row * plane.strides[0] + column * plane.strides[1]
    return replace(plane, owner=plane, pointer=begin, shape=(height - row, width - column, *samples))


def _share(frame: VideoFrame, index: int) -> NDArray[Any]:
    """A read-only view of a plane, uint8 or uint16 [h, w] or [h, w, samples]; a copy where it is stored upside down."""
    plane = frame.planes[index]
    if plane.line_size < 0:
        components = [c for c in frame.format.components if c.plane == index]
        dtype = np.dtype(np.uint8 if components[0].bits == 8 else np.uint16)
        rows = np.frombuffer(memoryview(plane), dtype).reshape(plane.height, -1)
        upright = rows[::-1, : plane.width * len(components)]
        shape = (plane.height, plane.width, *([len(components)] if len(components) > 1 else []))
        return np.ascontiguousarray(upright).reshape(shape)
    view: NDArray[Any] = np.from_dlpack(plane)
    return view


def _plan(form: VideoFormat, *, quarter: bool, odd: bool, on_card: bool = False) -> _Plan:
    name = form.name
    if on_card and name in CARD_SAMPLES:
        return _Plan(name, 2, convert=False, on_card=True)
    if on_card:
        return replace(_plan(form, quarter=quarter, odd=odd), fetch=name)
    plain = name.replace("yuvj", "yuv", 1).replace("yuva", "yuv", 1)
    layout = PIXEL_FORMATS.get(plain)
    if layout is not None:
        unreadable = odd and layout.kind == "semi_planar"  # PyAV rounds the size of their chroma down
        sideways = quarter and layout.chroma_shift == (1, 0)  # turned, 4:2:2 would be 4:4:0
        if not unreadable and not sideways:
            return _Plan(plain, len(layout.shapes(2, 2)), convert=False)
    target = _nearest(form, quarter=quarter)
    if name in DEEP_FORMATS:
        return _Plan(target, 1, convert=False, round=True)
    return _Plan(target, len(PIXEL_FORMATS[target].shapes(2, 2)), convert=True)


def _nearest(form: VideoFormat, *, quarter: bool) -> str:
    """The readable format that keeps most of ``form``."""
    components = VideoFormat(form.name, 64, 64).components
    if form.is_rgb or form.has_palette or form.name.startswith("xyz"):
        return "rgb24"
    if len(components) < 3:
        return "gray"
    size = (64 // components[1].width, 64 // components[1].height)
    family = {(2, 2): "yuv420p", (2, 1): "yuv444p" if quarter else "yuv422p"}.get(size, "yuv444p")
    return family + ("10le" if components[0].bits > 8 else "")


def _is_full_range(frame: VideoFrame) -> bool:
    marked = int(frame.color_range)
    if marked in (ColorRange.MPEG, ColorRange.JPEG):
        return marked == ColorRange.JPEG
    return frame.format.name.startswith(("yuvj", "gray", "ya", "mono"))  # unmarked gray is full range, as in swscale


def _color_tags(frame: VideoFrame, primaries: int, transfer: int, matrix: int, *, has_side_data: bool) -> ColorTags:
    known = (primaries if primaries in _PRIMARIES else UNMARKED, transfer if transfer in _TRANSFERS else UNMARKED)
    coded = matrix if matrix in _CODED_MATRICES else UNMARKED
    if transfer not in HDR_TRANSFERS or not has_side_data:
        return ColorTags(*known, coded)
    mastering = _side_data(frame, "MASTERING_DISPLAY_METADATA")
    light_level = _side_data(frame, "CONTENT_LIGHT_LEVEL")
    return ColorTags(
        *known,
        coded,
        () if mastering is None else _mastering(np.frombuffer(mastering, np.int32)),
        () if light_level is None else tuple(int(value) for value in np.frombuffer(light_level, np.uint32)[:2]),
    )


def _mastering(data: NDArray[np.int32]) -> tuple[int, ...]:
    """AVMasteringDisplayMetadata as :class:`ColorTags` has it. Source: FFmpeg, libavutil/mastering_display_metadata.h.

    That is ten fractions (x and y of red, green, blue and white, least and most luminance) and whether the first
    eight and the last two are there.
    """
    if not (data[20] and data[21]) or (data[1:20:2] == 0).any():
        return ()
    red, green, blue, white = ([Fraction(*map(int, data[at : at + 2])) for at in (4 * n, 4 * n + 2)] for n in range(4))
    least, most = (Fraction(*map(int, data[at : at + 2])) for at in (16, 18))
    chromaticities = (round(value * 50_000) for value in (*green, *blue, *red, *white))
    return (*chromaticities, round(most * 10_000), round(least * 10_000))


def _side_data(frame: VideoFrame, name: str) -> Any:
    """Side data of a kind, or None where the frame has none, or some of a kind that PyAV does not know."""
    try:
        # Not frame.side_data, which the frame keeps: it refers back, and only garbage collection would free the pixels.
        return SideDataContainer(frame).get(name)  # type: ignore[call-arg]  # PyAV's stub lacks it
    except ValueError:
        return None


def display_orientation(frame: VideoFrame) -> Orientation:
    """How the frame's display matrix says to turn it, in quarter turns; upright where it has none.

    Source: FFmpeg, libavutil/display.h: (x, y) -> (a x + c y, b x + d y), y downwards.
    """
    try:
        # Not frame.side_data, which the frame keeps: it refers back, and only garbage collection would free the pixels.
        data: Any = SideDataContainer(frame).get("DISPLAYMATRIX")  # type: ignore[call-arg]  # PyAV's stub lacks it
    except ValueError:  # PyAV does not know every kind of side data
        return _plain_orientation(frame)
    if data is None:
        return UPRIGHT
    a, b, _, c, d = (int(value) for value in np.frombuffer(data, np.int32)[:5])
    mirrored = a * d - b * c < 0
    degrees = math.degrees(math.atan2(-b, -a) if mirrored else math.atan2(b, a))
    return Orientation(round(degrees / 90) * 90 % 360, mirrored)


def _plain_orientation(frame: VideoFrame) -> Orientation:
    """As PyAV reads it itself, without mirroring."""
    return Orientation(-round(frame.rotation / 90) * 90 % 360)
