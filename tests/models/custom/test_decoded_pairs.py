"""Boxes and scores of cells that the graph decodes (DAMO-YOLO, UltraFace), and CenterNet's rows beside its maps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.engines.spec import TensorSpec
from vidgraph.models import load_model
from vidgraph.models.custom.description import Description, OutputEnd
from vidgraph.models.custom.detect_head import recognise
from vidgraph.models.custom.inspect import inspect_model
from vidgraph.pipeline.errors import UsageError

from .planted import FRAMES, PLACES, in_frame, picture, precision_of, write_network

SIZE = (64, 96)
CELLS, FACE_CELLS = 126, 354
"""Rows of strides 8, 16, 32 with one box a cell, and of 8, 16, 32, 64 with 3, 2, 2 and 3."""
AT, SCORES = [3, 50, 100], np.array([0.9375, 0.875, 0.75], np.float32)
PIXELS = np.array([[8, 4, 32, 28], [40, 16, 72, 56], [10, 30, 30, 60]], np.float32)
IDS = np.array([1, 0, 1])


def planted(rows: int, columns: int, first: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes [1, rows, 4] in input pixels and scores [1, rows, columns], classes from column ``first`` on."""
    random = np.random.default_rng(2)
    boxes = random.uniform(0, 40, (rows, 4))
    boxes[:, 2:] += boxes[:, :2]
    scores = random.uniform(0, 0.2, (rows, columns))
    for copy in (0, 1):  # the worse one is suppressed
        boxes[np.array(AT) + copy] = PIXELS + copy
        scores[np.array(AT) + copy, (IDS if columns - first > 1 else 0 * IDS) + first] = SCORES - copy * 0.125
    if first:
        scores[:, 0] = 1 - scores[:, 1]
    return boxes[None].astype(np.float32), scores[None].astype(np.float32)


def write(path: Path, kind: str, fit: str) -> Path:
    if kind == "damo-yolo":
        boxes, scores = planted(CELLS, 2, 0)
        said = 'head = "damo-yolo"\nclasses = ["cat", "dog"]\n'
        return write_network(path, {"output": scores, "952": boxes}, size=SIZE, toml=f'{said}[input]\nfit = "{fit}"\n')
    boxes, scores = planted(FACE_CELLS, 2, 1)
    boxes /= (SIZE[1], SIZE[0], SIZE[1], SIZE[0])
    return write_network(path, {"scores": scores, "boxes": boxes}, size=SIZE, toml=f'[input]\nfit = "{fit}"\n')


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("fit", PLACES)
@pytest.mark.parametrize("kind", ["damo-yolo", "ultraface"])
def test_planted_objects_come_out_of_a_file(kind: str, fit: str, engine: str, tmp_path: Path) -> None:
    path = write(tmp_path / "own.onnx", kind, fit)
    assert inspect_model(path).head.kind == kind
    with load_model(str(path), engine=engine, precision=precision_of(engine)) as model:
        assert model.class_names == (("cat", "dog") if kind == "damo-yolo" else ("face",))
        for frame in FRAMES:
            found = model(picture(frame)).detections
            boxes = in_frame(PIXELS, PLACES[fit](SIZE, frame), frame)
            seen = [row for row in range(3) if (boxes[row, 2:] > boxes[row, :2]).all()]
            np.testing.assert_allclose(found.boxes, boxes[seen], atol=2e-3)
            np.testing.assert_allclose(found.scores, SCORES[seen], rtol=1e-6)
            assert found.class_ids.tolist() == (IDS[seen].tolist() if kind == "damo-yolo" else [0] * len(seen))


def spec(name: str, *shape: int) -> TensorSpec:
    return TensorSpec(name, np.dtype(np.float32), shape)


PAIR = [spec("output", 1, 8400, 80), spec("952", 1, 8400, 4)]


def ends(boxes: set[str], scores: tuple[tuple[str, int], ...] = ()) -> Description:
    return Description(ends={"952": OutputEnd((), frozenset(boxes)), "output": OutputEnd(scores)})


def test_boxes_that_the_graph_decodes_are_recognised_by_its_end() -> None:
    for operators in ({"Sub", "Add", "Mul", "Concat"}, {"Exp", "Mul", "Add"}):
        head: Any = recognise(PAIR, ends(operators), (640, 640))
        assert (head.kind, head.class_count, head.activation) == ("damo-yolo", 80, "given")
    head = recognise(PAIR, ends({"Sub", "Add"}, (("", 80),)), (640, 640))
    assert head.activation == "sigmoid"
    assert recognise(PAIR, ends({"Sub", "Add"}, (("sigmoid", 80),)), (640, 640)).activation == "given"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("outputs", "about", "why"),
    [
        (PAIR, Description(), r"say whether they are decoded, as corners in pixels \(head = \"damo-yolo\"\)"),
        (PAIR, ends({"Mul", "Exp"}), "say whether they are decoded"),
        (PAIR, Description(head="damo-yolo", classes=("a",)), "speaks of 80 classes, but 1 are named"),
        (PAIR[:1], Description(head="damo-yolo"), r"must have outputs \[1, 8400, 4\] and \[1, 8400, C\]"),
        ([*PAIR, spec("more", 1, 7)], ends({"Sub", "Add"}), "no head fits"),
        (PAIR, Description(head="ultraface"), r"must have boxes \[1, 23500, 4\] and scores \[1, 23500, 2\]"),
    ],
)
def test_refused(outputs: list[TensorSpec], about: Description, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        recognise(outputs, about, (640, 640))


def test_faces_are_recognised_by_names_and_rows() -> None:
    outputs = [spec("scores", 1, 4420, 2), spec("boxes", 1, 4420, 4)]
    head = recognise(outputs, Description(), (240, 320))
    assert (head.kind, head.class_count) == ("ultraface", 1)
    for changed in (outputs[0], spec("boxes", 1, 4421, 4)), (spec("scores", 1, 4420, 3), outputs[1]):
        with pytest.raises(UsageError, match="no head fits"):
            recognise(changed, Description(), (240, 320))


def test_maps_that_a_centernet_makes_its_rows_of_are_known() -> None:
    maps = [spec("tower_0/wh", 1, 128, 128, 4), spec("tower_0/keypoints", 1, 128, 128, 80)]
    rows = spec("tower_0/detections", 1, 100, 6)
    for head in ("yolo-end2end", None):
        found: Any = recognise([*maps, rows], Description(head=head, classes=("a",) * 80), (512, 512))
        assert (found.kind, found.reads) == ("yolo-end2end", {spec.name for spec in (*maps, rows)})
    with pytest.raises(UsageError, match="does not read tower_1/wh"):
        recognise([spec("tower_1/wh", 1, 128, 128, 4), rows], Description(head="yolo-end2end"), (512, 512))


def test_the_published_centernet(shared: Callable[[str], Path]) -> None:
    custom = inspect_model(shared("nets/centernet_mbv3/centernet.onnx"))
    assert (custom.head.kind, len(custom.class_names)) == ("yolo-end2end", 80)
    assert custom.head.reads == {spec.name for spec in custom.outputs}  # type: ignore[attr-defined]
