"""What a step learns from: pictures of a batch and, laid end to end, what the network is to say about them."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from ..models.formats import InputFormat
from ..models.trainable import TrainingLayout
from ..pipeline.types.picture import Size
from .augment import Augmentation, Objects, View, draw_view, faces_in, flow_in, mask_in, objects_in, picture
from .frame_cache import CachedFrame, FrameCache
from .targets import Matches, MatchRule, encode_boxes, encode_points, match

Floats = NDArray[np.float32]
Longs = NDArray[np.int64]

MASK_POSITIVES = 100
"""Anchors of an image whose masks are judged, at most; others are left out by chance."""
CROP_MARGIN = 1
"""Cells around a box in which its mask is judged too, as masks are cropped when they are assembled."""


@dataclass(frozen=True, slots=True, eq=False)
class Anchors:
    """The anchors of B images with P anchors each, and what N of them find.

    Attributes:
        labels: int64 [B, P], see :mod:`.targets`.
        images, anchors: int64 [N], where the positive ones are.
        loc: float32 [N, 4], what they say of their boxes.
        variances: of ``loc``.
    """

    labels: Longs
    images: Longs
    anchors: Longs
    loc: Floats
    variances: tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class MaskTargets:
    """Masks of O objects, in cells of the prototypes.

    Attributes:
        cells: int64 [sum of counts], places in the prototypes of the batch, [B * Hp * Wp]; object after object.
        values: float32, in [0, 1], for each of them: how much of the cell is the object's.
        counts: for each object, how many cells.
        areas: for each object, the area of its box in cells.
        anchors: for each object, int64, the rows of :class:`Anchors` that find it.
        weights: float32 [B], what a positive anchor of each image counts: 1 unless some were left out.
    """

    cells: Longs
    values: Floats
    counts: tuple[int, ...]
    areas: tuple[float, ...]
    anchors: tuple[Longs, ...]
    weights: Floats


@dataclass(frozen=True, slots=True, eq=False)
class InstanceBatch:
    """Pictures and instances.

    Attributes:
        images: float32 [B, H, W, 3], as the network wants them.
        anchors, masks: what it is to find.
        semantic: uint8 [B, C, h, w], 1 where a cell of P3 belongs to a class.
    """

    images: Floats
    anchors: Anchors
    masks: MaskTargets
    semantic: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class PairBatch:
    """Frames, the key frames before them, and the flow between.

    Attributes:
        key, frame: instances in both.
        flow: float32 [B, h, w, 2] at P4, see :func:`.augment.flow_in`; NaN where it is not known.
    """

    key: InstanceBatch
    frame: InstanceBatch
    flow: Floats


@dataclass(frozen=True, slots=True, eq=False)
class FaceBatch:
    """Pictures and faces.

    Attributes:
        images: float32 [B, H, W, 3], as the network wants them.
        anchors: what it is to find.
        points: float32 [N, 10], what the positive anchors say of the points.
        pointed: bool [N], whether all points of that face are known.
    """

    images: Floats
    anchors: Anchors
    points: Floats
    pointed: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """What a task asks of the network.

    Attributes:
        size: (height, width) of the input.
        form: of the input.
        outputs: anchors and maps.
        rule: how anchors are given objects.
        classes: how many.
    """

    size: Size
    form: InputFormat
    outputs: TrainingLayout
    rule: MatchRule
    classes: int = 1


def instance_batch(
    cache: FrameCache, numbers: Longs, layout: Layout, how: Augmentation, random: np.random.Generator
) -> InstanceBatch:
    """Frames of ``cache``, each under a view of its own."""
    views = [draw_view(random, cache.size, how) for _ in numbers]
    return _instances([cache[int(number)] for number in numbers], views, layout, random)


def pair_batch(
    cache: FrameCache, numbers: Longs, layout: Layout, how: Augmentation, random: np.random.Generator, *, distance: int
) -> PairBatch:
    """Frames of ``cache``, each with a key frame 1 to ``distance`` frames before it (fewer where the clip begins)."""
    views = [draw_view(random, cache.size, how) for _ in numbers]
    keys = [cache.before(int(number), int(random.integers(1, distance + 1))) for number in numbers]
    chains = [[cache[each] for each in range(int(number), key, -1)] for number, key in zip(numbers, keys, strict=True)]
    flow = np.full((len(numbers), *layout.outputs.flow, 2), np.nan, np.float32)
    for place, (chain, view) in enumerate(zip(chains, views, strict=True)):
        moved = flow_in(chain, view, layout.outputs.flow)
        if moved is not None:
            flow[place] = moved
    key_batch = _instances([cache[key] for key in keys], views, layout, random)
    frames = [cache[int(number)] for number in numbers]
    return PairBatch(key_batch, _instances(frames, views, layout, random), flow)


def face_batch(
    cache: FrameCache, numbers: Longs, layout: Layout, how: Augmentation, random: np.random.Generator
) -> FaceBatch:
    """Frames of ``cache`` and their faces, each under a view of its own."""
    views = [draw_view(random, cache.size, how) for _ in numbers]
    frames = [cache[int(number)] for number in numbers]
    seen = [faces_in(frame, view, layout.size) for frame, view in zip(frames, views, strict=True)]
    found = [_matched(objects, layout) for objects, _, _ in seen]
    points, pointed = [np.zeros((0, 5, 2), np.float32)], [np.zeros(0, np.bool_)]
    for (_, where, known), each in zip(seen, found, strict=True):
        points.append(encode_points(where[each.rows], layout.outputs.priors[each.anchors], layout.outputs.variances[0]))
        pointed.append(known[each.rows])
    return FaceBatch(
        _pictures(frames, views, layout),
        _anchors([objects for objects, _, _ in seen], found, layout),
        np.concatenate(points).reshape(-1, 10),
        np.concatenate(pointed),
    )


def _instances(
    frames: list[CachedFrame], views: list[View], layout: Layout, random: np.random.Generator
) -> InstanceBatch:
    seen = [objects_in(frame, view, layout.size) for frame, view in zip(frames, views, strict=True)]
    found = [_matched(objects, layout) for objects in seen]
    semantic = np.zeros((len(frames), layout.classes, *layout.outputs.semantic), np.uint8)
    for frame, view, objects, classes in zip(frames, views, seen, semantic, strict=True):
        for row, class_id, box in zip(objects.rows, objects.class_ids, objects.boxes, strict=True):
            x1, y1, x2, y2 = cells_of(box, layout.outputs.semantic, margin=1)
            classes[class_id, y1:y2, x1:x2] |= (
                mask_in(frame, int(row), view, (x1, y1, x2, y2), layout.outputs.semantic) >= 0.5
            )
    return InstanceBatch(
        _pictures(frames, views, layout),
        _anchors(seen, found, layout),
        _masks(frames, views, seen, found, layout=layout, random=random),
        semantic,
    )


def _pictures(frames: list[CachedFrame], views: list[View], layout: Layout) -> Floats:
    """Float32 [B, H, W, 3]: the views, in their light."""
    images = np.empty((len(frames), *layout.size, 3), np.float32)
    for place, (frame, view) in enumerate(zip(frames, views, strict=True)):
        picture(frame, view, layout.form, images[place : place + 1])
    return images


def _matched(objects: Objects, layout: Layout) -> Matches:
    return match(layout.outputs.priors, objects.boxes, objects.class_ids, objects.ignored, layout.rule)


def _anchors(seen: list[Objects], found: list[Matches], layout: Layout) -> Anchors:
    loc = [
        encode_boxes(objects.boxes[each.rows], layout.outputs.priors[each.anchors], layout.outputs.variances)
        for objects, each in zip(seen, found, strict=True)
    ]
    images = [np.full(len(each.anchors), place, np.int64) for place, each in enumerate(found)]
    return Anchors(
        np.stack([each.labels for each in found]),
        np.concatenate(images),
        np.concatenate([each.anchors for each in found]),
        np.concatenate(loc),
        layout.outputs.variances,
    )


def _masks(
    frames: list[CachedFrame],
    views: list[View],
    seen: list[Objects],
    found: list[Matches],
    *,
    layout: Layout,
    random: np.random.Generator,
) -> MaskTargets:
    cells: list[Longs] = [np.zeros(0, np.int64)]
    values: list[Floats] = [np.zeros(0, np.float32)]
    areas: list[float] = []
    anchors: list[Longs] = []
    weights = np.ones(len(frames), np.float32)
    height, width = layout.outputs.proto
    first = 0  # row of the image's first positive anchor
    for place, (frame, view, objects, each) in enumerate(zip(frames, views, seen, found, strict=True)):
        count = len(each.anchors)
        judged = np.arange(count)
        if count > MASK_POSITIVES:
            judged = np.sort(random.choice(count, MASK_POSITIVES, replace=False))
            weights[place] = count / MASK_POSITIVES
        for row in np.unique(each.rows[judged]).tolist():
            number = int(objects.rows[row])
            if not len(frame.bits[number]):
                continue
            box = objects.boxes[row]
            x1, y1, x2, y2 = cells_of(box, layout.outputs.proto, margin=CROP_MARGIN)
            inside = mask_in(frame, number, view, (x1, y1, x2, y2), layout.outputs.proto)
            place_of = (place * height + np.arange(y1, y2))[:, None] * width + np.arange(x1, x2)
            cells.append(place_of.reshape(-1))
            values.append(inside.reshape(-1))
            areas.append(float((box[2] - box[0]) * width * (box[3] - box[1]) * height))
            anchors.append(first + judged[each.rows[judged] == row])
        first += count
    counts = tuple(len(each) for each in cells[1:])
    return MaskTargets(np.concatenate(cells), np.concatenate(values), counts, tuple(areas), tuple(anchors), weights)


def cells_of(box: Floats, size: Size, *, margin: int) -> tuple[int, int, int, int]:
    """The cells (x1, y1, x2, y2) of a map of ``size`` in which a relative ``box`` is cropped; never none."""
    height, width = size
    x1, y1 = (max(ceil(float(low) * length - margin), 0) for low, length in ((box[0], width), (box[1], height)))
    x2, y2 = (min(ceil(float(high) * length + margin), length) for high, length in ((box[2], width), (box[3], height)))
    x1, y1 = min(x1, width - 1), min(y1, height - 1)
    return x1, y1, max(x2, x1 + 1), max(y2, y1 + 1)
