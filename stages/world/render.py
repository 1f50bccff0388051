"""One frame of the world: the map of its surfaces, its picture, and who is where."""

from __future__ import annotations

import io
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ...kernels import shade_surfaces
from .camera import NEAR_M, View
from .canvas import Canvas
from .cast import Actor, base_of
from .geometry import Matrix, Points
from .scene import Shot, make_shot, shot_starts
from .settings import WorldSettings
from .street import SKY, Plane
from .textures import texture_bank

SHADOW = 150
"""Light that is left in a shadow, of 255."""


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """A frame before it is drawn: a shot and a time in it, in seconds from the shot's first frame."""

    shot: Shot
    time_s: float
    step_s: float
    index: int

    @property
    def is_first(self) -> bool:
        """Whether it is the first after a cut, or of the clip."""
        return self.index == self.shot.first

    def view(self, steps: int = 0) -> View:
        """Of the camera, so many frames before."""
        return self.shot.camera.at(self.time_s - steps * self.step_s)


@dataclass(eq=False)
class Rendered:
    """A frame that is drawn.

    Attributes:
        moment: which.
        surfaces: uint16 [H, W].
        canvas: its table.
        shadow: uint8 [H, W], light on the ground.
    """

    moment: Moment
    surfaces: NDArray[np.uint16]
    canvas: Canvas
    shadow: NDArray[np.uint8]
    seed: int

    @cached_property
    def owners(self) -> NDArray[np.int32]:
        """Whose each pixel is, int32 [H, W]: the number of an actor, or -1 - the number of a piece of the street."""
        owners: NDArray[np.int32] = np.take(np.array(self.canvas.owners, np.int32), self.surfaces)
        return owners

    def picture(self) -> NDArray[np.uint8]:
        """RGB, uint8 [H, W, 3]."""
        shot = self.moment.shot
        seed = (self.seed * 1_000_003 + self.moment.index * 7919) & 0xFFFFFFFF
        rgb = shade_surfaces(
            self.surfaces, self.shadow, self.canvas.table(), texture_bank(), noise=shot.noise, seed=seed
        )
        return rgb if shot.quality is None else _compressed(rgb, shot.quality)


class WorldRenderer:
    """Draws the frames of one clip, in any order."""

    def __init__(self, settings: WorldSettings, clip: int) -> None:
        self.settings, self.clip = settings, clip
        self._starts = shot_starts(settings, clip)

    def moment(self, index: int) -> Moment:
        """The frame with this index."""
        number = bisect_right(self._starts, index) - 1
        first = self._starts[number]
        end = self._starts[number + 1] if number + 1 < len(self._starts) else self.settings.frames
        shot = make_shot(self.settings, self.clip, number, first, end - first)
        step = 1 / self.settings.rate
        return Moment(shot, (index - first) * step, step, index)

    def draw(self, moment: Moment) -> Rendered:
        """Draw it."""
        size, shot, view = self.settings.size, moment.shot, moment.view()
        canvas = Canvas(size, shot.haze)
        shadow = Image.new("L", (size[1], size[0]), 255)
        _draw_sky(canvas, moment)
        for number, plane in enumerate(shot.street.planes):
            _draw_plane(canvas, moment, plane, -2 - number)
        _draw_standing(canvas, moment, view, ImageDraw.Draw(shadow))
        return Rendered(moment, canvas.map(), canvas, np.asarray(shadow), self.settings.seed * 1000 + self.clip)


def _draw_sky(canvas: Canvas, moment: Moment) -> None:
    height, width = canvas.size
    frame = sky_frame(moment.view())
    number = canvas.surface(moment.shot.street.sky, frame, owner=-1, stuff=SKY, distance=0)
    canvas.fill(number, np.array(((0, 0), (width, 0), (width, height), (0, height)), np.float64))


def sky_frame(view: View) -> Matrix:
    """The sky is too far away to move, but for the shake of the camera."""
    return np.array(((1.0, 0.0, view.centre[0]), (0.0, -1.0, view.centre[1]), (0.0, 0.0, 1.0)))


def plane_frame(plane: Plane, view: View) -> Matrix:
    """From metres on the plane to pixels."""
    return view.plane(plane.origin, plane.u, plane.v)


def _draw_plane(canvas: Canvas, moment: Moment, plane: Plane, owner: int) -> None:
    frame = plane_frame(plane, moment.view())
    homogeneous = np.concatenate([plane.outline, np.ones((len(plane.outline), 1))], axis=1) @ frame.T
    points = _before_camera(homogeneous)
    if len(points) < 3:
        return
    height, width = canvas.size
    if points[:, 0].max() < 0 or points[:, 0].min() > width or points[:, 1].min() > height:
        return
    distance = float(np.mean(np.clip(homogeneous[:, 2], NEAR_M, 60)))
    blur = round(abs(moment.shot.camera.speed[0]) * moment.step_s * moment.shot.camera.focal / distance
                 * moment.shot.shutter / 2)  # fmt: skip
    number = canvas.surface(plane.look, frame, owner=owner, stuff=plane.stuff, distance=min(distance, 25), blur=blur,
                            perspective=True, shaded=plane.shaded)  # fmt: skip
    canvas.fill(number, np.clip(points, -20000, 20000))


def _before_camera(points: Points) -> Points:
    """An outline, [N, 3] homogeneous pixels, cut off at the nearest distance; pixels [M, 2]."""
    kept = []
    for here, after in zip(points, np.roll(points, -1, axis=0), strict=True):
        if here[2] >= NEAR_M:
            kept.append(here)
        if (here[2] >= NEAR_M) != (after[2] >= NEAR_M):
            part = (NEAR_M - here[2]) / (after[2] - here[2])
            kept.append(here + part * (after - here))
    cut = np.array(kept).reshape(-1, 3)
    return np.asarray(cut[:, :2] / cut[:, 2:])


def _draw_standing(canvas: Canvas, moment: Moment, view: View, shadow: ImageDraw.ImageDraw) -> None:
    """Scenery and actors, from the farthest to the nearest."""
    shot = moment.shot
    planes = len(shot.street.planes)
    standing: list[tuple[float, int, Actor | None]] = [
        (-piece.z, -2 - planes - number, None) for number, piece in enumerate(shot.street.scenery)
    ]
    standing += [(-actor.place(moment.time_s)[1], actor.number, actor) for actor in shot.actors]
    for depth, number, actor in sorted(standing, key=lambda each: each[:2]):
        distance = -depth - view.z
        if distance < 0.6:
            continue
        if actor is None:
            piece = shot.street.scenery[-2 - planes - number]
            base = view.billboard(piece.x, 0.0, piece.z)
            if _visible(base, (-2.5, -0.2, 18, 20), canvas.size):
                blur = _blur(moment, base, moment.view(1).billboard(piece.x, 0.0, piece.z))
                canvas.parts(piece.pieces, base, owner=number, stuff=piece.stuff, distance=distance, blur=blur)
            continue
        here, before = (base_of(actor, moment.view(n), moment.time_s - n * moment.step_s) for n in (0, 1))
        if here is None or not _visible(here, actor.body.extent, canvas.size):
            continue
        _draw_shadow(shadow, here, actor)
        blur = 0 if before is None else _blur(moment, here, before)
        canvas.parts(actor.body.parts(moment.time_s), here, owner=actor.number, stuff=-1, distance=distance, blur=blur)


def _blur(moment: Moment, base: Matrix, before: Matrix) -> int:
    return round(abs(float(base[0, 2] - before[0, 2])) * moment.shot.shutter / 2)


def _visible(base: Matrix, extent: tuple[float, float, float, float], size: tuple[int, int]) -> bool:
    """Whether the box ``extent`` (metres) is at least in part within the picture."""
    xs = sorted((base[0, 0] * extent[0] + base[0, 2], base[0, 0] * extent[2] + base[0, 2]))
    top, bottom = base[1, 1] * extent[3] + base[1, 2], base[1, 1] * extent[1] + base[1, 2]
    return bool(xs[1] > 0 and xs[0] < size[1] and bottom > 0 and top < size[0])


def _draw_shadow(shadow: ImageDraw.ImageDraw, base: Matrix, actor: Actor) -> None:
    scale = abs(base[1, 1])
    x1, _, x2, _ = actor.body.extent
    half = 0.42 * (x2 - x1) * scale
    x, y = float(base[0, 2]) + 0.15 * half, float(base[1, 2])
    low = 0.16 * half
    if half > 1:
        shadow.ellipse((x - half, y - low, x + half, y + low), fill=SHADOW)


def _compressed(rgb: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """The picture after JPEG compression."""
    packed = io.BytesIO()
    Image.fromarray(rgb).save(packed, "JPEG", quality=quality)
    return np.array(Image.open(packed))
