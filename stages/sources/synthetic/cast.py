"""Who is in a shot, where, and how they move."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .camera import View
from .creatures import ANIMALS, BALLS, Animal, Ball
from .geometry import Part
from .palette import FURS, HAIRS, PALETTE, SKINS, Paints
from .person import WEARS, Person
from .street import Street
from .vehicles import BICYCLES, CARS, Bicycle, Car

SHARES = (("person", 0.36), ("car", 0.17), ("bicycle", 0.15), ("ball", 0.16), ("animal", 0.16))
"""How often each is chosen."""


class Body(Protocol):
    """Something of a class that is drawn of parts."""

    @property
    def class_id(self) -> int: ...
    @property
    def extent(self) -> tuple[float, float, float, float]: ...
    def parts(self, time_s: float) -> list[Part]: ...


@dataclass(frozen=True, slots=True, eq=False)
class Actor:
    """A body that moves evenly.

    Attributes:
        number: within its shot.
        start: (x, z) at time 0, metres.
        speed: (x, z) metres a second.
        facing: 1 looks to the right, -1 to the left.
        before: metres by which it is nearer than something at the same place (a rider than the bicycle).
    """

    number: int
    body: Body
    start: tuple[float, float]
    speed: tuple[float, float]
    facing: int
    before: float = 0.0

    def place(self, time_s: float) -> tuple[float, float]:
        """(x, z) at a time, metres."""
        return self.start[0] + self.speed[0] * time_s, self.start[1] + self.speed[1] * time_s - self.before


@dataclass(slots=True)
class Casting:
    """Fills a street.

    Attributes:
        random: everything is drawn from it.
        view: of the camera in the middle of the shot, at ``middle_s``.
        size: (height, width) of the picture.
    """

    random: np.random.Generator
    paints: Paints
    street: Street
    view: View
    size: tuple[int, int]
    middle_s: float
    hard: bool
    actors: list[Actor]
    advance: float = 0.0

    def fill(self) -> None:
        """Add as many as the shot is to have; in a hard one many stand in each other's way."""
        wanted = int(self.random.integers(14, 23) if self.hard else self.random.integers(6, 12))
        names, shares = [name for name, _ in SHARES], [share for _, share in SHARES]
        while len(self.actors) < wanted:
            name = str(self.random.choice(names, p=shares))
            anchor = self.actors[int(self.random.integers(len(self.actors)))] if self.actors else None
            crowd = anchor is not None and self.random.random() < (0.6 if self.hard else 0.2)
            self._add(name, anchor if crowd else None)

    def close_up(self) -> None:
        """A few people right before the camera, most of them looking into it."""
        for _ in range(int(self.random.integers(1, 4))):
            body = self._person(close=True)
            z = self.view.z + self.random.uniform(1.0, 3.6)
            self._place(body, z, self.random.uniform(0.1, 0.9) * self.size[1], (self.random.normal(0, 0.15), 0.0))

    def _add(self, name: str, anchor: Actor | None) -> None:
        z, left = self._depth(name), self.random.uniform(-0.1, 1.1) * self.size[1]
        if anchor is not None:
            x, place = anchor.place(self.middle_s)
            z = place + self.random.choice([-1, 1]) * self.random.uniform(0.25, 2.5)
            z = float(np.clip(z, self.view.z + self._nearest(), self.street.depth))
            width = anchor.body.extent[2] - anchor.body.extent[0]
            left = self._column(x + self.random.normal(0, 0.4) * width, z)
        build = {
            "person": self._people, "car": self._car, "bicycle": self._bicycle, "ball": self._ball,
            "animal": self._animal,
        }[name]  # fmt: skip
        build(z, left)

    def _nearest(self) -> float:
        return 3.0 + self.advance

    def _depth(self, name: str) -> float:
        """Metres along z: sizes in the picture are spread over their logarithm, in a hard shot more are small."""
        far = {"ball": 26.0, "animal": 32.0}.get(name, 48.0 if self.hard else 30.0)
        near = {"car": 7.0, "ball": 3.0, "animal": 3.5}.get(name, 4.0) + self.advance
        if not self.hard:
            far = min(far, 24.0)
        far = max(near + 1, min(far, self.street.depth - self.view.z))
        part = self.random.random() ** (0.6 if self.hard else 1.0)
        return self.view.z + exp(log(near) + part * (log(far) - log(near)))

    def _column(self, x: float, z: float) -> float:
        return self.view.centre[0] + self.view.focal * (x - self.view.x) / (z - self.view.z)

    def _place(
        self, body: Body, z: float, column: float, speed: tuple[float, float], *, before: float = 0.0, facing: int = 0
    ) -> None:
        x = self.view.x + (column - self.view.centre[0]) * (z - self.view.z) / self.view.focal
        t = self.middle_s
        side = facing or (int(np.sign(speed[0])) or int(self.random.choice([-1, 1])))
        start = x - speed[0] * t, z - speed[1] * t
        self.actors.append(Actor(len(self.actors), body, start, speed, side, before))

    def _person(self, *, close: bool = False, view: str | None = None, rides: bool = False) -> Person:
        r, paints = self.random, self.paints
        child = r.random() < 0.15 and not rides
        chosen = view or str(r.choice(("side", "front", "back"), p=(0.1, 0.85, 0.05) if close else (0.45, 0.35, 0.2)))
        moving = r.random() < 0.75
        return Person(
            height=float(r.uniform(1.0, 1.35) if child else r.uniform(1.55, 1.9)),
            view="side" if rides else chosen,
            wears=str(r.choice(WEARS if not rides else ("trousers", "shorts"))),
            top=paints.of(r, PALETTE),
            legs=paints.of(r, PALETTE),
            skin=paints.of(r, SKINS, spread=8, plain=1.0),
            hair=paints.of(r, HAIRS, spread=8, plain=1.0),
            shoes=paints.of(r, PALETTE, plain=1.0),
            pace=float(r.uniform(5, 9)) if moving else 0.0,
            swing=float(r.uniform(0.3, 0.85)) if moving else 0.06,
            phase=float(r.uniform(0, 6.3)),
            rides=rides,
            girth=float(r.uniform(0.85, 1.3)),
            hat=bool(r.random() < 0.15),
            long_hair=bool(r.random() < 0.35),
        )

    def _people(self, z: float, column: float) -> None:
        body = self._person()
        r = self.random
        if not body.pace:
            speed = (0.0, 0.0)
        elif body.view == "side":
            speed = (float(r.choice([-1, 1]) * (0.6 + 2.2 * max(0.0, body.swing - 0.2))), 0.0)
        else:
            speed = (float(r.normal(0, 0.2)), -1.0 if body.view == "front" else 1.0)
        self._place(body, z, column, speed)

    def _car(self, z: float, column: float) -> None:
        r = self.random
        along = self.street.kind == "along"
        kinds = ("front", "rear", "front", "rear", "sedan", "hatchback", "van", "pickup") if along else CARS
        kind = str(r.choice(kinds))
        parked = r.random() < 0.4
        fast = 0.0 if parked else float(r.uniform(2, 9))
        if kind in ("front", "rear"):
            speed = (0.0, -0.6 * fast if kind == "front" else 0.6 * fast)
        else:
            speed = (float(r.choice([-1, 1])) * fast, 0.0)
        self._place(Car(kind, self.paints.any(r), abs(speed[0])), max(z, self.view.z + 6 + self.advance), column, speed)

    def _bicycle(self, z: float, column: float) -> None:
        r = self.random
        kind = str(r.choice(BICYCLES, p=(0.25, 0.22, 0.2, 0.2, 0.13)))
        ridden = kind != "frontal" and r.random() < 0.55
        fast = float(r.choice([-1, 1]) * r.uniform(2, 5.5)) if ridden else 0.0
        facing = int(np.sign(fast)) or int(r.choice([-1, 1]))
        self._place(Bicycle(kind, self.paints.any(r), abs(fast)), z, column, (fast, 0.0), facing=facing)
        if ridden:
            rider = self._person(rides=True)
            self._place(rider, z, column, (fast, 0.0), before=0.01, facing=facing)

    def _ball(self, z: float, column: float) -> None:
        r = self.random
        kind = str(r.choice(BALLS))
        radius = {"beach": 0.32, "plain": 0.3}.get(kind, 0.2) * float(r.uniform(0.8, 1.5))
        rolls = float(r.choice([-1, 1]) * r.uniform(0.5, 3.5)) if r.random() < 0.6 else 0.0
        first, second = self.paints.any(r), self.paints.any(r)
        hop = float(r.uniform(0.2, 1.2)) if r.random() < 0.35 else 0.0
        ball = Ball(kind, radius, first, second, rolls, hop, float(r.uniform(2, 5)), float(r.uniform(0, 3)))
        self._place(ball, z, column, (rolls, 0.0), facing=1)

    def _animal(self, z: float, column: float) -> None:
        r = self.random
        kind = str(r.choice(ANIMALS))
        walks = kind in ("dog", "horse") and r.random() < 0.7
        speed = float(r.choice([-1, 1]) * r.uniform(0.6, 2.5)) if walks else 0.0
        size = float(r.uniform(0.7, 1.15)) * (0.8 if kind == "horse" else 1.0)
        pace = 4 * abs(speed) if walks else 0.0
        fur, spots = self.paints.of(r, FURS, plain=0.7), self.paints.of(r, FURS, plain=0.7)
        self._place(Animal(kind, fur, spots, size, pace, float(r.uniform(0, 6))), z, column, (speed, 0.0))


def base_of(actor: Actor, view: View, time_s: float) -> NDArray[np.float64] | None:
    """From the actor's metres to pixels; None where it is too near or behind the camera."""
    x, z = actor.place(time_s)
    return view.billboard(x, 0.0, z, actor.facing) if z - view.z > 0.6 else None
