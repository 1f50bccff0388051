"""COCO's precision: planted objects with a precision known by hand, and random ones against pycocotools."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from vidgraph import Detections
from vidgraph.training.evaluation.coco import CocoAp, Kind, Objects

from .scenes import NAMES, SIZE, rectangles

pytest.importorskip("faster_coco_eval", reason="needs faster-coco-eval (the extra 'eval')")

LEFT, RIGHT = (10.0, 10.0, 50.0, 50.0), (80.0, 20.0, 120.0, 60.0)


def collected(*frames: tuple[Detections, Detections], ignored: list[bool] | None = None) -> CocoAp:
    """Frames of (true, found) objects."""
    precision = CocoAp(NAMES)
    for truth, found in frames:
        flags = None if ignored is None else np.array(ignored, np.bool_)
        precision.add(SIZE, Objects.of(truth, truth.class_ids, flags), Objects.of(found, found.class_ids))
    return precision


@pytest.mark.parametrize("kind", ["box", "mask"])
def test_found_exactly(kind: Kind) -> None:
    truth = rectangles([LEFT, RIGHT], [0, 1])
    got = collected((truth, rectangles([RIGHT, LEFT], [1, 0], scores=[0.9, 0.8]))).precision(kind)
    assert got.ap == got.ap50 == got.ap75 == got.recall == 1.0
    assert got.medium == 1.0
    assert got.small is None
    assert got.large is None
    assert got.classes == {"person": (1.0, 1.0), "car": (1.0, 1.0)}


@pytest.mark.parametrize("kind", ["box", "mask"])
def test_shifted_by_a_tenth_passes_seven_of_ten_thresholds(kind: Kind) -> None:
    shifted = (14.0, 10.0, 54.0, 50.0)  # shares 36 of 44 columns: IoU 0.818
    got = collected((rectangles([LEFT], [0]), rectangles([shifted], [0], scores=[0.5]))).precision(kind)
    assert got.ap == pytest.approx(0.7)
    assert (got.ap50, got.ap75) == (1.0, 1.0)
    assert got.classes["car"] == (None, None)


def test_the_wrong_class_and_a_false_one_before_the_right_one() -> None:
    truth = rectangles([LEFT], [0])
    assert collected((truth, rectangles([LEFT], [1], scores=[0.9]))).precision("mask").classes["person"] == (0.0, 0.0)
    got = collected((truth, rectangles([RIGHT, LEFT], [0, 0], scores=[0.9, 0.8]))).precision("mask")
    assert got.ap50 == pytest.approx(0.5)


def test_a_mask_beside_its_box_is_judged_by_itself() -> None:
    truth, other = rectangles([LEFT], [0]), rectangles([RIGHT], [0])
    found = Detections(truth.boxes, truth.scores, truth.class_ids, NAMES, other.masks)
    precision = collected((truth, found))
    assert precision.precision("box").ap == 1.0
    assert precision.precision("mask").ap == 0.0


def test_a_crowd_is_neither_missed_nor_false() -> None:
    truth = rectangles([LEFT, RIGHT], [0, 0])
    inside = rectangles([LEFT, (82.0, 22.0, 90.0, 30.0)], [0, 0], scores=[0.5, 0.9])
    assert collected((truth, inside), ignored=[False, True]).precision("mask").ap == 1.0


def test_some_frames_only() -> None:
    truth = rectangles([LEFT], [0])
    precision = collected((truth, rectangles([LEFT], [0])), (truth, rectangles([RIGHT], [0])))
    assert precision.precision("mask", [0]).ap == 1.0
    assert precision.precision("mask", [1]).ap == 0.0
    assert precision.precision("mask").ap50 == pytest.approx(51 / 101)


def test_frames_without_anything() -> None:
    nothing = rectangles([], [])
    assert collected((nothing, nothing)).precision("mask").ap is None
    assert collected((rectangles([LEFT], [0]), nothing)).precision("mask").ap == 0.0
    # What is found where there is nothing counts as false.
    false = (nothing, rectangles([LEFT], [0], scores=[0.9]))
    assert collected(false, (rectangles([LEFT], [0]), rectangles([LEFT], [0], scores=[0.8]))).precision(
        "box"
    ).ap == pytest.approx(0.5)


def test_random_objects_against_pycocotools() -> None:
    pytest.importorskip("pycocotools", reason="needs pycocotools to compare with")
    random, precision = np.random.default_rng(3), CocoAp(NAMES)
    for _ in range(60):
        true_boxes, classes = random_boxes(random, int(random.integers(0, 8))), random.integers(0, 2, 8)
        count = len(true_boxes)
        truth = rectangles(true_boxes, classes[:count])  # type: ignore[arg-type]
        moved = [tuple(np.add(box, random.integers(-3, 4, 4)).clip(0, 119)) for box in true_boxes]
        boxes = [box for box in moved if box[2] > box[0] and box[3] > box[1]] + random_boxes(random, 5)
        scores = np.round(random.random(len(boxes)), 2)  # some are the same
        found = rectangles(boxes, [*classes[:count], *random.integers(0, 2, 20)][: len(boxes)], scores=scores)  # type: ignore[arg-type]
        ignored = random.random(count) < 0.2
        precision.add(SIZE, Objects.of(truth, truth.class_ids, ignored), Objects.of(found, found.class_ids))
    for kind in ("box", "mask"):
        ours = list(precision.precision(kind).figures().values())  # type: ignore[arg-type]
        theirs = [float(one) for one in reference(precision, kind)]
        np.testing.assert_allclose([-1.0 if one is None else one for one in ours], theirs, atol=1e-12)
        assert 0.1 < theirs[0] < 0.9


def random_boxes(random: np.random.Generator, count: int) -> list[Any]:
    corners = random.integers(0, 90, (count, 2))
    sides = random.integers(3, 100, (count, 2))
    return [(x, y, min(x + w, 160), min(y + h, 120)) for (x, y), (w, h) in zip(corners, sides, strict=True)]


def reference(precision: CocoAp, kind: str) -> list[float]:
    """AP, AP50, AP75, by size, AR100 by pycocotools."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    numbers = range(len(precision))
    truth = [row for n in numbers for row in precision._rows(n, precision._truth[n], kind)]  # type: ignore[arg-type]
    found = [row for n in numbers for row in precision._rows(n, precision._found[n], kind)]  # type: ignore[arg-type]
    for row in found:
        row.pop("area")
        if kind == "mask":
            row.pop("bbox")
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = {
            "images": [{"id": n + 1, "height": SIZE[0], "width": SIZE[1]} for n in numbers],
            "categories": [{"id": n + 1, "name": name} for n, name in enumerate(NAMES)],
            "annotations": [{**row, "id": n} for n, row in enumerate(truth, 1)],
        }
        known.createIndex()
        run = COCOeval(known, known.loadRes(found), "segm" if kind == "mask" else "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return [*run.stats[:6], run.stats[8]]
