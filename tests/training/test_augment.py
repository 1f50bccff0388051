"""Frames and their truth under a view: what is cut, mirrored and lit is cut, mirrored and lit alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch (the extra 'torch')")

from vidgraph.models import find_model  # noqa: E402
from vidgraph.models.formats import InputFormat  # noqa: E402
from vidgraph.training.augment import (  # noqa: E402
    MOST,
    Augmentation,
    View,
    draw_view,
    faces_in,
    flow_in,
    mask_in,
    objects_in,
    picture,
)
from vidgraph.training.batches import InstanceBatch  # noqa: E402
from vidgraph.training.frame_cache import CachedFrame, FrameCache  # noqa: E402
from vidgraph.training.instances import InstanceTask  # noqa: E402
from vidgraph.training.render_frames import covered, frame_cache  # noqa: E402
from vidgraph.training.settings import TrainSettings  # noqa: E402
from vidgraph.training.tasks import open_task, part_of_frame, trainable  # noqa: E402

from .shapes import Shapes  # noqa: E402

SIZE = (176, 320)
ONE, ZERO = np.ones(3, np.float32), np.zeros(3, np.float32)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FrameCache:
    """Shapes, kept in the size in which they are drawn."""
    folder: Path = tmp_path_factory.mktemp("frames")
    return frame_cache("shapes", SIZE, folder=folder, dataset=Shapes(clips=2, size=SIZE))


def view(box: tuple[float, float, float, float], *, mirrored: bool = False) -> View:
    return View(box, mirrored, ONE, ZERO)


WHOLE = view((0.0, 0.0, float(SIZE[1]), float(SIZE[0])))
NO_AUGMENTATION = Augmentation(flip=0.0, zoom=0.0, light=0.0, contrast=0.0)


def form_of(mean: tuple[float, float, float], std: tuple[float, float, float], *, bgr: bool = False) -> InputFormat:
    return InputFormat("image", mean, std, bgr, (0, 0, 0), 320)


def made(**changes: Any) -> CachedFrame:
    """A frame of 100x50 with two objects and a face."""
    given: dict[str, Any] = {
        "image": np.zeros((50, 100, 3), np.uint8),
        "boxes": np.array([(10, 10, 30, 40), (80, 0, 100, 10)], np.float32),
        "class_ids": np.array([3, 1], np.int32),
        "track_ids": np.array([0, 1], np.int32),
        "ignored": np.zeros(2, np.bool_),
        "mask_boxes": np.zeros((2, 4), np.int32),
        "bits": (np.zeros(0, np.uint8),) * 2,
        "face_boxes": np.array([(10, 10, 30, 40)], np.float32),
        "face_points": np.array([[(15, 20), (25, 21), (20, 25), (16, 30), (24, 31)]], np.float32),
        "face_known": np.ones((1, 5), np.bool_),
        "faces_ignored": np.zeros(1, np.bool_),
        "flow": None,
    }
    return CachedFrame(**{**given, **changes})


def test_boxes_follow_the_part() -> None:
    """The part is the left half; the second object lies outside it, and half of the first is left by a smaller one."""
    found = objects_in(made(), view((0, 0, 50, 50)), (64, 64))
    assert found.rows.tolist() == [0]
    assert found.class_ids.tolist() == [3]
    np.testing.assert_allclose(found.boxes, [(0.2, 0.2, 0.6, 0.8)])
    found = objects_in(made(), view((20, 0, 70, 50)), (64, 64))
    np.testing.assert_allclose(found.boxes, [(0.0, 0.2, 0.2, 0.8)])
    assert not found.ignored.any()


def test_boxes_are_mirrored_within_the_part() -> None:
    found = objects_in(made(), view((0, 0, 50, 50), mirrored=True), (64, 64))
    np.testing.assert_allclose(found.boxes, [(0.4, 0.2, 0.8, 0.8)], rtol=1e-6)


def test_what_is_mostly_outside_or_too_small_is_ignored() -> None:
    """A fifth of the object is inside; and an input of 6 pixels shows one of its sides in 1.2."""
    assert objects_in(made(), view((26, 0, 76, 50)), (64, 64)).ignored.tolist() == [True]
    assert objects_in(made(), view((0, 0, 100, 50)), (6, 6)).ignored.tolist() == [True, True]


def test_points_of_a_mirrored_face_change_sides() -> None:
    """The eye on the left of the picture comes first, mirrored or not; so do the corners of the mouth."""
    _, points, known = faces_in(made(), view((0, 0, 100, 50)), (64, 64))
    np.testing.assert_allclose(points[0] * (100, 50), made().face_points[0], rtol=1e-6)
    _, points, known = faces_in(made(), view((0, 0, 100, 50), mirrored=True), (64, 64))
    wanted = [(75, 21), (85, 20), (80, 25), (76, 31), (84, 30)]
    np.testing.assert_allclose(points[0] * (100, 50), wanted, rtol=1e-6)
    assert known.tolist() == [True]
    partly = made(face_known=np.array([[True, True, True, True, False]]))
    assert faces_in(partly, view((0, 0, 100, 50)), (64, 64))[2].tolist() == [False]


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_picture_is_the_part(mirrored: bool, cache: FrameCache) -> None:
    form = form_of((10.0, 20.0, 30.0), (2.0, 4.0, 5.0), bgr=mirrored)
    frame, out = cache[1], np.empty((1, 88, 160, 3), np.float32)
    picture(frame, view((100, 40, 260, 128), mirrored=mirrored), form, out)
    part = frame.image[40:128, 100:260].astype(np.float32)
    part = part[:, ::-1] if mirrored else part
    order = [2, 1, 0] if form.bgr else [0, 1, 2]
    np.testing.assert_allclose(out[0], (part[..., order] - form.mean) / form.std, rtol=1e-5, atol=1e-5)


def test_light_is_a_factor_and_a_shift_of_the_input(cache: FrameCache) -> None:
    form = form_of((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    plain, lit = np.empty((2, 1, *SIZE, 3), np.float32)
    whole = WHOLE
    picture(cache[0], whole, form, plain)
    gain, shift = np.array([1.2, 0.9, 1.0], np.float32), np.array([0.1, 0.0, -0.2], np.float32)
    picture(cache[0], View(whole.box, False, gain, shift), form, lit)
    np.testing.assert_allclose(lit, plain * gain + shift * 58.0, rtol=1e-4, atol=1e-3)


def test_views_are_within_the_frame_and_repeatable() -> None:
    how = Augmentation(zoom=1.0, least=0.4)
    views = [draw_view(np.random.default_rng(seed), SIZE, how) for seed in range(200)]
    boxes = np.array([each.box for each in views])
    sides = (boxes[:, 2:] - boxes[:, :2]) / (SIZE[1], SIZE[0])
    assert boxes.min() >= 0
    assert (boxes[:, 2:] <= np.array(SIZE[::-1]) + 1e-9).all()
    assert sides.min() >= 0.4 - 1e-9
    assert 60 < sum(each.mirrored for each in views) < 140
    assert draw_view(np.random.default_rng(3), SIZE, how).box == views[3].box
    plain = draw_view(np.random.default_rng(0), SIZE, NO_AUGMENTATION)
    assert plain.box == WHOLE.box
    assert (plain.gain.tolist(), plain.shift.tolist(), plain.mirrored) == ([1] * 3, [0] * 3, False)


def test_a_smaller_input_shows_a_part_in_which_things_are_as_large() -> None:
    how = Augmentation(part=0.5, zoom=0.7, least=0.6)
    boxes = np.array([draw_view(np.random.default_rng(seed), SIZE, how).box for seed in range(300)])
    sides = (boxes[:, 2:] - boxes[:, :2]) / (SIZE[1], SIZE[0])
    assert 60 < (np.abs(sides - 0.5) < 1e-9).all(axis=1).sum() < 120
    assert sides.min() >= 0.3 - 1e-9
    assert 0.65 < sides.max() <= 0.5 * MOST * np.sqrt(how.aspect)
    assert boxes.min() >= 0
    assert (boxes[:, 2:] <= np.array(SIZE[::-1]) + 1e-9).all()


def test_a_weaker_augmentation_changes_frames_less() -> None:
    how = Augmentation().at(0.25)
    assert (how.zoom, how.light, how.contrast) == pytest.approx((0.15, 0.1, 0.075))
    assert replace(how, zoom=0.6, light=0.4, contrast=0.3) == Augmentation()
    assert Augmentation().at(1.0) == Augmentation()


def test_the_part_follows_from_the_anchors() -> None:
    """Those of the compact network have the same pixels in any input, and so should things."""
    instances, faces = find_model("yolact-edge-tiny"), find_model("retinaface-tiny")
    assert part_of_frame(instances, (224, 384), TrainSettings()) == pytest.approx(384 / 768)
    assert part_of_frame(instances, (704, 1280), TrainSettings()) == 1.0
    assert part_of_frame(instances, (224, 384), TrainSettings(input_crop=1.0)) == 1.0
    assert part_of_frame(find_model("yolact-resnet50"), (224, 384), TrainSettings()) == 1.0
    assert part_of_frame(faces, (224, 384), TrainSettings()) == 1.0
    assert part_of_frame(faces, (224, 384), TrainSettings(input_crop=0.7)) == 0.7


def masks_of(cache: FrameCache, row: int) -> np.ndarray:
    """The mask of an object of the first frame over the whole frame."""
    x1, y1, x2, y2 = cache[0].mask_boxes[row]
    full = np.zeros(SIZE, np.uint8)
    full[y1:y2, x1:x2] = cache[0].mask(row)
    return full


@pytest.mark.parametrize("mirrored", [False, True])
def test_masks_follow_the_part(mirrored: bool, cache: FrameCache) -> None:
    """A map of 11x20 cells over the frame's middle: each is 8x8 pixels of the mask."""
    seen = view((80, 44, 240, 132), mirrored=mirrored)
    for row in range(len(cache[0].boxes)):
        part = masks_of(cache, row)[44:132, 80:240]
        wanted = part.reshape(11, 8, 20, 8).sum((1, 3)) / 64
        wanted = wanted[:, ::-1] if mirrored else wanted
        np.testing.assert_array_equal(mask_in(cache[0], row, seen, (0, 0, 20, 11), (11, 20)), wanted)
        np.testing.assert_array_equal(mask_in(cache[0], row, seen, (3, 2, 9, 10), (11, 20)), wanted[2:10, 3:9])


@pytest.mark.parametrize("seed", range(20))
def test_cells_that_are_at_least_half_set(seed: int) -> None:
    """Against a loop; edges lie beyond the mask on both sides."""
    random = np.random.default_rng(seed)
    mask = random.random(random.integers(1, 30, 2)) < 0.6
    steps = random.uniform(0.3, 4.0, 2)
    edges = [
        random.uniform(-5, 5) + np.arange(random.integers(2, 12)) * step
        for step in (steps if seed % 4 else steps.max() * np.ones(2))
    ]
    found = covered(mask, *edges)
    nearest = steps.min() < 1 and (edges[0][1] - edges[0][0] < 1 or edges[1][1] - edges[1][0] < 1)
    padded = np.pad(mask, 60)
    for i, j in np.ndindex(found.shape):
        if nearest:
            y, x = (int(np.floor((side[at] + side[at + 1]) / 2)) + 60 for side, at in zip(edges, (i, j), strict=True))
            assert found[i, j] == padded[y, x]
        else:
            y1, y2, x1, x2 = (
                int(np.rint(edge)) + 60 for edge in (edges[0][i], edges[0][i + 1], edges[1][j], edges[1][j + 1])
            )
            cell = padded[y1:y2, x1:x2]
            assert found[i, j] == (2 * cell.sum() >= cell.size)


def test_flow_adds_up_over_frames() -> None:
    """Every frame, all came from 16 pixels to the left and 8 above; nothing is known of what came from outside."""
    flow = np.broadcast_to(np.array([-16, -8], np.float16), (8, 16, 2))
    chain = [made(image=np.zeros((64, 128, 3), np.uint8), flow=flow)] * 2
    whole = flow_in(chain, view((0, 0, 128, 64)), (4, 8))
    assert whole is not None
    known = np.isfinite(whole).all(axis=2)
    np.testing.assert_array_equal(known, np.indices((4, 8))[1] >= 1)
    np.testing.assert_allclose(whole[known], np.tile((-32 / 128, -16 / 64), (known.sum(), 1)))
    mirrored = flow_in(chain, view((0, 0, 128, 64), mirrored=True), (4, 8))
    assert mirrored is not None
    np.testing.assert_array_equal(mirrored, whole[:, ::-1] * (-1, 1))
    assert flow_in([*chain, made()], view((0, 0, 128, 64)), (4, 8)) is None


def test_a_batch_says_where_the_objects_are(cache: FrameCache) -> None:
    """Frames as they are: cells of the prototypes, and of the semantic map, against the masks."""
    row = find_model("yolact-edge-tiny")
    settings = TrainSettings(augmentation=NO_AUGMENTATION, input_crop=1.0)
    task = open_task(row, trainable(row), cache, settings, size=SIZE, network=torch.nn.Identity())
    assert isinstance(task, InstanceTask)
    batch = task.batch(np.array([0, 6]), np.random.default_rng(0))
    assert isinstance(batch, InstanceBatch)
    height, width = task.layout.outputs.proto
    step = SIZE[0] // height
    ends = np.cumsum(batch.masks.counts)
    seen = set()
    for count, end, rows in zip(batch.masks.counts, ends, batch.masks.anchors, strict=True):
        cells, values = batch.masks.cells[end - count : end], batch.masks.values[end - count : end]
        if cells[0] >= height * width:
            continue  # of the second frame
        (number,) = {
            place
            for place in range(len(cache[0].boxes))
            for sums in [masks_of(cache, place).reshape(height, step, width, step).sum((1, 3))]
            if np.array_equal(values, (sums / step**2).reshape(-1)[cells])
        }
        seen.add(number)
        labels = batch.anchors.labels[batch.anchors.images[rows], batch.anchors.anchors[rows]]
        assert (labels == cache[0].class_ids[number] + 1).all()
    assert seen == set(range(len(cache[0].boxes)))
    step = SIZE[0] // task.layout.outputs.semantic[0]
    sums = np.array([masks_of(cache, place).reshape(-1, step, SIZE[1] // step, step) for place in range(len(seen))])
    sums = sums.sum((2, 4))
    for class_id, found in enumerate(batch.semantic[0]):
        most = sums[cache[0].class_ids == class_id].max(axis=0, initial=0)
        np.testing.assert_array_equal(found, 2 * most >= step * step)
