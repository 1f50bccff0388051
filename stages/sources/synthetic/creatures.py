"""Animals and balls."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sin

import numpy as np

from .geometry import Look, Part, Points, along, disc, limb, outline, turned

ANIMALS = ("dog", "cat", "horse", "bird", "lying dog")
BALLS = ("football", "beach", "striped", "plain", "basket")

DARK = Look((25, 22, 22))
WHITE = Look((240, 240, 238))


@dataclass(frozen=True, slots=True, eq=False)
class Animal:
    """An animal from the side, its head to the right. Metres, y up; ``size`` 1 is a large dog's."""

    kind: str
    fur: Look
    spots: Look
    size: float
    pace: float = 0.0
    phase: float = 0.0
    class_id = 4

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """A box around all poses."""
        k = self.size * (2.2 if self.kind == "horse" else 1.0)
        return (-0.85 * k, -0.03, 0.85 * k, 1.15 * k)

    def parts(self, time_s: float) -> list[Part]:
        """From the farthest to the nearest."""
        phase = self.phase + self.pace * time_s
        if self.kind == "horse":
            return self._four_legged(phase, 2.2 * self.size, leg=0.42, neck=0.38, head=0.17, ears=0.05, tail=-1.1)
        if self.kind == "dog":
            return self._four_legged(phase, self.size, leg=0.32, neck=0.16, head=0.15, ears=0.1, tail=0.7)
        if self.kind == "lying dog":
            return self._four_legged(phase, self.size, leg=0.08, neck=0.16, head=0.15, ears=0.1, tail=-0.3)
        return self._cat(phase) if self.kind == "cat" else self._bird(phase)

    def _four_legged(
        self, phase: float, k: float, *, leg: float, neck: float, head: float, ears: float, tail: float
    ) -> list[Part]:
        body, fur, spots = leg * k + 0.12 * k, self.fur, self.spots
        parts = []
        swing = 0.45 if self.pace else 0.05
        for x, turn in ((-0.33, 0.0), (0.33, pi), (-0.3, pi), (0.36, 0.0)):
            angle = swing * sin(phase + turn)
            hip = x * k, body
            foot = hip[0] + (leg + 0.1) * k * sin(angle), 0.02 * k
            parts.append(Part(fur, along(hip, foot), limb(0.06 * k, 0.035 * k, 0.4 * k)))
        wag = tail + 0.25 * sin(3 * phase)
        end = -0.42 * k - 0.28 * k, body + 0.08 * k + 0.28 * k * wag
        parts.append(Part(spots, along((-0.42 * k, body + 0.06 * k), end), limb(0.035 * k, 0.02 * k, 0.3 * k)))
        parts.append(Part(fur, along((-0.38 * k, body + 0.02 * k), (0.38 * k, body + 0.04 * k)),
                          limb(0.13 * k, 0.14 * k, 0.76 * k)))  # fmt: skip
        parts.append(Part(spots, turned(-0.1 * k, body + 0.05 * k), disc(0.14 * k, 0.1 * k), 0.1 * k))
        top = 0.42 * k + 0.6 * neck * k, body + 0.1 * k + neck * k
        parts.append(Part(fur, along((0.38 * k, body + 0.05 * k), top), limb(0.09 * k, 0.07 * k, neck * k)))
        parts.append(Part(fur, along(top, (top[0] + 1.2 * head * k, top[1] - 0.4 * head * k)),
                          limb(0.08 * k, 0.045 * k, head * k)))  # fmt: skip
        parts.append(Part(spots, along((top[0] - 0.02 * k, top[1] + 0.03 * k), (top[0] - 0.05 * k, top[1] + ears * k)),
                          limb(0.03 * k, 0.012 * k, ears * k)))  # fmt: skip
        parts.append(Part(DARK, turned(top[0] + 1.25 * head * k, top[1] - 0.38 * head * k), disc(0.025 * k), 0.03 * k))
        parts.append(Part(DARK, turned(top[0] + 0.3 * head * k, top[1] + 0.02 * k), disc(0.016 * k), 0.025 * k))
        return parts

    def _cat(self, phase: float) -> list[Part]:
        k, fur, spots = 0.75 * self.size, self.fur, self.spots
        tail = (-0.55 * k, 0.12 * k + 0.1 * k * sin(phase))
        head = turned(0.14 * k, 0.74 * k)
        parts = [
            Part(spots, along((-0.2 * k, 0.08 * k), tail), limb(0.05 * k, 0.03 * k, 0.4 * k)),
            Part(fur, turned(0, 0.3 * k), disc(0.27 * k, 0.32 * k)),
            Part(fur, along((0.1 * k, 0.4 * k), (0.16 * k, 0.03 * k)), limb(0.08 * k, 0.05 * k, 0.4 * k)),
            Part(WHITE, turned(0.13 * k, 0.4 * k), disc(0.1 * k, 0.16 * k), 0.15 * k),
            Part(fur, head, disc(0.18 * k, 0.16 * k)),
        ]
        for sign in (-1, 1):
            ear = outline(sign * 0.16 * k, 0.05 * k, sign * 0.04 * k, 0.12 * k, sign * 0.14 * k, 0.26 * k)
            parts.append(Part(spots, head, ear))
            parts.append(Part(Look((120, 190, 70)), head @ turned(sign * 0.07 * k, 0.03 * k), disc(0.03 * k), 0.05 * k))
        parts.append(Part(Look((220, 130, 130)), head @ turned(0, -0.04 * k), disc(0.02 * k), 0.04 * k))
        return parts

    def _bird(self, phase: float) -> list[Part]:
        k, fur, spots = 0.6 * self.size, self.fur, self.spots
        nod = 0.05 * k * sin(phase)
        parts = [
            Part(
                Look((200, 120, 40)),
                along((x * k, 0.25 * k), (x * k + 0.02 * k, 0.0)),
                limb(0.03 * k, 0.025 * k, 0.25 * k),
            )
            for x in (-0.05, 0.1)
        ]
        parts += [
            Part(spots, turned(0, 0), outline(-0.3 * k, 0.35 * k, -0.75 * k, 0.4 * k, -0.7 * k, 0.25 * k)),
            Part(fur, turned(0, 0.42 * k, 0.25), disc(0.38 * k, 0.22 * k)),
            Part(spots, turned(-0.08 * k, 0.42 * k, 0.35), disc(0.25 * k, 0.12 * k), 0.1 * k),
            Part(fur, along((0.24 * k, 0.5 * k), (0.36 * k + nod, 0.8 * k)), limb(0.11 * k, 0.09 * k, 0.3 * k)),
            Part(fur, turned(0.38 * k + nod, 0.86 * k), disc(0.13 * k)),
            Part(Look((230, 160, 40)), turned(0.38 * k + nod, 0.86 * k),
                 outline(0.1 * k, 0.05 * k, 0.3 * k, -0.02 * k, 0.1 * k, -0.05 * k)),
            Part(DARK, turned(0.42 * k + nod, 0.9 * k), disc(0.03 * k), 0.04 * k),
        ]  # fmt: skip
        return parts


@dataclass(frozen=True, slots=True, eq=False)
class Ball:
    """A ball that rolls, or hops ``hop`` metres high. Metres, y up, x from its middle."""

    kind: str
    radius: float
    first: Look
    second: Look
    speed: float
    hop: float = 0.0
    pace: float = 3.0
    phase: float = 0.0
    class_id = 3

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """A box around all places it hops to."""
        return (-self.radius, 0, self.radius, 2 * self.radius + self.hop)

    def parts(self, time_s: float) -> list[Part]:
        """From the farthest to the nearest."""
        r = self.radius
        up = r + self.hop * abs(sin(self.phase + self.pace * time_s))
        spin = turned(0, up, -self.speed * time_s / r)
        parts = [Part(self.first, spin, disc(r, None, 24))]
        if self.kind == "beach":
            parts += [Part(self.second, spin, _sector(r, n * pi / 3)) for n in (0, 2, 4)]
            parts.append(Part(WHITE, spin, disc(0.2 * r, None, 10), 0.3 * r))
        elif self.kind == "football":
            parts += [
                Part(self.second, spin @ turned(0.68 * r * sin(a), 0.68 * r * sin(a + pi / 2), a),
                     disc(0.24 * r, None, 5), 0.4 * r)
                for a in (n * 1.2566 for n in range(5))
            ]  # fmt: skip
            parts.append(Part(self.second, spin, disc(0.27 * r, None, 5), 0.4 * r))
        elif self.kind == "striped":
            parts.append(Part(self.second, spin, _band(r, 0.35)))
        elif self.kind == "basket":
            parts += [Part(self.second, spin @ turned(0, 0, n * pi / 2), _band(r, 0.06), 0.1 * r) for n in (0, 1)]
        return parts


def _sector(radius: float, start: float) -> Points:
    angles = start + np.linspace(0, pi / 3, 6)
    return np.concatenate([[[0.0, 0.0]], np.stack([np.cos(angles), np.sin(angles)], axis=1) * radius])


def _band(radius: float, half: float) -> Points:
    """The part of a disc within ``half`` radii of its middle line."""
    angle = np.arcsin(half)
    angles = np.concatenate([np.linspace(-angle, angle, 5), np.linspace(pi - angle, pi + angle, 5)])
    return np.asarray(np.stack([np.cos(angles), np.sin(angles)], axis=1) * radius)
