"""Cars and bicycles."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin

from .geometry import Look, Part, along, box, disc, limb, outline, turned

GLASS = Look((70, 85, 100), 11, 0.4, 40)
RUBBER = Look((28, 28, 30))
METAL = Look((170, 172, 176), 4, 0.5, 300)
DARK = Look((40, 40, 45))

CARS = ("sedan", "hatchback", "van", "pickup", "front", "rear")
BICYCLES = ("city", "race", "child", "cargo", "frontal")

_BODIES: dict[str, tuple[float, float, tuple[float, ...], tuple[tuple[float, ...], ...]]] = {
    # length, wheel radius, outline of the body, windows: x from the rear bumper, y from the ground
    "sedan": (4.5, 0.33,
              (0, 0.35, 4.5, 0.35, 4.5, 0.75, 4.2, 0.9, 3.3, 0.98, 2.7, 1.42, 1.5, 1.45, 0.75, 1.05, 0, 0.95),
              ((1.15, 1.02, 2.0, 1.02, 2.0, 1.36, 1.55, 1.36), (2.1, 1.02, 3.05, 1.0, 2.62, 1.34, 2.1, 1.36))),
    "hatchback": (3.8, 0.31, (0, 0.35, 3.8, 0.35, 3.8, 0.8, 3.5, 0.95, 2.75, 1.05, 2.2, 1.5, 0.4, 1.5, 0.05, 1.0),
                  ((0.5, 1.05, 1.3, 1.05, 1.3, 1.4, 0.6, 1.4), (1.4, 1.05, 2.5, 1.05, 2.1, 1.4, 1.4, 1.4))),
    "van": (4.9, 0.36, (0, 0.38, 4.9, 0.38, 4.9, 0.95, 4.55, 1.15, 4.0, 2.0, 0.05, 2.05),
            ((3.0, 1.2, 4.2, 1.2, 3.85, 1.85, 3.0, 1.85),)),
    "pickup": (5.1, 0.4, (0, 0.45, 5.1, 0.45, 5.1, 0.95, 4.7, 1.1, 3.7, 1.15, 3.2, 1.72, 2.1, 1.75, 2.0, 1.1, 0, 1.1),
               ((2.25, 1.2, 3.45, 1.18, 3.1, 1.62, 2.25, 1.64),)),
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Car:
    """A car from the side (its front to the right), or head on. Metres, y up, x from its middle."""

    kind: str
    paint: Look
    speed: float
    class_id = 1

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """A box around it."""
        half = _BODIES[self.kind][0] / 2 if self.kind in _BODIES else 0.95
        return (-half - 0.05, -0.02, half + 0.05, 2.1)

    def parts(self, time_s: float) -> list[Part]:
        """From the farthest to the nearest."""
        if self.kind not in _BODIES:
            return self._head_on()
        length, radius, body, windows = _BODIES[self.kind]
        middle = turned(-length / 2, 0)
        parts = [Part(DARK, middle, box(0.3, 0.2, length - 0.3, 0.5)), Part(self.paint, middle, outline(*body))]
        parts += [Part(GLASS, middle, outline(*window), 0.3) for window in windows]
        sill = Look(tuple(0.6 * c for c in self.paint.colour))  # type: ignore[arg-type]
        parts.append(Part(sill, middle, box(0.1, 0.35, length - 0.1, 0.45), 0.1))
        parts.append(Part(DARK, middle, box(length * 0.45, 0.5, length * 0.45 + 0.02, 1.0), 0.03))
        parts.append(Part(Look((240, 230, 180)), middle, box(length - 0.18, 0.65, length, 0.8), 0.1))
        parts.append(Part(Look((190, 30, 30)), middle, box(0, 0.7, 0.12, 0.88), 0.1))
        for x in (0.19 * length, 0.81 * length):
            spin = turned(x - length / 2, radius, -self.speed * time_s / radius)
            parts.append(Part(RUBBER, spin, disc(radius)))
            parts.append(Part(METAL, spin, disc(0.58 * radius, None, 8), 0.2))
            parts.append(Part(DARK, spin, box(-0.5 * radius, -0.07 * radius, 0.5 * radius, 0.07 * radius), 0.08))
        return parts

    def _head_on(self) -> list[Part]:
        front = self.kind == "front"
        light = Look((245, 240, 200)) if front else Look((200, 30, 30))
        here = turned(0, 0)
        parts = [Part(RUBBER, here, box(x, 0, x + 0.24, 0.5)) for x in (-0.82, 0.58)]
        parts.append(Part(self.paint, here, outline(-0.88, 0.28, 0.88, 0.28, 0.9, 0.85, 0.8, 0.98, 0.62, 1.45,
                                                    -0.62, 1.45, -0.8, 0.98, -0.9, 0.85)))  # fmt: skip
        parts.append(Part(GLASS, here, outline(-0.7, 0.98, 0.7, 0.98, 0.56, 1.38, -0.56, 1.38), 0.3))
        parts += [Part(light, here @ turned(x, 0.72), disc(0.14, 0.09), 0.12) for x in (-0.68, 0.68)]
        parts.append(Part(DARK if front else METAL, here, box(-0.42, 0.5, 0.42, 0.7), 0.15))
        parts.append(Part(Look((230, 230, 225)), here, box(-0.24, 0.38, 0.24, 0.48), 0.1))
        return parts


@dataclass(frozen=True, slots=True, eq=False)
class Bicycle:
    """A bicycle from the side (its front to the right), or head on. Metres, y up, x from its middle."""

    kind: str
    paint: Look
    speed: float
    class_id = 2

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """A box around it."""
        return (-0.35, 0, 0.35, 1.2) if self.kind == "frontal" else (-0.95, 0, 1.0, 1.2)

    def parts(self, time_s: float) -> list[Part]:
        """From the farthest to the nearest."""
        if self.kind == "frontal":
            here = turned(0, 0)
            return [
                Part(RUBBER, here, limb(0.04, 0.04, 0.6) * (1.0, 0.64)),
                Part(self.paint, along((0, 0.3), (0, 1.0)), limb(0.05, 0.05, 0.7)),
                Part(DARK, along((-0.3, 1.02), (0.3, 1.02)), limb(0.03, 0.03, 0.6)),
            ]
        radius = 0.26 if self.kind == "child" else 0.34
        spokes = Look((120, 122, 128), 3, 0.9, 700) if self.kind != "race" else Look((60, 62, 70), 9, 0.9, 500)
        parts = []
        for x in (-0.53, 0.53):
            spin = turned(x, radius, -self.speed * time_s / radius)
            parts += [
                Part(RUBBER, spin, disc(radius, None, 20)),
                Part(spokes, spin, disc(0.86 * radius, None, 16), 0.1),
            ]
        hub, crank, head, seat = (-0.53, radius), (-0.05, 0.3), (0.38, 0.85), (-0.18, 0.85)
        tubes = [(hub, crank), (hub, seat), (crank, head), (seat, head), (crank, seat), (head, (0.53, radius))]
        thick = 0.035 if self.kind in ("city", "cargo") else 0.026
        parts += [Part(self.paint, along(a, b), limb(thick, thick, 0.5)) for a, b in tubes]
        parts.append(Part(DARK, along((-0.32, 0.93), (-0.06, 0.93)), limb(0.04, 0.03, 0.26)))
        parts.append(Part(DARK, along(head, (0.42, 1.0)), limb(0.02, 0.02, 0.16)))
        grip = (0.55, 0.9) if self.kind == "race" else (0.3, 1.04)
        parts.append(Part(DARK, along((0.42, 1.0), grip), limb(0.025, 0.025, 0.15)))
        angle = self.speed * time_s / radius
        for turn in (0.0, 3.14159):
            pedal = crank[0] + 0.15 * sin(angle + turn), crank[1] + 0.15 * cos(angle + turn)
            parts.append(Part(METAL, along(crank, pedal), limb(0.02, 0.03, 0.15), 0.04))
        if self.kind == "cargo":
            parts.append(Part(Look((150, 110, 60), 10, 0.6), turned(0, 0), box(0.4, 0.75, 0.85, 1.05)))
        if self.kind == "city":
            parts.append(
                Part(self.paint, turned(0, 0), outline(-0.9, 0.55, -0.8, 0.72, -0.5, 0.76, -0.5, 0.7, -0.77, 0.66))
            )
        return parts
