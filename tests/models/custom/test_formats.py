"""OpenVINO IR and TensorFlow Lite files as custom models: recognised, run, checked and refused as ONNX files are."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from vidgraph.engines import open_engine
from vidgraph.models import load_model
from vidgraph.models.custom.check import check
from vidgraph.models.custom.inspect import inspect_model
from vidgraph.models.custom.template import write_template
from vidgraph.models.resolve import resolve_model
from vidgraph.pipeline.errors import CheckpointError, EngineError, UsageError

from .planted import FRAMES, in_frame, letterboxed, picture, stretched, write_network

openvino_core = pytest.importorskip("vidgraph.engines.openvino_core", reason="needs openvino")
SIZE = (64, 64)
BOX = (8.0, 16.0, 40.0, 48.0)
METADATA = """\
description: Ultralytics YOLO11n model trained on
  /data/pets.yaml
author: Ultralytics
date: '2026-01-02T03:04:05'
version: 8.4.50
stride: 32
task: detect
batch: 1
imgsz:
- 64
- 64
names:
  0: cat
  1: 'dog: small'
  2: "cup"
args:
  batch: 1
  nms: false
channels: 3
end2end: false
"""


def table(classes: int = 3) -> np.ndarray:
    """One box of class 1, cxcywh in pixels, in the first of the rows of a YOLO."""
    rows = np.zeros((1, 4 + classes, 84), np.float32)
    rows[0, :4, 0] = ((BOX[0] + BOX[2]) / 2, (BOX[1] + BOX[3]) / 2, BOX[2] - BOX[0], BOX[3] - BOX[1])
    rows[0, 5, 0] = 0.75
    return rows


def as_ir(path: Path, target: Path | None = None) -> Path:
    """An ONNX file as an OpenVINO IR, beside it."""
    target = target or path.with_suffix(".xml")
    model = openvino_core.core().read_model(str(path))
    openvino_core.ov.save_model(model, str(target), compress_to_fp16=False)
    return target


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A YOLO as an IR, with the metadata of its exporter beside it."""
    path = as_ir(write_network(tmp_path / "planted.onnx", {"output0": table()}, size=SIZE), tmp_path / "my.xml")
    (tmp_path / "metadata.yaml").write_text(METADATA)
    return path


@pytest.mark.parametrize("frame", FRAMES)
def test_an_ir_runs_as_its_onnx_file_does(network: Path, frame: tuple[int, int]) -> None:
    with load_model(str(network)) as model:
        found = model(picture(frame)).detections
        info = model.describe()
    expected = in_frame(np.array([BOX]), letterboxed(SIZE, frame), frame)
    np.testing.assert_allclose(found.boxes, expected, atol=1e-3)
    assert (info.name, info.engine, info.trained_on) == ("my", "openvino", "pets")
    assert [row.class_name for row in found] == ["dog: small"]


def test_facts_and_their_sources_are_those_of_the_metadata_beside_it(network: Path) -> None:
    custom = inspect_model(network)
    about = custom.about
    assert (custom.head.kind, custom.class_names) == ("yolo", ("cat", "dog: small", "cup"))
    assert (about.input.fit, about.sources["input.fit"]) == ("letterbox", "the exporter, Ultralytics")
    assert about.sources["classes"] == "the file's metadata 'names'"
    assert (custom.info.version, custom.info.external_files) == ("OpenVINO IR 11", ("my.bin",))
    assert custom.file == network


def test_the_toml_beside_it_wins(network: Path, tmp_path: Path) -> None:
    network.with_suffix(".toml").write_text('classes = ["a", "b", "c"]\n[input]\nfit = "stretch"\n')
    with load_model(str(network)) as model:
        found = model(picture((32, 128))).detections
    np.testing.assert_allclose(found.boxes, in_frame(np.array([BOX]), stretched(SIZE, (32, 128))), atol=1e-3)
    assert [row.class_name for row in found] == ["b"]
    written, unknown = write_template(network, tmp_path / "other.toml")
    assert unknown < 5
    assert 'classes = ["a", "b", "c"]' in written.read_text()


def test_check_tries_the_engines_that_open_it(network: Path) -> None:
    checked = check(network, runs=1)
    text = checked.text()
    assert checked.works
    assert {each.engine for each in checked.speeds} == {"openvino"}
    assert f"{network}: OpenVINO IR 11" in text
    assert "head         yolo: boxes (from the outputs)" in text
    assert "a picture of noise went through" in text


def test_open_axes_are_fixed_and_the_copy_is_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_network(tmp_path / "my.onnx", {"boxes": np.ones((1, 9, 4)), "labels": np.zeros((1, 9), np.int64),
                         "scores": np.full((1, 9), 0.9)}, size=SIZE, sizes_input=True)  # fmt: skip
    model = onnx.load(path)
    for axis, name in ((0, "batch"), (2, "height"), (3, "width")):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    onnx.save(model, path)
    ir = as_ir(path)
    with pytest.raises(UsageError, match=r"my\.xml leaves the size of its input open; give one"):
        inspect_model(ir)
    custom = inspect_model(ir, size=(32, 96), head="detr", labels=("thing",))
    assert [str(each) for each in custom.outputs] == ["float32 [1, 9, 4]", "int64 [1, 9]", "float32 [1, 9]"]
    assert custom.file.suffix == ".xml"
    assert custom.file.with_suffix(".bin").is_file()
    assert inspect_model(ir, size=(32, 96), head="detr", labels=("thing",)).file == custom.file
    opened = open_engine(custom.file, precision="fp32")
    found = opened.run({"images": np.zeros((1, 3, 32, 96), np.float32)})
    np.testing.assert_allclose(
        found["boxes"], np.broadcast_to([96, 32, 96, 32], (1, 9, 4))
    )  # the size that is filled in
    opened.close()


def test_without_a_cache_the_copy_runs_too(network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDGRAPH_CACHE_MAX", "0")
    path = write_network(tmp_path / "open.onnx", {"output0": table()}, size=SIZE)
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.save(model, path)
    with load_model(str(as_ir(path))) as loaded:
        assert len(loaded(picture((64, 64))).detections) == 1


@pytest.mark.parametrize(
    ("steps", "inside"),
    [
        ([("Sub", [123.0, 116.0, 103.0]), ("Div", [58.0, 57.0, 57.0])], True),
        ([("Sub", [0.48, 0.45, 0.4]), ("Div", [0.22, 0.22, 0.22])], False),
    ],
)
def test_a_graph_that_normalises_bytes_itself_is_seen(
    tmp_path: Path, steps: list[tuple[str, list[float]]], inside: bool
) -> None:
    path = write_network(tmp_path / "my.onnx", {"output0": table()}, size=SIZE)
    model = onnx.load(path)
    name = "images"
    for number, (operator, value) in enumerate(steps):
        constant = np.array(value, np.float32).reshape(1, 3, 1, 1)
        model.graph.initializer.append(onnx.numpy_helper.from_array(constant, f"c{number}"))
        node = onnx.helper.make_node(operator, [name, f"c{number}"], [f"s{number}"])
        model.graph.node.insert(number, node)
        name = f"s{number}"
    for node in list(model.graph.node)[len(steps) :]:
        for index, given in enumerate(node.input):
            if given == "images":
                node.input[index] = name
    onnx.save(model, path)
    made = inspect_model(as_ir(path)).about.input
    assert (made.std == (1.0, 1.0, 1.0)) == inside


def damaged(network: Path, how: str) -> str:
    """Damage an IR; gives what must be said."""
    weights = network.with_suffix(".bin")
    if how == "no weights":
        weights.unlink()
        return r"my\.xml: its weights, my\.bin, are not beside it; keep both files in one folder$"
    if how == "weights of another size":
        weights.write_bytes(weights.read_bytes()[:-4])
        return r"my\.xml: its weights, my\.bin, have \d+ bytes, and those of the network \d+: they are cut short or of"
    if how == "longer weights":
        weights.write_bytes(weights.read_bytes() + b"more")
        return r"my\.xml: its weights, my\.bin, have \d+ bytes, and those of the network \d+: they are cut short or of"
    if how == "cut short":
        network.write_bytes(network.read_bytes()[:1500])
        return r"my\.xml: it is cut short or damaged; copy it again$"
    if how == "damaged":
        network.write_text(network.read_text().replace('type="Add"', 'type="Odd"'))
        return r"my\.xml: it is damaged or not an OpenVINO IR \(.*Odd.*\); export the network again$"
    network.write_text("<html><body>Not found</body></html>")
    return r"my\.xml: it is not an OpenVINO IR, though its name says so; export the network again$"


@pytest.mark.parametrize(
    "how", ["no weights", "weights of another size", "longer weights", "cut short", "damaged", "a web page"]
)
def test_damaged_files_are_told_in_one_line(network: Path, how: str) -> None:
    line = damaged(network, how)
    with pytest.raises(CheckpointError, match=line) as caught:
        load_model(str(network))
    assert "\n" not in str(caught.value)
    with pytest.raises(EngineError, match=line.replace(r"my\.xml: ", r"cannot open my\.xml: ")):
        open_engine(network)


@pytest.mark.parametrize("engine", ["onnxruntime", "tensorrt", "torch"])
def test_another_engine_is_refused(network: Path, engine: str) -> None:
    line = rf"^cannot open my\.xml with {engine}, which takes \.\w+ files; engines of \.xml files are openvino$"
    with pytest.raises(EngineError, match=line):
        load_model(str(network), engine=engine)
    with pytest.raises(EngineError, match=line):
        open_engine(network, engine=engine)
    with pytest.raises(EngineError, match=line):
        check(network, engine=engine)


def test_what_is_no_custom_model_is_told(network: Path) -> None:
    with pytest.raises(CheckpointError, match=r"^no such weights file: no\.xml$"):
        resolve_model("no.xml")
    for suffix in (".xml", ".tflite", ".bin"):
        with pytest.raises((CheckpointError, UsageError), match=r"^no such weights file: aaa|^unknown model 'aaa"):
            resolve_model("a" * 5000 + suffix)
    with pytest.raises(UsageError, match=r"my\.bin has the weights of my\.xml, no network; give that: .*my\.xml$"):
        resolve_model(str(network.with_suffix(".bin")))
    with pytest.raises(UsageError, match=r"my\.xml is an OpenVINO IR, and retinaface takes a checkpoint or a file of"):
        resolve_model(f"retinaface={network}")
    assert resolve_model(f"mine={network}").name == "mine"


def test_the_same_weights_under_another_network_are_another_model(network: Path) -> None:
    with load_model(str(network)) as model:
        first = model.describe().weights_sha256
    data = bytearray(network.with_suffix(".bin").read_bytes())
    data[0] ^= 1
    network.with_suffix(".bin").write_bytes(data)
    with load_model(str(network)) as model:
        assert model.describe().weights_sha256 != first


def test_metadata_that_cannot_be_read_are_told(network: Path) -> None:
    (network.parent / "metadata.yaml").write_text(METADATA + "more: &anchor 1\n")
    with pytest.raises(CheckpointError, match=r"cannot read .*metadata\.yaml: line 21 is not understood: 'more: &anc"):
        inspect_model(network)
    (network.parent / "metadata.yaml").write_text("author: Somebody\nmore: &anchor 1\n")
    assert inspect_model(network).class_names == ("class 0", "class 1", "class 2")


def test_a_tensorflow_lite_file_runs(shared: Callable[[str], Path], tmp_path: Path) -> None:
    path = tmp_path / "faces.tflite"
    shutil.copyfile(shared("nets/mediapipe/face_detection_short_range.tflite"), path)
    path.with_suffix(".toml").write_text(
        '[input]\nfit = "letterbox"\nmean = [127.5, 127.5, 127.5]\nstd = [127.5, 127.5, 127.5]\n'
    )
    with load_model(str(path), head="raw") as model:
        tensors = model(picture((90, 120))).tensors
        info = model.describe()
    assert tensors is not None
    assert {name: array.shape for name, array in tensors.items()} == {
        "regressors": (1, 896, 16), "classificators": (1, 896, 1),
    }  # fmt: skip
    assert (info.engine, info.input_size) == ("openvino", (128, 128))
    custom = inspect_model(path, head="raw")
    assert (custom.image.layout, custom.info.version) == ("nhwc", "TensorFlow Lite")


def test_a_damaged_tensorflow_lite_file_is_told_in_one_line(shared: Callable[[str], Path], tmp_path: Path) -> None:
    data = shared("nets/mediapipe/face_detection_short_range.tflite").read_bytes()
    path = tmp_path / "my.tflite"
    for content, line in [
        (data[: len(data) // 2], r"my\.tflite: it is damaged or not a TensorFlow Lite file \(.*\); export"),
        (b"PK\x03\x04 of a zip", r"my\.tflite: it is not a TensorFlow Lite file, though its name says so"),
        (b"", r"my\.tflite: it is not a TensorFlow Lite file, though its name says so"),
    ]:
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=line) as caught:
            load_model(str(path), head="raw")
        assert "\n" not in str(caught.value)


def test_a_published_ir_runs(shared: Callable[[str], Path]) -> None:
    path = shared("nets/person_detection_0013/person-detection-retail-0013.xml")
    custom = inspect_model(path, head="raw")
    assert custom.about.input.std == (1.0, 1.0, 1.0)  # its first nodes normalise
    with load_model(str(path), head="raw") as model:
        tensors = model(picture((90, 120))).tensors
    assert tensors is not None
    assert tensors["detection_out"].shape == (1, 1, 200, 7)
