"""A shot: a street, a camera, a cast and a light; made of a seed, and then a function of time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from .camera import Camera
from .cast import Actor, Casting
from .palette import Paints
from .settings import SyntheticSettings
from .street import Street, make_street


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """What is between two scene cuts.

    Attributes:
        number: within its clip.
        first: index of its first frame.
        shutter: part of a frame's time that the shutter is open, for motion blur.
        noise: amplitude of the sensor's noise, 0 to 127.
        quality: of the JPEG compression that every frame has gone through; None: none.
        haze: colour far away, and metres at which it has taken over by two thirds.
    """

    number: int
    first: int
    street: Street
    camera: Camera
    actors: tuple[Actor, ...]
    shutter: float
    noise: int
    quality: int | None
    haze: tuple[tuple[float, float, float], float]


def shot_starts(settings: SyntheticSettings, clip: int) -> list[int]:
    """Indices of the frames at which the shots of a clip begin."""
    random = np.random.default_rng([settings.seed, clip, 0])
    starts, at = [0], 0
    while True:
        at += max(6, round(settings.shot_s * settings.rate * random.uniform(0.5, 1.5)))
        if at >= settings.frames:
            return starts
        starts.append(at)


@lru_cache(maxsize=8)
def make_shot(settings: SyntheticSettings, clip: int, number: int, first: int, frames: int) -> Shot:
    """The shot ``number`` of a clip, from frame ``first`` on, for ``frames`` frames."""
    random = np.random.default_rng([settings.seed, clip, 1 + number])
    hard = settings.difficulty == "hard" or (settings.difficulty == "mixed" and random.random() < 0.6)
    paints = Paints(_light(random, hard=hard))
    street = make_street(random, paints, hard=hard)
    close = random.random() < (0.75 if settings.name == "faces" else 0.08)
    seconds = frames / settings.rate
    camera = _camera(random, settings.size, street, seconds, close=close, hard=hard)
    middle = seconds / 2
    if settings.still:
        view = camera.at(middle)
        camera = replace(camera, start=(view.x, view.y, view.z), speed=(0.0, 0.0, 0.0), shake_px=0.0)
    casting = Casting(random, paints, street, camera.at(middle), settings.size, middle, hard, [])
    casting.advance = camera.speed[2] * middle
    if close:
        casting.close_up()
    casting.fill()
    return Shot(
        number,
        first,
        street,
        camera,
        tuple(casting.actors),
        shutter=float(random.uniform(0, 0.7 if hard else 0.3)),
        noise=int(random.integers(4, 22) if hard else random.integers(0, 8)),
        quality=int(random.integers(35, 85)) if random.random() < (0.5 if hard else 0.25) else None,
        haze=(street.sky.colour, float(random.uniform(90, 400))),
    )


def _light(random: np.random.Generator, *, hard: bool) -> tuple[float, float, float]:
    level = float(random.uniform(0.6, 1.15) if hard else random.uniform(0.8, 1.1))
    warm = float(random.normal(0, 0.07))
    return level * (1 + warm), level, level * (1 - warm)


def _camera(
    random: np.random.Generator, size: tuple[int, int], street: Street, seconds: float, *, close: bool, hard: bool
) -> Camera:
    height, width = size
    side = float(random.normal(0, 1.6 if hard else 0.7)) if random.random() < 0.75 else 0.0
    ahead = float(random.uniform(-0.5, 3.0)) if street.kind == "along" or random.random() < 0.3 else 0.0
    eye = float(random.uniform(1.45, 1.75) if close else random.uniform(1.4, 4.2))
    place = 0.0 if street.kind == "across" else float(random.uniform(-0.4, 0.4)) * street.half_width
    horizon = float(random.uniform(0.28, 0.45))
    return Camera(
        (place - side * seconds / 2, eye, 0.0),
        (side, 0.0, ahead),
        float(random.uniform(0.75, 1.05)) * width,
        (0.5 * width, horizon * height),
        shake_px=float(random.uniform(0, 6 if hard else 2)) * height / 720,
        shake_rate=float(random.uniform(3, 25)),
    )
