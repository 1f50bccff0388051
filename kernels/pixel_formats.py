"""The pixel formats that kernels read: how many planes, of what shape, and what a sample means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .arrays import place_of
from .device import HOST, Device, Tensor
from .scalars import check_extent, shown
from .twins import twin_module

__all__ = ("PIXEL_FORMATS", "PlaneLayout", "eight_bit_format")

Kind = Literal["planar", "semi_planar", "gray", "packed_rgb"]

KINDS: tuple[Kind, ...] = ("planar", "semi_planar", "gray", "packed_rgb")

# Kr and Kb of each YUV matrix. Source: ITU-R BT.601-7, BT.709-6, BT.2020-2 (non-constant luminance).
MATRICES: dict[str, tuple[float, float]] = {
    "bt601": (0.299, 0.114),
    "bt709": (0.2126, 0.0722),
    "bt2020": (0.2627, 0.0593),
}


@dataclass(frozen=True, slots=True)
class PlaneLayout:
    """How a pixel format lies in memory.

    Attributes:
        name: the name of the format, as FFmpeg spells it.
        kind: ``planar`` (Y, U, V), ``semi_planar`` (Y, UV pairs), ``gray`` (Y) or ``packed_rgb``.
        bits: significant bits of a sample.
        chroma_shift: log2 of the luma pixels per chroma sample, (x, y).
        low_bits: unused low bits of a stored sample (6 in ``p010le``, else 0).
    """

    name: str
    kind: Kind
    bits: int = 8
    chroma_shift: tuple[int, int] = (0, 0)
    low_bits: int = 0

    @property
    def native(self) -> tuple[int, int, int, int, int]:
        """The layout as the compiled module takes it: kind, bits, low bits, chroma shifts x and y."""
        return (KINDS.index(self.kind), self.bits, self.low_bits, *self.chroma_shift)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a stored sample: uint8, or uint16 for more than 8 bits."""
        return np.dtype(np.uint8 if self.bits == 8 else np.uint16)

    def shapes(self, height: int, width: int) -> tuple[tuple[int, ...], ...]:
        """Shape of each plane of a picture of ``height`` by ``width`` pixels; odd sizes round up."""
        if self.kind == "gray":
            return ((height, width),)
        if self.kind == "packed_rgb":
            return ((height, width, 3),)
        shift_x, shift_y = self.chroma_shift
        chroma = (-(-height >> shift_y), -(-width >> shift_x))
        if self.kind == "semi_planar":
            return ((height, width), (*chroma, 2))
        return ((height, width), chroma, chroma)

    def check(self, planes: Sequence[Tensor]) -> Device:
        """Refuse planes that are not a picture of this format; gives the device on which all of them lie.

        Rows may be padded (any stride between rows); the samples of one row must be adjacent. Samples of two bytes
        lie at even addresses.

        Raises:
            ValueError: count, dtype, shape, memory layout or device of the planes does not fit.
        """
        first = planes[0] if len(planes) else None
        ndim = 3 if self.kind == "packed_rgb" else 2
        if first is None or getattr(first, "ndim", 0) != ndim or 0 in first.shape:
            got = "no planes" if first is None else f"{getattr(first, 'dtype', type(first))} {_shape(first)}"
            raise ValueError(f"{self.name}: the first plane must be {self._wanted('H', 'W')}, got {got}")
        height, width = first.shape[:2]
        check_extent(self.name, "the first plane", height, width)
        shapes = self.shapes(height, width)
        if len(planes) != len(shapes):
            raise ValueError(f"{self.name}: expected {len(shapes)} planes, got {len(planes)}")
        place, dtype = HOST if type(first) is np.ndarray else None, self.dtype
        for index, (plane, shape) in enumerate(zip(planes, shapes, strict=True)):
            if type(plane) is not np.ndarray or place is not HOST:
                place = place_of(plane, f"{self.name}: plane {index}", place)
            if plane.dtype != dtype or plane.shape != shape:
                raise ValueError(
                    f"{self.name}: plane {index} must be {dtype} {list(shape)} for a picture of "
                    f"{width}x{height}, got {plane.dtype} {list(plane.shape)}"
                )
            if not plane[:1].flags.c_contiguous:
                raise ValueError(
                    f"{self.name}: the samples of a row must be adjacent in plane {index}, got strides "
                    f"{plane.strides}; copy it with numpy.ascontiguousarray"
                )
            if self.bits > 8 and not plane.flags.aligned:
                raise ValueError(f"{self.name}: plane {index} must lie at even addresses; copy it with numpy.copy")
        return place or HOST

    def _wanted(self, height: str, width: str) -> str:
        return f"{self.dtype} [{height}, {width}{', 3' if self.kind == 'packed_rgb' else ''}] and not empty"


def _shape(array: Any) -> list[int]:
    return list(getattr(array, "shape", ()))


PIXEL_FORMATS: dict[str, PlaneLayout] = {
    layout.name: layout
    for layout in (
        PlaneLayout("yuv420p", "planar", chroma_shift=(1, 1)),
        PlaneLayout("nv12", "semi_planar", chroma_shift=(1, 1)),
        PlaneLayout("yuv422p", "planar", chroma_shift=(1, 0)),
        PlaneLayout("yuv444p", "planar"),
        PlaneLayout("yuv420p10le", "planar", bits=10, chroma_shift=(1, 1)),
        PlaneLayout("yuv422p10le", "planar", bits=10, chroma_shift=(1, 0)),
        PlaneLayout("yuv444p10le", "planar", bits=10),
        PlaneLayout("p010le", "semi_planar", bits=10, chroma_shift=(1, 1), low_bits=6),
        PlaneLayout("gray", "gray"),
        PlaneLayout("rgb24", "packed_rgb"),
    )
}


_EIGHT_BITS = {
    "yuv420p10le": "yuv420p",
    "yuv422p10le": "yuv422p",
    "yuv444p10le": "yuv444p",
    "p010le": "nv12",
}


def eight_bit_format(format: str) -> str:
    """The name of a pixel format with 8 bits a sample; of those that have 8 bits, their own."""
    return _EIGHT_BITS.get(format, format)


def layout_of(owner: str, format: str, planes: Sequence[Tensor]) -> tuple[PlaneLayout, tuple[Any, ...], Device]:
    """Look ``format`` up and check ``planes`` against it; gives the layout, the planes that were checked, their device.

    Raises:
        ValueError: the format is unknown, the planes do not fit it, or the kernel ``owner``, with which the message
            starts, has no twin where they lie.
    """
    layout = PIXEL_FORMATS.get(format) if isinstance(format, str) else None
    if layout is None:
        raise ValueError(f"{owner}: unknown pixel format {shown(format)}; known: {', '.join(PIXEL_FORMATS)}")
    try:
        held = tuple(planes)
    except TypeError:
        raise ValueError(f"{owner}: planes must be the arrays of a picture, got {shown(planes)}") from None
    try:
        device = layout.check(held)
    except ValueError as error:
        raise ValueError(f"{owner}: {error}") from None
    if device is not HOST:
        twin_module(owner, device)
    return layout, held, device


def matrix_weights(owner: str, layout: PlaneLayout, matrix: str) -> tuple[float, float]:
    """Kr and Kb of ``matrix``; (0, 0) where the format has no chroma to convert.

    Raises:
        ValueError: the matrix is unknown, or is ``rgb`` for a YUV format.
    """
    name = matrix if isinstance(matrix, str) else ""
    if layout.kind in ("gray", "packed_rgb") and (name in MATRICES or name == "rgb"):
        return (0.0, 0.0)
    if name not in MATRICES:
        known = ", ".join(MATRICES)
        raise ValueError(f"{owner}: the matrix of {layout.name} must be one of {known}, got {shown(matrix)}")
    return MATRICES[name]
