"""What RF-DETR's exporter says of a network, in its metadata or beside it, and what is damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from vidgraph.models.custom.description import Description
from vidgraph.models.custom.rf_detr import from_rf_detr
from vidgraph.pipeline.errors import CheckpointError

from .test_rf_detr import NAMES, SIZE, metadata


def test_what_the_metadata_say(tmp_path: Path) -> None:
    about = from_rf_detr(metadata(trace_alpha=0.5, num_keypoints_per_class=[3, 0]), tmp_path / "my.onnx")
    assert (about.head, about.scores, about.boxes, about.boxes_unit) == ("detr", "sigmoid", "cxcywh", "relative")
    assert (about.classes, about.class_slots, about.most_pairs) == (NAMES, (0, 1, 2), 300)
    assert (about.point_counts, about.trace_alpha) == ((3, 0), 0.5)
    assert dict(about.outputs) == {"boxes": "dets", "logits": "labels"}
    made = about.input
    assert (made.size, made.fit, made.color) == (SIZE, "stretch", "rgb")
    assert made.mean == pytest.approx((123.675, 116.28, 103.53))
    assert made.std == pytest.approx((58.395, 57.12, 57.375))
    assert about.sources["classes"] == "the file's metadata 'rfdetr_inference'"
    assert from_rf_detr({}, tmp_path / "my.onnx") == Description()


@pytest.mark.parametrize("name", ["my.onnx.rfdetr.json", "my.rfdetr.json"])
def test_the_same_in_a_file_beside_it(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(metadata()["rfdetr_inference"])
    about = from_rf_detr({}, tmp_path / "my.onnx")
    assert (about.classes, about.sources["classes"]) == (NAMES, name)
    assert from_rf_detr(metadata(class_id_to_name=["a"]), tmp_path / "my.onnx").classes == ("a",)


def test_another_schema_is_read_and_noted(tmp_path: Path) -> None:
    (note,) = from_rf_detr(metadata(schema_version=2), tmp_path / "my.onnx").notes
    assert note == "rfdetr_inference is of schema 2, and is read as schema 1"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"means": [0.5, 0.5]}, "means must be 3 numbers from 0"),
        ({"means": 3}, "a list was expected, got 3"),
        ({"num_select": 0}, "num_select must be whole numbers from 1, got 0"),
        ({"num_keypoints_per_class": [1.5]}, "num_keypoints_per_class must be whole numbers"),
        ({"trace_alpha": "a"}, "trace_alpha must be 1 numbers from 0"),
        ({"class_id_to_name": {"a": "b"}}, "invalid literal for int"),
        ({"class_id_to_name": {"-1": "b"}}, "must have ids from 0"),
        ({"class_id_to_name": {"1": "b", "01": "c"}}, "each once"),
        ({"class_id_to_name": 7}, "class_id_to_name must map at most"),
        ({"outputs": {"pred_boxes": 1}}, "outputs must map what they are to their names"),
        ({"input_shape": [3]}, "input_shape must end with height and width"),
    ],
)
def test_metadata_that_are_damaged(more: dict[str, Any], why: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=rf"my.onnx: the file's metadata 'rfdetr_inference' is damaged: .*{why}"):
        from_rf_detr(metadata(**more), tmp_path / "my.onnx")


@pytest.mark.parametrize("text", ["{", "[1]", "", "nonsense"])
def test_metadata_that_are_no_json(text: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is damaged"):
        from_rf_detr({"rfdetr_inference": text}, tmp_path / "my.onnx")
    (tmp_path / "my.rfdetr.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"my.rfdetr.json is damaged"):
        from_rf_detr({}, tmp_path / "my.onnx")
