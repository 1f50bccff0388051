"""Pictures and colours as the kernels take them: the structs of ``native/kernel.h`` and ``native/colour.h``."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import c_float, c_int

from ..device import DeviceArray
from ..pixel_formats import PlaneLayout
from .driver import address_of

MOST_PLANES = 3


class _Plane(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), ("stride", ctypes.c_ssize_t), ("height", c_int), ("width", c_int))


class PictureView(ctypes.Structure):
    """``PictureView`` of ``native/kernel.h``."""

    _fields_ = (
        ("planes", _Plane * MOST_PLANES),
        *((name, c_int) for name in ("kind", "bits", "low_bits", "shift_x", "shift_y")),
    )


class YuvToRgb(ctypes.Structure):
    """``YuvToRgb`` of ``native/colour.h``."""

    _fields_ = tuple(
        (name, c_float) for name in ("luma_zero", "luma_scale", "chroma_zero", "red_v", "green_u", "green_v", "blue_u")
    )


def view_of(planes: Sequence[DeviceArray], layout: PlaneLayout) -> PictureView:
    """The planes of a picture, which its layout has checked."""
    held = (_Plane(address_of(plane), plane.strides[0], *plane.shape[:2]) for plane in planes)
    return PictureView((_Plane * MOST_PLANES)(*held), *layout.native)


def yuv_to_rgb(weights: tuple[float, float], bits: int, full_range: bool) -> YuvToRgb:
    """What ``yuv_to_rgb_coefficients`` of ``native/colour.h`` gives, bit by bit: the same steps in double precision.

    Args:
        weights: Kr and Kb.
        bits: significant bits of a sample.
        full_range: samples use 0..255 rather than 16..235, at 8 bits.

    Source: ITU-R BT.601-7, BT.709-6, BT.2020-2; H.273 for the ranges.
    """
    (kr, kb), unit = weights, float(1 << (bits - 8))
    luma_range = 256 * unit - 1 if full_range else 219 * unit
    chroma_range = 256 * unit - 1 if full_range else 224 * unit
    kg, red, blue, chroma = 1 - kr - kb, 2 * (1 - kr), 2 * (1 - kb), 255 / chroma_range
    return YuvToRgb(
        0.0 if full_range else 16 * unit,
        255 / luma_range,
        128 * unit,
        red * chroma,
        -kb * blue / kg * chroma,
        -kr * red / kg * chroma,
        blue * chroma,
    )
