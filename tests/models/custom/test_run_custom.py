"""Custom models where built-in models run: commands, results, graphs of two networks, batches, comparing."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from vidgraph import Detections, Graph, Key, Landmarks
from vidgraph.models import ResultKeys, load_model
from vidgraph.models.resolve import resolve_model
from vidgraph.models.run import run
from vidgraph.pipeline.errors import CheckpointError, UsageError
from vidgraph.pipeline.packet import DETECTIONS, LANDMARKS, PANOPTIC
from vidgraph.pipeline.results.format import header_record
from vidgraph.stages import VideoSource, WriteResults

from .planted import write_network
from .test_inspect import edited, open_outputs, table, with_input_shape

SIZE = (64, 64)
METADATA = {"names": "{0: 'cat', 1: 'dog', 2: 'cow'}", "stride": "32", "author": "Ultralytics",
            "description": "Ultralytics YOLOv8n model trained on coco.yaml"}  # fmt: skip
DOG = [120.0, 100.0, 200.0, 140.0]
"""The planted (32, 32, 16, 8) letterboxed from 320x240: five times as large."""


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return write_network(tmp_path / "my.onnx", {"output0": table()}, size=SIZE, metadata=METADATA)


def test_the_command_says_what_runs_and_the_header_says_what_ran(network: Path, vidgraph: Any, face_clip: Path) -> None:
    ended = vidgraph("run", face_clip, "--model", "my.onnx", "-o", "out.jsonl", "--frames", "3", "--precision", "fp32")
    assert ended.code == 0
    first = ended.err.splitlines()[0]
    assert first == "my (boxes; trained on: coco): openvino fp32 on cpu, input 64x64"
    header, *frames = map(json.loads, network.with_name("out.jsonl").read_text().splitlines())
    (model,) = header["models"]
    assert model["name"] == "my"
    assert model["classes"] == ["cat", "dog", "cow"]
    assert model["weights_sha256"] == hashlib.sha256(network.read_bytes()).hexdigest()
    assert header["settings"]["head"] == "yolo"
    assert [[row["class"], row["box"]] for frame in frames for row in frame["objects"]] == [["dog", DOG]] * 3


def test_options_about_detections(network: Path, vidgraph: Any, face_clip: Path) -> None:
    def objects(*words: str) -> list[str]:
        out = network.with_name("out.jsonl")
        ended = vidgraph("run", face_clip, "-o", "out.jsonl", "-y", "-q", "--frames", "1", *words)
        assert (ended.code, ended.err) == (0, "")
        lines = [json.loads(line) for line in out.read_text().splitlines()]
        return [lines[0]["models"][0]["name"], *(row["class"] for row in lines[1]["objects"])]

    assert objects("--model", "pets=my.onnx") == ["pets", "dog"]
    assert objects("--model", "my.onnx", "--min-score", "0.95") == ["my"]
    assert objects("--model", "my.onnx", "--classes", "cat,cow") == ["my"]
    assert objects("--model", "my.onnx", "--labels", "a,b,c") == ["my", "b"]
    assert objects("--model", "my.onnx", "--head", "yolo", "--engine", "onnxruntime") == ["my", "dog"]


def test_a_name_that_a_model_has_is_that_model(network: Path) -> None:
    with pytest.raises(CheckpointError, match="was not exported by vidgraph"):
        load_model("retinaface", weights=network)
    resolved = resolve_model(str(network))
    assert (resolved.name, resolved.row, resolved.weights) == (network.stem, None, network)


def test_a_missing_file_is_said_to_be_missing() -> None:
    with pytest.raises(CheckpointError, match=r"no such weights file: nowhere\.onnx"):
        load_model("nowhere.onnx")


def test_an_onnx_file_is_not_exported_again(network: Path, vidgraph: Any) -> None:
    ended = vidgraph("export", "my.onnx")
    assert ended.code == 2
    assert "no output was given" in ended.line


def test_batches(network: Path, face_clip: Path) -> None:
    edited(edited(network, with_input_shape("batch", 3, 64, 64)), open_outputs)

    def planted_for_each(model: Any) -> None:
        node = model.graph.node[1]
        assert node.op_type == "ReduceMax"
        del node.attribute[:]
        node.attribute.extend([_attribute("axes", [1, 2, 3]), _attribute("keepdims", 1)])
        reshape = next(each for each in model.graph.node if each.output[0] == "nothing")
        reshape.output[0] = "nothing.deep"
        model.graph.initializer.append(_constant("three", [-1, 1, 1]))
        model.graph.node.insert(3, _node("Reshape", ["nothing.deep", "three"], ["nothing"]))

    edited(network, planted_for_each)
    with load_model(str(network), batch=4, requests=2) as model:
        assert model.row.source == "a custom model"
        results = list(run(face_clip, model=model, frames=9))
    assert [result.detections.boxes.round(2).tolist() for result in results] == [[DOG]] * 9
    assert {path.name.rsplit("-", 1)[1] for path in Path(model.network_file((240, 320))).parent.glob("my-*")} >= {
        "b1.onnx", "b4.onnx",
    }  # fmt: skip


def _attribute(name: str, value: Any) -> Any:
    return onnx.helper.make_attribute(name, value)


def _constant(name: str, values: list[int]) -> Any:
    return onnx.numpy_helper.from_array(np.array(values), name)


def _node(*about: Any) -> Any:
    return onnx.helper.make_node(*about)


def test_two_networks_in_one_graph(network: Path, face_weights: Path, face_clip: Path, tmp_path: Path) -> None:
    face_keys = ResultKeys(keys={DETECTIONS: Key("faces", Detections), LANDMARKS: Key("face_points", Landmarks)})
    with load_model(str(network)) as custom, load_model("retinaface", weights=face_weights, precision="fp32") as faces:
        header = header_record(models=[custom.describe(), faces.describe()])
        keys = [custom.result_keys(), faces.result_keys(face_keys)]
        sink = WriteResults({"in": tmp_path / "both.jsonl"}, header=header, keys=keys)
        stages = [*custom.stages(), *faces.stages(prefix="faces_", keys=face_keys)]
        stats = Graph([VideoSource(face_clip)], stages, [sink]).run()
    assert stats.frames == 40
    header, *frames = map(json.loads, (tmp_path / "both.jsonl").read_text().splitlines())
    assert [model["name"] for model in header["models"]] == ["my", "retinaface"]
    found = [[row["model"] for row in frame["objects"]] for frame in frames]
    assert [row.count("my") for row in found] == [1] * 40
    assert {name for row in found for name in row} == {"my", "retinaface"}


def test_two_networks_of_ones_own_in_one_graph(network: Path, face_clip: Path, tmp_path: Path) -> None:
    maps = np.zeros((1, 2, 8, 8), np.float32)
    maps[0, 1] = 1
    toml = 'head = "semantic"\nclasses = ["other", "road"]\n'
    roads = write_network(tmp_path / "roads.onnx", {"logits": maps}, size=SIZE, toml=toml)
    with load_model(str(network)) as custom, load_model(str(roads)) as semantic:
        keys = [custom.result_keys(), semantic.result_keys()]
        assert [one.all() for one in keys] == [[DETECTIONS], [PANOPTIC]]
        sink = WriteResults({"in": tmp_path / "both.jsonl"}, keys=keys)
        Graph([VideoSource(face_clip)], [*custom.stages(), *semantic.stages(prefix="roads_")], [sink]).run()
    frame = json.loads((tmp_path / "both.jsonl").read_text().splitlines()[1])
    assert [row["class"] for row in frame["objects"]] == ["dog"]
    assert [row["class"] for row in frame["segments"]] == ["road"]


def test_engines_are_compared(network: Path, vidgraph: Any, face_clip: Path) -> None:
    ended = vidgraph("compare", "--source", face_clip, "--model", "my.onnx", "--frames", "2")
    assert ended.code == 0
    assert "output0  [1, 7, 84]  " in ended.out
    (network.with_name("other.onnx")).write_bytes(network.read_bytes())
    words = ("--model", "my.onnx", "--candidate-model", "other.onnx")
    assert vidgraph("compare", "--source", face_clip, *words).code == 0
    ended = vidgraph("compare", "--source", face_clip, "--model", "my.onnx", "--candidate-model", "retinaface")
    assert (ended.code, ended.err) == (
        2,
        "vidgraph: compare takes two files of one model, got my.onnx and retinaface\n",
    )


def test_bench_measures_it(network: Path, vidgraph: Any, face_clip: Path) -> None:
    ended = vidgraph("bench", "--source", face_clip, "--model", "my.onnx", "--frames", "3", "-o", "bench.json")
    assert ended.code == 0
    assert '"model": "my"' in network.with_name("bench.json").read_text()


def test_comparing_and_measuring_take_head_and_labels(tmp_path: Path, vidgraph: Any, face_clip: Path) -> None:
    rows = np.zeros((1, 100, 6), np.float32)
    rows[0, 0] = 16, 16, 48, 48, 0.9, 1
    write_network(tmp_path / "rows.onnx", {"output0": rows}, size=SIZE)
    for command, frames in (("compare", 1), ("bench", 2)):
        words = (command, "--source", face_clip, "--model", "rows.onnx", "--frames", frames)
        ended = vidgraph(*words)
        assert ended.code != 0
        assert "do not say how many classes there are; name them with --labels" in ended.err
        assert vidgraph(*words, "--labels", "cat,dog").code == 0
        raw = vidgraph(*words, "--head", "raw")
        assert raw.code == 0 if command == "compare" else "the head 'raw' finds nothing" in raw.err
        assert "is not semantic" in vidgraph(*words, "--head", "semantic").err


def test_suppressions_of_other_models_are_refused(network: Path, face_clip: Path) -> None:
    with load_model(str(network), nms="fast") as model, pytest.raises(UsageError, match="nms"):
        model.stages()
