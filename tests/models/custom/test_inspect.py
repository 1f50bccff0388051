"""What is found out about a file: its input, axes that are fixed, further files, other inputs, its classes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from vidgraph.engines.onnx_file import read_info
from vidgraph.models import load_model
from vidgraph.models.custom.detect_head import recognise
from vidgraph.models.custom.inspect import inspect_file, inspect_model
from vidgraph.pipeline.errors import CheckpointError, EngineError, UsageError

from .planted import picture, write_network

ROWS = {64: 84, 96: 189}  # of strides 8, 16 and 32
SIZE = (64, 64)


def table(classes: int = 3, side: int = 64) -> np.ndarray:
    """One object, of class 1, in the middle."""
    rows = np.zeros((1, 4 + classes, ROWS[side]), np.float32)
    rows[0, :4, 5], rows[0, 5, 5] = (side / 2, side / 2, 16, 8), 0.9
    return rows


def edited(path: Path, edit: Any) -> Path:
    """The file with its ``ModelProto`` changed."""
    model = onnx.load(path)
    edit(model)
    path.write_bytes(model.SerializeToString())
    return path


def with_input_shape(*lengths: int | str) -> Any:
    def edit(model: Any) -> None:
        dims = model.graph.input[0].type.tensor_type.shape.dim
        del dims[:]
        for length in lengths:
            dims.add(**({"dim_value": length} if isinstance(length, int) else {"dim_param": length}))

    return edit


def open_outputs(model: Any) -> None:
    for output in model.graph.output:
        for dim in output.type.tensor_type.shape.dim:
            dim.ClearField("dim_value")


def test_facts_of_a_file(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"output0": table()}, size=SIZE, metadata={"names": "['a']"})
    edited(path, with_input_shape("batch", 3, "height", 64))
    info = read_info(path)
    assert str(info.inputs[0]) == "images (float32 [batch, 3, height, 64])"
    assert str(info.outputs[0]) == "output0 (float32 [1, 7, 84])"
    assert (info.version, info.metadata, info.external_files) == ("opset 17", {"names": "['a']"}, ())
    assert info.parameters == 7 * 84 + 1
    assert not info.fixed


def test_initial_values_among_the_inputs_are_no_inputs(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"output0": table()}, size=SIZE)
    info = onnx.helper.make_tensor_value_info("zero", onnx.TensorProto.FLOAT, [])
    edited(path, lambda model: model.graph.input.append(info))
    assert [each.name for each in read_info(path).inputs] == ["images"]
    assert inspect_model(path).image.name == "images"


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_open_axes_are_fixed_at_the_size_asked_for(tmp_path: Path, engine: str) -> None:
    path = write_network(tmp_path / "my.onnx", {"output0": table()}, size=SIZE)
    edited(path, with_input_shape("batch", 3, "height", "width"))
    edited(path, open_outputs)
    custom = inspect_model(path, size=64, engine=engine)
    info = read_info(custom.file)
    assert custom.file != path
    assert [str(each) for each in (*info.inputs, *info.outputs)] == [
        "images (float32 [1, 3, 64, 64])",
        "output0 (float32 [1, 7, 84])",
    ]
    with load_model(str(path), size=(64, 64), engine=engine) as model:
        result = model(picture((32, 64)))
        assert model.describe().input_size == (64, 64)
    np.testing.assert_allclose(result.detections.boxes, [[24, 12, 40, 20]], atol=1e-4)


def test_a_fixed_file_is_used_in_its_place(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"output0": table()}, size=SIZE)
    assert inspect_model(path).file == path


def test_an_open_size_must_be_given(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"output0": table()}, size=SIZE)
    edited(path, with_input_shape(1, 3, "height", 64))
    with pytest.raises(UsageError, match=r"leaves the size of its input open; give one, such as --size 640"):
        inspect_model(path)
    path.with_suffix(".toml").write_text('[input]\nsize = "64x64"')
    assert inspect_model(path).size == SIZE


def test_another_size_than_the_fixed_one_is_refused(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"output0": table()}, size=SIZE)
    with pytest.raises(UsageError, match=r"is fixed at 64x64, size 128x96 cannot be given"):
        inspect_model(path, size=(96, 128))


def test_another_size_in_the_toml_than_the_fixed_one_is_refused(tmp_path: Path) -> None:
    toml = '[input]\nsize = "32x64"'
    path = write_network(tmp_path / "my.onnx", {"output0": table()}, size=SIZE, toml=toml)
    with pytest.raises(UsageError, match=r"my\.toml says another size than .*my\.onnx has, 64x64"):
        inspect_model(path)


def test_a_batch_that_does_not_reach_the_outputs_is_refused(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"output0": table()}, size=SIZE)
    edited(path, with_input_shape("batch", 3, 64, 64))
    with pytest.raises(UsageError, match=r"'output0' is \[1, 7, 84\] for one picture and \[1, 7, 84\] for 2"):
        load_model(str(path), batch=2)


def test_another_batch_than_the_fixed_one_is_refused(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"output0": table()}, size=SIZE)
    with pytest.raises(UsageError, match="fixed at a batch of 1, 4 cannot be run"):
        load_model(str(path), batch=4)
    edited(path, with_input_shape(8, 3, 64, 64))
    with pytest.raises(UsageError, match="fixed at a batch of 8, 1 cannot be run"):
        load_model(str(path))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 4, 64, 64), "takes 4 channels"),
        ((3, 64, 64), "must have four axes"),
        ((1, 3, 64, 3), "may have its channels first or last; say layout"),
    ],
)
def test_inputs_that_are_no_colour_picture(tmp_path: Path, shape: tuple[int, ...], message: str) -> None:
    path = write_network(tmp_path / "my.onnx", {"output0": table()}, size=SIZE)
    with pytest.raises(CheckpointError, match=message):
        inspect_model(edited(path, with_input_shape(*shape)))


def test_another_input_is_refused_by_name(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"output0": table()}, size=SIZE)
    info = onnx.helper.make_tensor_value_info("prompt", onnx.TensorProto.INT64, [1, 77])
    with pytest.raises(CheckpointError, match=r"nothing is known of its input prompt \(int64 \[1, 77\]\)"):
        inspect_model(edited(path, lambda model: model.graph.input.append(info)))


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_an_input_for_sizes_gets_the_size_of_the_input(tmp_path: Path, engine: str) -> None:
    outputs = {
        "labels": np.array([[1, 0]]),
        "boxes": np.array([[[0.25, 0.25, 0.75, 0.5], [0, 0, 1, 1]]], np.float32),
        "scores": np.array([[0.9, 0.1]], np.float32),
    }
    path = write_network(tmp_path / "my.onnx", outputs, size=(64, 128), sizes_input=True, toml='classes = ["a", "b"]')
    with load_model(str(path), engine=engine) as model:
        result = model(picture((100, 200)))
    np.testing.assert_allclose(result.detections.boxes, [[50, 25, 150, 50]], atol=1e-2)
    assert [row.class_name for row in result.detections] == ["b"]


def test_weights_in_another_file(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"output0": table()}, size=SIZE)
    edited(path, with_input_shape("batch", 3, 64, 64))
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert read_info(path).external_files == ("weights.bin",)
    with load_model(str(path)) as model:
        assert len(model(picture((64, 64))).detections) == 1
    edited(path, with_input_shape(1, 3, 64, 64))
    assert inspect_model(path).file == path
    with load_model(str(path)) as model:
        assert len(model(picture((64, 64))).detections) == 1


def test_weights_outside_of_the_folder_are_not_read(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"output0": table()}, size=SIZE)
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    path.write_bytes(path.read_bytes().replace(b"weights.bin", b"../ghts.bin"))
    with pytest.raises(CheckpointError, match="outside of its folder"):
        inspect_model(path)


def test_an_output_whose_length_only_running_tells(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"rows": table()}, size=SIZE)

    def edit(model: Any) -> None:
        node = onnx.helper.make_node("NonZero", ["rows"], ["found"])
        model.graph.node.append(node)
        del model.graph.output[:]
        model.graph.output.append(onnx.helper.make_tensor_value_info("found", onnx.TensorProto.INT64, [3, "n"]))

    with pytest.raises(CheckpointError, match=r"output 'found' \[3, \?\] has a length that depends on"):
        inspect_model(edited(path, edit))


def test_names_of_classes_and_where_they_are_from(tmp_path: Path) -> None:
    metadata = {"names": "{0: 'cat', 1: 'dog', 2: 'cow'}", "stride": "32", "task": "detect", "imgsz": "[64, 64]"}
    path = write_network(tmp_path / "my.onnx", {"output0": table()}, size=SIZE, metadata=metadata)
    custom = inspect_model(path)
    assert custom.class_names == ("cat", "dog", "cow")
    assert custom.about.sources["classes"] == "the file's metadata 'names'"
    path.with_suffix(".toml").write_text('classes = "names.txt"')
    (tmp_path / "names.txt").write_text("Katze\n\nHund\nKuh\n")
    custom = inspect_model(path)
    assert custom.class_names == ("Katze", "Hund", "Kuh")
    assert custom.about.sources["classes"] == "my.toml"
    with load_model("pets", weights=path, labels=["a", "b", "c"], classes=["b"]) as model:
        assert (model.name, model.class_names) == ("pets", ("a", "b", "c"))
        assert [row.class_name for row in model(picture((64, 64))).detections] == ["b"]


def test_classes_are_numbered_where_nothing_names_them(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"output0": table()}, size=SIZE)
    assert inspect_model(path).class_names == ("class 0", "class 1", "class 2")


def test_classes_must_be_named_where_the_outputs_do_not_count_them(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"output0": np.zeros((1, 100, 6), np.float32)}, size=SIZE)
    with pytest.raises(UsageError, match=r"outputs of yolo-end2end do not say how many classes .* --labels .*my\.toml"):
        inspect_model(path)
    assert inspect_model(path, labels=("a", "b")).class_names == ("a", "b")
    assert inspect_model(path, head="raw").class_names == ()


def test_what_is_assumed_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_network(tmp_path / "my.onnx", {"output0": table()}, size=SIZE)
    with caplog.at_level(logging.WARNING, "vidgraph"), load_model(str(path)) as model:
        model(picture((64, 64)))
    assert [record.getMessage() for record in caplog.records] == [
        "my.onnx does not say how its picture is made; assumed: fit letterbox; color rgb; mean [0, 0, 0], "
        "std [255, 255, 255] (vidgraph check says more)"
    ]
    caplog.clear()
    made = 'fit = "stretch"\ncolor = "bgr"\nmean = [1, 2, 3]\nstd = [4, 5, 6]'
    path.with_suffix(".toml").write_text(f"[input]\n{made}")
    with caplog.at_level(logging.WARNING, "vidgraph"), load_model(str(path)) as model:
        form = model._family.input_format("my")
    assert (form.mean, form.std, form.bgr) == ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), True)
    assert not caplog.records


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_the_network_sees_the_picture_as_described(tmp_path: Path, dtype: str, layout: str) -> None:
    kinds = {"float32": 1, "float16": 10, "uint8": 2}
    shape = [1, 3, 4, 6] if layout == "nchw" else [1, 4, 6, 3]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Cast", ["x"], ["y"], to=1)],
        "echo",
        [onnx.helper.make_tensor_value_info("x", kinds[dtype], shape)],
        [onnx.helper.make_tensor_value_info("y", 1, shape)],
    )
    path = tmp_path / "echo.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), path)
    path.with_suffix(".toml").write_text('[input]\nfit = "stretch"\ncolor = "bgr"\nmean = [0, 0, 0]\nstd = [1, 1, 1]\n')
    rgb = picture((4, 6), seed=1)
    with load_model(str(path), head="raw", engine="onnxruntime") as model:
        tensors = model(rgb).tensors
    assert tensors is not None
    wanted = rgb[None, ..., ::-1]
    np.testing.assert_array_equal(tensors["y"], wanted if layout == "nhwc" else wanted.transpose(0, 3, 1, 2))


def test_several_heads_that_fit_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = inspect_file(write_network(tmp_path / "my.onnx", {"output0": table()}, size=SIZE))
    head = recognise(given.outputs, given.about, SIZE)
    monkeypatch.setattr("vidgraph.models.custom.detect_head.fitting", lambda kind: lambda *given: head)
    with pytest.raises(UsageError, match=r"fit yolo and .*: --head yolo .*my.toml; its outputs are output0 \(fl"):
        recognise(given.outputs, given.about, SIZE, name="my.onnx")


def test_a_head_that_is_asked_for_is_the_only_one(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"output0": table()}, size=SIZE)
    with pytest.raises(
        UsageError,
        match=r"my.onnx is not semantic \(that reads one map .*; its outputs are output0 \(float32 \[1, 7, 84\]\)",
    ):
        inspect_model(path, head="semantic")
    with pytest.raises(UsageError, match="unknown head 'yollo'; did you mean yolo"):
        inspect_model(path, head="yollo")


def test_a_network_of_one_s_own_has_neither_key_frames_nor_a_torch_network(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"output0": table()}, size=SIZE)
    with pytest.raises(UsageError, match="no video model"):
        load_model(str(path), keyframes=5)
    with load_model(str(path)) as model, pytest.raises(CheckpointError, match="no torch network"):
        model.network()


def test_a_file_that_no_engine_reads(tmp_path: Path) -> None:
    path = write_network(tmp_path / "my.onnx", {"output0": table()}, size=SIZE)
    edited(path, with_input_shape("batch", 3, 64, 64))
    edited(path, lambda model: setattr(model.graph.node[0], "op_type", "Nonsense"))
    with pytest.raises(EngineError, match=r"cannot read my\.onnx with openvino: .*Nonsense"):
        inspect_model(path)


def test_a_name_with_anything_in_it_is_no_trouble_to_the_cache(tmp_path: Path) -> None:
    path = write_network(tmp_path / "-my network (2) ü.onnx", {"output0": table()}, size=SIZE)
    edited(path, with_input_shape("batch", 3, 64, 64))
    assert inspect_model(path).file.name.startswith("_my_network__2___-")
