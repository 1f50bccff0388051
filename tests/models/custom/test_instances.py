"""Heads mmdeploy, rtmo, torchvision and detectron2: finished rows with masks or points come out in frame pixels."""

from __future__ import annotations

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
from vidgraph.models.options import PostprocessOptions
from vidgraph.pipeline.errors import EngineError, UsageError
from vidgraph.pipeline.types.affine import Affine
from vidgraph.stages.inference.infer import RawOutputs

from .map_truth import pasted, resized
from .planted import FRAMES, LANDSCAPE, ODD, PLACES, in_frame, picture, precision_of, write_network

SIZE, ROWS = (64, 96), 5
CLASSES = ("cat", "dog", "cup")
BOXES = np.array([[8, 4, 60, 40], [50, 20, 90, 60], [30.5, 10.25, 41, 52.5]], np.float32)
SCORES, IDS = [0.9375, 0.75, 0.34375], [2, 0, 1]
SAID = f"classes = {list(CLASSES)}\n"


def maps(height: int, width: int, seed: int = 2) -> np.ndarray:
    """Probabilities float32 [5, h, w] in areas."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 9, (ROWS, -(-height // 7), -(-width // 7))) / 8
    whole = coarse.repeat(7, 1).repeat(7, 2)[:, :height, :width]
    return (0.9 * whole + 0.1 * random.random(whole.shape)).astype(np.float32)


def dets() -> dict[str, np.ndarray]:
    """Three rows, and two of nothing, as MMDeploy fills up."""
    rows, labels = np.zeros((1, ROWS, 5), np.float32), np.full((1, ROWS), -1, np.int64)
    rows[0, :3, :4], rows[0, :3, 4], labels[0, :3] = BOXES, SCORES, IDS
    return {"dets": rows, "labels": labels}


def rows(first: int) -> dict[str, np.ndarray]:
    """The same without a batch, labels from ``first`` on, and names that say nothing."""
    boxes, scores, labels = np.zeros((ROWS, 4), np.float32), np.zeros(ROWS, np.float32), np.zeros(ROWS, np.int64)
    boxes[:3], scores[:3], labels[:3] = BOXES, SCORES, np.array(IDS) + first
    return {"4527": boxes, "4530": labels, "4528": scores}


def layouts(kind: str) -> dict[str, np.ndarray]:
    if kind == "mmdeploy":
        return dets()
    if kind == "mmdeploy, masks of the input":
        return dets() | {"masks": maps(*SIZE)[None]}
    if kind == "mmdeploy, masks of boxes":
        return dets() | {"masks": maps(28, 28)[None]}
    if kind == "torchvision":
        return rows(1) | {"6000": maps(*SIZE)[:, None]}
    return rows(0) | {"6000": maps(28, 28)[:, None]}


KINDS = ["mmdeploy", "mmdeploy, masks of the input", "mmdeploy, masks of boxes", "torchvision", "detectron2"]
LEAST = {"mmdeploy": 0.3, "torchvision": 0.5, "detectron2": 0.5}


def check(found: Any, kind: str, frame: tuple[int, int], fit: str) -> None:
    """The planted rows that score enough, with their masks."""
    place = PLACES[fit](SIZE, frame)
    count = sum(score > LEAST[kind.partition(",")[0]] for score in SCORES)
    placed = in_frame(BOXES[:count], place)
    np.testing.assert_allclose(found.boxes, np.clip(placed, 0, (frame[1], frame[0]) * 2), atol=2e-3)
    assert found.class_ids.tolist() == IDS[:count]
    np.testing.assert_allclose(found.scores, SCORES[:count], rtol=2e-3)
    if kind == "mmdeploy":
        assert found.masks is None
        return
    own = layouts(kind)
    cells = own.get("masks", own.get("6000"))
    assert cells is not None
    cells = cells.reshape(ROWS, *cells.shape[-2:])[:count]
    if cells.shape[1:] == SIZE:
        truth = resized(cells, frame, SIZE, place)
    else:
        truth = np.stack([pasted(each, box, frame) for each, box in zip(cells, placed, strict=True)])
    for row, values in enumerate(truth):
        clear = np.abs(values - 0.5) > 1e-3
        assert clear.mean() > 0.97
        np.testing.assert_array_equal(found.masks.full(row)[clear], (values > 0.5)[clear])
        assert found.masks.area(row) > 0


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_planted_rows_come_out_of_a_file(kind: str, engine: str, dtype: str, tmp_path: Path) -> None:
    toml = SAID + '[input]\nfit = "letterbox"\n'
    path = write_network(tmp_path / "my.onnx", layouts(kind), size=SIZE, dtype=dtype, toml=toml)
    with load_model(str(path), engine=engine, precision=precision_of(engine)) as model:
        assert model.class_names == CLASSES
        for frame in FRAMES:
            check(model(picture(frame)).detections, kind, frame, "letterbox")


def spec(name: str, *shape: int, dtype: type = np.float32) -> TensorSpec:
    return TensorSpec(name, np.dtype(dtype), shape)


ABOUT = Description(classes=CLASSES)


def decoded(
    outputs: dict[str, np.ndarray],
    about: Description = ABOUT,
    choices: PostprocessOptions = PostprocessOptions(),  # noqa: B008, frozen
    *,
    frame: tuple[int, int] = LANDSCAPE,
    fit: str = "stretch",
    names: tuple[str, ...] = CLASSES,
) -> Any:
    """What comes out; the outputs are overwritten in between, as those of an engine may be."""
    head = recognise([TensorSpec(name, array.dtype, array.shape) for name, array in outputs.items()], about, SIZE)
    assert head.reads == set(outputs)
    lease = {name: array.copy() for name, array in outputs.items()}
    arrays = head.select_outputs(choices)(lease)
    for array in lease.values():
        array.fill(0)
    return head.decode(RawOutputs(arrays, SIZE, Affine(*PLACES[fit](SIZE, frame))), frame, choices, names)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
@pytest.mark.parametrize("frame", [*FRAMES, (5, 9)])
def test_in_frames_of_any_size(kind: str, fit: str, frame: tuple[int, int]) -> None:
    check(decoded(layouts(kind), frame=frame, fit=fit)[DETECTIONS], kind, frame, fit)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_masks_stay_with_their_rows(kind: str) -> None:
    outputs = layouts(kind)
    whole = decoded(outputs)[DETECTIONS]
    one = decoded(outputs, ABOUT, PostprocessOptions(classes=(0,)))[DETECTIONS]
    np.testing.assert_array_equal(one.masks.full(0), whole.masks.full(1))
    boxes = outputs["dets"][0] if "dets" in outputs else outputs["4527"]
    boxes[0, 2] = np.inf
    rest = decoded(outputs)[DETECTIONS]
    assert rest.class_ids[0] == IDS[1]
    np.testing.assert_array_equal(rest.masks.full(0), whole.masks.full(1))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_found_and_no_numbers(kind: str) -> None:
    outputs = layouts(kind)
    scores = outputs["dets"][..., 4] if "dets" in outputs else outputs["4528"]
    scores[:] = 0
    found = decoded(outputs)[DETECTIONS]
    assert (len(found), found.class_names) == (0, CLASSES)
    if kind != "mmdeploy":
        assert len(found.masks) == 0
    name = "dets" if "dets" in outputs else "4528"
    outputs[name][:] = np.nan
    with pytest.raises(EngineError, match=f"output '{name}' has no finite number"):
        decoded(outputs)
    if kind != "mmdeploy":
        outputs = layouts(kind)
        masks = "masks" if "masks" in outputs else "6000"
        outputs[masks][0] = np.nan  # all of MMDeploy's, the first of others'
        if "masks" in outputs:
            with pytest.raises(EngineError, match="output 'masks' has no finite number"):
                decoded(outputs)
        else:
            assert decoded(outputs)[DETECTIONS].masks.area(0) == 0


def test_masks_may_be_truths() -> None:
    outputs = layouts("mmdeploy, masks of the input")
    wanted = outputs["masks"] > 0.5
    found = decoded(outputs | {"masks": wanted.astype(np.int64)}, frame=SIZE)[DETECTIONS]
    for row in range(3):
        np.testing.assert_array_equal(found.masks.full(row), wanted[0, row])


def test_a_label_without_a_name() -> None:
    with pytest.raises(EngineError, match="output 'labels' has label 2, but 2 classes are named"):
        decoded(dets(), Description(classes=CLASSES[:2]), names=CLASSES[:2])
    with pytest.raises(EngineError, match="output '4530' has label 3, but 2 classes are named"):
        decoded(layouts("torchvision"), Description(classes=CLASSES[:2]), names=CLASSES[:2])


@pytest.mark.parametrize("first", ["__background__", "background", "N/A"])
def test_names_of_torchvision_may_begin_with_the_background(first: str) -> None:
    names = (first, *CLASSES)
    found = decoded(layouts("torchvision"), Description(classes=names), names=names)[DETECTIONS]
    assert [row.class_name for row in found] == ["cup", "cat"]


# Points


def poses(points: int = 17) -> dict[str, np.ndarray]:
    random = np.random.default_rng(4)
    table = random.uniform(-5, 90, (1, ROWS, points, 3)).astype(np.float32)
    table[..., 2] = random.uniform(-0.1, 1.1, (1, ROWS, points))
    return {"dets": dets()["dets"], "keypoints": table}


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
@pytest.mark.parametrize("labels", [False, True])
def test_points_of_rtmo(frame: tuple[int, int], fit: str, labels: bool) -> None:
    outputs = poses()
    about, names = Description(), ("person",)
    if labels:
        outputs["labels"] = np.zeros((1, ROWS), np.int64)
        about = Description(classes=names)
    result = decoded(outputs, about, frame=frame, fit=fit, names=names)
    found, marks = result[DETECTIONS], result[LANDMARKS]
    scale, offset = PLACES[fit](SIZE, frame)
    np.testing.assert_allclose(found.boxes, in_frame(BOXES, (scale, offset), frame), atol=2e-3)
    assert found.class_ids.tolist() == [0, 0, 0]
    placed = outputs["keypoints"][0, :3, :, :2].astype(np.float64) * scale + offset
    np.testing.assert_allclose(marks.points, placed, rtol=1e-5, atol=2e-3)
    np.testing.assert_array_equal(marks.scores, np.clip(outputs["keypoints"][0, :3, :, 2], 0, 1))
    assert (marks.detection_rows.tolist(), marks.names[0], len(marks.names)) == ([0, 1, 2], "nose", 17)


def test_points_that_are_no_numbers() -> None:
    outputs = poses(14)
    outputs["keypoints"][0, 1, 3, 0] = np.nan
    result = decoded(outputs, Description(), names=("person",))
    assert (len(result[DETECTIONS]), result[LANDMARKS].detection_rows.tolist()) == (3, [0, 2])
    assert result[LANDMARKS].names[0] == "point_0"
    outputs["keypoints"][:] = np.nan
    with pytest.raises(EngineError, match="output 'keypoints' has no finite number"):
        decoded(outputs, Description())
    nothing = poses()
    nothing["dets"][..., 4] = 0
    result = decoded(nothing, Description(), names=("person",))
    assert (len(result[DETECTIONS]), len(result[LANDMARKS])) == (0, 0)


def test_rtmo_out_of_a_file(tmp_path: Path) -> None:
    path = write_network(tmp_path / "rtmo.onnx", poses(), size=SIZE)
    with load_model(str(path), precision="fp32", labels=["person"]) as model:
        assert model.row.task == "objects with points"
        result = model(picture(ODD))
    assert result.landmarks is not None
    assert len(result.landmarks) == 2  # the second lies in the padding beside this narrow frame
    made = inspect_model(path).about.input
    assert (made.fit, made.color, made.pad, made.mean, made.std) == ("pad", "bgr", (114,) * 3, (0.0,) * 3, (1.0,) * 3)


@pytest.mark.parametrize("rows", [2000, 300])
def test_rtmo_is_no_yolo_of_as_many_rows(rows: int) -> None:
    """A YOLO with two maps has 2000 rows for an input of 640x640."""
    outputs = [spec("dets", 1, rows, 5), spec("keypoints", 1, rows, 17, 3)]
    assert recognise(outputs, Description(), (640, 640)).kind == "rtmo"
    if rows == 2000:
        assert not isinstance(fitting("yolo")(outputs, Description(), (640, 640)), str | None)
    labels = [outputs[0], spec("labels", 1, rows, dtype=np.int64)]
    assert recognise(labels, Description(classes=("a",)), (640, 640)).kind == "mmdeploy"


# What is recognised, assumed and refused


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        ("mmdeploy", ("pad", "bgr", (103.53, 116.28, 123.675), (57.375, 57.12, 58.395))),
        ("torchvision", ("pad", "rgb", (0.0, 0.0, 0.0), (255.0, 255.0, 255.0))),
        ("detectron2", ("pad", "bgr", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))),
    ],
)
def test_what_is_assumed_of_the_picture(kind: str, made: tuple[Any, ...], tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", layouts(kind), size=SIZE, toml=SAID)
    about = inspect_model(path).about.input
    assert (about.fit, about.color, about.mean, about.std) == made


@pytest.mark.parametrize(("kind", "first"), [("torchvision", 1), ("detectron2", 0)])
def test_without_masks_and_a_batch_the_head_is_asked_for(kind: str, first: int) -> None:
    outputs = dict(zip(("boxes", "labels", "scores"), rows(first).values(), strict=True))
    with pytest.raises(UsageError, match=r'say head = "torchvision" .labels count from 1. or head = "detectron2"'):
        decoded(outputs)
    assert decoded(outputs, Description(classes=CLASSES, head=kind))[DETECTIONS].class_ids.tolist() == IDS[:2]


def test_roles_where_shapes_leave_it_open() -> None:
    outputs = rows(1) | {"ages": np.zeros(ROWS, np.float32), "6000": maps(*SIZE)[:, None]}
    specs = [TensorSpec(name, array.dtype, array.shape) for name, array in outputs.items()]
    with pytest.raises(UsageError, match="no head fits"):
        recognise(specs, ABOUT, SIZE)
    roles = {"scores": "4528", "masks": "6000"}
    about = Description(classes=CLASSES, outputs=roles, ignore=("ages",))
    head: Any = recognise(specs, about, SIZE)
    assert (head.kind, head.scores, head.masks) == ("torchvision", "4528", "6000")


DETS, LABELS = spec("dets", 1, 5, 5), spec("labels", 1, 5, dtype=np.int64)


@pytest.mark.parametrize(
    ("outputs", "why"),
    [
        ([DETS, spec("labels", 1, 4, dtype=np.int64)], r"must be labels int64 \[1, 5\], one for each of 'dets'"),
        (
            [DETS, LABELS, spec("masks", 1, 4, 28, 28)],
            r"must be masks \[1, 5, 64, 96\] of the input, or \[1, 5, 28, 28",
        ),
        ([DETS, LABELS, spec("masks", 1, 5, 32, 48)], "must be masks"),
        ([DETS, spec("keypoints", 1, 4, 17, 3)], r"must be points \[1, 5, K, 3\]"),
        ([DETS, spec("keypoints", 1, 5, 17, 2)], r"must be points \[1, 5, K, 3\]"),
        ([DETS, LABELS, spec("semseg", 1, 1, 64, 96)], "mmdeploy does not read semseg"),
        ([spec("dets", 1, 5, 7), LABELS], "no head fits"),
        ([spec("b", 5, 4), spec("l", 5, dtype=np.int64), spec("s", 5), spec("m", 5, 1, 30, 40)], "no head fits"),
    ],
)
def test_refused(outputs: list[TensorSpec], why: str) -> None:
    with pytest.raises(UsageError) as caught:
        recognise(outputs, ABOUT, SIZE)
    assert re.search(why, str(caught.value)), caught.value
    assert "\n" not in str(caught.value)


def test_other_networks_are_left_to_other_heads() -> None:
    batched = [spec("labels", 1, 9, dtype=np.int64), spec("boxes", 1, 9, 4), spec("scores", 1, 9)]
    for kind in ("mmdeploy", "rtmo", "torchvision", "detectron2", "mask-queries"):
        assert fitting(kind)(batched, ABOUT, SIZE) is None
        assert fitting(kind)([spec("output0", 1, 84, 8400)], ABOUT, (640, 640)) is None
    assert recognise(batched, ABOUT, SIZE).kind == "detr"
