"""What exporters write about a network, what the TOML says, and which of them wins."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.engines.spec import TensorSpec
from vidgraph.models.custom.defaults import completed
from vidgraph.models.custom.description import Description, StateDescription, from_one_source, merged
from vidgraph.models.custom.detect_head import recognise
from vidgraph.models.custom.hugging_face import from_folder
from vidgraph.models.custom.image_input import ImageInput
from vidgraph.models.custom.toml_file import KEYS, from_toml
from vidgraph.models.custom.ultralytics import from_metadata, trained_on
from vidgraph.pipeline.errors import CheckpointError, UsageError

ULTRALYTICS = {
    "description": "Ultralytics YOLO11n-pose model trained on /data/coco-pose.yaml",
    "author": "Ultralytics",
    "stride": "32",
    "task": "pose",
    "batch": "1",
    "imgsz": "[384, 640]",
    "names": "{0: 'person', 1: 'dog'}",
    "kpt_shape": "[3, 2]",
    "kpt_names": "{0: ['nose', 'left', 'right'], 1: ['nose', 'left', 'right']}",
    "args": "{'batch': 1, 'half': False, 'nms': False}",
    "channels": "3",
    "end2end": "False",
}


def test_metadata_of_ultralytics() -> None:
    about = from_metadata(ULTRALYTICS)
    assert about.classes == ("person", "dog")
    assert (about.task, about.end_to_end) == ("pose", False)
    assert (about.points, about.point_names) == ((3, 2), ("nose", "left", "right"))
    made = about.input
    assert (made.size, made.fit, made.color, made.pad) == ((384, 640), "letterbox", "rgb", (114, 114, 114))
    assert (made.mean, made.std) == ((0.0, 0.0, 0.0), (255.0, 255.0, 255.0))
    assert about.sources["input.size"] == "the file's metadata 'imgsz'"
    assert about.sources["input.fit"] == "the exporter, Ultralytics"
    assert trained_on(ULTRALYTICS) == "coco-pose"


def test_metadata_of_yolov5() -> None:
    about = from_metadata({"stride": "32", "names": "['a', 'b']"})
    assert (about.classes, about.task, about.input.size, about.input.fit) == (("a", "b"), None, None, "letterbox")


def test_a_graph_that_suppresses_by_itself() -> None:
    assert from_metadata(ULTRALYTICS | {"args": "{'nms': True}"}).end_to_end is True
    assert from_metadata(ULTRALYTICS | {"end2end": "True"}).end_to_end is True


def test_a_transformer_of_ultralytics_is_stretched() -> None:
    about = from_metadata(ULTRALYTICS | {"task": "detect", "description": "Ultralytics rtdetr-l model"})
    assert (about.input.fit, about.boxes, about.boxes_unit) == ("stretch", "cxcywh", "relative")


def test_a_classifier_of_ultralytics_is_cropped() -> None:
    about = from_metadata(ULTRALYTICS | {"task": "classify"})
    assert (about.head, about.scores, about.input.fit, about.input.crop) == ("classify", "given", "crop", 1.0)


@pytest.mark.parametrize("names", ["{0: 'a', 2: 'b'}", "{0: 'a'", "__import__('os')", "[]", "7"])
def test_names_that_are_none(names: str) -> None:
    assert from_metadata(ULTRALYTICS | {"names": names}).classes is None


def test_metadata_of_others_say_nothing() -> None:
    assert from_metadata({"names": "['a']"}) == Description()


def hugging_face(folder: Path, config: dict[str, Any] | None, preprocessor: dict[str, Any] | None) -> Description:
    for name, content in (("config.json", config), ("preprocessor_config.json", preprocessor)):
        if content is not None:
            (folder / name).write_text(json.dumps(content))
    return from_folder(folder)


def test_detr_of_hugging_face(tmp_path: Path) -> None:
    config = {
        "architectures": ["DetrForObjectDetection"],
        "model_type": "detr",
        "id2label": {"0": "N/A", "1": "person"},
    }
    preprocessor = {
        "do_resize": True,
        "size": {"shortest_edge": 800, "longest_edge": 1333},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
        "do_pad": True,
    }
    about = hugging_face(tmp_path, config, preprocessor)
    assert (about.head, about.classes, about.scores, about.background) == ("detr", ("N/A", "person"), "softmax", "last")
    made = about.input
    assert (made.fit, made.size, made.pad) == ("pad", None, (124, 116, 104))
    assert made.mean == pytest.approx((123.675, 116.28, 103.53))
    assert made.std == pytest.approx((58.395, 57.12, 57.375))
    assert about.sources["classes"] == "config.json"
    assert about.sources["input.mean"] == "preprocessor_config.json"


@pytest.mark.parametrize(
    ("architecture", "task"),
    [
        ("SuperPointForKeypointDetection", "keypoints"),
    ],
)
def test_what_no_head_reads_of_hugging_face(tmp_path: Path, architecture: str, task: str) -> None:
    about = hugging_face(tmp_path, {"architectures": [architecture], "id2label": {"0": "a", "1": "b"}}, None)
    assert (about.task, about.sources["task"]) == (task, "config.json")
    one = TensorSpec("predicted_depth", np.dtype(np.float32), (1, 1, 64, 64))
    with pytest.raises(
        UsageError, match=rf"made for the task '{task}' \(config.json\), which no head reads; --head raw"
    ):
        recognise([one], about, (64, 64))


def test_configurations_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"id2label": {"0": "a"}}', encoding="utf-8-sig")
    assert from_folder(tmp_path).classes == ("a",)


def test_rt_detr_of_hugging_face(tmp_path: Path) -> None:
    config = {"architectures": ["RTDetrForObjectDetection"], "model_type": "rt_detr", "id2label": {"0": "person"}}
    preprocessor = {"size": {"height": 640, "width": 480}, "do_normalize": False, "image_mean": [1, 1, 1]}
    about = hugging_face(tmp_path, config, preprocessor)
    assert (about.scores, about.background, about.boxes, about.boxes_unit) == ("sigmoid", "none", "cxcywh", "relative")
    made = about.input
    assert (made.fit, made.size, made.mean) == ("stretch", (640, 480), (0.0, 0.0, 0.0))
    assert made.std == pytest.approx((255.0, 255.0, 255.0))


@pytest.mark.parametrize(
    ("given", "size", "crop"),
    [
        ({"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": {"height": 224, "width": 224}}, 224,
         224 / 256),
        ({"size": 256, "do_center_crop": True, "crop_size": 224}, 224, 224 / 256),
        ({"size": {"shortest_edge": 224}, "crop_pct": 0.875}, 224, 0.875),
    ],
)  # fmt: skip
def test_classifiers_of_hugging_face_are_cropped(tmp_path: Path, given: Any, size: int, crop: float) -> None:
    config = {"architectures": ["ResNetForImageClassification"], "num_labels": 3}
    about = hugging_face(tmp_path, config, given)
    assert (about.head, about.classes) == ("classify", ("class 0", "class 1", "class 2"))
    assert (about.input.fit, about.input.size, about.input.crop) == ("crop", (size, size), crop)


def test_values_that_are_not_rescaled(tmp_path: Path) -> None:
    preprocessor = {"size": 512, "do_rescale": False, "image_mean": [1, 2, 3], "image_std": [4, 5, 6], "resample": 3}
    about = hugging_face(tmp_path, None, preprocessor)
    assert (about.input.mean, about.input.std) == ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    assert about.notes == (
        "preprocessor_config.json asks for another resampling than bilinear, which frames are resized with",
    )


def test_a_configuration_that_is_no_json(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"cannot read .*config\.json"):
        from_folder(tmp_path)


WRONG = [
    ('hed = "yolo"', "unknown key 'hed'; did you mean head?"),
    ('[input]\nsise = "64x64"', "unknown key 'input.sise'; did you mean input.size?"),
    ('head = "yollo"', "head must be \"yolo\" or .*, got 'yollo'"),
    ('[input]\nsize = "64"', 'input.size must be "WIDTHxHEIGHT"'),
    ("[input]\nmean = [1, 2]", "input.mean must be three numbers"),
    ("[input]\nstd = [1, 2, 0]", "input.std must be three numbers"),
    ("[input]\ncrop = 0", "input.crop must be a share above 0"),
    ("[input]\npad = [1.5, 2, 3]", "input.pad must be red, green, blue"),
    ("objectness = 1", "objectness must be true or false, got 1"),
    ('classes = ["a", 1]', "classes must be a list of names"),
    ('classes = "none.txt"', r"cannot read .*none\.txt: No such file"),
    ('priors = "none.npy"', r"no such file: .*none\.npy"),
    ("prior_sizes = [1]", "prior_sizes must be for each stride"),
    ("prior_sizes = [[16, -0.5]]", "prior_sizes must be for each stride"),
    ("head = ", r"cannot read .*my\.toml"),
]


@pytest.mark.parametrize(("content", "message"), WRONG)
def test_a_wrong_toml(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "my.toml").write_text(content)
    with pytest.raises(UsageError, match=message):
        from_toml(tmp_path / "my.toml")


def test_every_key_of_the_toml_is_read(tmp_path: Path) -> None:
    (tmp_path / "priors.npy").touch()
    (tmp_path / "my.toml").write_text(
        'head = "ssd"\nclasses = ["a"]\ntask = "detect"\nboxes = "xyxy"\nboxes_unit = "relative"\nscores = "softmax"\n'
        'objectness = true\nbackground = "first"\nend_to_end = false\npoints = [5, 2]\npoint_names = ["p"]\n'
        'stuff = ["a"]\nignore = ["o"]\ndepth = "metres"\nrange = [0, 255]\nvariances = [0.1, 0.2]\n'
        'priors = "priors.npy"\nprior_strides = [8, 16]\nprior_sizes = [[16, 32.5], [64]]\n'
        '[input]\nname = "x"\nsize = "640x384"\nlayout = "nhwc"\ncolor = "bgr"\nmean = [1, 2, 3]\nstd = [4, 5, 6]\n'
        'fit = "pad"\npad = [7, 8, 9]\nmultiple = 4\ncrop = 0.5\nprevious = "y"\ndownsample_ratio = 0.4\n'
        '[outputs]\npredictions = "a"\nprototypes = "b"\nboxes = "c"\nscores = "d"\nlabels = "e"\nlogits = "f"\n'
        'masks = "g"\npoints = "h"\npriors = "i"\ndepth = "j"\nmatte = "k"\npicture = "l"\nembedding = "m"\n'
        'offsets = "n"\n'
        '[state]\n"a.b" = "j"\nc = { output = "k", first = "priors.npy" }\n'
    )
    about = from_toml(tmp_path / "my.toml")
    read = {row.key for row in KEYS if not row.key.startswith("outputs.")}
    assert {name for name in about.sources if name not in ("outputs", "state")} == read
    assert about.state == {"a.b": StateDescription("j"), "c": StateDescription("k", tmp_path / "priors.npy")}
    assert len(about.outputs) == sum(row.key.startswith("outputs.") for row in KEYS)
    assert about.input.size == (384, 640)
    assert about.prior_sizes == ((16.0, 32.5), (64.0,))
    assert about.priors == tmp_path / "priors.npy"


def test_what_is_said_later_wins() -> None:
    first = from_one_source("metadata", {"head": "yolo", "input.fit": "pad", "outputs": {"boxes": "a", "scores": "b"}})
    second = from_one_source("my.toml", {"input.fit": "stretch", "outputs": {"boxes": "c"}, "task": None}, ("note",))
    both = merged(first, second)
    assert (both.head, both.input.fit, dict(both.outputs)) == ("yolo", "stretch", {"boxes": "c", "scores": "b"})
    assert both.sources == {"head": "metadata", "input.fit": "my.toml", "outputs": "my.toml"}
    assert both.notes == ("note",)


def image_of(dtype: str = "float32") -> ImageInput:
    return ImageInput("x", dtype, "nchw", 1, (64, 64))


def test_what_is_assumed_where_nothing_is_said() -> None:
    @dataclass(frozen=True)
    class Stub:
        kind: str
        scores: str = "sigmoid"

    def assumed(head: Any, dtype: str = "float32", **known: Any) -> tuple[Any, ...]:
        about = from_one_source("my.toml", {f"input.{key}": value for key, value in known.items()})
        made = completed(about, head, image_of(dtype), "my.onnx").input
        return made.fit, made.mean, made.std, made.pad

    zero, unit, imagenet = (0.0, 0.0, 0.0), (255.0, 255.0, 255.0), (123.675, 116.28, 103.53)
    assert assumed(Stub("yolo")) == ("letterbox", zero, unit, (114, 114, 114))
    assert assumed(Stub("detr")) == ("stretch", zero, unit, (0, 0, 0))
    assert assumed(Stub("detr", "softmax"))[:2] == ("stretch", imagenet)
    assert assumed(Stub("classify"))[:2] == ("crop", imagenet)
    assert assumed(Stub("semantic"))[:2] == ("stretch", imagenet)
    assert assumed(Stub("yolo"), "uint8")[1:3] == (zero, (1.0, 1.0, 1.0))
    assert assumed(Stub("classify"), mean=(1.0, 2.0, 3.0))[1:3] == ((1.0, 2.0, 3.0), (1.0, 1.0, 1.0))
    with pytest.raises(
        UsageError, match=r"ssd networks differ: say fit .*, mean .*, std .* under \[input\] in my.toml"
    ):
        assumed(Stub("ssd"))
    assert assumed(Stub("ssd"), fit="stretch", mean=zero, std=unit)[:3] == ("stretch", zero, unit)
