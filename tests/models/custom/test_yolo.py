"""Heads yolo and yolo-end2end: what they make of outputs, in frame pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.engines.spec import TensorSpec
from vidgraph.models import load_model
from vidgraph.models.custom.description import Description
from vidgraph.models.custom.heads import fitting
from vidgraph.models.options import PostprocessOptions
from vidgraph.pipeline.errors import EngineError
from vidgraph.pipeline.packet import DETECTIONS, LANDMARKS
from vidgraph.pipeline.types.affine import Affine
from vidgraph.stages.inference.infer import RawOutputs

from .yolo_planted import (
    CLASSES,
    JOINTS,
    Mapping,
    Objects,
    check,
    finished_rows,
    letterboxed,
    make_objects,
    places,
    rows_of,
    stretched,
)

SIZE = (96, 160)
FRAMES = [(96, 160), (108, 192), (200, 120), (133, 77), (51, 263)]
MAPPINGS = {"letterboxed": letterboxed, "stretched": stretched}
POINTS = {"points": (JOINTS, 3), "flat points": (JOINTS, 2)}


def fitted(kind: str, outputs: dict[str, np.ndarray], about: Description, size: tuple[int, int] = SIZE) -> Any:
    """The head, which must fit."""
    specs = [TensorSpec(name, array.dtype, array.shape) for name, array in outputs.items()]
    head = fitting(kind)(specs, about, size)
    assert head is not None
    assert not isinstance(head, str), head
    return head


def decoded(
    head: Any,
    outputs: dict[str, np.ndarray],
    mapping: Mapping,
    frame: tuple[int, int],
    choices: PostprocessOptions = PostprocessOptions(),  # noqa: B008, frozen
    size: tuple[int, int] = SIZE,
) -> Any:
    """What comes out of a head; the outputs are overwritten in between, as those of an engine may be."""
    lease = {name: array.copy() for name, array in outputs.items()}
    arrays = head.select_outputs(choices)(lease)
    for array in lease.values():
        array.fill(0)
    return head.decode(RawOutputs(arrays, size, Affine(mapping.scale, mapping.offset)), frame, choices, CLASSES)


def described(extras: str = "", **more: Any) -> Description:
    return Description(classes=CLASSES, points=POINTS.get(extras), **more)


def outputs_of(objects: Objects, table: np.ndarray, extras: str) -> dict[str, np.ndarray]:
    others = {"output1": objects.prototypes[None]} if extras == "masks" else {}
    return {"output0": np.ascontiguousarray(table)[None], **others}


@pytest.mark.parametrize("extras", ["", "masks", "points", "flat points"])
@pytest.mark.parametrize("columns_first", [True, False], ids=["columns-first", "rows-first"])
@pytest.mark.parametrize("anchors", [1, 3])
def test_planted_objects_come_out(anchors: int, columns_first: bool, extras: str) -> None:
    objects = make_objects(SIZE)
    table = rows_of(objects, objectness=anchors == 3, extras=extras, rows=anchors * places(SIZE))
    outputs = outputs_of(objects, table.T if columns_first else table, extras)
    head = fitted("yolo", outputs, described(extras))
    assert head.kind == "yolo"
    assert head.class_count == len(CLASSES)
    assert head.objectness == (anchors == 3)
    for frame in FRAMES:
        for mapping in (letterboxed(SIZE, frame), stretched(SIZE, frame)):
            check(decoded(head, outputs, mapping, frame), objects, mapping, frame, extras=extras)


@pytest.mark.parametrize("extras", ["", "masks", "points", "flat points"])
@pytest.mark.parametrize("placing", MAPPINGS)
def test_planted_rows_of_a_graph_with_its_own_suppression_come_out(placing: str, extras: str) -> None:
    objects = make_objects(SIZE)
    table = finished_rows(objects, extras=extras)
    outputs = outputs_of(objects, table[np.random.default_rng(0).permutation(len(table))], extras)
    head = fitted("yolo-end2end", outputs, described(extras))
    assert head.kind == "yolo-end2end"
    for frame in FRAMES:
        mapping = MAPPINGS[placing](SIZE, frame)
        check(decoded(head, outputs, mapping, frame), objects, mapping, frame, extras=extras)


def test_a_rectangular_mask_has_its_edges_where_the_prototypes_have_them() -> None:
    """By hand: in frame pixels a prototype covers 8 of them, and the frame begins 16 pixels after the input."""
    prototypes = np.full((32, 24, 40), -1, np.float32)
    prototypes[3, 10:14, 8:20] = 1
    table = np.zeros((places(SIZE), 4 + 2 + 32), np.float32)
    table[100, :5] = (56, 48, 80, 40, 0.75)
    table[100, 6 + 3] = 20
    outputs = {"output0": table.T[None].copy(), "output1": prototypes[None]}
    head = fitted("yolo", outputs, Description(classes=("a", "b")))
    found = decoded(head, outputs, Mapping((2.0, 2.0), (0.0, -32.0)), (128, 320))[DETECTIONS]
    (mask,) = [found.masks.full(row) for row in range(len(found))]
    expected = np.zeros((128, 320), bool)
    expected[10 * 8 - 32 : 14 * 8 - 32, 8 * 8 : 20 * 8] = True
    differs = np.argwhere(mask != expected)
    corners = np.array([(y, x) for y in (48, 80) for x in (64, 160)])
    assert all(np.abs(corners - place).max(axis=1).min() <= 4 for place in differs)  # bilinear: corners are round
    assert len(differs) < 80
    np.testing.assert_array_equal(found.boxes, [[32, 24, 192, 104]])


@pytest.mark.parametrize("placing", MAPPINGS)
@pytest.mark.parametrize("kind", ["yolo", "yolo-end2end"])
def test_a_mask_that_fills_its_box_does_not_leave_it(kind: str, placing: str) -> None:
    """Prototypes and coefficients that are an object everywhere: the mask is the box, whatever the frame's size is."""
    box = np.array([35.3, 21.1, 97.2, 70.4], np.float32)
    if kind == "yolo":
        table = np.zeros((places(SIZE), 4 + 2 + 32), np.float32)
        table[7, :4], table[7, 4] = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2, *(box[2:] - box[:2])), 0.75
    else:
        table = np.zeros((9, 6 + 32), np.float32)
        table[7, :4], table[7, 4] = box, 0.75
    table[7, 6] = 20
    prototypes = np.ones((1, 32, SIZE[0] // 4, SIZE[1] // 4), np.float32)
    outputs = {"output0": (table.T if kind == "yolo" else table)[None].copy(), "output1": prototypes}
    head = fitted(kind, outputs, Description(classes=("a", "b")))
    for frame in (*FRAMES, (1080, 1920)):
        mapping = MAPPINGS[placing](SIZE, frame)
        found: Any = decoded(head, outputs, mapping, frame)[DETECTIONS]
        x1, y1, x2, y2 = mapping.boxes(box[None], frame)[0]
        np.testing.assert_allclose(found.masks.boxes[0], np.ceil(np.array([x1, y1, x2, y2]) - 0.5), atol=0)
        x, y = (np.arange(length) + 0.5 for length in (frame[1], frame[0]))
        inside = ((y > y1) & (y < y2))[:, None] & ((x > x1) & (x < x2))
        full = found.masks.full(0)
        assert not full[~inside].any()
        assert full[inside].mean() > 0.99  # a corner may be rounded


def test_the_published_case_of_a_mask_that_left_its_box(shared: Callable[[str], Path]) -> None:
    image = pytest.importorskip("PIL.Image")
    with load_model(str(shared("cases/mask_leak.onnx")), precision="fp32") as model:
        for side in (160, 1080):
            picture = np.array(image.open(shared(f"cases/mask_leak_{side}.png")).convert("RGB"))
            found: Any = model(picture).detections
            np.testing.assert_array_equal(found.masks.boxes, found.boxes.round())
            assert found.masks.area(0) == (side // 2) ** 2


def test_masks_of_a_frame_whose_borders_the_network_does_not_see() -> None:
    objects = make_objects(SIZE)
    outputs = outputs_of(objects, rows_of(objects, extras="masks").T, "masks")
    head, frame = fitted("yolo", outputs, described()), (150, 300)
    mapping = Mapping((1.5, 1.5), ((300 - 240) / 2, (150 - 144) / 2))
    check(decoded(head, outputs, mapping, frame), objects, mapping, frame, extras="masks")


def test_overlaps_are_suppressed_in_their_class_only() -> None:
    table = np.zeros((places(SIZE), 6), np.float32)
    for row, x, score, column in ((5, 40, 0.5, 4), (6, 41, 0.75, 4), (7, 40, 0.625, 5), (9, 100, 0.75, 5)):
        table[row, :4], table[row, column] = (x, 30, 20, 20), score
    head = fitted("yolo", {"o": table.T[None].copy()}, Description(classes=("a", "b")))
    outputs, same = {"o": table.T[None].copy()}, Mapping((1.0, 1.0), (0.0, 0.0))
    found = decoded(head, outputs, same, SIZE)[DETECTIONS]
    assert found.class_ids.tolist() == [0, 1, 1]
    np.testing.assert_array_equal(found.scores, np.float32([0.75, 0.75, 0.625]))
    assert found.boxes[0].tolist() == [31, 20, 51, 40]
    strict = decoded(head, outputs, same, SIZE, PostprocessOptions(nms_iou=0.95))[DETECTIONS]
    assert len(strict) == 4
    assert len(decoded(head, outputs, same, SIZE, PostprocessOptions(min_score=0.7, max_detections=1))[DETECTIONS]) == 1


@pytest.mark.parametrize(("anchors", "kept"), [(1, 2), (3, 1)])
def test_default_overlap_is_higher_without_objectness(anchors: int, kept: int) -> None:
    table = np.zeros((anchors * places(SIZE), 7 if anchors == 3 else 6), np.float32)
    table[3, :4], table[4, :4] = (40, 40, 20, 20), (45, 40, 20, 20)  # they overlap by 0.6
    table[3:5, 4:] = 0.875
    output = table if anchors == 3 else table.T
    head = fitted("yolo", {"o": output[None].copy()}, Description(classes=("a", "b")))
    found = decoded(head, {"o": output[None].copy()}, Mapping((1.0, 1.0), (0.0, 0.0)), SIZE)
    assert len(found[DETECTIONS]) == kept


@pytest.mark.parametrize("kind", ["yolo", "yolo-end2end"])
def test_classes_are_chosen_before_suppression_and_limits(kind: str) -> None:
    objects = make_objects(SIZE, count=8)
    table = rows_of(objects).T if kind == "yolo" else finished_rows(objects)
    outputs, frame = {"o": table[None].copy()}, (108, 192)
    head, mapping = fitted(kind, outputs, described()), letterboxed(SIZE, frame)
    found = decoded(head, outputs, mapping, frame, PostprocessOptions(classes=(2, 1)))
    check(found, objects, mapping, frame, rows=[1, 2, 6, 7])
    found = decoded(head, outputs, mapping, frame, PostprocessOptions(classes=(2, 1), max_detections=3))
    check(found, objects, mapping, frame, rows=[1, 2, 6])


@pytest.mark.parametrize("kind", ["yolo", "yolo-end2end"])
@pytest.mark.parametrize("extras", ["", "masks", "points"])
def test_nothing_found(kind: str, extras: str) -> None:
    objects = make_objects(SIZE)
    table = rows_of(objects, extras=extras).T if kind == "yolo" else finished_rows(objects, extras=extras)
    outputs, frame = outputs_of(objects, table, extras), (108, 192)
    head = fitted(kind, outputs, described(extras))
    found = decoded(head, outputs, letterboxed(SIZE, frame), frame, PostprocessOptions(min_score=0.95))
    assert len(found[DETECTIONS]) == 0
    assert (found[DETECTIONS].masks is None) == (extras != "masks")
    assert (LANDMARKS in found) == (extras == "points")
    assert LANDMARKS not in found or len(found[LANDMARKS]) == 0


@pytest.mark.parametrize("kind", ["yolo", "yolo-end2end"])
def test_rows_with_a_number_that_is_none_are_left_out(kind: str) -> None:
    objects = make_objects(SIZE)
    table = rows_of(objects, extras="points") if kind == "yolo" else finished_rows(objects, extras="points")
    first_extra = 4 + len(CLASSES) if kind == "yolo" else 6
    best = np.argsort(-table[:, 4:first_extra].max(axis=1) if kind == "yolo" else -table[:, 4], kind="stable")
    table[best[0], 2] = np.nan
    outputs = {"o": (table.T if kind == "yolo" else table)[None].copy()}
    head, frame = fitted(kind, outputs, described("points")), (96, 160)
    found = decoded(
        head, outputs, letterboxed(SIZE, frame), frame, PostprocessOptions(nms_iou=0.3 if kind == "yolo" else None)
    )
    assert np.isfinite(found[DETECTIONS].boxes).all()
    assert objects.scores[0] not in found[DETECTIONS].scores
    table[best[1], -2] = np.inf
    outputs = {"o": (table.T if kind == "yolo" else table)[None].copy()}
    fewer = decoded(head, outputs, letterboxed(SIZE, frame), frame)
    assert np.isfinite(fewer[LANDMARKS].points).all()
    assert table[best[1], 4:9].max() not in fewer[DETECTIONS].scores


@pytest.mark.parametrize("kind", ["yolo", "yolo-end2end"])
@pytest.mark.parametrize("where", ["scores", "boxes", "prototypes"])
def test_an_output_without_any_number_is_an_error(kind: str, where: str) -> None:
    objects = make_objects(SIZE)
    table = rows_of(objects, extras="masks") if kind == "yolo" else finished_rows(objects, extras="masks")
    if where != "prototypes":
        table[:, slice(4, 9) if where == "scores" else slice(0, 4)] = np.nan
    outputs = outputs_of(objects, table.T if kind == "yolo" else table, "masks")
    if where == "prototypes":
        outputs["output1"] = np.full_like(outputs["output1"], np.inf)
    head = fitted(kind, outputs, described())
    with pytest.raises(EngineError, match=r"output 'output[01]' has no finite number") as caught:
        decoded(head, outputs, letterboxed(SIZE, SIZE), SIZE)
    assert "\n" not in str(caught.value)


def test_boxes_are_cut_to_the_frame_and_left_out_where_nothing_is_left() -> None:
    rows = np.zeros((20, 6), np.float32)
    rows[:3] = [(-20, 10, 30, 60, 0.9, 0), (150, 40, 200, 90, 0.8, 1), (10, 2, 40, 14, 0.7, 2)]
    outputs = {"o": rows[None]}
    head = fitted("yolo-end2end", outputs, described())
    found = decoded(head, outputs, Mapping((1.0, 1.0), (0.0, -16.0)), (64, 160))[DETECTIONS]
    np.testing.assert_array_equal(found.boxes, [[0, 0, 30, 44], [150, 24, 160, 64]])


@pytest.mark.parametrize(("order", "unit"), [("xyxy", "pixels"), ("xywh", "pixels"), ("cxcywh", "relative")])
def test_order_and_unit_of_boxes(order: str, unit: str) -> None:
    objects = make_objects((128, 256))
    table, frame, size = rows_of(objects, order=order, extras="points"), (96, 171), (128, 256)
    if unit == "relative":
        table[:, :4] /= np.float32([256, 128, 256, 128])
        for column in range(2 * JOINTS):
            table[:, 4 + len(CLASSES) + column // 2 * 3 + column % 2] /= (256, 128)[column % 2]
    outputs = {"o": table.T[None].copy()}
    head = fitted("yolo", outputs, described("points", boxes=order, boxes_unit=unit), size)
    mapping = letterboxed(size, frame)
    check(decoded(head, outputs, mapping, frame, size=size), objects, mapping, frame, extras="points")


@pytest.mark.parametrize("anchors", [1, 3])
def test_scores_may_still_need_their_sigmoid(anchors: int) -> None:
    objects = make_objects(SIZE)
    table = rows_of(objects, objectness=anchors == 3, rows=anchors * places(SIZE))
    with np.errstate(divide="ignore"):
        table[:, 4:] = np.log(table[:, 4:] / (1 - table[:, 4:]))
    outputs = {"o": (table if anchors == 3 else table.T)[None].copy()}
    head = fitted("yolo", outputs, described(scores="sigmoid"))
    found = decoded(head, outputs, letterboxed(SIZE, SIZE), SIZE)[DETECTIONS]
    np.testing.assert_allclose(found.scores, objects.scores, rtol=1e-6)
    assert found.class_ids.tolist() == objects.class_ids.tolist()


def test_a_class_without_a_name_is_an_error() -> None:
    rows = np.zeros((1, 20, 6), np.float32)
    rows[0, 0] = (0, 0, 9, 9, 0.5, 7)
    head = fitted("yolo-end2end", {"o": rows}, described())
    with pytest.raises(EngineError, match="output 'o' has class 7, but 5 classes are named"):
        decoded(head, {"o": rows}, letterboxed(SIZE, SIZE), SIZE)
