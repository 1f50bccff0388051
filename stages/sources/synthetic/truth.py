"""What is known about a drawn frame: exact, since it is read off the map that the picture was made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ....pipeline.ground_truth import FACE_POINTS, MPII_JOINTS, GroundTruth
from ....pipeline.types.detections import Detections
from ....pipeline.types.landmarks import Landmarks
from ....pipeline.types.masks import Masks
from ....pipeline.types.panoptic import PanopticMap, Segment
from .cast import Actor, base_of
from .geometry import Matrix
from .person import Person
from .render import Rendered, SceneRenderer, plane_frame, sky_frame
from .settings import STUFF, THINGS

# Joints and face points where a mirrored person has the others: what is drawn on the right lies on the left then.
_OTHER_JOINTS = (5, 4, 3, 2, 1, 0, 6, 7, 8, 9, 15, 14, 13, 12, 11, 10)
_OTHER_POINTS = (1, 0, 2, 4, 3)

MIN_AREA_PX = 100
"""Of a 720 rows high picture: what shows less of itself is no object, and its pixels are void."""
MAX_HIDDEN = 0.85
"""What is hidden more is ignored: it is no fault to miss it, or to find it."""
MIN_FACE_PX = 12.0
"""Of a 720 rows high picture: smaller faces are ignored."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """An actor that shows in a frame: what can be seen of it, within ``box`` (x1, y1, x2, y2)."""

    actor: Actor
    base: Matrix
    box: tuple[int, int, int, int]
    crop: NDArray[np.bool_]
    area: int
    whole: int

    @property
    def hidden(self) -> float:
        """The part of it within the picture that others cover."""
        return 1 - self.area / max(self.whole, self.area)


def seen_actors(rendered: Rendered) -> list[Seen]:
    """All actors of which at least a pixel shows, by number."""
    moment, view = rendered.moment, rendered.moment.view()
    found = []
    for actor in moment.shot.actors:
        base = base_of(actor, view, moment.time_s)
        if base is None:
            continue
        outlines = _outlines(actor, base, moment.time_s)
        box = _box_of(outlines, rendered.canvas.size)
        if box is None:
            continue
        x1, y1, x2, y2 = box
        crop = rendered.owners[y1:y2, x1:x2] == actor.number
        area = int(np.count_nonzero(crop))
        if area:
            found.append(Seen(actor, base, box, crop, area, _silhouette(outlines, box)))
    return found


def _outlines(actor: Actor, base: Matrix, time_s: float) -> list[NDArray[np.float64]]:
    scale = abs(base[1, 1])
    kept = [part for part in actor.body.parts(time_s) if part.detail * scale > 1.5]
    frames = [base @ part.frame for part in kept]
    return [part.outline @ f[:2, :2].T + f[:2, 2] for part, f in zip(kept, frames, strict=True)]


def _box_of(outlines: list[NDArray[np.float64]], size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Whole pixels around all outlines, within the picture; None where nothing is."""
    points = np.concatenate(outlines)
    low, high = np.floor(points.min(axis=0)).astype(int) - 1, np.ceil(points.max(axis=0)).astype(int) + 2
    x1, y1 = max(0, int(low[0])), max(0, int(low[1]))
    x2, y2 = min(size[1], int(high[0])), min(size[0], int(high[1]))
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


def _silhouette(outlines: list[NDArray[np.float64]], box: tuple[int, int, int, int]) -> int:
    """Pixels that an actor would show if nothing were before it."""
    x1, y1, x2, y2 = box
    image = Image.new("L", (x2 - x1, y2 - y1))
    draw = ImageDraw.Draw(image)
    for points in outlines:
        draw.polygon((points - (x1, y1)).ravel().tolist(), fill=1)
    return image.histogram()[1]


def truth_of(rendered: Rendered, *, before: Rendered | None = None) -> GroundTruth:
    """Everything about a frame.

    Args:
        before: the frame before it, of the same shot; with it there is flow.
    """
    height, width = rendered.canvas.size
    scale = height / 720
    seen = seen_actors(rendered)
    shown = [each for each in seen if each.area >= MIN_AREA_PX * scale**2]
    masks = _masks(shown, (height, width))
    tracks = np.array([_track(rendered, each.actor) for each in shown], np.int32)
    objects = Detections(
        masks.boxes.astype(np.float32),
        np.ones(len(shown), np.float32),
        np.array([each.actor.body.class_id for each in shown], np.int32),
        THINGS,
        masks,
        tracks,
    )
    hidden = np.array([each.hidden for each in shown], np.float32)
    bodies, faces, ignored = _people(rendered, shown, objects, scale)
    return GroundTruth(
        objects,
        hidden > MAX_HIDDEN,
        hidden,
        _panoptic(rendered, shown, objects),
        bodies,
        faces,
        ignored,
        None if before is None else flow_between(rendered, before),
    )


def _track(rendered: Rendered, actor: Actor) -> int:
    """Unique in a clip, the same as long as the shot lasts."""
    return rendered.moment.shot.number * 1000 + actor.number + 1


def _masks(shown: list[Seen], size: tuple[int, int]) -> Masks:
    crops = []
    for each in shown:
        rows, columns = np.flatnonzero(each.crop.any(axis=1)), np.flatnonzero(each.crop.any(axis=0))
        x, y = each.box[:2]
        box = (x + columns[0], y + rows[0], x + columns[-1] + 1, y + rows[-1] + 1)
        crops.append((np.array(box, np.int32), each.crop[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]))
    return Masks.from_crops(crops, size)


def _panoptic(rendered: Rendered, shown: list[Seen], objects: Detections) -> PanopticMap:
    """Things that are shown, by number of their track, and stuff; other pixels are void."""
    stuff = np.array(rendered.canvas.stuff, np.int32)
    ids = np.where(stuff >= 0, stuff + 1, 0).astype(np.int32)
    owners = np.array(rendered.canvas.owners, np.int32)
    segments = []
    for row, each in enumerate(shown):
        assert objects.track_ids is not None
        track = int(objects.track_ids[row])
        ids[owners == each.actor.number] = 100 + track
        kind = each.actor.body.class_id
        segments.append(Segment(100 + track, kind, THINGS[kind], True, 1.0, each.area, track))
    counts = np.bincount(rendered.surfaces.ravel(), minlength=len(stuff))
    for number, name in enumerate(STUFF):
        area = int(counts[stuff == number].sum())
        if area:
            segments.append(Segment(number + 1, len(THINGS) + number, name, False, None, area))
    return PanopticMap(np.take(ids, rendered.surfaces), tuple(segments))


def _people(
    rendered: Rendered, shown: list[Seen], objects: Detections, scale: float
) -> tuple[Landmarks, Landmarks, NDArray[np.bool_]]:
    """Joints and faces of the people who are shown; a person who is ignored has a face that is ignored."""
    joints, faces = [], []
    for row, each in enumerate(shown):
        if not isinstance(each.actor.body, Person):
            continue
        time_s = rendered.moment.time_s
        mirrored = each.actor.facing < 0
        placed = each.actor.body.joints(time_s)
        joints.append((row, *_points(rendered, each, placed[list(_OTHER_JOINTS)] if mirrored else placed)))
        face = each.actor.body.face(time_s)
        if face is not None:
            points, scores = _points(rendered, each, face[0][list(_OTHER_POINTS)] if mirrored else face[0])
            box, ignored = _face_box(rendered, each, face[1], scores, scale)
            if box is not None:
                faces.append((row, points, scores, box, ignored))
    boxes = [objects.boxes[row] for row, *_ in joints]
    bodies = _landmarks(objects, [(row, p, s, b) for (row, p, s), b in zip(joints, boxes, strict=True)], MPII_JOINTS)
    found = _landmarks(objects, [each[:4] for each in faces], FACE_POINTS)
    return bodies, found, np.array([each[4] for each in faces], np.bool_)


def _points(
    rendered: Rendered, each: Seen, metres: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Pixels [K, 2], and 1 where the person shows there, 0.5 where something is before it, 0 outside the picture."""
    points = metres @ each.base[:2, :2].T + each.base[:2, 2]
    height, width = rendered.canvas.size
    x, y = np.floor(points).astype(int).T
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    own = rendered.owners[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)] == each.actor.number
    return points.astype(np.float32), np.where(inside, np.where(own, 1, 0.5), 0).astype(np.float32)


def _face_box(
    rendered: Rendered, each: Seen, corners: NDArray[np.float64], scores: NDArray[np.float32], scale: float
) -> tuple[NDArray[np.float32] | None, bool]:
    """The face's box within the picture, and whether it is ignored; None where no point of the face shows."""
    height, width = rendered.canvas.size
    placed = corners @ each.base[:2, :2].T + each.base[:2, 2]
    box = np.concatenate([placed.min(axis=0), placed.max(axis=0)])
    inside = np.clip(box, 0, (width, height, width, height)).astype(np.float32)
    if not (scores == 1).any() or inside[0] >= inside[2] or inside[1] >= inside[3]:
        return None, True
    small = min(box[2] - box[0], box[3] - box[1]) < MIN_FACE_PX * scale
    body = each.actor.body
    turned = isinstance(body, Person) and body.view == "side"
    return inside, bool(small or turned or (scores == 1).sum() < 4)


def _landmarks(
    objects: Detections,
    rows: Iterable[tuple[int, NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]],
    names: tuple[str, ...],
) -> Landmarks:
    """Points as pictures have them: left and right of a face as seen."""
    rows = list(rows)
    numbers = np.array([row for row, *_ in rows], np.int32)
    shape = (len(rows), len(names))
    assert objects.track_ids is not None
    return Landmarks(
        np.array([points for _, points, _, _ in rows], np.float32).reshape(*shape, 2),
        np.array([scores for _, _, scores, _ in rows], np.float32).reshape(shape),
        np.array([box for *_, box in rows], np.float32).reshape(-1, 4),
        names,
        numbers,
        objects.track_ids[numbers] if len(rows) else numbers.copy(),
    )


def flow_between(rendered: Rendered, before: Rendered) -> NDArray[np.float32]:
    """Where each pixel was a frame before, less where it is, float32 [H, W, 2]; NaN where it was not seen.

    Every surface is flat and moves as a whole, so this is its frame of then times the inverse of that of now.
    """
    moved = _frames_before(rendered, before) @ np.linalg.inv(np.stack(rendered.canvas.frames))
    height, width = rendered.canvas.size
    y, x = np.mgrid[:height, :width] + 0.5
    m = moved[rendered.surfaces]
    w = m[..., 2, 0] * x + m[..., 2, 1] * y + m[..., 2, 2]
    was_x = (m[..., 0, 0] * x + m[..., 0, 1] * y + m[..., 0, 2]) / w
    was_y = (m[..., 1, 0] * x + m[..., 1, 1] * y + m[..., 1, 2]) / w
    column, row = np.nan_to_num(was_x, nan=-1).astype(int), np.nan_to_num(was_y, nan=-1).astype(int)
    inside = (was_x >= 0) & (was_x < width) & (was_y >= 0) & (was_y < height)
    there = before.owners[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
    seen = inside & (there == rendered.owners)
    flow = np.stack([was_x - x, was_y - y], axis=-1).astype(np.float32)
    flow[~seen] = np.nan
    return flow


def _frames_before(rendered: Rendered, before: Rendered) -> NDArray[np.float64]:
    """The frame that each surface had a frame before, [S, 3, 3]."""
    moment, view = before.moment, before.moment.view()
    street, frames = moment.shot.street, []
    parts: dict[int, Iterable[Matrix]] = {}
    for surface, owner in enumerate(rendered.canvas.owners):
        if owner == -1:
            frames.append(sky_frame(view))
        elif owner < 0 and -2 - owner < len(street.planes):
            frames.append(plane_frame(street.planes[-2 - owner], view))
        else:
            if owner not in parts:
                parts[owner] = iter(_parts_before(rendered, before, owner, rendered.canvas.frames[surface]))
            frames.append(next(iter(parts[owner])))
    return np.stack(frames)


def _parts_before(rendered: Rendered, before: Rendered, owner: int, first: Matrix) -> list[Matrix]:
    """Frames of the parts that are drawn of an actor or a piece of scenery, as they were a frame before."""
    moment, view = before.moment, before.moment.view()
    now = rendered.moment
    if owner < 0:
        piece = moment.shot.street.scenery[-2 - len(moment.shot.street.planes) - owner]
        base, here = view.billboard(piece.x, 0.0, piece.z), now.view().billboard(piece.x, 0.0, piece.z)
        pairs = [(part, part) for part in piece.pieces]
    else:
        actor = moment.shot.actors[owner]
        x, z = actor.place(moment.time_s)
        far = max(z - view.z, 1e-3) + view.z
        base = view.billboard(x, 0.0, far, actor.facing)
        drawn = base_of(actor, now.view(), now.time_s)
        here = first if drawn is None else drawn
        pairs = list(zip(actor.body.parts(now.time_s), actor.body.parts(moment.time_s), strict=True))
    scale = abs(here[1, 1])
    return [base @ then.frame for part, then in pairs if part.detail * scale > 1.5]


def render_with_truth(renderer: SceneRenderer, index: int, *, flow: bool = False) -> tuple[Rendered, GroundTruth]:
    """A frame of a clip and its truth; with ``flow`` the frame before is drawn too, unless there was a cut."""
    moment = renderer.moment(index)
    rendered = renderer.draw(moment)
    before = renderer.draw(renderer.moment(index - 1)) if flow and not moment.is_first else None
    return rendered, truth_of(rendered, before=before)
