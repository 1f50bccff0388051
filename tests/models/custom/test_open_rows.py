"""Detectors that give as many rows as they find run as if they gave a fixed number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from vidgraph.models import load_model
from vidgraph.models.custom.inspect import inspect_model
from vidgraph.models.custom.open_rows import MOST, MOST_WITH_MAPS, hold_rows
from vidgraph.pipeline.errors import CheckpointError

from .planted import ODD, precision_of, write_network
from .test_inspect import edited
from .test_instances import CLASSES, SAID, SIZE, layouts, poses

AXES = {"mmdeploy": 1, "mmdeploy, masks of boxes": 1, "mmdeploy, masks of the input": 1, "torchvision": 0,
        "detectron2": 0, "rtmo": 1}  # fmt: skip


def as_many_as_found(axis: int, rows: int = 3) -> Any:
    """Cut the outputs to so many rows where the picture is bright, and to none where it is black."""
    make, constant = onnx.helper.make_node, onnx.numpy_helper.from_array

    def edit(model: Any) -> None:
        graph = model.graph
        graph.initializer.extend([constant(np.array([value]), f"is {value}") for value in sorted({0, axis, rows})])
        graph.initializer.append(constant(np.array([0.5], np.float32), "half"))
        nodes = [
            make("Greater", ["numbers.highest", "half"], ["bright"]),
            make("Cast", ["bright"], ["one"], to=onnx.TensorProto.INT64),
            make("Mul", ["one", f"is {rows}"], ["count"]),
        ]
        for output in graph.output:
            for node in graph.node:
                node.output[:] = [f"{output.name}.all" if name == output.name else name for name in node.output]
            nodes.append(make("Slice", [f"{output.name}.all", "is 0", "count", f"is {axis}"], [output.name]))
            output.type.tensor_type.shape.dim[axis].dim_param = "rows"
        graph.node.extend(nodes)

    return edit


def outputs_of(kind: str) -> dict[str, np.ndarray]:
    return poses() if kind == "rtmo" else layouts(kind)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("kind", AXES)
def test_as_many_rows_as_are_found(kind: str, engine: str, tmp_path: Path) -> None:
    said = 'classes = ["person"]\n' if kind == "rtmo" else SAID
    toml = said + '[input]\nfit = "letterbox"\nmean = [0, 0, 0]\nstd = [255, 255, 255]\n'
    fixed = write_network(tmp_path / "fixed.onnx", outputs_of(kind), size=SIZE, toml=toml)
    path = write_network(tmp_path / "my.onnx", outputs_of(kind), size=SIZE, toml=toml)
    edited(path, as_many_as_found(AXES[kind]))
    white, black = (np.full((*ODD, 3), value, np.uint8) for value in (255, 0))
    given: dict[str, Any] = {"engine": engine, "precision": precision_of(engine)}
    with load_model(str(path), **given) as model, load_model(str(fixed), **given) as other:
        assert model.describe().engine == engine
        found, wanted = model(white), other(white)
        assert len(wanted.detections) > 0
        np.testing.assert_array_equal(found.detections.boxes, wanted.detections.boxes)
        np.testing.assert_array_equal(found.detections.class_ids, wanted.detections.class_ids)
        if wanted.detections.masks is not None:
            assert found.detections.masks is not None
            np.testing.assert_array_equal(found.detections.masks.bits, wanted.detections.masks.bits)
        if wanted.landmarks is not None:
            np.testing.assert_array_equal(found.landmarks.points, wanted.landmarks.points)
        assert len(model(black).detections) == 0


@pytest.mark.parametrize(("kind", "most"), [("mmdeploy", MOST), ("torchvision", MOST_WITH_MAPS), ("detectron2", MOST)])
def test_how_many_there_may_be(kind: str, most: int, tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", layouts(kind), size=SIZE, toml=SAID)
    custom = inspect_model(edited(path, as_many_as_found(AXES[kind])))
    assert {each.shape[AXES[kind]] for each in custom.outputs} == {most}
    assert custom.class_names == CLASSES


def test_masks_of_which_no_length_is_known_are_as_large_as_the_input(tmp_path: Path) -> None:
    """As torchvision's Mask R-CNN is exported, whose masks are made in a loop."""
    model = onnx.load(write_network(tmp_path / "my.onnx", layouts("torchvision"), size=SIZE))
    shapes: dict[str, Any] = {"4527": (None, 4), "4530": (None,), "4528": (None,), "6000": (None,) * 4}
    assert hold_rows(model, shapes, SIZE, 1)
    targets = {each.name: onnx.numpy_helper.to_array(each).tolist() for each in model.graph.initializer}
    assert targets["6000.target"] == [MOST_WITH_MAPS, 1, *SIZE]
    assert (targets["4527.target"], targets["4530.target"]) == ([MOST_WITH_MAPS, 4], [MOST_WITH_MAPS])


@pytest.mark.parametrize(
    "shapes",
    [
        {"boxes": None, "labels": (None,)},
        {"boxes": (None, 4)},
        {"boxes": (None, 4), "labels": (5, None)},
        {"dets": (1, None, 5), "labels": (None,)},
        {"dets": (1, None, None), "labels": (1, None)},
    ],
)
def test_what_is_no_such_detector_is_left_as_it_is(shapes: dict[str, Any], tmp_path: Path) -> None:
    model = onnx.load(write_network(tmp_path / "my.onnx", layouts("torchvision"), size=SIZE))
    before = model.SerializeToString()
    assert not hold_rows(model, shapes, SIZE, 1)
    assert model.SerializeToString() == before


def test_other_lengths_are_refused_as_before(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"rows": np.zeros((1, 5, 6), np.float32)}, size=SIZE)
    with pytest.raises(CheckpointError, match=r"output 'rows' .* has a length that depends on what is in the picture"):
        inspect_model(edited(path, as_many_as_found(1)))
