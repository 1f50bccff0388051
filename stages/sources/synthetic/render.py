"""One frame of a scene: the map of its surfaces, its picture, and who is where."""

from __future__ import annotations

import io
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ....kernels import shade_surfaces
from .camera import NEAR_M, View
from .canvas import Canvas, Standing, drawing_on
from .cast import Actor, base_of
from .geometry import Matrix, Points
from .scene import Shot, make_shot, shot_starts
from .settings import SyntheticSettings
from .street import SKY, Plane, Street
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


class SceneRenderer:
    """Draws the frames of one clip, in any order."""

    def __init__(self, settings: SyntheticSettings, clip: int) -> None:
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
        size, shot = self.settings.size, moment.shot
        canvas, view = Canvas(size, shot.haze), moment.view()
        # The sky is surface 0, and everywhere where nothing else is.
        canvas.surface(shot.street.sky, sky_frame(view), owner=-1, stuff=SKY, distance=0)
        _draw_planes(canvas, moment, view)
        shadow = np.full(size, 255, np.uint8)
        canvas.standing(_standing(moment, view, size, drawing_on(shadow)))
        return Rendered(moment, canvas.map, canvas, shadow, self.settings.seed * 1000 + self.clip)


def sky_frame(view: View) -> Matrix:
    """The sky is too far away to move, but for the shake of the camera."""
    return np.array(((1.0, 0.0, view.centre[0]), (0.0, -1.0, view.centre[1]), (0.0, 0.0, 1.0)))


def plane_frame(plane: Plane, view: View) -> Matrix:
    """From metres on the plane to pixels."""
    return view.plane(plane.origin, plane.u, plane.v)


@lru_cache(maxsize=8)
def _stacked(street: Street) -> tuple[NDArray[np.float64], ...]:
    """Of all planes: origins, u and v [N, 3], and corners [N, 4, 3], homogeneous."""
    planes = street.planes
    corners = np.array([plane.outline for plane in planes])
    corners = np.concatenate([corners, np.ones((*corners.shape[:2], 1))], axis=2)
    origins, us, vs = (np.array([getattr(plane, name) for plane in planes]) for name in ("origin", "u", "v"))
    return origins, us, vs, corners


def _draw_planes(canvas: Canvas, moment: Moment, view: View) -> None:
    """The flat pieces of the street, in their order."""
    height, width = canvas.size
    *axes, corners = _stacked(moment.shot.street)
    frames = view.plane(*axes)
    homogeneous = corners @ frames.swapaxes(1, 2)
    depths = homogeneous[..., 2]
    distances = np.mean(np.clip(depths, NEAR_M, 60), axis=1).tolist()
    ahead = depths >= NEAR_M
    whole = np.all(ahead, axis=1).tolist()
    with np.errstate(divide="ignore", invalid="ignore"):
        pixels = homogeneous[..., :2] / homogeneous[..., 2:]
    camera = moment.shot.camera
    for number in np.flatnonzero(ahead.any(axis=1)).tolist():
        points = pixels[number] if whole[number] else _before_camera(homogeneous[number])
        (left, top), right = points.min(axis=0).tolist(), float(points[:, 0].max())
        if right < 0 or left > width or top > height:
            continue
        plane, distance = moment.shot.street.planes[number], distances[number]
        blur = round(abs(camera.speed[0]) * moment.step_s * camera.focal / distance * moment.shot.shutter / 2)
        surface = canvas.surface(plane.look, frames[number], owner=-2 - number, stuff=plane.stuff,
                                 distance=min(distance, 25), blur=blur, perspective=True,
                                 shaded=plane.shaded)  # fmt: skip
        canvas.fill(surface, np.clip(points, -20000, 20000))


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


def _standing(moment: Moment, view: View, size: tuple[int, int], shadow: ImageDraw.ImageDraw) -> list[Standing]:
    """Scenery and actors that may show, from the farthest to the nearest; draws the shadows of the actors."""
    shot, before = moment.shot, moment.view(1)
    planes = len(shot.street.planes)
    order: list[tuple[float, int, Actor | None]] = [
        (-piece.z, -2 - planes - number, None) for number, piece in enumerate(shot.street.scenery)
    ]
    order += [(-actor.place(moment.time_s)[1], actor.number, actor) for actor in shot.actors]
    found = []
    for depth, number, actor in sorted(order, key=lambda each: each[:2]):
        distance = -depth - view.z
        if distance < 0.6:
            continue
        if actor is None:
            piece = shot.street.scenery[-2 - planes - number]
            here = view.billboard(piece.x, 0.0, piece.z)
            if _visible(here, (-2.5, -0.2, 18, 20), size):
                blur = _blur(moment, here, before.billboard(piece.x, 0.0, piece.z))
                found.append(Standing(piece.pieces, here, number, piece.stuff, distance, blur))
            continue
        base = base_of(actor, view, moment.time_s)
        if base is None or not _visible(base, actor.body.extent, size):
            continue
        _draw_shadow(shadow, base, actor)
        was = base_of(actor, before, moment.time_s - moment.step_s)
        blur = 0 if was is None else _blur(moment, base, was)
        found.append(Standing(actor.body.parts(moment.time_s), base, actor.number, -1, distance, blur))
    return found


def _blur(moment: Moment, base: Matrix, before: Matrix) -> int:
    return round(abs(float(base[0, 2] - before[0, 2])) * moment.shot.shutter / 2)


def _visible(base: Matrix, extent: tuple[float, float, float, float], size: tuple[int, int]) -> bool:
    """Whether the box ``extent`` (metres) is at least in part within the picture."""
    (across, _, left), (_, down, top), _ = base.tolist()
    first, last = across * extent[0] + left, across * extent[2] + left
    return bool(
        max(first, last) > 0 and min(first, last) < size[1]
        and down * extent[1] + top > 0 and down * extent[3] + top < size[0]
    )  # fmt: skip


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
