"""Rows of six numbers: finished ones of an RT-DETR, scores of two classes, a YOLO's, or not to be told apart."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.engines.spec import TensorSpec
from vidgraph.models import load_model
from vidgraph.models.custom.description import Description
from vidgraph.models.custom.detect_head import recognise
from vidgraph.models.custom.heads import fitting
from vidgraph.models.custom.inspect import inspect_model
from vidgraph.models.custom.template import write_template
from vidgraph.models.custom.ultralytics import from_metadata
from vidgraph.pipeline.errors import EngineError, UsageError

from .planted import FRAMES, in_frame, picture, precision_of, stretched, write_network

SIZE = (64, 96)
BOXES = np.array([(0.25, 0.375, 0.25, 0.5), (0.625, 0.5, 0.5, 0.75), (0.5, 0.25, 0.125, 0.25)], np.float32)
SCORES = np.array([0.90625, 0.3125, 0.03125], np.float32)  # the last is below what Ultralytics shows


def metadata(names: int | str, **more: str) -> dict[str, str]:
    named = str({number: f"c{number}" for number in range(names)}) if isinstance(names, int) else names
    known = {
        "description": "Ultralytics rtdetr-l model ",
        "author": "Ultralytics",
        "version": "8.4.190",
        "stride": "32",
    }
    known |= {"task": "detect", "names": named, "imgsz": str(list(SIZE)), "head": "RTDETRDecoder", "end2end": "False"}
    return {key: value for key, value in (known | more).items() if value}


def rows(ids: Any = (0, 1, 1), count: int = 300) -> np.ndarray:
    """float32 [1, count, 6]: cx, cy, w, h in 0..1, score, class."""
    table = np.zeros((1, count, 6), np.float32)
    table[0, :3, :4], table[0, :3, 4], table[0, :3, 5] = BOXES, SCORES, ids
    return table


def corners() -> np.ndarray:
    """Pixels of the input."""
    centre, half = BOXES[:, :2].astype(np.float64), BOXES[:, 2:] / 2
    return np.concatenate([centre - half, centre + half], axis=1) * (SIZE[1], SIZE[0], SIZE[1], SIZE[0])


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize(
    ("classes", "ids", "count"),
    [(2, (0, 1, 1), 300), (80, (79, 0, 5), 300), (1, (0, 0, 0), 100), (365, (300, 7, 7), 7)],
)
def test_finished_rows_come_out(
    classes: int, ids: tuple[int, ...], count: int, dtype: str, engine: str, tmp_path: Path
) -> None:
    path = write_network(
        tmp_path / "my.onnx", {"output0": rows(ids, count)}, size=SIZE, dtype=dtype, metadata=metadata(classes)
    )
    with load_model(str(path), engine=engine, precision=precision_of(engine)) as model:
        assert len(model.class_names) == classes
        for frame in FRAMES:
            found = model(picture(frame)).detections
            assert found.class_ids.tolist() == list(ids[:2])
            np.testing.assert_array_equal(found.scores, SCORES[:2])
            placed = in_frame(corners()[:2], stretched(SIZE, frame), frame)
            np.testing.assert_allclose(found.boxes, placed, atol=2e-3)


def test_choices(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"output0": rows()}, size=SIZE, metadata=metadata(2))
    with load_model(str(path), min_score=0.01, classes=["c1"]) as model:
        assert model(picture((64, 96))).detections.class_ids.tolist() == [1, 1]
    with load_model(str(path), min_score=0.01, max_detections=1) as model:
        assert model(picture((64, 96))).detections.class_ids.tolist() == [0]


def test_the_published_cases(shared: Callable[[str], Path]) -> None:
    for name, found in (("rtdetr_2cls", [("cat", 0.9), ("dog", 0.3)]), ("rtdetr_small", [("1", 0.9)])):
        with load_model(str(shared(f"cases/{name}.onnx")), precision="fp32") as model:
            seen = model(picture((240, 320))).detections
        assert [(row.class_name, round(row.score, 6)) for row in seen] == found


def test_before_version_8_4_47_they_are_scores_of_two_classes(tmp_path: Path) -> None:
    table = np.zeros((1, 300, 6), np.float32)
    table[0, 7] = (0.5, 0.5, 0.25, 0.5, 0.125, 0.75)
    for version in ("8.3.228", "8.4.46", "8.4.9"):
        path = write_network(
            tmp_path / f"{version}.onnx", {"o": table}, size=SIZE, metadata=metadata(2, version=version)
        )
        with load_model(str(path), precision="fp32") as model:
            found = model(picture((64, 96))).detections
        assert [(row.class_name, row.score) for row in found] == [("c1", 0.75)]


@pytest.mark.parametrize("version", ["", "main", "8"])
def test_without_a_version_two_classes_are_not_guessed(version: str, tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"o": rows()}, size=SIZE, metadata=metadata(2, version=version))
    with pytest.raises(UsageError, match=r"output 'o' .* finished rows.* or box and scores of two classes.*end_to_end"):
        load_model(str(path))
    for said, count in (("true", 2), ("false", 3)):  # rows of one score and a class; of two scores, each above 1/2
        path.with_suffix(".toml").write_text(f"end_to_end = {said}\n")
        with load_model(str(path)) as model:
            assert len(model(picture((64, 96))).detections) == count


def test_the_number_of_classes_tells_whatever_the_version_is() -> None:
    six, many = TensorSpec("o", np.dtype(np.float32), (1, 300, 6)), TensorSpec("o", np.dtype(np.float32), (1, 300, 84))
    for version in ("8.3.0", "8.4.190", ""):
        about = from_metadata(metadata(80, version=version))
        assert type(recognise([six], about, SIZE)).__name__ == "GivenRows"
        queries: Any = recognise([many], about, SIZE)
        assert (queries.kind, queries.columns) == ("detr", 80)
    five: Any = recognise([TensorSpec("o", np.dtype(np.float32), (1, 300, 5))], from_metadata(metadata(1)), SIZE)
    assert five.columns == 1


def test_a_template_says_which_rows_they_are(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"o": rows()}, size=SIZE, metadata=metadata(2))
    before = inspect_model(path)
    assert "\nend_to_end = true  # the file's metadata 'version'" in write_template(path)[0].read_text()
    assert inspect_model(path).head == before.head


def test_what_contradicts_is_refused() -> None:
    six = TensorSpec("o", np.dtype(np.float32), (1, 300, 6))
    about = Description(head="detr", classes=tuple(map(str, range(80))), end_to_end=False)
    with pytest.raises(UsageError, match="speaks of 2 classes, but 80 are named"):
        recognise([six], about, SIZE)


def test_the_data_set_s_name_makes_no_rtdetr() -> None:
    given = metadata(
        2, head="", description="Ultralytics YOLO26n model trained on /data/rtdetr-cars.yaml", end2end="True"
    )
    about = from_metadata(given)
    assert (about.head, about.input.fit, about.end_to_end) == (None, "letterbox", True)
    assert from_metadata(metadata(2, head="")).head == "detr"


def test_an_rtdetr_under_another_name_is_not_taken_for_a_yolo(tmp_path: Path) -> None:
    """Between 8.4.47 and the versions that name the head, an own configuration leaves no trace in the metadata."""
    given = metadata(80, head="", description="Ultralytics mine model ")
    path = write_network(tmp_path / "my.onnx", {"o": rows((3, 4, 5))}, size=SIZE, metadata=given)
    with pytest.raises(UsageError, match=r"does not suppress any \(the file's metadata 'end2end'\); .*head = \"detr\""):
        load_model(str(path))
    assert inspect_model(path, head="detr").head.kind == "detr"


def test_a_class_without_a_name_is_an_error(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"o": rows((0, 5, 0))}, size=SIZE, metadata=metadata(2))
    with load_model(str(path)) as model, pytest.raises(EngineError, match="has label 5, but 2 classes are named"):
        model(picture((64, 96)))


def test_rows_with_an_angle_are_no_detr_s() -> None:
    output = [TensorSpec("o", np.dtype(np.float32), (1, 300, 7))]
    for about in (Description(), Description(classes=("a", "b", "c"))):
        with pytest.raises(UsageError, match=r'oriented boxes .* scores of 3 classes; .*head = "obb" or head = "detr"'):
            recognise(output, about, (640, 640))
    assert recognise(output, Description(classes=("a", "b", "c")), (640, 640), head="detr").class_count == 3


def test_what_is_assumed_of_rows_that_nothing_describes_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = np.zeros((1, 50, 6), np.float32)
    path = write_network(tmp_path / "my.onnx", {"o": table}, size=SIZE)
    with caplog.at_level(logging.WARNING, "vidgraph"), load_model(str(path), labels=["a", "b"]):
        pass
    assert [line for line in caplog.messages if "assumed: x1, y1, x2, y2 in pixels, score, class" in line]
    caplog.clear()
    for number, (toml, head) in enumerate((("", "yolo-end2end"), ("end_to_end = true", None))):
        path = write_network(tmp_path / f"{number}.onnx", {"o": table}, size=SIZE, toml=toml)
        with caplog.at_level(logging.WARNING, "vidgraph"), load_model(str(path), labels=["a", "b"], head=head):
            pass
    assert not [line for line in caplog.messages if "x1, y1" in line]


@pytest.mark.parametrize("task", ["flow", "keypoints", "obb3d"])
def test_a_task_that_no_head_reads_is_all_that_is_said(task: str, tmp_path: Path) -> None:
    for number, shape in enumerate(((1, 1, *SIZE), (1, 300, 6), (1, 5, *SIZE))):
        given = metadata(5, task=task, head="Flow", description="Ultralytics YOLO26n-flow model ")
        path = write_network(tmp_path / f"{number}.onnx", {"o": np.ones(shape, np.float32)}, size=SIZE, metadata=given)
        with pytest.raises(
            UsageError, match=rf"made for the task '{task}' \(the file's metadata 'task'\), which no head"
        ):
            load_model(str(path))
        with load_model(str(path), head="raw") as model:
            assert model(picture((64, 96))).tensors is not None


def test_a_task_leaves_its_own_heads_only() -> None:
    scores, image = (TensorSpec("o", np.dtype(np.float32), shape) for shape in ((1, 5), (1, 5, 64, 96)))
    for task, output in (("detect", image), ("semantic", scores), ("classify", image), ("pose", image)):
        with pytest.raises(UsageError, match="no head fits its outputs"):
            recognise([output], Description(task=task, classes=tuple("abcde")), SIZE)
    assert recognise([image], Description(task="semantic"), SIZE).kind == "semantic"
    assert fitting("semantic")([image], Description(), SIZE) is not None
