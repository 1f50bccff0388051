"""Heads of boxes that the graph leaves at the cells of its maps: what is planted comes out in frame pixels."""

from __future__ import annotations

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
from vidgraph.models.options import PostprocessOptions
from vidgraph.pipeline.errors import EngineError, UsageError
from vidgraph.pipeline.types.affine import Affine
from vidgraph.stages.inference.infer import RawOutputs

from .cells_planted import KINDS, SIZE, Kind, Planted, plant
from .planted import FRAMES, LANDSCAPE, PLACES, in_frame, picture, precision_of, stretched, write_network

NAMES = ("a", "b", "c")


def check(found: Any, planted: Planted, place: Any, frame: tuple[int, int], rows: Any = slice(None)) -> int:
    """How many there are: that the detections and points of a frame are those planted that lie in it, best first."""
    detections, landmarks = found[DETECTIONS], found.get(LANDMARKS)
    boxes = in_frame(planted.boxes, place, frame)
    seen = [row for row in np.arange(len(boxes))[rows] if (boxes[row, 2:] > boxes[row, :2]).all()]
    np.testing.assert_allclose(detections.boxes, boxes[seen], atol=2e-3)
    np.testing.assert_allclose(detections.scores, planted.scores[seen], rtol=1e-5)
    assert detections.class_ids.tolist() == planted.class_ids[seen].tolist()
    if planted.points.shape[1]:
        scale, offset = place
        np.testing.assert_allclose(landmarks.points, planted.points[seen] * scale + offset, atol=2e-3)
        np.testing.assert_array_equal(landmarks.boxes, detections.boxes)
    else:
        assert landmarks is None
    return len(seen)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("fit", PLACES)
@pytest.mark.parametrize("name", KINDS)
def test_planted_objects_come_out_of_a_file(name: str, fit: str, engine: str, tmp_path: Path) -> None:
    kind, planted = KINDS[name], plant(KINDS[name])
    path = write_network(tmp_path / "own.onnx", planted.outputs, size=SIZE, toml=f'{kind.toml}[input]\nfit = "{fit}"\n')
    with load_model(str(path), engine=engine, precision=precision_of(engine), min_score=0.3) as model:
        counts = []
        for frame in FRAMES:
            result = model(picture(frame))
            found = {DETECTIONS: result.detections, LANDMARKS: result.landmarks}
            counts.append(check(found, planted, PLACES[fit](SIZE, frame), frame))
    assert max(counts) == len(planted.boxes)


def specs(outputs: dict[str, np.ndarray]) -> list[TensorSpec]:
    return [TensorSpec(name, array.dtype, array.shape) for name, array in outputs.items()]


def about_of(kind: Kind) -> Description:
    return Description(head=kind.head, classes=NAMES if kind.classes == 3 else None)


def decoded(
    kind: Kind,
    outputs: dict[str, np.ndarray],
    choices: PostprocessOptions = PostprocessOptions(min_score=0.3),  # noqa: B008, frozen
) -> Any:
    """What comes out of a stretched frame; the outputs are overwritten in between, as those of an engine may be."""
    head: Any = fitting(kind.head)(specs(outputs), about_of(kind), SIZE)
    assert not isinstance(head, str), head
    lease = {name: array.copy() for name, array in outputs.items()}
    arrays = head.select_outputs(choices)(lease)
    for array in lease.values():
        array.fill(0)
    raw = RawOutputs(arrays, SIZE, Affine(*stretched(SIZE, LANDSCAPE)))
    return head.decode(raw, LANDSCAPE, choices, NAMES[: kind.classes])


PLACE = stretched(SIZE, LANDSCAPE)


@pytest.mark.parametrize("name", KINDS)
def test_recognised_by_its_outputs(name: str) -> None:
    kind, outputs = KINDS[name], specs(plant(KINDS[name]).outputs)
    known = about_of(kind)
    about = known if name == "yolox" else Description(classes=known.classes)
    for order in (outputs, outputs[::-1]):
        head: Any = recognise(order, about, SIZE)
        assert (head.kind, head.class_count) == (kind.head, kind.classes)
        assert head.reads == {spec.name for spec in outputs}
        assert len(head.point_names) == kind.points
        assert set(head.gives) == ({DETECTIONS, LANDMARKS} if kind.points else {DETECTIONS})
        assert head.task == ("objects with points" if kind.points else "boxes")


@pytest.mark.parametrize("name", KINDS)
def test_another_output_or_column_is_refused(name: str) -> None:
    kind, outputs = KINDS[name], specs(plant(KINDS[name]).outputs)
    float32 = np.dtype(np.float32)
    known = about_of(kind)
    with pytest.raises(UsageError, match=r"its outputs are|fits its outputs") as raised:
        recognise([*outputs, TensorSpec("more", float32, (1, 7, 9))], Description(classes=known.classes), SIZE)
    assert "more (float32 [1, 7, 9])" in str(raised.value)
    last = outputs[-1]
    wider = TensorSpec(last.name, last.dtype, (*last.shape[:-1], last.shape[-1] + 1))
    with pytest.raises(UsageError, match="is not .*" + kind.head):
        recognise([*outputs[:-1], wider], known, SIZE)
    longer = TensorSpec(last.name, last.dtype, (*last.shape[:-2], last.shape[-2] + 1, last.shape[-1]))
    with pytest.raises(UsageError, match=r"for an input of 160x96 it must have .* rows"):
        recognise([*outputs[:-1], longer], known, SIZE)


@pytest.mark.parametrize("name", KINDS)
def test_choices(name: str) -> None:
    kind, planted = KINDS[name], plant(KINDS[name])
    count = len(planted.boxes)
    check(decoded(kind, planted.outputs), planted, PLACE, LANDSCAPE)
    choices = PostprocessOptions(min_score=0.875 if kind.score != "sigmoid" else 0.9)
    check(decoded(kind, planted.outputs, choices), planted, PLACE, LANDSCAPE, slice(1))
    check(decoded(kind, planted.outputs, PostprocessOptions(max_detections=2)), planted, PLACE, LANDSCAPE, slice(2))
    wanted = int(planted.class_ids[0])
    rows = np.flatnonzero(planted.class_ids == wanted)
    found = decoded(kind, planted.outputs, PostprocessOptions(min_score=0.3, classes=(wanted,)))
    check(found, planted, PLACE, LANDSCAPE, rows)
    assert len(decoded(kind, planted.outputs, PostprocessOptions(min_score=0.99))[DETECTIONS]) == 0
    assert len(decoded(kind, planted.outputs, PostprocessOptions(min_score=0.0, nms_iou=1.0))[DETECTIONS]) > count
    with pytest.raises(UsageError, match=f"a {kind.head} head .*nms 'fast'"):
        decoded(kind, planted.outputs, PostprocessOptions(nms="fast"))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", KINDS)
def test_rows_with_a_number_that_is_none_are_left_out(name: str, bad: float) -> None:
    kind, planted = KINDS[name], plant(KINDS[name])
    outputs = {key: array.copy() for key, array in planted.outputs.items()}
    for array in outputs.values():
        rows = array.reshape(-1, array.shape[-1])
        rows[0] = bad
        rows[-1, -1] = bad
    check(decoded(kind, outputs), planted, PLACE, LANDSCAPE)
    check(decoded(kind, plant(kind, spoiled=bad).outputs), planted, PLACE, LANDSCAPE, slice(1, None))
    every = {key: np.full_like(array, bad) for key, array in outputs.items()}
    with pytest.raises(EngineError, match="has no finite number"):
        decoded(kind, every)


@pytest.mark.parametrize("name", KINDS)
def test_nothing_found(name: str) -> None:
    kind, planted = KINDS[name], plant(KINDS[name])
    empty = {key: np.full_like(array, -20 if kind.score == "sigmoid" else 0) for key, array in planted.outputs.items()}
    found = decoded(kind, empty)
    assert len(found[DETECTIONS]) == 0
    assert (LANDMARKS in found) == (kind.points > 0)


SHAPES: list[tuple[int, ...]] = [(), (1,), (6,), (1, 6), (5, 6), (1, 315, 4), (1, 8, 315), (2, 315, 8), (1, 1, 5, 7)]


@pytest.mark.parametrize("head", sorted({kind.head for kind in KINDS.values()} | {"damo-yolo", "ultraface"}))
def test_outputs_of_any_other_shape_are_no_head_s(head: str) -> None:
    for shape in SHAPES:
        for dtype in (np.float32, np.int64):
            output = TensorSpec("output", np.dtype(dtype), shape)
            for outputs in ([output], [output, TensorSpec("boxes", np.dtype(np.float32), (1, 315, 4))]):
                for about in (Description(), Description(head=head, classes=NAMES)):
                    answer = fitting(head)(outputs, about, SIZE)
                    assert answer is None or isinstance(answer, str)
