"""Head detr: planted queries and finished rows come out in frame pixels; what is recognised and what is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph import DETECTIONS
from vidgraph.engines.spec import TensorSpec
from vidgraph.models import load_model
from vidgraph.models.custom.description import Description
from vidgraph.models.custom.detect_head import recognise
from vidgraph.models.custom.heads import fitting
from vidgraph.models.options import PostprocessOptions
from vidgraph.pipeline.errors import EngineError, UsageError
from vidgraph.pipeline.types.affine import Affine
from vidgraph.pipeline.types.detections import Detections
from vidgraph.stages.inference.infer import RawOutputs

from .planted import FRAMES, LANDSCAPE, PLACES, in_frame, picture, precision_of, stretched, write_network

SIZE = (96, 160)
CLASSES = ("cat", "dog", "cup", "car")
NAMES = f"classes = {list(CLASSES)}\n"
RELATIVE = np.array([[16, 8, 64, 72], [40, 24, 120, 80], [60, 36, 70, 48], [100, 30, 140, 90]], np.float32) / (
    SIZE[1], SIZE[0], SIZE[1], SIZE[0],
)  # fmt: skip
PIXELS = RELATIVE * (SIZE[1], SIZE[0], SIZE[1], SIZE[0])
IDS = [2, 0, 3, 0]
QUERIES = 9
AT = [4, 1, 7, 2]
"""The query of each planted object, best first."""


def spec(name: str, *shape: int, dtype: type = np.float32) -> TensorSpec:
    return TensorSpec(name, np.dtype(dtype), shape)


def cxcywh(boxes: np.ndarray) -> np.ndarray:
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)


def queries(columns: int, *, background: float) -> dict[str, np.ndarray]:
    """Logits [1, 9, C] with an object in four of the queries, 5 - rank for its class, and boxes [1, 9, 4]."""
    random = np.random.default_rng(1)
    logits = random.integers(-32, -16, (1, QUERIES, columns)).astype(np.float32) / 4
    boxes = random.integers(1, 60, (1, QUERIES, 4)).astype(np.float32) / 64
    logits[..., len(CLASSES) :] = background
    for rank, (at, number) in enumerate(zip(AT, IDS, strict=True)):
        logits[0, at, number] = 5 - rank
        logits[0, at, len(CLASSES) :] = -9
        boxes[0, at] = cxcywh(RELATIVE)[rank]
    return {"logits": logits, "boxes": boxes}


def expected_scores(kind: str) -> np.ndarray:
    """Of the planted objects, in double precision."""
    if kind in ("sigmoid", "one output"):
        return 1 / (1 + np.exp(-(5.0 - np.arange(4))))
    logits = queries(5, background=6)["logits"][0, AT].astype(np.float64)
    return np.exp(logits[range(4), IDS]) / np.exp(logits).sum(axis=1)


def finished() -> dict[str, np.ndarray]:
    """Labels, boxes and scores as exports with their post-processing give them: the best first, zeros behind."""
    labels, scores, boxes = np.zeros((1, 6), np.int64), np.zeros((1, 6), np.float32), np.zeros((1, 6, 4), np.float32)
    labels[0, :4], scores[0, :4], boxes[0, :4] = IDS, [0.9375, 0.875, 0.75, 0.625], PIXELS
    return {"labels": labels, "boxes": boxes, "scores": scores}


def check(
    found: Detections,
    scores: Any,
    place: Any,
    rows: slice | list[int] = slice(None),
    atol: float = 2e-3,
    frame: tuple[int, int] = LANDSCAPE,
) -> None:
    """Equal to the planted objects at ``rows``, within the frame."""
    np.testing.assert_allclose(found.boxes, in_frame(PIXELS[rows], place, frame), atol=atol)
    assert found.class_ids.tolist() == np.array(IDS)[rows].tolist()
    np.testing.assert_allclose(found.scores, np.asarray(scores)[rows], rtol=2e-3 if atol > 1e-2 else 1e-5)


def named(outputs: dict[str, np.ndarray], logits: str = "logits", boxes: str = "pred_boxes") -> dict[str, np.ndarray]:
    return {logits: outputs["logits"], boxes: outputs["boxes"]}


def one_output(outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Boxes and scores in rows [1, 12, 4 + C], three of them without an object: fewer than a YOLO has."""
    scores = 1 / (1 + np.exp(-outputs["logits"].astype(np.float64)))
    rows = np.concatenate([outputs["boxes"], scores.astype(np.float32)], axis=2)
    return {"output0": np.concatenate([rows, np.zeros((1, 3, rows.shape[2]), np.float32)], axis=1)}


LAYOUTS: dict[str, Any] = {
    "softmax": lambda: named(queries(5, background=6)),
    "sigmoid": lambda: named(queries(4, background=0)),
    "rf-detr": lambda: named(queries(5, background=-8), "labels", "dets"),
    "finished": finished,
    "one output": lambda: one_output(queries(4, background=0)),
}


def half_pixels(kind: str, dtype: str) -> float:
    """What half precision loses of relative boxes, in pixels of these frames; boxes in pixels are whole."""
    return 0.1 if dtype == "float16" and kind != "finished" else 2e-3


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("fit", ["letterbox", "stretch"])
def test_planted_objects_come_out_of_a_file(kind: str, engine: str, dtype: str, fit: str, tmp_path: Path) -> None:
    outputs = LAYOUTS[kind]()
    toml = NAMES + f'[input]\nfit = "{fit}"\n'
    path = write_network(tmp_path / "own.onnx", outputs, size=SIZE, dtype=dtype, toml=toml)
    scores = finished()["scores"][0, :4] if kind == "finished" else expected_scores(kind.replace("rf-detr", "sigmoid"))
    with load_model(str(path), engine=engine, precision=precision_of(engine)) as model:
        assert model.class_names == CLASSES
        for frame in FRAMES:
            found = model(picture(frame)).detections
            check(found, scores, PLACES[fit](SIZE, frame), atol=half_pixels(kind, dtype), frame=frame)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_the_input_of_sizes_is_fed(engine: str, tmp_path: Path) -> None:
    outputs = finished()
    outputs["boxes"][0, :4] = RELATIVE
    path = write_network(tmp_path / "own.onnx", outputs, size=SIZE, toml=NAMES, sizes_input=True)
    with load_model(str(path), engine=engine, precision=precision_of(engine), max_detections=3) as model:
        for frame in FRAMES:
            check(
                model(picture(frame)).detections,
                outputs["scores"][0, :3],
                stretched(SIZE, frame),
                slice(3),
                frame=frame,
            )


def fitted(outputs: dict[str, np.ndarray], about: Description) -> Any:
    """The head, which must fit."""
    specs = [TensorSpec(name, array.dtype, array.shape) for name, array in outputs.items()]
    head = fitting("detr")(specs, about, SIZE)
    assert head is not None
    assert not isinstance(head, str), head
    return head


def decoded(
    outputs: dict[str, np.ndarray],
    about: Description,
    choices: PostprocessOptions = PostprocessOptions(),  # noqa: B008, frozen
) -> Detections:
    """What comes out of a stretched frame; the outputs are overwritten in between, as those of an engine may be."""
    head = fitted(outputs, about)
    lease = {name: array.copy() for name, array in outputs.items()}
    arrays = head.select_outputs(choices)(lease)
    for array in lease.values():
        array.fill(0)
    raw = RawOutputs(arrays, SIZE, Affine(*stretched(SIZE, LANDSCAPE)))
    found: Detections = head.decode(raw, LANDSCAPE, choices, CLASSES)[DETECTIONS]
    return found


ABOUT = Description(classes=CLASSES)


@pytest.mark.parametrize("kind", ["softmax", "sigmoid", "finished"])
def test_choices(kind: str) -> None:
    outputs = LAYOUTS[kind]()
    scores = outputs["scores"][0, :4] if kind == "finished" else expected_scores(kind)
    place = stretched(SIZE, LANDSCAPE)
    check(decoded(outputs, ABOUT, PostprocessOptions(classes=(0,))), scores, place, [1, 3])
    check(decoded(outputs, ABOUT, PostprocessOptions(max_detections=2)), scores, place, slice(2))
    check(decoded(outputs, ABOUT, PostprocessOptions(min_score=float(scores[1]) - 1e-4)), scores, place, slice(2))
    assert len(decoded(outputs, ABOUT, PostprocessOptions(min_score=1.0))) == 0
    at_bound = decoded(outputs, ABOUT, PostprocessOptions(min_score=float(decoded(outputs, ABOUT).scores[1])))
    assert len(at_bound) == 1  # strictly more


def test_a_query_has_several_classes_with_sigmoids_and_one_with_softmax() -> None:
    sigmoids, softmaxes = (named(queries(columns, background=6)) for columns in (4, 5))
    for outputs in (sigmoids, softmaxes):
        outputs["logits"][0, AT[0], 3] = 4.75
    two = decoded(sigmoids, ABOUT, PostprocessOptions(min_score=0.2))
    assert two.class_ids.tolist() == [2, 3, 0, 3, 0]
    np.testing.assert_array_equal(two.boxes[0], two.boxes[1])
    assert decoded(softmaxes, ABOUT, PostprocessOptions(min_score=0.2)).class_ids.tolist() == [0, 3, 0, 2]


def test_nothing_is_suppressed_unless_it_is_asked_for() -> None:
    outputs = named(queries(4, background=0))
    outputs["logits"][0, 0, 2], outputs["pred_boxes"][0, 0] = 3.5, outputs["pred_boxes"][0, AT[0]]
    assert decoded(outputs, ABOUT).class_ids.tolist() == [2, 0, 2, 3, 0]
    assert decoded(outputs, ABOUT, PostprocessOptions(nms_iou=0.9)).class_ids.tolist() == IDS


def test_no_more_pairs_than_queries_and_finished_rows_may_be_suppressed_once_more() -> None:
    assert len(decoded(named(queries(4, background=0)), ABOUT, PostprocessOptions(min_score=0.0))) == QUERIES
    outputs = finished()
    outputs["labels"][0, 4], outputs["scores"][0, 4], outputs["boxes"][0, 4] = IDS[0], 0.5625, PIXELS[0]
    assert decoded(outputs, ABOUT).class_ids.tolist() == [*IDS, IDS[0]]
    assert decoded(outputs, ABOUT, PostprocessOptions(nms_iou=0.9)).class_ids.tolist() == IDS


def test_the_first_column_may_be_no_object() -> None:
    outputs = named(queries(5, background=6))
    outputs["logits"] = np.roll(outputs["logits"], 1, axis=2)
    about = Description(classes=CLASSES, scores="softmax", background="first")
    check(decoded(outputs, about), expected_scores("softmax"), stretched(SIZE, LANDSCAPE))


def test_labels_may_begin_with_a_background() -> None:
    outputs = finished()
    outputs["labels"][0, :4] += 1
    found = decoded(outputs, Description(classes=CLASSES, background="first"), PostprocessOptions(min_score=0.0))
    check(found, outputs["scores"][0, :4], stretched(SIZE, LANDSCAPE))
    with pytest.raises(EngineError, match="output 'labels' has label 4, but 4 classes are named"):
        decoded(outputs, ABOUT)


@pytest.mark.parametrize("kind", LAYOUTS)
def test_rows_with_a_number_that_is_none_are_left_out(kind: str) -> None:
    outputs = LAYOUTS[kind]()
    special = {"finished": ("scores", "boxes"), "rf-detr": ("labels", "dets"), "one output": ("output0", "output0")}
    names = special.get(kind, ("logits", "pred_boxes"))
    first, second = (0, 1) if kind == "finished" else AT[:2]
    outputs[names[0]][0, first] = np.nan
    outputs[names[1]][0, second, 2] = np.inf
    assert decoded(outputs, ABOUT).class_ids.tolist() == IDS[2:]
    for name in names:
        broken = outputs | {name: np.full_like(outputs[name], np.nan)}
        with pytest.raises(EngineError, match=f"output '{name}' has no finite number"):
            decoded(broken, ABOUT)


METADATA = {"description": "Ultralytics rtdetr-l model trained on coco.yaml", "author": "Ultralytics", "stride": "32",
            "task": "detect", "names": str(dict(enumerate(CLASSES))), "imgsz": str(list(SIZE))}  # fmt: skip


def test_the_one_output_of_ultralytics_needs_nothing_said(tmp_path: Path) -> None:
    """Of as many rows as a YOLO has, too: the metadata say which of the two it is. The frame is stretched."""
    outputs = one_output(queries(4, background=0))
    rows = np.zeros((1, 315, 4 + len(CLASSES)), np.float32)
    rows[:, : outputs["output0"].shape[1]] = outputs["output0"]
    for number, planted in enumerate((outputs["output0"], rows)):
        path = write_network(tmp_path / f"{number}.onnx", {"output0": planted}, size=SIZE, metadata=METADATA)
        with load_model(str(path), precision="fp32") as model:
            assert model.class_names == CLASSES
            for frame in FRAMES:
                found = model(picture(frame)).detections
                check(found, expected_scores("sigmoid"), stretched(SIZE, frame), frame=frame)
    said = write_network(tmp_path / "said.onnx", {"output0": rows}, size=SIZE, toml=NAMES)
    with load_model(str(said), head="detr", precision="fp32") as model:
        check(model(picture(LANDSCAPE)).detections, expected_scores("sigmoid"), stretched(SIZE, LANDSCAPE))


@pytest.mark.parametrize(
    ("shape", "about", "kind"),
    [
        ((1, 300, 84), Description(classes=tuple(map(str, range(80)))), "detr"),
        ((1, 300, 84), Description(head="detr"), "detr"),
        ((1, 300, 369), Description(classes=tuple(map(str, range(365)))), "detr"),
        ((1, 300, 6), Description(), "yolo-end2end"),
        ((1, 300, 6), Description(classes=CLASSES[:2]), "yolo-end2end"),
        ((1, 300, 57), Description(), "yolo-end2end"),
        ((1, 300, 57), Description(classes=tuple(map(str, range(53))), head="detr"), "detr"),
        ((1, 8400, 84), Description(classes=tuple(map(str, range(80)))), "yolo"),
        ((1, 84, 8400), Description(), "yolo"),
    ],
)
def test_one_output_is_a_detr_s_where_no_yolo_has_it(shape: tuple[int, ...], about: Description, kind: str) -> None:
    assert recognise([spec("output0", *shape)], about, (640, 640)).kind == kind


@pytest.mark.parametrize("shape", [(1, 300, 84), (1, 300, 256)])
def test_one_output_of_no_named_classes_is_not_guessed(shape: tuple[int, ...]) -> None:
    """It may be features of as many queries."""
    with pytest.raises(
        UsageError, match=rf"boxes and scores of {shape[2] - 4} classes.*, or features.*name the classes"
    ):
        recognise([spec("output0", *shape)], Description(), (640, 640))


def test_what_lies_in_the_padding_is_left_out() -> None:
    outputs = named(queries(4, background=0))
    outputs["pred_boxes"][0, AT[1]] = (1.5, 0.5, 0.25, 0.25)
    assert decoded(outputs, ABOUT).class_ids.tolist() == [IDS[0], *IDS[2:]]


def test_nothing_found() -> None:
    outputs = named(queries(4, background=0))
    outputs["logits"][:] = -7
    found = decoded(outputs, ABOUT)
    assert (len(found), found.class_names) == (0, CLASSES)


@pytest.mark.parametrize(
    ("columns", "about", "scores", "count"),
    [
        (4, ABOUT, "sigmoid", 4),
        (5, ABOUT, "softmax", 4),
        (5, Description(background="last"), "softmax", 4),
        (5, Description(background="none"), "sigmoid", 5),
        (5, Description(scores="sigmoid"), "sigmoid", 5),
        (5, Description(scores="sigmoid", classes=CLASSES), "sigmoid", 4),
        (5, Description(scores="softmax"), "softmax", 4),
        (5, Description(scores="given", background="none"), "given", 5),
    ],
)
def test_what_makes_scores_of_logits(columns: int, about: Description, scores: str, count: int) -> None:
    head = fitting("detr")([spec("pred_logits", 1, 9, columns), spec("pred_boxes", 1, 9, 4)], about, SIZE)
    assert (head.scores, head.class_count, head.kind, head.task) == (scores, count, "detr", "boxes")  # type: ignore[union-attr]
    assert set(head.gives) == {DETECTIONS}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("outputs", "about", "why"),
    [
        (
            [spec("logits", 1, 9, 5), spec("pred_boxes", 1, 9, 4)],
            Description(),
            r"may be 5 classes .* or 4 and no",
        ),
        ([spec("logits", 1, 9, 8), spec("pred_boxes", 1, 9, 4)], ABOUT, "speaks of 8 classes, but 4 are named"),
        ([spec("logits", 1, 9, 5), spec("pred_boxes", 1, 8, 4)], ABOUT, "must have as many rows"),
        ([spec("logits", 1, 9, 5), spec("pred_boxes", 1, 9, 5)], ABOUT, r"must be boxes \[1, queries, 4\]"),
        ([spec("logits", 1, 9, 5, 1), spec("pred_boxes", 1, 9, 4)], ABOUT, r"must be float32 \[1, queries, ..\]"),
        ([spec("a", 1, 9, 5), spec("b", 1, 9, 4)], ABOUT, "of a DETR or of an SSD; say which"),
        (
            [spec("labels", 1, 9, dtype=np.int64), spec("boxes", 1, 9, 5), spec("scores", 1, 9)],
            ABOUT,
            r"must be boxes float32 \[1, N, 4\]",
        ),
        (
            [spec("labels", 1, 9, dtype=np.int64), spec("boxes", 1, 9, 4), spec("scores", 1, 8)],
            ABOUT,
            r"output 'scores' must be \[1, 9\]",
        ),
        (
            [spec("labels", 1, 9, dtype=np.int64), spec("boxes", 1, 9, 4, dtype=np.int64), spec("scores", 1, 9)],
            ABOUT,
            r"must be boxes float32",
        ),
    ],
)
def test_refused(outputs: list[TensorSpec], about: Description, why: str) -> None:
    answer = fitting("detr")(outputs, about, SIZE)
    assert isinstance(answer, str)
    assert re.search(why, answer), answer
    assert "\n" not in answer


def test_other_networks_are_left_to_other_heads() -> None:
    assert fitting("detr")([spec("last_hidden_state", 1, 577, 384)], Description(), SIZE) is None
    for outputs in ([spec("out", 1, 84, 8400)], [spec("x", 1, 1000)], [spec("out", 1, 21, 48, 80)]):
        assert fitting("detr")(outputs, ABOUT, SIZE) is None


def test_unnamed_outputs_are_a_detr_where_it_is_said(tmp_path: Path) -> None:
    outputs = named(queries(5, background=6), "a", "b")
    path = write_network(tmp_path / "own.onnx", outputs, size=SIZE, toml=NAMES)
    with pytest.raises(UsageError, match="of a DETR or of an SSD; say which"):
        load_model(str(path))
    with load_model(str(path), head="detr", precision="fp32") as model:
        check(model(picture(LANDSCAPE)).detections, expected_scores("softmax"), stretched(SIZE, LANDSCAPE))
