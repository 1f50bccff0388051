"""Pillow's images as pictures: what FFmpeg does not read, and what users have at hand."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...pipeline.limits import too_large
from ...pipeline.types.picture import Picture
from .deep_samples import nearest_8_bits

if TYPE_CHECKING:
    from PIL import Image

_TO_GRAY = ("1", "L", "LA")
_PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}
PILLOW_ERRORS = (OSError, SyntaxError, ValueError, EOFError, TypeError, IndexError, KeyError, RuntimeError, Warning)
"""What Pillow raises of damaged files, and of very large ones where warnings are errors."""


def pillow_picture(image: Image.Image) -> Picture:
    """An image as a picture, turned as its Exif data says; transparency is left out, 16 bits are rounded to 8.

    Raises:
        ValueError: its samples are floats or 32-bit integers, whose white is anywhere.
        OSError: the file behind it is damaged.
    """
    from PIL import ImageOps

    mode = image.mode
    if mode in ("F", "I"):
        raise ValueError(f"an image of mode {mode!r} does not say which value is white; scale it to 8 bits")
    image = ImageOps.exif_transpose(image)
    if mode.startswith("I;16"):
        return _gray(nearest_8_bits(16, True).take(np.asarray(image)))
    if mode in _PREMULTIPLIED:
        image = image.convert(_PREMULTIPLIED[mode])
    if mode == "P":
        image = image.convert("RGBA")  # Pillow warns where transparency of a palette is lost
    if image.mode in _TO_GRAY:
        return _gray(np.array(image.convert("L")))
    return Picture.from_rgb(np.array(image if mode == "RGB" else image.convert("RGB")))


def check_pixels(image: Image.Image, name: str, max_pixels: int) -> None:
    """
    Raises:
        SourceError: the image, which is not decoded yet, is too large.
    """
    if image.width * image.height > max_pixels:
        raise too_large(name, (image.height, image.width), max_pixels)


def icc_profile(data: bytes) -> bytes:
    """The colour profile in the bytes of an image file; empty where it has none, or one that is not for RGB."""
    try:
        with open_pillow(data) as image:
            profile: bytes = image.info.get("icc_profile") or b""
    except PILLOW_ERRORS:
        return b""
    return profile if profile[16:20] == b"RGB " else b""  # CMYK and gray become RGB. Source: ICC.1:2022, 7.2.8


def _gray(samples: NDArray[np.uint8]) -> Picture:
    return Picture("gray", (samples,), matrix="bt601", matrix_assumed=True, full_range=True)


def open_pillow(data: bytes) -> Image.Image:
    """The image in the bytes of a file; its pixels are not decoded yet.

    Raises:
        ValueError: it is none that Pillow reads, or is damaged, or too large.
    """
    from PIL import Image

    try:
        return Image.open(io.BytesIO(data))
    except (*PILLOW_ERRORS, Image.DecompressionBombError) as error:
        raise ValueError(str(error)) from error
