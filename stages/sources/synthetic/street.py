"""What does not move: road, pavements, buildings, trees, sky."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .geometry import Look, Part, Points, along, box, disc, limb, outline, turned
from .palette import Paints
from .settings import STUFF
from .textures import BRICKS, CLOUDS, COARSE, FINE, LEAVES, PLANKS

ROAD, PAVEMENT, BUILDING, SKY, VEGETATION = range(len(STUFF))

Vector = NDArray[np.float64]


class Plane(NamedTuple):
    """A flat piece of the street in perspective: points u, v (metres) of ``outline`` from ``origin``."""

    look: Look
    origin: Vector
    u: Vector
    v: Vector
    outline: Points
    stuff: int
    shaded: bool


@dataclass(frozen=True, slots=True, eq=False)
class Scenery:
    """Something that stands and faces the camera."""

    pieces: list[Part]
    stuff: int
    x: float
    z: float


@dataclass(slots=True, eq=False)
class Street:
    """All of it. ``depth``: how far the ground reaches; ``lanes``: where (x or z) and how wide things may stand."""

    kind: str
    sky: Look
    planes: list[Plane] = field(default_factory=list)
    scenery: list[Scenery] = field(default_factory=list)
    depth: float = 40.0
    half_width: float = 8.0


def _ground(look: Look, x1: float, x2: float, z1: float, z2: float, stuff: int) -> Plane:
    origin, u, v = np.array((0.0, 0.0, 0.0)), np.array((1.0, 0.0, 0.0)), np.array((0.0, 0.0, 1.0))
    return Plane(look, origin, u, v, outline(x1, z1, x2, z1, x2, z2, x1, z2), stuff, True)


def _wall(look: Look, x: float, z1: float, z2: float, height: float, stuff: int) -> Plane:
    origin, u, v = np.array((x, 0.0, 0.0)), np.array((0.0, 0.0, 1.0)), np.array((0.0, 1.0, 0.0))
    return Plane(look, origin, u, v, outline(z1, 0, z2, 0, z2, height, z1, height), stuff, False)


def make_street(random: np.random.Generator, paints: Paints, *, hard: bool) -> Street:
    """A street across the view, or along it."""
    sky = paints.tinted((150 + 60 * random.random(), 185 + 40 * random.random(), 235), CLOUDS, 0.5, 0.5)
    if random.random() < (0.45 if hard else 0.35):
        return _along(random, paints, sky)
    return _across(random, paints, sky, hard=hard)


def _ground_looks(random: np.random.Generator, paints: Paints) -> tuple[Look, Look, Look, Look]:
    grey = 60 + 60 * random.random()
    road = paints.tinted((grey, grey, grey + 6), FINE, 0.5, 50)
    light = 125 + 70 * random.random()
    pavement = paints.tinted((light, light - 6, light - 14), int(random.choice([FINE, BRICKS, PLANKS])), 0.35, 60)
    grass = paints.tinted((70 + 40 * random.random(), 120 + 40 * random.random(), 55), LEAVES, 0.7, 60)
    return road, pavement, grass, paints.tinted((225, 225, 215), FINE, 0.2, 40)


def _across(random: np.random.Generator, paints: Paints, sky: Look, *, hard: bool) -> Street:
    """The road runs from left to right; buildings face the camera."""
    road, pavement, grass, mark = _ground_looks(random, paints)
    near, wide = random.uniform(4, 10), random.uniform(5, 9)
    far = near + wide
    front = far + (random.uniform(10, 32) if hard else random.uniform(4, 10))
    street = Street("across", sky, depth=front - 0.7)
    reach = 160.0
    street.planes += [
        _ground(pavement, -reach, reach, -20, near, PAVEMENT),
        _ground(road, -reach, reach, near, far, ROAD),
        _ground(pavement, -reach, reach, far, front, PAVEMENT),
        _ground(grass, -reach, reach, front, 400, VEGETATION),
    ]
    if random.random() < 0.4:
        street.planes.append(_ground(grass, -reach, reach, far + 2.5, front, VEGETATION))
    if random.random() < 0.8:
        middle = (near + far) / 2
        street.planes += [_ground(mark, x, x + 2, middle - 0.08, middle + 0.08, ROAD) for x in range(-60, 60, 5)]
    x = -90.0
    while x < 90:
        width = random.uniform(6, 15)
        if random.random() < 0.85:
            street.scenery.append(_house(random, paints, x, width, front))
        x += width + (random.uniform(1, 8) if random.random() < 0.3 else 0)
    for _ in range(int(random.integers(4, 16))):
        street.scenery.append(_tree(random, paints, random.uniform(-45, 45), random.uniform(far + 0.5, front - 0.5)))
    for _ in range(int(random.integers(0, 5))):
        street.scenery.append(_pole(random, paints, random.uniform(-30, 30), random.choice([near - 0.4, far + 0.4])))
    return street


def _along(random: np.random.Generator, paints: Paints, sky: Look) -> Street:
    """The road runs away from the camera, between two rows of buildings."""
    road, pavement, grass, mark = _ground_looks(random, paints)
    half, side, end = random.uniform(3, 5.5), random.uniform(2, 5), random.uniform(60, 110)
    edge = half + side
    street = Street("along", sky, depth=45.0, half_width=edge)
    verge = grass if random.random() < 0.4 else pavement
    stuff = VEGETATION if verge is grass else PAVEMENT
    street.planes += [
        _ground(verge, -200, 200, -20, 400, stuff),
        _ground(pavement, -edge, edge, -20, end, PAVEMENT),
        _ground(road, -half, half, -20, end, ROAD),
        *(_ground(mark, -0.08, 0.08, z, z + 2, ROAD) for z in range(0, 80, 5)),
    ]
    walls = []
    for sign in (-1, 1):
        z = -12.0
        while z < end:
            length = random.uniform(7, 16)
            if random.random() < 0.85:
                height = random.uniform(5, 18)
                walls.append(_wall(paints.facade(random), sign * (edge + 0.3), z, z + length, height, BUILDING))
            z += length
    street.planes += sorted(walls, key=lambda wall: -wall.outline[0, 0])
    x = -edge - 40
    while x < edge + 40:
        width = random.uniform(8, 16)
        street.scenery.append(_house(random, paints, x, width, end))
        x += width
    for _ in range(int(random.integers(3, 14))):
        place = random.choice([-1, 1]) * random.uniform(half + 0.6, edge)
        street.scenery.append(_tree(random, paints, place, random.uniform(7, 50)))
    for _ in range(int(random.integers(0, 5))):
        street.scenery.append(_pole(random, paints, random.choice([-1, 1]) * (half + 0.3), random.uniform(6, 40)))
    return street


def _house(random: np.random.Generator, paints: Paints, x: float, width: float, z: float) -> Scenery:
    height = random.uniform(4.5, 16)
    here = turned(0, 0)
    pieces = [Part(paints.facade(random), here, box(0, -0.2, width, height))]
    if random.random() < 0.5:
        roof = outline(-0.4, height, width + 0.4, height, width * 0.8, height + 2.5, width * 0.2, height + 2.5)
        pieces.append(Part(paints.any(random), here, roof))
    door = random.uniform(0.1, 0.8) * width
    pieces.append(Part(paints.any(random), here, box(door, -0.2, door + 1.1, 2.2)))
    for _ in range(int(random.integers(0, 4))):  # signs and posters in the colours of things
        left, low = random.uniform(0, 0.8) * width, random.uniform(0.5, 0.6 * height)
        size = random.uniform(0.4, 2.0)
        shape = (
            disc(size / 2) + np.array((size / 2, size / 2)) if random.random() < 0.3 else box(0, 0, size, 0.6 * size)
        )
        pieces.append(Part(paints.any(random), turned(left, low), shape))
    return Scenery(pieces, BUILDING, x, z)


def _tree(random: np.random.Generator, paints: Paints, x: float, z: float) -> Scenery:
    green = paints.tinted(
        (40 + 70 * random.random(), 80 + 80 * random.random(), 30 + 30 * random.random()), LEAVES, 0.8, 60
    )
    bark = paints.tinted((90, 65, 45), COARSE, 0.6, 80)
    pieces = []
    if random.random() < 0.7:
        height = random.uniform(2.2, 5)
        pieces.append(Part(bark, along((0, -0.1), (0.1, height)), limb(0.14, 0.09, height)))
        centre, radius = height, random.uniform(0.9, 1.9)
    else:
        centre, radius = 0.45, random.uniform(0.5, 0.9)  # a bush
    for _ in range(int(random.integers(3, 6))):
        blob = disc(radius * random.uniform(0.6, 1), radius * random.uniform(0.5, 0.9), 11)
        ragged = blob * random.uniform(0.82, 1.15, (11, 1))
        place = turned(random.normal(0, 0.45 * radius), centre + random.normal(0, 0.35 * radius))
        pieces.append(Part(green, place, ragged))
    return Scenery(pieces, VEGETATION, x, z)


def _pole(random: np.random.Generator, paints: Paints, x: float, z: float) -> Scenery:
    height = random.uniform(2.4, 5)
    pieces = [Part(paints.tinted((110, 112, 115), FINE, 0.3, 50), turned(0, 0), box(-0.06, -0.1, 0.06, height))]
    shape = disc(0.32) if random.random() < 0.6 else box(-0.35, -0.3, 0.35, 0.3)
    pieces.append(Part(paints.any(random), turned(0, height), shape))
    return Scenery(pieces, BUILDING, x, z)
