"""Parts of a camera's picture that nobody is to see: black before anything else has the frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...kernels import PIXEL_FORMATS, PlaneLayout
from ...kernels.device import HOST
from ...pipeline.packet import Frame
from ...pipeline.stage import Source
from ...pipeline.types.picture import Picture, Size
from ..areas import Area, read_area, touched_pixels
from .wrapper import SourceWrapper


class MaskedSource(SourceWrapper):
    """Another source whose frames are black in some areas.

    The frames leave the source so: no stage, output or callback has the picture that it was, nor has a frame that is
    dropped or that a stage fails on.

    Args:
        source: the other one.
        areas: what is black: image files, black where the picture stays and white where it does not, or polygons.

    Raises:
        UsageError: an area is none.
    """

    def __init__(self, source: Source, areas: Sequence[Area]) -> None:
        super().__init__(source)
        self._mask = PrivacyMask(areas)

    def frames(self) -> Iterator[Frame]:
        """The frames of the source, masked."""
        for frame in self.source.frames():
            yield replace(frame, picture=self._mask.applied(frame.picture))


class PrivacyMask:
    """Blacks out areas of pictures of any size and pixel format. What lies outside of them keeps its very samples.

    An area grows to whole samples of chroma, so that none of them has a share of what is hidden.

    Args:
        areas: as of :class:`MaskedSource`.

    Raises:
        UsageError: an area is none.
    """

    def __init__(self, areas: Sequence[Area]) -> None:
        self._areas = [read_area(area) for area in areas]
        self._for: tuple[str, Size] | None = None
        self._hidden: list[_Part] = []

    def applied(self, picture: Picture) -> Picture:
        """The picture with its areas black; the planes are copies, because decoders still need theirs."""
        picture = picture.on(HOST)
        layout, size = PIXEL_FORMATS[picture.format], (picture.height, picture.width)
        if self._for != (picture.format, size):
            samples = _hidden_samples(touched_pixels(self._areas, size), layout)
            self._hidden, self._for = [_Part.of(each) for each in samples], (picture.format, size)
        planes = tuple(np.array(plane) for plane in picture.host_planes)
        for plane, hidden, black in zip(planes, self._hidden, _black(picture, layout), strict=True):
            part = plane[hidden.rows, hidden.columns]
            np.copyto(part, black, where=hidden.samples if part.ndim == 2 else hidden.samples[..., None])
        return replace(picture, planes=planes)


@dataclass(frozen=True, slots=True)
class _Part:
    """The rectangle around what is hidden of a plane, and which samples of it are."""

    rows: slice
    columns: slice
    samples: NDArray[np.bool_]

    @classmethod
    def of(cls, hidden: NDArray[np.bool_]) -> _Part:
        rows, columns = (slice(where.min(initial=0), where.max(initial=-1) + 1) for where in np.nonzero(hidden))
        return cls(rows, columns, hidden[rows, columns])


def _hidden_samples(pixels: NDArray[np.bool_], layout: PlaneLayout) -> list[NDArray[np.bool_]]:
    """Of each plane, the samples to black out: bool of its height and width.

    Args:
        pixels: bool [h, w], to be hidden; more are, where a sample of chroma has a share in them.
    """
    if layout.kind in ("gray", "packed_rgb"):
        return [pixels]
    shift_x, shift_y = layout.chroma_shift
    height, width = pixels.shape
    padded = np.pad(pixels, ((0, -height % (1 << shift_y)), (0, -width % (1 << shift_x))))
    rows, columns = padded.shape[0] >> shift_y, padded.shape[1] >> shift_x
    blocks = padded.reshape(rows, 1 << shift_y, columns, 1 << shift_x)
    chroma: NDArray[np.bool_] = np.logical_or.reduce(blocks, axis=(1, 3))
    luma = chroma.repeat(1 << shift_y, 0).repeat(1 << shift_x, 1)[:height, :width]
    return [luma, chroma] if layout.kind == "semi_planar" else [luma, chroma, chroma]


def _black(picture: Picture, layout: PlaneLayout) -> list[Any]:
    """The value of black in each plane."""
    if layout.kind == "packed_rgb":
        return [0]
    scale = layout.bits - 8 + layout.low_bits
    return [0 if picture.full_range else 16 << scale, *[128 << scale] * (len(picture.planes) - 1)]
