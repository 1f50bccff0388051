"""RF-DETR: columns that are COCO's category ids, masks and points of queries."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph import DETECTIONS, LANDMARKS
from vidgraph.engines.spec import TensorSpec
from vidgraph.models import load_model
from vidgraph.models.custom.description import Description
from vidgraph.models.custom.detect_head import recognise
from vidgraph.models.custom.heads import fitting
from vidgraph.models.custom.inspect import inspect_model
from vidgraph.models.known_classes import COCO, COCO_IDS
from vidgraph.models.options import PostprocessOptions
from vidgraph.pipeline.errors import EngineError, UsageError
from vidgraph.pipeline.types.affine import Affine
from vidgraph.stages.inference.infer import RawOutputs

from .map_truth import resized
from .planted import (
    FRAMES,
    LANDSCAPE,
    ODD,
    PLACES,
    in_frame,
    letterboxed,
    picture,
    precision_of,
    stretched,
    write_network,
)

SIZE = (96, 96)
QUERIES, MAP = 7, (24, 24)
CENTRES = np.array([[0.25, 0.375, 0.25, 0.5], [0.625, 0.5, 0.5, 0.75], [0.5, 0.25, 0.125, 0.25]], np.float32)
AT, IDS, LOGITS = [4, 1, 6], [2, 0, 1], [4.0, 3.0, 2.0]
NAMES = ("cat", "dog", "cup")


def corners() -> np.ndarray:
    """Of the planted boxes, in pixels of the input."""
    half = CENTRES[:, 2:] / 2
    boxes = np.concatenate([CENTRES[:, :2] - half, CENTRES[:, :2] + half], axis=1).astype(np.float64)
    return np.asarray(boxes * (SIZE[1], SIZE[0], SIZE[1], SIZE[0]))


def planted(columns: int = 4, ids: Any = tuple(IDS)) -> dict[str, np.ndarray]:
    """Three objects among seven queries; the last column, of none, is never high."""
    logits = np.full((1, QUERIES, columns), -6, np.float32)
    boxes = np.full((1, QUERIES, 4), 0.0625, np.float32)
    for at, number, value, box in zip(AT, ids, LOGITS, CENTRES, strict=True):
        logits[0, at, number], boxes[0, at] = value, box
    return {"dets": boxes, "labels": logits}


def masks(seed: int = 3) -> np.ndarray:
    """Logits float32 [1, Q, 24, 24]: blobs that reach beyond the boxes, and nothing at all of the third object."""
    random = np.random.default_rng(seed)
    maps = random.integers(-24, 12, (1, QUERIES, 6, 6)).repeat(4, 2).repeat(4, 3) / 4
    maps = (maps + random.integers(-2, 3, maps.shape) / 8).astype(np.float32)
    maps[0, AT[2]] = -5
    return maps


def metadata(**more: Any) -> dict[str, str]:
    known: dict[str, Any] = {
        "schema_version": 1, "task": "detection", "input_shape": [1, 3, *SIZE], "means": [0.485, 0.456, 0.406],
        "stds": [0.229, 0.224, 0.225], "class_id_to_name": {str(n): name for n, name in enumerate(NAMES)},
        "num_select": 300, "outputs": {"pred_boxes": "dets", "pred_logits": "labels"},
    }  # fmt: skip
    return {"rfdetr_inference": json.dumps(known | more)}


def spec(name: str, *shape: int, dtype: type = np.float32) -> TensorSpec:
    return TensorSpec(name, np.dtype(dtype), shape)


def fitted(outputs: dict[str, np.ndarray], about: Description) -> Any:
    head = recognise([spec(name, *array.shape) for name, array in outputs.items()], about, SIZE)
    assert head.kind == "detr"
    return head


def decoded(
    outputs: dict[str, np.ndarray],
    about: Description,
    choices: PostprocessOptions = PostprocessOptions(),  # noqa: B008, frozen
    *,
    frame: tuple[int, int] = LANDSCAPE,
    names: tuple[str, ...] = NAMES,
    fit: str = "stretch",
) -> Any:
    """What comes out; the outputs are overwritten in between, as those of an engine may be."""
    head = fitted(outputs, about)
    lease = {name: array.copy() for name, array in outputs.items()}
    arrays = head.select_outputs(choices)(lease)
    for array in lease.values():
        array.fill(0)
    return head.decode(RawOutputs(arrays, SIZE, Affine(*PLACES[fit](SIZE, frame))), frame, choices, names)


# Which columns are classes


def test_the_last_column_of_an_own_checkpoint_is_no_class(tmp_path: Path) -> None:
    outputs = planted()
    outputs["labels"][0, 0, 3] = 9  # no object, and surer than any
    path = write_network(tmp_path / "my.onnx", outputs, size=SIZE, metadata=metadata())
    with load_model(str(path), precision="fp32") as model:
        assert model.class_names == NAMES
        found = model(picture(LANDSCAPE)).detections
    assert found.class_ids.tolist() == IDS
    np.testing.assert_allclose(found.boxes, in_frame(corners(), stretched(SIZE, LANDSCAPE), LANDSCAPE), atol=2e-3)


SPARSE = {str(number): name for number, name in zip(COCO_IDS, COCO, strict=True)}


@pytest.mark.parametrize("said", ["metadata", "labels"])
def test_category_ids_of_coco_are_columns(said: str, tmp_path: Path) -> None:
    """The last one, 90, is a toothbrush."""
    outputs = planted(91, (90, 1, 13))
    outputs["labels"][0, 0, [0, 12, 83]] = 9  # ids that no class has
    known = metadata(class_id_to_name=SPARSE) if said == "metadata" else {}
    path = write_network(tmp_path / "my.onnx", outputs, size=SIZE, metadata=known)
    with load_model(str(path), precision="fp32", labels=None if known else COCO) as model:
        assert model.class_names == COCO
        found = model(picture(LANDSCAPE)).detections
        assert [row.class_name for row in found] == ["toothbrush", "person", "stop sign"]
        assert found.class_ids.tolist() == [79, 0, 11]
    with load_model(str(path), labels=None if known else COCO, classes=["person", "stop sign"]) as model:
        assert model(picture(LANDSCAPE)).detections.class_ids.tolist() == [0, 11]


def test_labels_take_the_place_of_the_names_in_the_metadata(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", planted(), size=SIZE, metadata=metadata())
    assert inspect_model(path, labels=("a", "b", "c")).class_names == ("a", "b", "c")
    assert inspect_model(path, labels=("a", "b", "c", "d")).head.class_count == 4
    with pytest.raises(UsageError, match="speaks of 4 classes, but 2 are named"):
        inspect_model(path, labels=("a", "b"))


def test_a_class_beyond_the_columns_is_refused() -> None:
    outputs = [spec("dets", 1, 7, 4), spec("labels", 1, 7, 4)]
    about = Description(classes=("a",), class_slots=(4,), sources={"class_slots": "x"})
    with pytest.raises(UsageError, match=r"output 'labels' .* has no column 4, which x names"):
        recognise(outputs, about, SIZE)


def test_no_more_pairs_than_are_selected() -> None:
    about = Description(classes=NAMES, most_pairs=2)
    choices = PostprocessOptions(min_score=0.0)
    assert len(decoded(planted(), about, choices)[DETECTIONS]) == 2
    many = decoded(planted(), Description(classes=NAMES, most_pairs=21), choices)[DETECTIONS]
    assert len(many) == QUERIES * len(NAMES)  # more than there are queries


# Masks


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_masks_come_out_of_a_file(engine: str, dtype: str, tmp_path: Path) -> None:
    outputs = planted() | {"masks": masks()}
    path = write_network(tmp_path / "my.onnx", outputs, size=SIZE, dtype=dtype, metadata=metadata())
    with load_model(str(path), engine=engine, precision=precision_of(engine)) as model:
        assert model.row.task == "instances with masks"
        for frame in FRAMES:
            found = model(picture(frame)).detections
            assert found.class_ids.tolist() == IDS
            same_masks(found, masks(), frame, "stretch")


def same_masks(found: Any, maps: np.ndarray, frame: tuple[int, int], fit: str) -> None:
    """Of the planted objects; where a map is nearly 0, either is right."""
    assert found.masks is not None
    assert found.masks.size == frame
    truth = resized(maps[0, AT[: len(found)]], frame, SIZE, PLACES[fit](SIZE, frame))
    for row, values in enumerate(truth):
        full, clear = found.masks.full(row), np.abs(values) > 1e-3
        np.testing.assert_array_equal(full[clear], (values > 0)[clear])
        box = found.masks.boxes[row]
        assert found.masks.area(row) == full.sum()
        rows, columns = np.nonzero(full)
        if len(rows):
            assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        else:
            assert box.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("frame", [*FRAMES, (1, 1), (7, 300)])
@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
@pytest.mark.parametrize("seed", range(3))
def test_masks_are_those_of_the_whole_map(frame: tuple[int, int], fit: str, seed: int) -> None:
    outputs = planted() | {"masks": masks(seed)}
    found = decoded(outputs, Description(classes=NAMES), frame=frame, fit=fit)[DETECTIONS]
    same_masks(found, outputs["masks"], frame, fit)
    assert fitted(outputs, Description(classes=NAMES)).reads == {"dets", "labels", "masks"}


def test_masks_stay_with_their_objects() -> None:
    outputs = planted() | {"masks": masks()}
    about = Description(classes=NAMES)
    everything = decoded(outputs, about)[DETECTIONS]
    one = decoded(outputs, about, PostprocessOptions(classes=(0,)))[DETECTIONS]
    np.testing.assert_array_equal(one.masks.full(0), everything.masks.full(1))
    outputs["dets"][0, AT[0]] = (1.5, 0.5, 0.25, 0.25)  # beyond the frame
    rest = decoded(outputs, about)[DETECTIONS]
    assert rest.class_ids.tolist() == IDS[1:]
    np.testing.assert_array_equal(rest.masks.full(0), everything.masks.full(1))
    outputs["dets"][0, AT[1], 2] = np.nan
    np.testing.assert_array_equal(decoded(outputs, about)[DETECTIONS].masks.full(0), everything.masks.full(2))


def test_masks_of_nothing_and_of_no_numbers() -> None:
    about = Description(classes=NAMES)
    outputs = planted() | {"masks": masks()}
    outputs["labels"][:] = -9
    found = decoded(outputs, about)[DETECTIONS]
    assert (len(found), len(found.masks)) == (0, 0)
    outputs = planted() | {"masks": masks()}
    outputs["masks"][0, AT[0]] = np.nan
    found = decoded(outputs, about)[DETECTIONS]
    assert (found.masks.area(0), found.masks.area(1) > 0) == (0, True)
    outputs["masks"][:] = np.nan
    with pytest.raises(EngineError, match="output 'masks' has no finite number"):
        decoded(outputs, about)


# Points


COUNTS = (2, 0, 3)  # of cat, dog, cup; the last column has none


def points(numbers: int = 8, seed: int = 5) -> np.ndarray:
    """float32 [1, Q, 3 classes x 3 points, numbers]."""
    random = np.random.default_rng(seed)
    table = random.normal(0, 1, (1, QUERIES, 9, numbers)).astype(np.float32)
    table[..., :2] = random.random((1, QUERIES, 9, 2))
    return table


def expected(outputs: dict[str, np.ndarray], alpha: float) -> list[tuple[float, int, np.ndarray]]:
    """Score, class and points [count, 3] (relative x and y, score) of every pair, written out, best first."""
    found = []
    for query, row in enumerate(outputs["labels"][0].astype(np.float64)):
        for number in range(len(NAMES)):
            score = 1 / (1 + np.exp(-row[number]))
            table = outputs["keypoints"][0, query, 3 * number : 3 * number + COUNTS[number]].astype(np.float64)
            seen = 1 / (1 + np.exp(-table[:, 2]))
            if alpha and table.shape[1] >= 7:
                trace = 1.0
                if len(table):
                    lower = [np.array([[np.exp(a), 0], [b, np.exp(c)]]) for a, b, c in table[:, 4:7]]
                    traces = np.array([np.trace(np.linalg.inv(each @ each.T)) for each in lower])
                    trace = float((traces * seen).sum() / seen.sum())
                score = 1 / (1 + np.exp(-(np.log(score) - alpha * np.log(trace))))
            found.append((score, number, np.concatenate([table[:, :2], seen[:, None]], axis=1)))
    return sorted(found, key=lambda each: -each[0])


ABOUT = Description(classes=NAMES, class_slots=(0, 1, 2), point_counts=COUNTS, most_pairs=21)


@pytest.mark.parametrize("numbers", [3, 6, 7, 8])
@pytest.mark.parametrize("alpha", [0.0, 0.2, 0.75])
@pytest.mark.parametrize("frame", FRAMES)
def test_points_and_their_score(numbers: int, alpha: float, frame: tuple[int, int]) -> None:
    outputs = planted() | {"keypoints": points(numbers)}
    about = Description(**{name: getattr(ABOUT, name) for name in ABOUT.__slots__} | {"trace_alpha": alpha})
    least = 0.02
    result = decoded(outputs, about, PostprocessOptions(min_score=least), frame=frame)
    wanted = [each for each in expected(outputs, alpha) if each[0] > least]
    found, marks = result[DETECTIONS], result[LANDMARKS]
    assert found.class_ids.tolist() == [number for _, number, _ in wanted]
    np.testing.assert_allclose(found.scores, [score for score, *_ in wanted], rtol=1e-4)
    with_points = [row for row, (_, number, _) in enumerate(wanted) if COUNTS[number]]
    assert marks.detection_rows.tolist() == with_points
    assert marks.names == ("point_0", "point_1", "point_2")
    scale, offset = stretched(SIZE, frame)
    for row, index in enumerate(with_points):
        table = wanted[index][2]
        placed = table[:, :2] * (SIZE[1], SIZE[0]) * scale + offset
        np.testing.assert_allclose(marks.points[row, : len(table)], placed, rtol=1e-5, atol=1e-3)
        np.testing.assert_allclose(marks.scores[row, : len(table)], table[:, 2], rtol=1e-4)
        assert not marks.scores[row, len(table) :].any()
        np.testing.assert_array_equal(marks.boxes[row], found.boxes[index])


def test_points_come_out_of_a_file(tmp_path: Path) -> None:
    outputs = planted() | {"keypoints": points()}
    known = metadata(num_keypoints_per_class=list(COUNTS), num_select=21)
    path = write_network(tmp_path / "my.onnx", outputs, size=SIZE, metadata=known)
    with load_model(str(path), precision="fp32", min_score=0.1) as model:
        assert model.row.task == "objects with points"
        result = model(picture(ODD))
    wanted = [each for each in expected(outputs, 0.2) if each[0] > 0.1]
    np.testing.assert_allclose(result.detections.scores, [score for score, *_ in wanted], rtol=1e-4)
    assert len(result.landmarks) == sum(COUNTS[number] > 0 for _, number, _ in wanted)


def test_a_person_has_the_points_of_a_body() -> None:
    outputs = [spec("dets", 1, 7, 4), spec("labels", 1, 7, 2), spec("keypoints", 1, 7, 17, 8)]
    head: Any = recognise(outputs, Description(classes=("person",), points=(17, 3)), SIZE)
    assert (head.counts, head.point_names[:2]) == ((17,), ("nose", "left_eye"))
    assert set(head.gives) == {DETECTIONS, LANDMARKS}
    assert (head.task, head.reads) == ("objects with points", {"dets", "labels", "keypoints"})


def test_points_that_are_no_numbers() -> None:
    outputs = planted() | {"keypoints": points()}
    choices = PostprocessOptions(min_score=0.1)
    count = len(decoded(outputs, ABOUT, choices)[DETECTIONS])
    outputs["keypoints"][0, AT[0], 6] = np.nan  # the first point of the cup
    found = decoded(outputs, ABOUT, choices)[DETECTIONS]
    assert len(found) == count - 1
    assert 2 not in found.class_ids
    outputs["keypoints"][:] = np.nan
    with pytest.raises(EngineError, match="output 'keypoints' has no finite number"):
        decoded(outputs, ABOUT, choices)
    nothing = planted() | {"keypoints": points()}
    nothing["labels"][:] = -30
    result = decoded(nothing, ABOUT, choices)
    assert (len(result[DETECTIONS]), len(result[LANDMARKS])) == (0, 0)


# What is refused


BASE = [spec("dets", 1, 7, 4), spec("labels", 1, 7, 4)]


@pytest.mark.parametrize(
    ("more", "about", "why"),
    [
        ([spec("masks", 1, 6, 24, 24)], {}, r"output 'masks' must be masks float32 \[1, 7, h, w\]"),
        ([spec("masks", 1, 7, 24, 24, dtype=np.int64)], {}, "must be masks float32"),
        ([spec("keypoints", 1, 7, 9, 8)], {}, "has 9 points of all classes; say `points` = .points of a class, 3."),
        ([spec("keypoints", 1, 7, 9, 8)], {"point_counts": (2, 2)}, "must have 2 x 2 points, those of 2 classes"),
        ([spec("keypoints", 1, 7, 9, 8)], {"points": (4, 3)}, "must have 2 x 4 points"),
        ([spec("keypoints", 1, 7, 9, 2)], {"points": (9, 3)}, "must be points float32"),
        ([spec("keypoints", 1, 7, 9, 8)], {"points": (9, 3), "point_names": ("a",)}, "9 points, but 1 names"),
        ([spec("masks", 1, 7, 24, 24), spec("keypoints", 1, 7, 9, 8)], {}, "are not read together; `ignore` one"),
        ([], {"outputs": {"masks": "m"}, "sources": {"outputs": "x"}}, "no output 'm', which x names .`masks`."),
        ([spec("depth", 1, 7, 24, 24)], {}, r"detr does not read depth \(float32"),
    ],
)
def test_refused(more: list[TensorSpec], about: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError) as caught:
        recognise([*BASE, *more], Description(classes=NAMES, **about), SIZE)
    assert re.search(why, str(caught.value)), caught.value
    assert "\n" not in str(caught.value)


def test_masks_beside_other_names_are_asked_for() -> None:
    outputs = [spec("logits", 1, 7, 3), spec("pred_boxes", 1, 7, 4), spec("segments", 1, 7, 24, 24)]
    with pytest.raises(UsageError, match="detr does not read segments"):
        recognise(outputs, Description(classes=NAMES), SIZE)
    head: Any = recognise(outputs, Description(classes=NAMES, outputs={"masks": "segments"}), SIZE)
    assert (head.kind, head.masks) == ("detr", "segments")
    assert fitting("detr")(outputs, Description(classes=NAMES), SIZE) is not None


def test_letterboxed_masks_end_at_the_frame() -> None:
    outputs = planted() | {"masks": np.full((1, QUERIES, *MAP), 3, np.float32)}
    found = decoded(outputs, Description(classes=NAMES), frame=ODD, fit="letterbox")[DETECTIONS]
    assert found.masks.boxes.tolist() == [[0, 0, ODD[1], ODD[0]]] * 3
    assert letterboxed(SIZE, ODD)[1][0] < -1
