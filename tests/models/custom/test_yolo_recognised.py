"""Heads yolo and yolo-end2end: which outputs they recognise, and which they refuse and why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from vidgraph import DETECTIONS, LANDMARKS
from vidgraph.engines.spec import TensorSpec
from vidgraph.models.custom.description import Description
from vidgraph.models.custom.detect_head import recognise
from vidgraph.models.custom.heads import fitting
from vidgraph.models.options import PostprocessOptions
from vidgraph.pipeline.errors import UsageError

SIZE = (96, 160)


def spec(*shape: int, name: str = "output0", dtype: type = np.float32) -> TensorSpec:
    return TensorSpec(name, np.dtype(dtype), shape)


def test_what_a_head_says_of_itself() -> None:
    boxes = fitting("yolo")([spec(1, 84, 8400)], Description(), (640, 640))
    assert (boxes.task, boxes.class_count, boxes.point_names) == ("boxes", 80, ())  # type: ignore[union-attr]
    assert set(boxes.gives) == {DETECTIONS}  # type: ignore[union-attr]
    pose = fitting("yolo")([spec(1, 56, 8400)], Description(task="pose"), (640, 640))
    assert (pose.task, pose.class_count) == ("objects with points", 1)  # type: ignore[union-attr]
    assert set(pose.gives) == {DETECTIONS, LANDMARKS}  # type: ignore[union-attr]
    assert pose.point_names[0] == "nose"  # type: ignore[union-attr]
    assert len(set(pose.point_names)) == 17  # type: ignore[union-attr]
    for kind, head in (
        ("yolo", boxes),
        ("yolo-end2end", fitting("yolo-end2end")([spec(1, 9, 6)], Description(), SIZE)),
    ):
        with pytest.raises(UsageError, match=f"a {kind} head .*nms 'fast'"):
            head.select_outputs(PostprocessOptions(nms="fast"))  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("outputs", "about", "task", "classes", "objectness"),
    [
        ([spec(1, 84, 8400)], {}, "boxes", 80, False),
        ([spec(1, 25200, 85)], {}, "boxes", 80, True),
        ([spec(1, 85, 25200)], {}, "boxes", 80, True),
        ([spec(1, 5, 34000)], {}, "boxes", 1, False),
        ([spec(1, 25500, 6)], {}, "boxes", 1, True),
        ([spec(1, 8400, 8)], {"classes": 3}, "boxes", 3, True),
        ([spec(1, 8400, 7)], {"classes": 3}, "boxes", 3, False),
        ([spec(1, 8400, 85)], {"objectness": True}, "boxes", 80, True),
        ([spec(1, 116, 8400), spec(1, 32, 160, 160, name="p")], {}, "instances with masks", 80, False),
        ([spec(1, 32, 160, 160, name="p"), spec(1, 25200, 117)], {}, "instances with masks", 80, True),
        ([spec(1, 20, 8400), spec(1, 8, 80, 80, name="p")], {"classes": 8}, "instances with masks", 8, False),
        ([spec(1, 56, 8400)], {"classes": 1}, "objects with points", 1, False),
        ([spec(1, 56, 8400)], {"points": (17, 3)}, "objects with points", 1, False),
        ([spec(1, 57, 25200)], {"task": "pose"}, "objects with points", 1, True),
        ([spec(1, 84, 8400), *(spec(1, 144, n, n, name=str(n)) for n in (80, 40, 20))], {}, "boxes", 80, False),
        ([spec(1, 25200, 85), *(spec(1, 3, n, n, 85, name=str(n)) for n in (80, 40, 20))], {}, "boxes", 80, True),
        ([spec(1, 84, 8400), spec(1, 84, 8400, name="b")], {"outputs": {"predictions": "b"}}, "boxes", 80, False),
    ],
)
def test_recognised(
    outputs: list[TensorSpec], about: dict[str, Any], task: str, classes: int, objectness: bool
) -> None:
    if "classes" in about:
        about = {**about, "classes": tuple(f"c{number}" for number in range(about["classes"]))}
    head = fitting("yolo")(outputs, Description(**about), (640, 640))
    assert not isinstance(head, str), head
    assert head is not None
    assert (head.task, head.class_count, head.objectness) == (task, classes, objectness)  # type: ignore[attr-defined]
    left = tuple(each.name for each in outputs if each.name not in head.reads)
    found = recognise(outputs, Description(**about, ignore=left), (640, 640))
    assert found == head  # and nothing else fits


@pytest.mark.parametrize(
    ("outputs", "about", "task"),
    [
        ([spec(1, 300, 6)], {}, "boxes"),
        ([spec(1, 300, 6)], {"end_to_end": True, "classes": ("a", "b")}, "boxes"),
        ([spec(1, 300, 38), spec(1, 32, 160, 160, name="p")], {"task": "segment"}, "instances with masks"),
        ([spec(1, 300, 57)], {"task": "pose", "points": (17, 3)}, "objects with points"),
        ([spec(1, 100, 57)], {}, "objects with points"),
    ],
)
def test_recognised_as_a_graph_with_its_own_suppression(
    outputs: list[TensorSpec], about: dict[str, Any], task: str
) -> None:
    head = recognise(outputs, Description(**about), (640, 640))
    assert (head.kind, head.task) == ("yolo-end2end", task)
    assert head.class_count == (len(about["classes"]) if "classes" in about else None)


NAMES80 = tuple(f"c{number}" for number in range(80))


@pytest.mark.parametrize(
    ("outputs", "about", "why"),
    [
        ([spec(1, 84, 8400)], {"task": "obb"}, "'output0' .* oriented boxes .task obb.: the head obb reads"),
        ([spec(1, 20, 21504)], {"task": "obb"}, "oriented boxes"),
        (
            [spec(1, 85, 8400)],
            {"classes": NAMES80},
            "one number more than box and 80 classes: correct `classes`; .*oriented",
        ),
        ([spec(1, 84, 8400)], {"classes": NAMES80 + NAMES80}, "80 scores, but 160 classes are named"),
        ([spec(1, 84, 8400)], {"classes": NAMES80[:70]}, "10 numbers follow the classes; say `points`"),
        ([spec(1, 116, 8400)], {"classes": NAMES80}, r"no output of prototypes \[1, 32, h/4, w/4\]"),
        (
            [spec(1, 116, 8400), spec(1, 32, 160, 160, name="p")],
            {"classes": NAMES80[:79]},
            "80 scores and 32 mask coefficients, but 79 classes are named",
        ),
        ([spec(1, 56, 8400)], {}, "52 classes, or one class and 17 points"),
        ([spec(1, 11, 8400)], {"classes": ("a",), "task": "pose"}, "2 points of 3 values or 3 points of 2 values"),
        ([spec(1, 14, 8400)], {"points": (5, 2)}, "10 numbers behind the box, 10 of them no scores: no class is left"),
        ([spec(1, 9, 8400)], {"classes": ("a",), "points": (5, 3)}, "5 points of 3 values are said"),
        ([spec(1, 20, 8400)], {"points": (5, 3), "point_names": ("x",)}, "5 points, but 1 names"),
        ([spec(1, 21, 8400)], {"points": (4, 4)}, "2 or 3 values, not 4"),
        ([spec(1, 8400, 85)], {}, "81 classes, or objectness and 80 classes; say which"),
        (
            [spec(1, 84, 8400), spec(1, 84, 8400, name="b")],
            {},
            "'output0' .*, output 'b' .* each look like",
        ),
        ([spec(1, 84, 8400, dtype=np.int64)], {}, "int64 .*must be floating-point numbers"),
        ([spec(1, 84, 8400)], {"scores": "softmax"}, "not a softmax"),
        ([spec(1, 84, 8401)], {}, "must have 8400 or 25200 rows for an input of 640x640"),
        ([spec(1, 3, 80, 80, 85)], {}, r"\[1, 3, 80, 80, 85\].* still to be decoded"),
    ],
)
def test_refused(outputs: list[TensorSpec], about: dict[str, Any], why: str) -> None:
    answer = fitting("yolo")(outputs, Description(**about), (640, 640))
    assert isinstance(answer, str)
    assert "\n" not in answer
    with pytest.raises(UsageError, match=why):
        raise UsageError(answer)


@pytest.mark.parametrize(
    ("outputs", "about", "why"),
    [
        ([spec(1, 300, 7)], {"task": "obb"}, "oriented boxes .task obb."),
        ([spec(1, 300, 7)], {"end_to_end": True}, "one number more than box, score and class: of oriented boxes"),
        ([spec(1, 300, 38)], {"task": "segment"}, "no output of prototypes"),
        ([spec(1, 300, 6), spec(1, 200, 6, name="b")], {}, "each look like detections"),
        ([spec(1, 300, 6, dtype=np.int64)], {}, "must be floating-point numbers"),
    ],
)
def test_refused_rows_of_a_graph_with_its_own_suppression(
    outputs: list[TensorSpec], about: dict[str, Any], why: str
) -> None:
    answer = fitting("yolo-end2end")(outputs, Description(**about), (640, 640))
    assert isinstance(answer, str)
    with pytest.raises(UsageError, match=why):
        raise UsageError(answer)


@pytest.mark.parametrize("kind", ["yolo", "yolo-end2end"])
@pytest.mark.parametrize(
    "outputs",
    [
        [spec(1, 300, 84, name="logits"), spec(1, 300, 4, name="boxes")],
        [spec(1, 8400, 80, name="scores"), spec(1, 8400, 4, name="boxes")],
        [spec(1, 300, 84)],
        [spec(1, 1000)],
        [spec(1, 21, 160, 160)],
        [spec(1, 300, 6, name="logits"), spec(1, 300, 4, name="boxes")],
    ],
)
def test_other_networks_are_left_to_other_heads(kind: str, outputs: list[TensorSpec]) -> None:
    assert fitting(kind)(outputs, Description(), (640, 640)) is None


def test_as_many_rows_as_places_are_not_suppressed_yet() -> None:
    output = [spec(1, 315, 6)]
    assert fitting("yolo-end2end")([spec(1, 8400, 6)], Description(), (640, 640)) is None
    assert fitting("yolo-end2end")(output, Description(end_to_end=False), (96, 160)) is None
    assert not isinstance(fitting("yolo-end2end")(output, Description(), (96, 192)), str | None)
    assert fitting("yolo")(output, Description(end_to_end=True), (96, 160)) is None
    assert fitting("yolo-end2end")(output, Description(end_to_end=True), (96, 160)) is not None


def test_classes_tell_rows_of_six_numbers_apart_where_their_number_does_not() -> None:
    output = [spec(1, 315, 6)]
    assert recognise(output, Description(classes=NAMES80), SIZE).kind == "yolo-end2end"
    for classes in (NAMES80[:1], NAMES80[:2]):
        with pytest.raises(UsageError, match=r"fit yolo and yolo-end2end; say which it is: --head yolo.*output0"):
            recognise(output, Description(classes=classes), SIZE)
        for kind in ("yolo", "yolo-end2end"):
            assert recognise(output, Description(classes=classes), SIZE, head=kind).kind == kind
    with pytest.raises(UsageError, match=r"yolo: .*may have 2 classes.*; yolo-end2end: .*may be detections as well as"):
        recognise(output, Description(), SIZE)


@pytest.mark.parametrize(
    ("shape", "about"),
    [
        ((1, 20, 8400), {"task": "obb", "head": "yolo"}),
        ((1, 300, 7), {"task": "obb", "head": "yolo-end2end"}),
        ((1, 3, 80, 80, 85), {"head": "yolo"}),
    ],
)
def test_what_is_not_supported_is_all_that_is_said(shape: tuple[int, ...], about: dict[str, Any]) -> None:
    with pytest.raises(
        UsageError,
        match=r"^my.onnx: output 'output0' .*(obb reads|three dimensions).*; --head raw .*; its",
    ):
        recognise([spec(*shape)], Description(**about), (640, 640), name="my.onnx")
