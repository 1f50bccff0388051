"""Colours and light: one palette for stuff and things alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .geometry import Look
from .textures import ANY, BRICKS, COARSE, FLAT, PLANKS, WINDOWS

Colour = tuple[float, float, float]

PALETTE: tuple[Colour, ...] = (
    (200, 40, 40), (40, 70, 170), (235, 235, 230), (30, 30, 34), (150, 152, 158), (230, 190, 60), (50, 120, 70),
    (120, 75, 45), (235, 130, 50), (110, 60, 130), (90, 160, 200), (200, 170, 140), (170, 60, 90), (70, 80, 95),
    (215, 205, 180), (95, 110, 60),
)  # fmt: skip
SKINS: tuple[Colour, ...] = ((240, 205, 180), (225, 180, 150), (190, 140, 105), (140, 95, 65), (95, 65, 48))
HAIRS: tuple[Colour, ...] = (
    (30, 24, 22),
    (80, 52, 34),
    (150, 110, 60),
    (200, 170, 110),
    (120, 118, 116),
    (120, 50, 30),
)
FURS: tuple[Colour, ...] = (
    (60, 42, 30),
    (170, 120, 70),
    (225, 215, 200),
    (35, 33, 34),
    (140, 138, 135),
    (200, 160, 100),
)


@dataclass(frozen=True, slots=True)
class Paints:
    """Paint under the light of a shot; ``light`` multiplies red, green and blue."""

    light: Colour

    def tinted(self, colour: Colour, texture: int = FLAT, amplitude: float = 0.0, scale: float = 60.0) -> Look:
        """A look under this light."""
        r, g, b = (min(255.0, channel * light) for channel, light in zip(colour, self.light, strict=True))
        return Look((r, g, b), texture, amplitude, scale)

    def of(
        self, random: np.random.Generator, colours: tuple[Colour, ...], *, spread: float = 14.0, plain: float = 0.5
    ) -> Look:
        """One of ``colours``, changed a little; with a texture but for a part ``plain`` of the time."""
        base = colours[int(random.integers(len(colours)))]
        r, g, b = (float(np.clip(channel + random.normal(0, spread), 5, 250)) for channel in base)
        if random.random() < plain:
            return self.tinted((r, g, b), COARSE, 0.15, 60)
        texture = int(random.choice(ANY))
        return self.tinted((r, g, b), texture, random.uniform(0.25, 0.7), random.uniform(80, 300))

    def any(self, random: np.random.Generator) -> Look:
        """Anything of the palette."""
        return self.of(random, PALETTE)

    def facade(self, random: np.random.Generator) -> Look:
        """The front of a building."""
        base = PALETTE[int(random.integers(len(PALETTE)))]
        grey = random.uniform(90, 200)
        mix = random.uniform(0.15, 0.6)
        r, g, b = (mix * channel + (1 - mix) * grey for channel in base)
        texture = int(random.choice([WINDOWS, WINDOWS, BRICKS, PLANKS, COARSE]))
        return self.tinted((r, g, b), texture, random.uniform(0.4, 0.9), random.uniform(18, 45))
