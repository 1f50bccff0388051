"""Draws results on the pictures: the one drawing stage, from whatever the decoder gave to what encoders take."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...kernels import PIXEL_FORMATS, eight_bit_format, eight_bits
from ...kernels.device import HOST
from ...pipeline.drawing.canvas import Canvas, Stroke
from ...pipeline.drawing.style import DrawStyle
from ...pipeline.packet import Key, Packet
from ...pipeline.results.format import ResultKeys, first_keys
from ...pipeline.results.result_types import RESULT_TYPES
from ...pipeline.stage import Stage
from ...pipeline.types.picture import Picture
from .card_planes import new_card_planes
from .picture_pool import PicturePool

ANNOTATED: Key[Picture] = Key("annotated", Picture)
"""The picture with the results drawn on it; the frame's own picture stays as it was."""


class Draw(Stage):
    """Creates :data:`ANNOTATED`: segments, masks, boxes, points and labels on a copy of the picture.

    YUV stays YUV in its own chroma resolution, RGB stays RGB; more than 8 bits become 8, gray becomes
    ``yuv420p``. A picture on a card is drawn on there. A frame without results is passed on as it is, without a copy.
    The copy's memory is used again when everybody has let go of the picture. A result that is a picture itself is
    shown in place of the frame's, in its own size.

    Args:
        keys: where the results are, one entry for each model; what a packet does not have is not drawn.
        style: what to draw, and how large.
        needs: keys that have to be there before this stage; default: the first of each model.
        annotated: the key to create.
        streams: draw for these alone, which may change while it runs; None: for all.
    """

    name = "draw"
    stateless = True

    def __init__(
        self,
        keys: Sequence[ResultKeys] = (ResultKeys(),),
        *,
        style: DrawStyle | None = None,
        needs: frozenset[Key[Any]] | None = None,
        annotated: Key[Picture] = ANNOTATED,
        streams: Container[str] | None = None,
    ) -> None:
        self.style = style or DrawStyle()
        self._streams = streams
        self._keys, self._annotated = tuple(keys), annotated
        self.reads: frozenset[Key[Any]] = first_keys(keys) if needs is None else needs
        self.creates: frozenset[Key[Any]] = frozenset({annotated})
        self._pool = PicturePool()

    def process(self, packet: Packet) -> Iterable[Packet]:
        if self._streams is not None and packet.frame.stream_id not in self._streams:
            yield packet
            return
        picture, strokes = _to_draw(packet, self._keys, self.style)
        if strokes:
            canvas = _copy_of(picture, self._pool)
            for draw in strokes:
                draw(canvas)
            picture = replace(
                picture, format=canvas.format, planes=canvas.planes, matrix=canvas.matrix, full_range=canvas.full_range
            )
        yield packet.with_item(self._annotated, picture)


def draw_rgb(
    packet: Packet, keys: Sequence[ResultKeys] = (ResultKeys(),), *, style: DrawStyle | None = None
) -> NDArray[np.uint8]:
    """The picture with the results drawn on it: a new RGB array, uint8 [H, W, 3]."""
    picture, strokes = _to_draw(packet, keys, style or DrawStyle())
    canvas = Canvas("rgb24", (picture.rgb().copy(),), "rgb", True)
    for draw in strokes:
        draw(canvas)
    return canvas.planes[0]


def _to_draw(
    packet: Packet, keys: Sequence[ResultKeys], style: DrawStyle
) -> tuple[Picture, list[Callable[[Canvas], None]]]:
    """The picture to draw on, a result that is one or the frame's own, and what to draw, from the bottom up.

    One model is drawn after the other, each with its layers; nothing on a picture of another size than the
    frame's, in whose pixels results are.
    """
    shown = frame = packet.frame.picture
    strokes: list[Callable[[Canvas], None]] = []
    for one in keys:
        layers: list[Stroke] = []
        for kind, row in RESULT_TYPES.items():
            value = one.found(packet, kind)
            if value is not None:
                shown = row.picture(value) or shown
                layers += row.draw(value, style)
        strokes += (draw for _, draw in sorted(layers, key=itemgetter(0)))
    return shown, strokes if (shown.height, shown.width) == (frame.height, frame.width) else []


def _copy_of(picture: Picture, pool: PicturePool) -> Canvas:
    """A copy of a picture that can be drawn on, in 8 bits, where the picture lies; of gray, in host memory."""
    if picture.format == "gray":
        return _colour_copy_of(picture.on(HOST), pool)
    name, size = eight_bit_format(picture.format), (picture.height, picture.width)
    planes: Any
    if picture.device == HOST:
        planes = pool.take(PIXEL_FORMATS[name].shapes(*size))
    else:
        planes = new_card_planes(name, *size, picture.device)
    eight_bits(picture.planes, picture.format, out=planes)
    return Canvas(name, planes, picture.matrix, picture.full_range)


def _colour_copy_of(gray: Picture, pool: PicturePool) -> Canvas:
    """The same of gray, which colours can be drawn on."""
    luma, *chroma = planes = pool.take(PIXEL_FORMATS["yuv420p"].shapes(gray.height, gray.width))
    eight_bits(gray.planes, "gray", out=(luma,))
    for plane in chroma:
        plane.fill(128)
    return Canvas("yuv420p", planes, "bt709" if gray.matrix == "rgb" else gray.matrix, gray.full_range)
