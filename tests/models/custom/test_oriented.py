"""Oriented boxes: planted rows come out with their corners and angles in frame pixels, suppressed as published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vidgraph
from vidgraph.engines.spec import TensorSpec
from vidgraph.models import load_model
from vidgraph.models.custom.description import Description
from vidgraph.models.custom.detect_head import recognise
from vidgraph.models.custom.heads.oriented import _gaussians, corners_of, prob_iou, rotated_nms
from vidgraph.models.run import draw
from vidgraph.pipeline.errors import EngineError, UsageError

from .planted import FRAMES, LANDSCAPE, letterboxed, picture, precision_of, write_network
from .yolo_planted import places

SIZE = (64, 96)
CLASSES = ("plane", "ship")
BOXES = np.array([(40, 32, 30, 10, 0.5), (44, 30, 8, 20, -0.75), (60, 36, 20, 12, 2.0)], np.float32)
SCORES = np.array([0.875, 0.5, 0.375], np.float32)
IDS = np.array([1, 0, 1])
METADATA = {
    "author": "Ultralytics", "stride": "32", "task": "obb", "names": str(dict(enumerate(CLASSES))),
    "imgsz": str(list(SIZE)), "description": "Ultralytics YOLO11n-obb model trained on DOTAv1.yaml",
}  # fmt: skip


def as_planted(layout: str) -> dict[str, np.ndarray]:
    """The three boxes as networks give them, among rows that score nothing; one row repeats the first box, shifted."""
    boxes, scores, ids = (np.concatenate([each, each[:1]]) for each in (BOXES, SCORES, IDS))
    boxes[3, :2] += 1
    scores[3] = 0.8125
    if layout == "mmrotate":
        rows = np.concatenate([boxes, scores[:, None]], axis=1)[:3]
        return {"dets": rows[None], "labels": ids[None, :3]}
    if layout == "finished":
        table = np.zeros((1, 300, 7), np.float32)
        table[0, :3] = np.concatenate([boxes[:, :4], scores[:, None], ids[:, None], boxes[:, 4:]], axis=1)[:3]
        return {"output0": table}
    rows = np.zeros((places(SIZE), 4 + len(CLASSES) + 1), np.float32)
    rows[5:9, :4], rows[5:9, 6] = boxes[:, :4], boxes[:, 4]
    rows[np.arange(5, 9), 4 + ids] = scores
    return {"output0": rows.T[None] if layout == "columns first" else rows[None]}


def expected(frame: tuple[int, int], place: Any) -> tuple[np.ndarray, np.ndarray]:
    """Corners [3, 4, 2] in the frame and the boxes around them [3, 4], in double precision."""
    scale, offset = place
    corners = []
    for cx, cy, width, height, angle in BOXES.astype(np.float64):
        for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
            turned = complex(x * width / 2, y * height / 2) * np.exp(1j * angle)
            corners.append((cx + turned.real, cy + turned.imag))
    moved = np.array(corners).reshape(3, 4, 2) * scale + offset
    around = np.concatenate([moved.min(axis=1), moved.max(axis=1)], axis=1)
    return moved, np.clip(around, 0, (frame[1], frame[0]) * 2)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("layout", ["columns first", "rows first", "finished", "mmrotate"])
def test_planted_boxes_come_out(layout: str, engine: str, tmp_path: Path) -> None:
    fit = "pad" if layout == "mmrotate" else "letterbox"
    described = f"classes = {list(CLASSES)}\n" if layout == "mmrotate" else ""
    path = write_network(
        tmp_path / "my.onnx",
        as_planted(layout),
        size=SIZE,
        metadata=None if layout == "mmrotate" else METADATA,
        toml=described,
    )
    with load_model(str(path), engine=engine, precision=precision_of(engine)) as model:
        for frame in FRAMES:
            found = model(picture(frame)).detections
            ratio = min(SIZE[0] / frame[0], SIZE[1] / frame[1])
            place = letterboxed(SIZE, frame) if fit == "letterbox" else ((1 / ratio, 1 / ratio), (0.0, 0.0))
            corners, around = expected(frame, place)
            seen = ((around[:, 2:] - around[:, :2]) > 0).all(axis=1)
            assert [row.class_name for row in found] == np.array(["ship", "plane", "ship"])[seen].tolist()
            np.testing.assert_allclose(found.scores, SCORES[seen])
            np.testing.assert_allclose(found.data["xyxyxyxy"], corners[seen], atol=0.01)
            np.testing.assert_allclose(found.boxes, around[seen], atol=0.01)
            sides = (corners[:, 1] - corners[:, 0])[seen]
            np.testing.assert_allclose(found.data["angle"], np.arctan2(sides[:, 1], sides[:, 0]), atol=1e-5)
            np.testing.assert_allclose(found.data["angle"], BOXES[seen, 4], atol=0.05)  # scales differ by rounding


def test_results_draw_convert_and_read_back(tmp_path: Path) -> None:
    from PIL import Image
    from vidgraph.pipeline.results.convert import convert

    path = write_network(tmp_path / "my.onnx", as_planted("columns first"), size=SIZE, metadata=METADATA)
    Image.fromarray(np.zeros((*LANDSCAPE, 3), np.uint8)).save(tmp_path / "in.png")
    lines, drawn = tmp_path / "out.jsonl", tmp_path / "drawn" / "%06d.png"
    vidgraph.run(str(tmp_path / "in.png"), model=str(path), outputs=[lines, drawn]).wait()
    record = next(iter(vidgraph.read_results(lines)))
    read, (corners, _) = record.detections.corners, expected(LANDSCAPE, letterboxed(SIZE, LANDSCAPE))
    np.testing.assert_allclose(read, corners, atol=0.01)
    np.testing.assert_allclose(record.detections.data["angle"], BOXES[:, 4], atol=0.05)
    shown = np.array(Image.open(tmp_path / "drawn" / "000000.png"))
    for side in range(4):  # the middle of each side of the first box is coloured, the corner of its upright box is not
        x, y = (corners[0, side] + corners[0, (side + 1) % 4]) / 2
        assert shown[int(y), int(x)].max() > 100
    x1, y1 = corners[0].min(axis=0)
    assert shown[int(y1) + 1, int(x1) + 1].max() == 0
    draw(str(tmp_path / "in.png"), lines, outputs=[tmp_path / "again" / "%06d.png"]).wait()
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "again" / "000000.png")), shown)
    header = convert(lines, "csv", tmp_path / "t.csv").read_text().splitlines()[0]
    assert header.endswith("file,angle," + ",".join(f"xyxyxyxy.{number}" for number in range(1, 9)))
    coco = json.loads(convert(lines, "coco-results", tmp_path / "c.json").read_text())
    assert np.shape(coco[0]["xyxyxyxy"]) == (4, 2)


def test_supervision_knows_the_corners(tmp_path: Path) -> None:
    pytest.importorskip("supervision", reason="needs supervision (the extra of that name)")
    path = write_network(tmp_path / "my.onnx", as_planted("columns first"), size=SIZE, metadata=METADATA)
    with load_model(str(path)) as model:
        found = model(picture(LANDSCAPE))
        np.testing.assert_array_equal(found.to_supervision().data["xyxyxyxy"], found.detections.corners)


def _covariance(box: np.ndarray) -> np.ndarray:
    turn = np.array([[np.cos(box[4]), -np.sin(box[4])], [np.sin(box[4]), np.cos(box[4])]])
    return turn @ np.diag(box[2:4] ** 2 / 12) @ turn.T


def prob_iou_reference(first: np.ndarray, second: np.ndarray) -> float:
    """1 - the Hellinger distance, by the matrices of the definition."""
    one, two, apart = _covariance(first), _covariance(second), first[:2] - second[:2]
    mean = (one + two) / 2
    distance = apart @ np.linalg.solve(mean, apart) / 8
    distance += np.log(np.linalg.det(mean) / np.sqrt(np.linalg.det(one) * np.linalg.det(two))) / 2
    return float(1 - np.sqrt(1 - np.exp(-distance)))


@pytest.mark.parametrize("seed", range(3))
def test_suppression_is_as_defined(seed: int) -> None:
    random = np.random.default_rng(seed)
    count = 300  # more than are compared at a time
    boxes = np.concatenate(
        [random.uniform(0, 60, (count, 2)), random.uniform(2, 30, (count, 2)), random.uniform(-0.7, 2.3, (count, 1))], 1
    ).astype(np.float32)
    scores = (random.integers(1, 50, count) / 50).astype(np.float32)
    ids = random.integers(0, 2, count).astype(np.int32)
    order = np.argsort(-scores, kind="stable")
    table = prob_iou(_gaussians(boxes), _gaussians(boxes))
    few = random.integers(0, count, (200, 2))
    reference = [prob_iou_reference(*boxes[pair].astype(np.float64)) for pair in few]
    np.testing.assert_allclose(table[few[:, 0], few[:, 1]], reference, atol=1e-9)
    kept = [
        row for rank, row in enumerate(order)
        if not any(table[better, row] >= 0.4 and ids[better] == ids[row] for better in order[:rank])
    ]  # fmt: skip
    assert 2 < len(kept) < count
    np.testing.assert_array_equal(rotated_nms(boxes, scores, ids, max_iou=0.4, limit=count), kept)
    np.testing.assert_array_equal(rotated_nms(boxes, scores, ids, max_iou=0.4, limit=3), kept[:3])


def test_corners_by_hand() -> None:
    found = corners_of(np.array([(10, 20, 4, 2, np.pi / 2), (0, 0, 4, 2, 0)], np.float32))
    np.testing.assert_allclose(found[0], [(11, 18), (11, 22), (9, 22), (9, 18)], atol=1e-5)
    np.testing.assert_allclose(found[1], [(-2, -1), (2, -1), (2, 1), (-2, 1)])


def spec(*shape: int, name: str = "output0", dtype: Any = np.float32) -> TensorSpec:
    return TensorSpec(name, np.dtype(dtype), shape)


@pytest.mark.parametrize(
    ("outputs", "about", "kind"),
    [
        ([spec(1, 20, 21504)], {"task": "obb"}, "obb"),
        ([spec(1, 300, 7)], {"task": "obb", "end_to_end": True}, "obb"),
        ([spec(1, 300, 7)], {"head": "obb"}, "obb"),
        ([spec(1, 300, 6, name="dets"), spec(1, 300, name="labels", dtype=np.int64)], {}, "mmrotate"),
    ],
)
def test_recognised(outputs: list[TensorSpec], about: dict[str, Any], kind: str) -> None:
    head = recognise(outputs, Description(**about), (1024, 1024))
    assert head.kind == kind
    assert head.reads == {each.name for each in outputs}


@pytest.mark.parametrize(
    ("outputs", "about", "why"),
    [
        ([spec(1, 300, 7)], {}, 'say which: head = "obb" or head = "detr"'),
        ([spec(1, 20, 21505)], {"task": "obb"}, "must have 21504 rows for an input of 1024x1024"),
        ([spec(1, 20, 21504)], {"task": "obb", "classes": ("a", "b")}, "15 classes, but 2 are named"),
        ([spec(1, 5, 21504)], {"task": "obb"}, "no column of scores"),
        ([spec(1, 20, 21504), spec(1, 20, 21504, name="b")], {"task": "obb"}, "one output of oriented boxes is wanted"),
        (
            [spec(1, 300, 6, name="dets"), spec(1, 200, name="labels", dtype=np.int64)],
            {"head": "mmrotate"},
            r"'labels' .* must be \[1, 300\]",
        ),
    ],
)
def test_refused(outputs: list[TensorSpec], about: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        recognise(outputs, Description(**about), (1024, 1024))


def test_rows_that_are_no_numbers_are_left_out(tmp_path: Path) -> None:
    planted = as_planted("finished")
    planted["output0"][0, 1, 6] = np.nan
    planted["output0"][0, 2, 2] = 0
    path = write_network(tmp_path / "my.onnx", planted, size=SIZE, metadata=METADATA)
    with load_model(str(path)) as model:
        assert len(model(picture(LANDSCAPE)).detections) == 1
    planted["output0"][:] = np.nan
    path = write_network(tmp_path / "nan.onnx", planted, size=SIZE, metadata=METADATA)
    with load_model(str(path)) as model, pytest.raises(EngineError, match="no finite number"):
        model(picture(LANDSCAPE))
    planted = as_planted("finished")
    planted["output0"][0, 1, 5] = 7
    path = write_network(tmp_path / "label.onnx", planted, size=SIZE, metadata=METADATA)
    with load_model(str(path)) as model, pytest.raises(EngineError, match="has class 7, but 2 classes are named"):
        model(picture(LANDSCAPE))


def test_choices(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", as_planted("columns first"), size=SIZE, metadata=METADATA)
    for choice, count in (
        ({"classes": ["ship"]}, 2), ({"min_score": 0.4}, 2), ({"max_detections": 1}, 1), ({"nms_iou": 1.0}, 4),
    ):  # fmt: skip
        with load_model(str(path), **choice) as model:  # type: ignore[arg-type]
            assert len(model(picture(LANDSCAPE)).detections) == count
    with load_model(str(path), nms="cross-class") as model, pytest.raises(UsageError, match="in no other way"):
        model(picture(LANDSCAPE))
