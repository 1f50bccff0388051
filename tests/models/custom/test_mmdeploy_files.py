"""``deploy.json`` and ``pipeline.json`` beside a network of mmdeploy: what it is for, and how its picture is made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.models import load_model
from vidgraph.models.custom.inspect import inspect_model
from vidgraph.models.custom.mmdeploy_files import from_mmdeploy
from vidgraph.pipeline.errors import CheckpointError

from .planted import LANDSCAPE, in_frame, padded, picture, write_network

SIZE = (64, 96)
NORMALIZE = {"type": "Normalize", "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375], "to_rgb": True}


def pipeline(*transforms: dict[str, Any]) -> dict[str, Any]:
    """What is in ``pipeline.json``."""
    tasks = [
        {"type": "Task", "module": "Transform", "name": "Preprocess", "transforms": transforms},
        {"type": "Task", "module": "Net", "name": "net"},
    ]
    return {"pipeline": {"input": ["img"], "tasks": tasks}}


def write_files(folder: Path, transforms: list[dict[str, Any]] | None, task: str = "Detector") -> Path:
    """Both, as for ``end2end.onnx``; gives its path."""
    deploy = {"version": "1.3.1", "task": task, "models": [{"name": "net", "net": "end2end.onnx"}], "customs": []}
    (folder / "deploy.json").write_text(json.dumps(deploy))
    if transforms is not None:
        (folder / "pipeline.json").write_text(json.dumps(pipeline(*transforms)))
    return folder / "end2end.onnx"


@pytest.mark.parametrize(
    ("transforms", "expected"),
    [
        ([{"type": "LoadImageFromFile"}, {"type": "Resize", "size": [1333, 800], "keep_ratio": True}, NORMALIZE,
          {"type": "Pad", "size_divisor": 32}],
         {"color": "rgb", "fit": "pad", "mean": (123.675, 116.28, 103.53), "pad": (124, 116, 104)}),
        ([{"type": "Resize", "size": [640, 640], "keep_ratio": True},
          {"type": "Pad", "size": [640, 640], "pad_val": {"img": [10, 20, 30]}}],
         {"color": "bgr", "fit": "pad", "mean": (0, 0, 0), "std": (1, 1, 1), "pad": (30, 20, 10)}),
        ([{"type": "LetterResize", "size": [640, 640], "pad_val": {"img": 114}}, NORMALIZE | {"to_rgb": False}],
         {"color": "bgr", "fit": "letterbox", "pad": (114, 114, 114)}),
        ([{"type": "Resize", "size": [512, 512], "keep_ratio": False}, NORMALIZE], {"fit": "stretch", "pad": None}),
        ([{"type": "Resize", "size": [256, -1]}, {"type": "CenterCrop", "crop_size": 224}, NORMALIZE], {"fit": "crop"}),
        ([NORMALIZE | {"mean": [0.0], "std": [255.0]}], {"fit": None, "mean": (0, 0, 0), "std": (255, 255, 255)}),
    ],
)  # fmt: skip
def test_how_the_picture_is_made(transforms: list[dict[str, Any]], expected: dict[str, Any], tmp_path: Path) -> None:
    about = from_mmdeploy(write_files(tmp_path, transforms))
    assert {key: getattr(about.input, key) for key in expected} == expected
    assert (about.head, about.sources["head"]) == ("mmdeploy", "deploy.json")
    assert about.sources["input.mean"] == "pipeline.json"


@pytest.mark.parametrize(
    ("task", "head"),
    [("Detector", "mmdeploy"), ("RotatedDetector", "mmrotate"), ("Classifier", "classify"), ("Segmentor", "semantic"),
     ("Restorer", "picture"), ("PoseDetector", None), ("TextDetector", None)],
)  # fmt: skip
def test_what_it_is_for(task: str, head: str | None, tmp_path: Path) -> None:
    about = from_mmdeploy(write_files(tmp_path, None, task))
    assert (about.head, about.input.mean) == (head, None)


def test_a_person_that_is_cut_out_first_is_said(tmp_path: Path) -> None:
    about = from_mmdeploy(write_files(tmp_path, [{"type": "TopDownAffine"}, NORMALIZE], "PoseDetector"))
    assert about.notes == ("pipeline.json cuts a person out of the picture first; the network is shown the whole one",)


def test_files_of_another_network_say_nothing(tmp_path: Path) -> None:
    path = write_files(tmp_path, [NORMALIZE])
    assert from_mmdeploy(path.with_name("other.onnx")).sources == {}
    assert from_mmdeploy(tmp_path / "nowhere" / "end2end.onnx").sources == {}


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("deploy.json", "{", "cannot read .*deploy.json"),
        ("pipeline.json", "[1", "cannot read .*pipeline.json"),
        ("pipeline.json", json.dumps(pipeline(NORMALIZE | {"std": [1, 0, 1]})), "deviations of zero leave nothing"),
        ("pipeline.json", json.dumps(pipeline(NORMALIZE | {"mean": [1, float("nan"), 1]})), "three numbers are wanted"),
        ("pipeline.json", json.dumps(pipeline(NORMALIZE | {"mean": [True, 1, 1]})), "three numbers are wanted"),
        ("pipeline.json", '{"pipeline": {"tasks": [{"module": "Transform", "transforms": [{"type": "Normalize"}]}]}}',
         "pipeline.json is damaged"),
        ("pipeline.json",
         '{"pipeline": {"tasks": [{"module": "Transform", "transforms": [{"type": "Pad", "pad_val": [1, 2]}]}]}}',
         r"pipeline.json is damaged: pad_val must be one number or three, got \[1, 2\]"),
    ],
)  # fmt: skip
def test_damaged(name: str, text: str, why: str, tmp_path: Path) -> None:
    path = write_files(tmp_path, [NORMALIZE])
    (tmp_path / name).write_text(text)
    with pytest.raises(CheckpointError, match=why):
        from_mmdeploy(path)


def test_a_detector_is_read_as_its_files_say(tmp_path: Path) -> None:
    transforms = [
        {"type": "Resize", "size": [96, 64], "keep_ratio": True},
        NORMALIZE,
        {"type": "Pad", "size_divisor": 32},
    ]
    boxes = np.array([[[8, 8, 40, 32, 0.75], [20, 10, 60, 50, 0.5]]], np.float32)
    outputs = {"dets": boxes, "labels": np.array([[1, 0]], np.int64)}
    write_network(write_files(tmp_path, transforms), outputs, size=SIZE)
    (tmp_path / "end2end.toml").write_text('classes = ["a", "b"]\n')
    given = inspect_model(tmp_path / "end2end.onnx")
    assert given.about.input.color == "rgb"
    with load_model(str(tmp_path / "end2end.onnx"), precision="fp32", min_score=0.3) as model:
        found = model(picture(LANDSCAPE)).detections
    assert found.class_ids.tolist() == [1, 0]
    np.testing.assert_allclose(found.boxes, in_frame(boxes[0, :, :4], padded(SIZE, LANDSCAPE), LANDSCAPE), atol=0.02)
