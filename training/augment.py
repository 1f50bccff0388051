"""What is done to a frame on its way into a batch: a part of it, mirrored, in other light; and its truth with it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..kernels import preprocess
from ..models.formats import InputFormat
from ..pipeline.types.picture import Size
from .frame_cache import FLOW_SHRINK, CachedFrame
from .render_frames import coverage

MOST = 1.4
"""See :attr:`Augmentation.least`."""
MIN_VISIBLE = 0.3
"""Objects of which less lies in the part are ignored."""
MIN_SIDE_PX = 2.0
"""Objects that are smaller in the network's input are ignored."""
SPREAD = 58.0
"""Standard deviation of the colours of ordinary pictures, of 0..255."""
MIRRORED_POINTS = (1, 0, 2, 4, 3)
"""Which point of a face is which in a mirror: left and right are those of the picture."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far frames may be changed.

    Attributes:
        flip: probability of a mirrored frame.
        part: of each side of the frame that fills the input: less than 1 to train on an input that is smaller than the
            one which the network will have, and on which things are as large as they will be.
        zoom: probability that another part is taken.
        least: the smallest part of each side is this times ``part``; the largest ``MOST`` times, or the whole frame.
        aspect: the part's aspect is at most this many times that of the frame, or its inverse.
        light: greatest change of brightness, in standard deviations of the input.
        contrast: greatest change of contrast, as a part of it; of single channels a quarter of these.
    """

    flip: float = 0.5
    part: float = 1.0
    zoom: float = 0.6
    least: float = 0.5
    aspect: float = 1.25
    light: float = 0.4
    contrast: float = 0.3

    def at(self, strength: float) -> Augmentation:
        """With this part of the zoom's probability and of the changes of light; frames are still mirrored."""
        zoom, light, contrast = (strength * each for each in (self.zoom, self.light, self.contrast))
        return replace(self, zoom=zoom, light=light, contrast=contrast)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Which part of a frame fills the input, and how it looks.

    Attributes:
        box: (x1, y1, x2, y2), pixels of the cached frame.
        mirrored: left and right are swapped, after the part was taken.
        gain: float32 [3], factor of each channel of the input.
        shift: float32 [3], added to each channel, in standard deviations of the colours of ordinary pictures.
    """

    box: tuple[float, float, float, float]
    mirrored: bool
    gain: Floats
    shift: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """Ground truth in the network's input, coordinates relative to it.

    Attributes:
        boxes: float32 [N, 4], (x1, y1, x2, y2) in [0, 1].
        class_ids: int32 [N].
        ignored: bool [N].
        rows: int64 [N], the objects of the cached frame that these are.
    """

    boxes: Floats
    class_ids: NDArray[np.int32]
    ignored: NDArray[np.bool_]
    rows: NDArray[np.int64]


def draw_view(random: np.random.Generator, size: Size, how: Augmentation) -> View:
    """A view of a frame of ``size`` (height, width), by chance."""
    height, width = size
    sides = np.full(2, how.part)
    if random.random() < how.zoom:
        least, most = how.part * how.least, min(how.part * MOST, 1.0)
        scale, stretch = random.uniform(least, most), np.exp(random.uniform(-1, 1) * np.log(how.aspect) / 2)
        sides = np.clip([scale * stretch, scale / stretch], least, 1.0)
    x1, y1 = random.uniform(0, 1, 2) * (1 - sides)
    box = (x1 * width, y1 * height, (x1 + sides[0]) * width, (y1 + sides[1]) * height)
    gain = (1 + random.uniform(-how.contrast, how.contrast)) * (1 + random.uniform(-1, 1, 3) * how.contrast / 4)
    shift = random.uniform(-how.light, how.light) + random.uniform(-1, 1, 3) * how.light / 4
    mirrored = bool(random.random() < how.flip)
    return View(tuple(map(float, box)), mirrored, gain.astype(np.float32), shift.astype(np.float32))  # type: ignore[arg-type]


def picture(frame: CachedFrame, view: View, form: InputFormat, out: Floats) -> None:
    """Write the network's input to ``out``: float32 [1, H, W, 3], normalised, channels in the network's order."""
    size = (out.shape[1], out.shape[2])
    x1, y1, x2, y2 = view.box
    std = np.array(form.std) / view.gain
    mean = np.array(form.mean) - view.shift * SPREAD / view.gain
    preprocess(
        (frame.image,),
        "rgb24",
        matrix="rgb",
        full_range=True,
        size=size,
        scale=((x2 - x1) / size[1], (y2 - y1) / size[0]),
        offset=(x1, y1),
        mean=mean.tolist(),
        std=std.tolist(),
        bgr=form.bgr,
        layout="nhwc",
        out=out,
    )
    if view.mirrored:
        out[0] = out[0][:, ::-1].copy()


def objects_in(frame: CachedFrame, view: View, size: Size) -> Objects:
    """The frame's objects as the view shows them in an input of ``size``; those outside it are left out."""
    boxes, kept, ignored = _seen(frame.boxes, view, size)
    rows = np.flatnonzero(kept)
    return Objects(boxes[rows], frame.class_ids[rows], (frame.ignored | ignored)[rows], rows)


def faces_in(frame: CachedFrame, view: View, size: Size) -> tuple[Objects, Floats, NDArray[np.bool_]]:
    """The faces; their points float32 [N, 5, 2], relative to the input; and bool [N], all points are known."""
    boxes, kept, ignored = _seen(frame.face_boxes, view, size)
    rows = np.flatnonzero(kept)
    x1, y1, x2, y2 = view.box
    points = (frame.face_points[rows] - np.array([x1, y1], np.float32)) / np.array([x2 - x1, y2 - y1], np.float32)
    if view.mirrored:
        points[..., 0] = 1 - points[..., 0]
        points = points[:, list(MIRRORED_POINTS)]
    found = Objects(boxes[rows], np.zeros(len(rows), np.int32), (frame.faces_ignored | ignored)[rows], rows)
    known = np.asarray(frame.face_known[rows].all(axis=1))
    return found, points.astype(np.float32), known


def _seen(boxes: Floats, view: View, size: Size) -> tuple[Floats, NDArray[np.bool_], NDArray[np.bool_]]:
    """Boxes relative to the view and clipped to it; which touch it at all; which are too small or too far outside."""
    x1, y1, x2, y2 = view.box
    relative = ((boxes - np.array([x1, y1, x1, y1])) / np.array([x2 - x1, y2 - y1] * 2)).astype(np.float32)
    clipped = relative.clip(0, 1)
    before, after = (each[:, 2:] - each[:, :2] for each in (relative, clipped))
    visible = after.prod(axis=1) / np.maximum(before.prod(axis=1), 1e-12)
    small = (after * (size[1], size[0])).min(axis=1, initial=np.inf) < MIN_SIDE_PX
    if view.mirrored:
        clipped = clipped[:, [2, 1, 0, 3]]
        clipped[:, [0, 2]] = 1 - clipped[:, [0, 2]]
    return clipped, (after > 0).all(axis=1), small | (visible < MIN_VISIBLE)


def mask_in(frame: CachedFrame, row: int, view: View, cells: tuple[int, int, int, int], size: Size) -> Floats:
    """How much an object of the frame has of some cells of a map over the view.

    Args:
        row: of the frame's objects.
        cells: (x1, y1, x2, y2) of the map that are wanted.
        size: (height, width) of the map.

    Returns:
        float32 [y2 - y1, x2 - x1], in [0, 1].
    """
    left, top, right, bottom = cells
    x1, y1, x2, y2 = view.box
    if view.mirrored:
        left, right = size[1] - right, size[1] - left
    origin = frame.mask_boxes[row]
    columns = x1 + np.arange(left, right + 1, dtype=np.float64) * ((x2 - x1) / size[1]) - float(origin[0])
    rows = y1 + np.arange(top, bottom + 1, dtype=np.float64) * ((y2 - y1) / size[0]) - float(origin[1])
    mask = frame.mask(row)
    if not mask.size or left == right or top == bottom:
        return np.zeros((bottom - top, right - left), np.float32)
    found = coverage(mask, rows, columns)
    return found[:, ::-1] if view.mirrored else found


def flow_in(chain: list[CachedFrame], view: View, size: Size) -> Floats | None:
    """Where the middles of the cells of a map were in the key frame, some frames before.

    Args:
        chain: the frame, the one before it, …; the key frame itself is not in it.
        view: of both frames.
        size: (height, width) of the map.

    Returns:
        float32 [H, W, 2], (x, y) in units of the view's width and height, NaN where it is not known; None where some
        frame has no flow.
    """
    flows = [frame.flow for frame in chain]
    if any(flow is None for flow in flows):
        return None
    x1, y1, x2, y2 = view.box
    columns = x1 + (np.arange(size[1]) + 0.5) * ((x2 - x1) / size[1])
    rows = y1 + (np.arange(size[0]) + 0.5) * ((y2 - y1) / size[0])
    start = np.stack(np.broadcast_arrays(columns[None], rows[:, None]), axis=-1).astype(np.float32)
    place = start.copy()
    for flow in flows:
        assert flow is not None
        height, width = flow.shape[:2]
        known = np.asarray(np.isfinite(place).all(axis=-1))
        column, row = np.moveaxis(np.floor(np.nan_to_num(place) / FLOW_SHRINK).astype(np.int64), -1, 0)
        inside = known & (column >= 0) & (column < width) & (row >= 0) & (row < height)
        step = flow[row.clip(0, height - 1), column.clip(0, width - 1)].astype(np.float32)
        place = np.where(inside[..., None], place + step, np.float32(np.nan))
    sides = np.array([x2 - x1, y2 - y1], np.float32)
    moved: Floats = np.divide(place - start, sides, dtype=np.float32)
    if view.mirrored:
        moved = moved[:, ::-1] * np.array([-1, 1], np.float32)
    return moved
