"""A map of surfaces: outlines are filled with their numbers, and a table says how each looks and moves."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ...kernels import SurfaceTable
from .geometry import Look, Matrix, Part, Points

Colour = tuple[float, float, float]

STILL_AMPLITUDE = 0.01
"""A texture that changes colours by less is left out."""
MAX_BLUR_PX = 12


@dataclass(slots=True, eq=False)
class Canvas:
    """Draws from the farthest to the nearest.

    ``owners``: for each surface the number of its actor, or -1 - the number of its piece of the street; ``stuff``: its
    class of stuff, -1 for actors.
    """

    size: tuple[int, int]
    haze: tuple[tuple[float, float, float], float]
    image: Image.Image = field(init=False)
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
        height, width = self.size
        self.image = Image.new("I;16", (width, height))
        self._draw = ImageDraw.Draw(self.image)

    def surface(
        self, look: Look, frame: Matrix, *, owner: int, stuff: int, distance: float, blur: int = 0,
        perspective: bool = False, shaded: bool = False,
    ) -> int:  # fmt: skip
        """A new row of the table; ``frame`` leads from the surface's metres to pixels, ``distance`` is in metres."""
        far, colour = self._haze(distance)
        self.colours.append(_mixed(look.colour, colour, far))
        self.frames.append(frame)
        self.scales.append(look.scale)
        self.amplitudes.append(look.amplitude)
        self.textures.append(look.texture)
        self.perspective.append(perspective)
        self.shaded.append(shaded)
        self.blur.append(min(blur, MAX_BLUR_PX))
        self.owners.append(owner)
        self.stuff.append(stuff)
        return len(self.colours) - 1

    def fill(self, surface: int, points: Points) -> None:
        """Give the inside of an outline, [N, 2] in pixels, to a surface."""
        self._draw.polygon(points.ravel().tolist(), fill=surface)

    def parts(self, parts: list[Part], base: Matrix, *, owner: int, stuff: int, distance: float, blur: int) -> None:
        """Draw an actor or a piece of scenery; ``base`` leads from its metres to pixels."""
        scale = abs(base[1, 1])
        kept = [part for part in parts if part.detail * scale > 1.5]
        frames = base @ np.array([part.frame for part in kept])
        first, count = len(self.colours), len(kept)
        far, colour = self._haze(distance)
        self.colours += [_mixed(part.look.colour, colour, far) for part in kept]
        self.frames += list(frames)
        self.scales += [part.look.scale for part in kept]
        self.amplitudes += [part.look.amplitude for part in kept]
        self.textures += [part.look.texture for part in kept]
        self.perspective += [False] * count
        self.shaded += [False] * count
        self.blur += [min(blur, MAX_BLUR_PX)] * count
        self.owners += [owner] * count
        self.stuff += [stuff] * count
        lengths = [len(part.outline) for part in kept]
        turns = np.repeat(frames, lengths, axis=0)
        points = np.concatenate([part.outline for part in kept])[:, None, :]
        placed = (points @ turns[:, :2, :2].swapaxes(1, 2))[:, 0] + turns[:, :2, 2]
        numbers = placed.ravel().tolist()
        end = 0
        for number, length in enumerate(lengths, first):
            start, end = end, end + 2 * length
            self._draw.polygon(numbers[start:end], fill=number)

    def _haze(self, distance: float) -> tuple[float, tuple[float, float, float]]:
        """How much of the colour of the haze something at ``distance`` metres has, and that colour."""
        colour, reach = self.haze
        return 1.0 - 0.5 ** (1.6 * distance / reach), colour

    def map(self) -> NDArray[np.uint16]:
        """The map, uint16 [H, W]."""
        return np.asarray(self.image)

    def table(self) -> SurfaceTable:
        """The table for :func:`..kernels.shade_surfaces`."""
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
