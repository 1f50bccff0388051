"""People: a skeleton that walks, stands, runs or rides, and what it wears."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np
from numpy.typing import NDArray

from .geometry import Look, Pair, Part, along, disc, limb, outline, turned

WEARS = ("trousers", "shorts", "skirt", "coat")

Skeleton = dict[str, Pair]


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """One person. Lengths in metres, x to the front (``side``) or to the right of the picture, y up.

    Attributes:
        height: of the person.
        view: from which side; a ``side`` view looks to the right.
        wears: on the legs and over them.
        pace: steps, in radians a second; 0 stands.
        swing: how far arms and legs go, in radians.
        phase: of the step at time 0.
        rides: sits on a bicycle; ``pace`` is that of the pedals.
        girth: of everything, 1 is average.
    """

    height: float
    view: str
    wears: str
    top: Look
    legs: Look
    skin: Look
    hair: Look
    shoes: Look
    pace: float = 0.0
    swing: float = 0.5
    phase: float = 0.0
    rides: bool = False
    girth: float = 1.0
    hat: bool = False
    long_hair: bool = False

    class_id = 0

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """A box around all poses, metres."""
        h = self.height
        return (-0.45 * h, -0.05 * h, 0.5 * h, 1.06 * h)

    def skeleton(self, time_s: float) -> Skeleton:
        """Where the joints are."""
        if self.rides:
            return _riding(self.height, self.phase + self.pace * time_s)
        if self.view == "side":
            return _side(self.height, self.phase + self.pace * time_s, self.swing)
        return _frontal(self.height, self.phase + self.pace * time_s, self.swing, -1 if self.view == "front" else 1)

    def parts(self, time_s: float) -> list[Part]:
        """From the farthest to the nearest."""
        s = self.skeleton(time_s)
        h, g = self.height, self.height * self.girth
        far, near = ("l", "r") if self.view == "side" or self.view == "front" else ("r", "l")
        parts = [*self._arm(s, far, h, g), *self._leg(s, far, h, g), *self._leg(s, near, h, g), *self._body(s, h, g)]
        if self.view != "side":
            return [*parts, *self._arm(s, near, h, g), *self._arm(s, far, h, g), *self._head(s, h)]
        return [*parts, *self._head(s, h), *self._arm(s, near, h, g)]

    def _leg(self, s: Skeleton, side: str, h: float, g: float) -> list[Part]:
        hip, knee, ankle, toe = (s[f"{side}_{name}"] for name in ("hip", "knee", "ankle", "toe"))
        lower = self.skin if self.wears in ("shorts", "skirt") else self.legs
        return [
            Part(self.shoes, along(ankle, toe), limb(0.024 * h, 0.018 * h, 0.1 * h)),
            Part(lower, along(knee, ankle), limb(0.036 * g, 0.024 * g, 0.24 * h)),
            Part(self.legs, along(hip, knee), limb(0.055 * g, 0.040 * g, 0.24 * h)),
        ]

    def _arm(self, s: Skeleton, side: str, h: float, g: float) -> list[Part]:
        shoulder, elbow, wrist = (s[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist"))
        return [
            Part(self.skin, along(elbow, wrist), limb(0.024 * g, 0.020 * g, 0.15 * h)),
            Part(self.top, along(shoulder, elbow), limb(0.032 * g, 0.026 * g, 0.17 * h)),
        ]

    def _body(self, s: Skeleton, h: float, g: float) -> list[Part]:
        wide = 1.0 if self.view == "side" and not self.rides else 1.55
        pelvis, thorax = s["pelvis"], s["thorax"]
        frame = along(pelvis, thorax)
        low, high = 0.062 * g * wide, 0.068 * g * wide
        parts = [Part(self.skin, along(thorax, s["neck"]), limb(0.028 * h, 0.026 * h, 0.06 * h), 0.05 * h)]
        if self.wears == "skirt":
            hem = 0.15 * g
            parts.append(Part(self.legs, frame, outline(-hem, -0.85, hem, -0.85, low, 0.15, -low, 0.15)))
        parts.append(Part(self.top, frame, outline(-low, -0.08, low, -0.08, high, 0.85, 0.7 * high, 1.04,
                                                   -0.7 * high, 1.04, -high, 0.85)))  # fmt: skip
        if self.wears == "coat":
            parts.append(Part(self.top, frame, outline(-1.15 * low, -0.9, 1.15 * low, -0.9, low, 0.3, -low, 0.3)))
        return parts

    def _head(self, s: Skeleton, h: float) -> list[Part]:
        frame = along(s["neck"], s["head_top"])
        radius, long = 0.047 * h, 0.5
        skull = Part(self.hair, frame @ turned(-0.012 * h if self.view == "side" else 0.0, 0.58),
                     disc(radius * 1.12, long))  # fmt: skip
        parts = [skull]
        if self.long_hair:
            parts.append(Part(self.hair, frame, outline(-radius * 1.15, -0.35, radius * (0.2 if self.view == "side" else
                                                        1.15), -0.35, radius, 0.6, -radius * 1.1, 0.6)))  # fmt: skip
        if self.view == "back":
            return parts
        shift = 0.014 * h if self.view == "side" else 0.0
        parts.append(Part(self.skin, frame @ turned(shift, 0.42), disc(radius * 0.95, long * 0.86)))
        parts += self._face(frame, h)
        if self.hat:
            wide = (1.2, 0.75, 1.6, 0.75, 1.1, 0.85, 0.8, 1.12, -0.8, 1.12, -1.1, 0.85)
            brim = [each * (radius if place % 2 == 0 else 1.0) for place, each in enumerate(wide)]
            brim[0] = -brim[0]
            parts.append(Part(self.top, frame, outline(*brim)))
        return parts

    def _face(self, frame: NDArray[np.float64], h: float) -> list[Part]:
        dark, red, white = Look((35, 25, 25)), Look((165, 70, 70)), Look((235, 235, 235))
        parts = []
        for x, y in self._points(h)[:2]:
            parts.append(Part(white, frame @ turned(x, y), disc(0.011 * h, 0.055, 10), 0.02 * h))
            parts.append(Part(dark, frame @ turned(x, y), disc(0.006 * h, 0.045, 8), 0.013 * h))
            parts.append(Part(self.hair, frame @ turned(x, y + 0.11), disc(0.013 * h, 0.022, 8), 0.02 * h))
        nose, left, right = self._points(h)[2:]
        r, g, b = self.skin.colour
        shade = Look((0.75 * r, 0.7 * g, 0.7 * b))
        parts.append(Part(shade, frame @ turned(*nose), disc(0.008 * h, 0.07, 8), 0.02 * h))
        middle = ((left[0] + right[0]) / 2, left[1])
        parts.append(Part(red, frame @ turned(*middle), disc((right[0] - left[0]) / 2, 0.04, 10), 0.015 * h))
        return parts

    def _points(self, h: float) -> list[Pair]:
        """Eyes, nose, corners of the mouth in the frame of the head: metres along x, parts of its length along y."""
        if self.view == "side":
            return [(0.018 * h, 0.5), (0.045 * h, 0.5), (0.056 * h, 0.36), (0.03 * h, 0.22), (0.052 * h, 0.22)]
        return [(-0.019 * h, 0.5), (0.019 * h, 0.5), (0.0, 0.36), (-0.016 * h, 0.2), (0.016 * h, 0.2)]

    def joints(self, time_s: float) -> NDArray[np.float64]:
        """[16, 2], metres, in MPII's order."""
        s = self.skeleton(time_s)
        names = ("r_ankle", "r_knee", "r_hip", "l_hip", "l_knee", "l_ankle", "pelvis", "thorax", "neck", "head_top",
                 "r_wrist", "r_elbow", "r_shoulder", "l_shoulder", "l_elbow", "l_wrist")  # fmt: skip
        return np.array([s[name] for name in names])

    def face(self, time_s: float) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Five points and four corners of the face, [5, 2] and [4, 2], metres; None from behind."""
        if self.view == "back":
            return None
        s = self.skeleton(time_s)
        frame = along(s["neck"], s["head_top"])
        shift = 0.014 * self.height if self.view == "side" else 0.0
        half = 0.047 * self.height * 0.95
        corners = [(shift + sx * half, 0.42 + sy * 0.43) for sx, sy in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
        points = np.array([*self._points(self.height), *corners])
        placed = points @ frame[:2, :2].T + frame[:2, 2]
        return placed[:5], placed[5:]


def _upper(h: float, lean: float, pelvis: Pair) -> Skeleton:
    def up(length: float) -> Pair:
        return pelvis[0] + length * h * sin(lean), pelvis[1] + length * h * cos(lean)

    return {"pelvis": pelvis, "thorax": up(0.31), "neck": up(0.355), "head_top": up(0.485)}


def _chain(start: Pair, first: float, length: float, second: float, other: float) -> tuple[Pair, Pair]:
    """Two bones from ``start``; angles from straight down, to the front positive."""
    a = start[0] + length * sin(first), start[1] - length * cos(first)
    return a, (a[0] + other * sin(second), a[1] - other * cos(second))


def _side(h: float, phase: float, swing: float) -> Skeleton:
    bob = 0.012 * h * cos(2 * phase) * swing
    s = _upper(h, 0.06 + 0.12 * max(0.0, swing - 0.6), (0.0, 0.515 * h + bob))
    for side, turn in (("r", 0.0), ("l", pi)):
        leg = swing * sin(phase + turn)
        bend = 0.15 + swing * (0.9 + 0.9 * cos(phase + turn)) * 0.5
        s[f"{side}_hip"] = s["pelvis"]
        knee, ankle = _chain(s["pelvis"], leg, 0.245 * h, leg - bend, 0.235 * h)
        s[f"{side}_knee"], s[f"{side}_ankle"] = knee, ankle
        s[f"{side}_toe"] = ankle[0] + 0.09 * h * cos(leg - bend), ankle[1] - 0.012 * h + 0.07 * h * sin(leg - bend)
        shoulder = s["thorax"][0], s["thorax"][1] - 0.015 * h
        arm = -swing * 0.8 * sin(phase + turn)
        s[f"{side}_shoulder"] = shoulder
        s[f"{side}_elbow"], s[f"{side}_wrist"] = _chain(shoulder, arm, 0.17 * h, arm + 0.3 + 0.5 * swing, 0.15 * h)
    return s


def _frontal(h: float, phase: float, swing: float, right: int) -> Skeleton:
    """``right``: where the person's right is, -1 for the left of the picture."""
    sway = 0.01 * h * sin(phase) * swing
    s = _upper(h, 0.4 * sway / h, (sway, 0.515 * h))
    for side, sign, turn in (("r", right, 0.0), ("l", -right, pi)):
        lift = max(0.0, sin(phase + turn)) * swing
        hip = s["pelvis"][0] + sign * 0.05 * h, s["pelvis"][1]
        s[f"{side}_hip"] = hip
        s[f"{side}_knee"] = hip[0] + sign * 0.012 * h, hip[1] - 0.245 * h * (1 - 0.22 * lift)
        s[f"{side}_ankle"] = hip[0] + sign * 0.01 * h, s[f"{side}_knee"][1] - 0.235 * h * (1 - 0.25 * lift)
        s[f"{side}_toe"] = hip[0] + sign * 0.03 * h, s[f"{side}_ankle"][1] - 0.03 * h
        shoulder = s["thorax"][0] + sign * 0.105 * h, s["thorax"][1] - 0.02 * h
        out = sign * (0.12 + 0.25 * swing * (1 + sin(phase + turn)))
        s[f"{side}_shoulder"] = shoulder
        s[f"{side}_elbow"], s[f"{side}_wrist"] = _chain(shoulder, out, 0.17 * h, out * 0.3, 0.15 * h)
    return s


def _riding(h: float, phase: float) -> Skeleton:
    """On a saddle; the ground is where the wheels stand."""
    s = _upper(h, 0.45, (-0.12, 0.93))
    for side, turn in (("r", 0.0), ("l", pi)):
        pedal = 0.02 + 0.13 * sin(phase + turn), 0.33 + 0.13 * cos(phase + turn)
        hip = s["pelvis"]
        knee = (hip[0] + pedal[0]) / 2 + 0.2, (hip[1] + pedal[1]) / 2 + 0.1
        s[f"{side}_hip"], s[f"{side}_knee"], s[f"{side}_ankle"] = hip, knee, pedal
        s[f"{side}_toe"] = pedal[0] + 0.1, pedal[1] - 0.01
        shoulder, grip = s["thorax"], (0.42, 1.0)
        s[f"{side}_shoulder"] = shoulder
        s[f"{side}_elbow"] = (shoulder[0] + grip[0]) / 2 + 0.03, (shoulder[1] + grip[1]) / 2 - 0.07
        s[f"{side}_wrist"] = grip
    return s
