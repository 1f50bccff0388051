"""A map of surfaces: outlines are filled with their numbers, and a table says how each looks and moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ....kernels import SurfaceTable
from .geometry import Look, Matrix, Part, Points

Colour = tuple[float, float, float]

STILL_AMPLITUDE = 0.01
"""A texture that changes colours by less is left out."""
MAX_BLUR_PX = 12


class Standing(NamedTuple):
    """An actor or a piece of scenery to draw: ``base`` leads from the metres of its parts to pixels."""

    parts: Sequence[Part]
    base: Matrix
    owner: int
    stuff: int
    distance: float
    blur: int


def drawing_on(pixels: NDArray[np.uint16] | NDArray[np.uint8]) -> ImageDraw.ImageDraw:
    """What draws right into an array [H, W], which must outlive it."""
    height, width = pixels.shape
    mode = "L" if pixels.dtype == np.uint8 else "I;16"
    image = Image.frombuffer(mode, (width, height), pixels, "raw", mode, 0, 1)
    image.readonly = 0  # it is our own memory
    return ImageDraw.Draw(image)


@dataclass(slots=True, eq=False)
class Canvas:
    """Draws from the farthest to the nearest; before that, everything is surface 0.

    ``owners``: for each surface the number of its actor, or -1 - the number of its piece of the street; ``stuff``: its
    class of stuff, -1 for actors.
    """

    size: tuple[int, int]
    haze: tuple[tuple[float, float, float], float]
    map: NDArray[np.uint16] = field(init=False)
    colours: list[tuple[float, float, float]] = field(default_factory=list)
    frames: list[Matrix] = field(default_factory=list)
    scales: list[float] = field(default_factory=list)
    amplitudes: list[float] = field(default_factory=list)
    textures: list[int] = field(default_factory=list)
    perspective: list[bool] = field(default_factory=list)
    shaded: list[bool] = field(default_factory=list)
    blur: list[int] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    stuff: list[int] = field(default_factory=list)
    _draw: ImageDraw.ImageDraw = field(init=False)

    def __post_init__(self) -> None:
        self.map = np.zeros(self.size, np.uint16)
        self._draw = drawing_on(self.map)

    def surface(
        self, look: Look, frame: Matrix, *, owner: int, stuff: int, distance: float, blur: int = 0,
        perspective: bool = False, shaded: bool = False,
    ) -> int:  # fmt: skip
        """A new row of the table; ``frame`` leads from the surface's metres to pixels, ``distance`` is in metres."""
        self.frames.append(frame)
        self._rows([look], owner, stuff, distance, blur, perspective=perspective, shaded=shaded)
        return len(self.colours) - 1

    def fill(self, surface: int, points: Points) -> None:
        """Give the inside of an outline, [N, 2] in pixels, to a surface."""
        self._draw.polygon(points.ravel().tolist(), fill=surface)

    def standing(self, all_of_them: Sequence[Standing]) -> None:
        """Draw actors and scenery, the farthest first."""
        kept: list[Part] = []
        counts = []
        for one in all_of_them:
            scale = abs(float(one.base[1, 1]))
            drawn = [part for part in one.parts if part.detail * scale > 1.5]
            kept += drawn
            counts.append(len(drawn))
            self._rows([part.look for part in drawn], one.owner, one.stuff, one.distance, one.blur)
        if not kept:
            return
        bases = np.repeat(np.array([one.base for one in all_of_them]), counts, axis=0)
        frames = bases @ np.array([part.frame for part in kept])
        first = len(self.frames)
        self.frames += list(frames)
        lengths = [len(part.outline) for part in kept]
        m = np.repeat(frames[:, :2], lengths, axis=0)
        x, y = np.concatenate([part.outline for part in kept]).T
        placed = np.stack([x * m[:, row, 0] + y * m[:, row, 1] + m[:, row, 2] for row in (0, 1)], axis=1)
        numbers = placed.ravel().tolist()
        end = 0
        for number, length in enumerate(lengths, first):
            start, end = end, end + 2 * length
            self._draw.polygon(numbers[start:end], fill=number)

    def _rows(
        self, looks: list[Look], owner: int, stuff: int, distance: float, blur: int, *,
        perspective: bool = False, shaded: bool = False,
    ) -> None:  # fmt: skip
        """Rows of the table for parts of something, but for their frames."""
        count = len(looks)
        haze, reach = self.haze
        far = 1.0 - 0.5 ** (1.6 * distance / reach)  # how much of the colour of the haze it has
        self.colours += [_mixed(look.colour, haze, far) for look in looks]
        self.scales += [look.scale for look in looks]
        self.amplitudes += [look.amplitude for look in looks]
        self.textures += [look.texture for look in looks]
        self.perspective += [perspective] * count
        self.shaded += [shaded] * count
        self.blur += [min(blur, MAX_BLUR_PX)] * count
        self.owners += [owner] * count
        self.stuff += [stuff] * count

    def table(self) -> SurfaceTable:
        """The table for :func:`....kernels.shade_surfaces`."""
        inverse = np.linalg.inv(np.stack(self.frames))
        inverse[:, :2] *= np.array(self.scales)[:, None, None]
        flat = ~np.array(self.perspective)
        density = np.sqrt(np.abs(np.linalg.det(inverse)))  # texels to a pixel; in perspective times w ** 1.5
        amplitude = np.array(self.amplitudes)
        amplitude = np.where(flat, amplitude * np.minimum(1, 1 / np.maximum(density, 1e-9)), amplitude)
        amplitude[amplitude < STILL_AMPLITUDE] = 0
        return SurfaceTable(
            np.array(self.colours, np.float32),
            inverse.astype(np.float32),
            amplitude.astype(np.float32),
            np.where(flat, 0, 1 / np.maximum(density, 1e-9)).astype(np.float32),
            np.array(self.textures, np.int32),
            np.array(self.shaded, np.uint8),
            np.array(self.blur, np.int32),
        )


def _mixed(colour: Colour, other: Colour, part: float) -> Colour:
    """``colour`` with a ``part`` of ``other``."""
    r, g, b = colour
    return r + part * (other[0] - r), g + part * (other[1] - g), b + part * (other[2] - b)
