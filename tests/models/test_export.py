"""Exported files: whole, self-describing, resized without torch, and refused where they do not belong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.engines import open_engine
from vidgraph.engines.onnx_file import read_metadata
from vidgraph.models import find_model, load_model
from vidgraph.models.custom.check import check
from vidgraph.models.export.export import export
from vidgraph.models.weights.onnx_export import export_checkpoint, resized
from vidgraph.pipeline.errors import CheckpointError, OutputError, UsageError

Make = Callable[[str], Path]


def run(path: Path, image: np.ndarray) -> dict[str, np.ndarray]:
    engine = open_engine(path, precision="fp32")
    try:
        return {name: array.copy() for name, array in engine.run({"image": image}).items()}
    finally:
        engine.close()


def picture(batch: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(3).normal(0, 50, (batch, 3, height, width)).astype(np.float32)


def test_file_says_what_it_is(exported: Path) -> None:
    metadata = read_metadata(exported)
    assert metadata["vidgraph.model"] == "retinaface-slim"
    assert '"min_sizes": [[10, 16, 24], [32, 48], [64, 96], [128, 192, 256]]' in metadata["vidgraph.settings"]
    assert '"layout": "NCHW"' in metadata["vidgraph.input"]
    assert '"colour": "BGR"' in metadata["vidgraph.input"]
    assert len(metadata["vidgraph.weights_sha256"]) == 64
    assert metadata["vidgraph.version"]


def test_metadata_and_shapes_are_what_onnx_reads(exported: Path, torch: Any) -> None:
    import onnx

    model = onnx.load(exported)
    assert {each.key: each.value for each in model.metadata_props} == read_metadata(exported)
    onnx.checker.check_model(model, full_check=True)
    kinds = {node.op_type for node in model.graph.node}
    assert "BatchNormalization" not in kinds
    assert not kinds & {"Shape", "Gather", "Slice"}
    (given,) = model.graph.input
    assert [dim.dim_value for dim in given.type.tensor_type.shape.dim] == [1, 3, 64, 96]


@pytest.mark.parametrize("model", ["retinaface-1mb", "retinaface-slim"])
def test_resizing_without_torch_equals_exporting_at_that_size(
    model: str, seeded_checkpoint: Make, tmp_path: Path, torch: Any
) -> None:
    import onnx

    small = export(model, seeded_checkpoint(model), (32, 32), path=tmp_path / "small.onnx")
    resized = export(model, small, (70, 101), 2, tmp_path / "resized.onnx")
    direct = onnx.load_from_string(export_checkpoint(find_model(model), seeded_checkpoint(model), (70, 101), 2))
    again = onnx.load(resized)
    onnx.checker.check_model(again, full_check=True)
    assert again.graph == direct.graph
    assert again.metadata_props == direct.metadata_props


@pytest.mark.parametrize("size", [(33, 47), (64, 96), (1, 1)])
def test_network_of_torch_and_resized_file_agree(
    size: tuple[int, int], seeded_checkpoint: Make, tmp_path: Path, torch: Any, tolerance: Callable[[str], float]
) -> None:
    from vidgraph.models.weights.checkpoint import load_network

    checkpoint = seeded_checkpoint("retinaface-1mb")
    small = export("retinaface-1mb", checkpoint, (32, 32), path=tmp_path / "small.onnx")
    resized = export("retinaface-1mb", small, size, path=tmp_path / "resized.onnx")
    image = picture(1, *size)
    with torch.no_grad():
        expected = load_network(find_model("retinaface-1mb"), checkpoint)(torch.from_numpy(image))
    for got, want in zip(run(resized, image).values(), expected, strict=True):
        assert np.abs(got - want.numpy()).max() <= tolerance("parity, engine fp32") * np.abs(want.numpy()).max()


def test_batches_agree_with_single_pictures(exported: Path, tmp_path: Path, tolerance: Callable[[str], float]) -> None:
    images = picture(3, 64, 96)
    together = run(export("retinaface-slim", exported, (64, 96), 3, tmp_path / "three.onnx"), images)
    for row in range(3):
        for name, alone in run(exported, images[row : row + 1]).items():
            limit = tolerance("parity, engine fp32") * np.abs(alone).max()
            assert np.abs(together[name][row] - alone[0]).max() <= limit


def test_an_existing_file_is_kept(exported: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    target.write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists"):
        export("retinaface-slim", exported, (32, 32), path=target)
    assert target.read_bytes() == b"precious"
    export("retinaface-slim", exported, (32, 32), path=target, force=True)
    assert read_metadata(target)["vidgraph.model"] == "retinaface-slim"
    assert [path.name for path in tmp_path.iterdir()] == ["out.onnx"]


def test_default_name_and_unwritable_folder(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert export("retinaface_slim", exported, (32, 48)) == Path("retinaface-slim-48x32-b1.onnx")
    with pytest.raises(OutputError, match="cannot write"):
        export("retinaface-slim", exported, (32, 48), path=tmp_path / "missing" / "x.onnx")


@pytest.mark.parametrize(("size", "batch"), [((0, 32), 1), ((32, 32), 0), (640, 1)])
def test_impossible_sizes(size: tuple[int, int], batch: int, exported: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs a size of width and height"):
        export("retinaface-slim", exported, size, batch, tmp_path / "x.onnx")


def test_an_export_of_another_model_is_refused(exported: Path) -> None:
    with pytest.raises(CheckpointError, match=r"is retinaface-slim, not retinaface; use --model retinaface-slim="):
        load_model("retinaface", weights=exported)


def test_an_export_with_other_settings_is_refused(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vidgraph.models.retinaface.config import CONFIGS

    monkeypatch.setitem(CONFIGS, "retinaface-slim", replace(CONFIGS["retinaface-slim"], leaky_slope=0.1))
    with pytest.raises(CheckpointError, match="other settings of retinaface-slim"):
        load_model("retinaface-slim", weights=exported)


def test_a_foreign_network_is_refused(tmp_path: Path, torch: Any) -> None:
    from onnx import TensorProto, helper

    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", value[:1], value[1:])
    path = tmp_path / "foreign.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    with pytest.raises(CheckpointError, match=r"not exported by vidgraph.*vidgraph export retinaface=CHECKPOINT"):
        load_model("retinaface", weights=path)


@pytest.mark.parametrize("content", [b"", b"a text, and no network\n", b"\x3a\xff\xff\xff\xff\x0f"])
def test_no_network_at_all(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file.onnx"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        load_model("retinaface", weights=path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("location", ["weights.bin", "../weights.bin"])
def test_an_export_whose_weights_were_moved_into_another_file_is_refused(
    exported: Path, tmp_path: Path, location: str
) -> None:
    """By the name of the file that was given, not of the copy in the cache, and by ``check`` too."""
    import onnx

    model = onnx.load(exported)
    (tmp_path / "net").mkdir()
    path, moved = tmp_path / "net" / "moved.onnx", max(model.graph.initializer, key=lambda each: len(each.raw_data))
    (path.parent / location).write_bytes(moved.raw_data)
    moved.ClearField("raw_data")
    moved.data_location = onnx.TensorProto.EXTERNAL
    moved.external_data.add(key="location", value=location)
    path.write_bytes(model.SerializeToString())
    said = f"moved.onnx: its weights were moved into the file '{location}', .*; export the checkpoint again"
    with pytest.raises(CheckpointError, match=said):
        check(path)
    with pytest.raises(CheckpointError, match=said), load_model("retinaface-slim", weights=path, size=64) as loaded:
        loaded(np.zeros((64, 64, 3), np.uint8))


def test_a_truncated_export_is_refused(exported: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(exported.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match="damaged or no ONNX file"):
        load_model("retinaface-slim", weights=path)


def test_missing_constants_are_named(exported: Path) -> None:
    shape = find_model("retinaface-slim").family().graph_shape("retinaface-slim", (32, 32), 1)
    with pytest.raises(CheckpointError, match=r"it lacks no\.such\.size"):
        resized(exported, replace(shape, constants={"no.such.size": (1,)}))
    with pytest.raises(CheckpointError, match="unknown input or output 'image'"):
        resized(exported, replace(shape, inputs={"x": (1,)}, constants={}))


def test_weights_in_the_cache_are_made_once(exported: Path, own_cache: Path) -> None:
    with load_model("retinaface-slim", weights=exported, size=(40, 56)) as model:
        first = model.network_file((40, 56))
        made = first.stat().st_mtime_ns
        assert model.network_file((40, 56)) == first
        assert own_cache in first.parents
        assert first.stat().st_mtime_ns == made


def test_without_a_cache_and_without_weights(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDGRAPH_CACHE_MAX", "0")
    monkeypatch.setenv("VIDGRAPH_CACHE", str(tmp_path / "cache"))
    with load_model("retinaface-slim", weights=exported, size=(40, 56)) as model:
        assert model.describe().input_size == (40, 56)
    with pytest.raises(UsageError, match="vidgraph pull retinaface-slim"):
        export("retinaface-slim", path=tmp_path / "x.onnx")
