"""Copies of pictures in 8 bits a sample, as what draws and encodes takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arrays import may_share_memory
from ..device import HOST, Tensor, empty
from ..pixel_formats import PIXEL_FORMATS, eight_bit_format, layout_of
from ..twins import twin

__all__ = ("eight_bits",)


def eight_bits(planes: Sequence[Tensor], format: str, *, out: Sequence[Tensor] | None = None) -> tuple[Tensor, ...]:
    """Copy a picture's planes, each sample rounded to 8 bits: to the nearest, halves up, at most 255.

    Args:
        planes: the planes of ``format`` (see ``PIXEL_FORMATS``); rows may be padded.
        format: a name of ``PIXEL_FORMATS``.
        out: writable uint8 planes of ``eight_bit_format(format)`` and the same size to write to, instead of new
            ones; their rows may be padded.

    Returns:
        ``out``, or new C-contiguous planes.

    Raises:
        ValueError: unknown format; planes or ``out`` that do not fit, or share memory.

    Source: definition.
    """
    owner = "eight_bits"
    layout, held, device = layout_of(owner, format, planes)
    name = eight_bit_format(format)
    written: tuple[Any, ...]
    if out is None:
        shapes = PIXEL_FORMATS[name].shapes(*held[0].shape[:2])
        written = tuple(empty(shape, np.uint8, device) for shape in shapes)
    else:
        _, written, there = layout_of(owner, name, out)
        if there != device or written[0].shape[:2] != held[0].shape[:2]:
            raise ValueError(
                f"{owner}: out must lie on {device} as the planes do, for a picture of {held[0].shape[1]}x"
                f"{held[0].shape[0]}; got one of {written[0].shape[1]}x{written[0].shape[0]} on {there}"
            )
        if not all(plane.flags.writeable for plane in written):
            raise ValueError(f"{owner}: out must be writable")
        if any(may_share_memory(to, plane) for to in written for plane in held):
            raise ValueError(f"{owner}: out must not share memory with an input")
    if device is not HOST:
        return twin(eight_bits, device)(held, format, out=written)
    shift = layout.bits - 8 + layout.low_bits
    for source, target in zip(held, written, strict=True):
        if shift:
            np.minimum((source >> shift) + (source >> (shift - 1) & 1), 255, out=target, casting="unsafe")
        else:
            np.copyto(target, source)
    return written
