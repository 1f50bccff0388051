"""docs/adding.md holds for results: a type is added in one place and with one line, columns of objects in one place."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vidgraph
from vidgraph import DETECTIONS, Detections, Packet

from .test_adding import place as place  # a fixture

HEAT = """
from dataclasses import dataclass

import numpy as np

from ...drawing.canvas import Layer
from ...packet import Key
from .base import ResultType


@dataclass(frozen=True, eq=False)
class HeatMap:
    degrees: np.ndarray  # float32 [H, W]


HEAT = Key("heat", HeatMap)


class HeatResults(ResultType[HeatMap]):
    key, field = HEAT, "heat"
    schema = {
        "required": ["least", "degrees"],
        "properties": {
            "least": {"type": "number"},
            "degrees": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
        },
    }

    def write(self, items, value):
        items.append({"least": float(value.degrees.min()), "degrees": value.degrees.tolist()})

    def read(self, items, model, size):
        return HeatMap(np.array(items[0]["degrees"], np.float32)) if items else None

    def rows(self, record, items):
        height, width = record.size
        return [{"box": [0, 0, width, height], "least": item["least"]} for item in items]

    def draw(self, value, style):
        ids = np.digitize(value.degrees, np.arange(1, 100)).astype(np.int32) + 1
        colors = np.repeat(np.linspace(255, 0, 101).astype(np.uint8)[:, None], 3, axis=1)
        yield Layer.SURFACE, lambda canvas: canvas.segments(ids, colors, style.mask_opacity)

    def summary(self, value):
        return [f"{value.degrees.min():.1f} degrees at least"]
"""

ENLARGED = """
from ...packet import Key
from ...types.picture import Picture
from .base import ResultType

ENLARGED = Key("enlarged", Picture)


class EnlargedResults(ResultType[Picture]):
    key, field, marked = ENLARGED, "enlarged", False
    schema = {"required": ["size"], "properties": {"size": {"$ref": "#/$defs/size"}}}

    def write(self, items, value):
        items.append({"size": [value.width, value.height]})

    def picture(self, value):
        return value

    def shown_size(self, items):
        width, height = items[0]["size"]
        return height, width

    def summary(self, value):
        return [f"{value.width}x{value.height}"]
"""

GIVES = {
    "heat": """
from ....pipeline.results.result_types.heat import HEAT as KEY, HeatMap


def made(array, frame):
    return HeatMap(np.tile(array.reshape(1, -1)[:, : frame[1]], (frame[0], 1)))
""",
    "enlarged": """
from ....pipeline.results.result_types.enlarged import ENLARGED as KEY
from ....pipeline.types.picture import Picture


def made(array, frame):
    return Picture.from_rgb(np.full((2 * frame[0], 2 * frame[1], 3), array.reshape(-1)[0], np.uint8))
""",
}
"""Heads that give results of these types."""

GIVING_HEAD = """
from dataclasses import dataclass

import numpy as np

from ....stages.inference.infer import copy_outputs
{gives}

@dataclass(frozen=True)
class Giving:
    output: str
    kind, task, class_count, point_names, gives = KEY.name, "a dummy", 0, (), (KEY,)
    device_outputs = ()

    @property
    def reads(self):
        return frozenset({{self.output}})

    def select_outputs(self, choices):
        return copy_outputs

    def decode(self, raw, frame, choices, names):
        return {{KEY: made(raw.arrays[self.output], frame)}}


def fit(outputs, about, size):
    return Giving(outputs[0].name) if about.head == KEY.name else None
"""

COLUMNS = """
from dataclasses import dataclass, replace

import numpy as np

from ..pipeline.packet import DETECTIONS
from ..pipeline.stage import Stage


@dataclass(frozen=True)
class Describe(Stage):
    name = "describe"
    stateless = True
    updates = frozenset({DETECTIONS})

    def process(self, packet):
        found = packet[DETECTIONS]
        count = len(found)
        data = {
            "color": np.array(["=red", "blue"] * count)[:count],
            "embedding": np.arange(3 * count, dtype=np.float32).reshape(count, 3) / 7,
            "corners": np.repeat(found.boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(count, 4, 2), 1, axis=0),
            "worn": np.arange(count) % 2 == 0,
        }
        yield packet.with_item(DETECTIONS, replace(found, data=data))
"""


@pytest.fixture
def network(place: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Adds a type of results of this text and name, and a head whose network gives it."""

    def add(name: str, text: str) -> Path:
        from vidgraph.models.custom.heads import HEADS
        from vidgraph.pipeline.results.result_types import RESULT_TYPES

        from .models.custom.planted import write_network

        (place / "pipeline" / "results" / "result_types" / f"{name}.py").write_text(text, "utf-8")
        module = importlib.import_module(f"vidgraph.pipeline.results.result_types.{name}")
        row = getattr(module, f"{name.capitalize()}Results")()
        monkeypatch.setitem(RESULT_TYPES, row.key, row)
        head = GIVING_HEAD.format(gives=GIVES[name])
        (place / "models" / "custom" / "heads" / f"{name}.py").write_text(head, "utf-8")
        monkeypatch.setitem(HEADS, name, f".{name}")
        monkeypatch.setenv("VIDGRAPH_CACHE", str(place / "cache"))
        planted = {"o": np.linspace(1, 90, 256, dtype=np.float32)[None]}
        toml = '[input]\nfit = "stretch"\nmean = [0, 0, 0]\nstd = [1, 1, 1]'
        return write_network(place / "my.onnx", planted, size=(8, 8), toml=toml)

    return add


@pytest.fixture
def clip(tmp_path: Path) -> str:
    """Pictures of 64x48, every frame another gray."""
    from PIL import Image

    (tmp_path / "frames").mkdir()
    for index in range(6):
        Image.new("RGB", (64, 48), (20 * index,) * 3).save(tmp_path / "frames" / f"{index}.png")
    return str(tmp_path / "frames")


def _lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a results file, valid by the schema."""
    from vidgraph.pipeline.results.format import results_schema

    jsonschema = pytest.importorskip("jsonschema", reason="checking the schema needs jsonschema")
    validator = jsonschema.Draft202012Validator(results_schema())
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for line in lines:
        validator.validate(line)
    return lines


def _pixels(path: Path) -> np.ndarray:
    from PIL import Image

    return np.array(Image.open(path))


def test_a_result_type_is_a_file_and_a_row(network: Callable[[str, str], Path], clip: str, tmp_path: Path) -> None:
    from vidgraph.models.run import draw
    from vidgraph.pipeline.results.convert import convert

    model = str(network("heat", HEAT))
    heat = importlib.import_module("vidgraph.pipeline.results.result_types.heat").HEAT
    whole, lines, drawn = tmp_path / "whole.jsonl", tmp_path / "out.jsonl", tmp_path / "drawn" / "%06d.png"
    options: dict[str, Any] = {
        "model": model,
        "head": "heat",
        "precision": "fp32",
        "engine": "onnxruntime",
        "every": 2,
    }
    results: list[vidgraph.FrameResult] = []
    vidgraph.run(clip, outputs=[whole, drawn, results.append], **options).wait()
    assert results[0][heat].degrees.shape == (48, 64)
    assert "1.0 degrees at least" in repr(results[0])
    assert results[0].to_dict()["heat"][0]["least"] == 1.0
    header, *frames = _lines(whole)
    assert header["models"][0]["heat"] is True
    assert [frame.get("held_from") for frame in frames] == [None, 0, None, 2, None, 4]
    assert all(len(frame["heat"][0]["degrees"]) == 48 for frame in frames)
    assert (_pixels(tmp_path / "drawn" / "000000.png") > 80).all()  # the picture is black
    for record, result in zip(vidgraph.read_results(whole), results, strict=True):
        np.testing.assert_array_equal(record.result(heat).degrees, result[heat].degrees)
    draw(clip, whole, outputs=[tmp_path / "again" / "%06d.png"]).wait()
    for path in sorted((tmp_path / "drawn").iterdir()):
        np.testing.assert_array_equal(_pixels(tmp_path / "again" / path.name), _pixels(path))
    table = convert(whole, "csv", tmp_path / "table.csv").read_text("utf-8").splitlines()
    assert table[0].endswith("file,least")
    assert [row.split(",")[-1] for row in table[1:]] == ["1.0"] * 6
    annotations = json.loads(convert(whole, "coco-results", tmp_path / "coco.json").read_text("utf-8"))
    assert [(one["bbox"], one["least"]) for one in annotations] == [([0, 0, 64, 48], 1.0)] * 6
    vidgraph.run(clip, outputs=[lines], frames=3, **options).wait()
    vidgraph.run(clip, outputs=[lines], resume=True, **options).wait()
    assert lines.read_bytes() == whole.read_bytes()


def test_a_result_that_is_a_picture_is_shown_in_its_own_size(
    network: Callable[[str, str], Path], clip: str, tmp_path: Path
) -> None:
    import av

    model = str(network("enlarged", ENLARGED))
    enlarged = importlib.import_module("vidgraph.pipeline.results.result_types.enlarged").ENLARGED
    lines, video, pictures = tmp_path / "out.jsonl", tmp_path / "out.mp4", tmp_path / "shown" / "%06d.png"
    options: dict[str, Any] = {"model": model, "head": "enlarged", "precision": "fp32", "engine": "onnxruntime"}
    results: list[vidgraph.FrameResult] = []
    vidgraph.run(clip, outputs=[lines, video, pictures, results.append], frames=4, **options).wait()
    assert results[0].image.shape == (48, 64, 3)
    assert results[0][enlarged].width == 128
    assert results[0].draw().shape == (96, 128, 3)
    assert "128x96" in repr(results[0])
    assert [line["enlarged"] for line in _lines(lines)[1:]] == [[{"size": [128, 96]}]] * 4
    assert (_pixels(tmp_path / "shown" / "000003.png") == 1).all()
    assert _pixels(tmp_path / "shown" / "000003.png").shape == (96, 128, 3)
    vidgraph.run(clip, outputs=[lines, video], resume=True, **options).wait()
    assert len(_lines(lines)) == 1 + 6
    for path, frames in ((video, 4), (tmp_path / "out.part2.mp4", 2)):
        with av.open(str(path)) as written:
            stream = written.streams.video[0]
            assert (stream.width, stream.height, stream.frames) == (128, 96, frames)


def test_a_column_of_objects_is_a_stage(place: Path, clip: str, tmp_path: Path) -> None:
    from vidgraph.pipeline.results.convert import convert
    from vidgraph.pipeline.results.format import ModelInfo, SourceInfo, header_record
    from vidgraph.stages import Draw, ReplayResults
    from vidgraph.stages.sinks.registry import open_sink
    from vidgraph.stages.sources.registry import open_source

    (place / "stages" / "describe.py").write_text(COLUMNS, "utf-8")
    describe = importlib.import_module("vidgraph.stages.describe").Describe()
    header = header_record(models=[ModelInfo("m", class_names=("face",))], sources=[SourceInfo("frames")])

    def detect(packet: Packet) -> Packet:
        boxes = np.array([[4, 20, 24, 40], [30, 20, 50, 44]], np.float32)[: packet.frame.index]
        rows = np.zeros(len(boxes), np.int32)
        return packet.with_item(DETECTIONS, Detections(boxes, np.ones(len(boxes), np.float32), rows, ("face",)))

    detect.creates = frozenset({DETECTIONS})  # type: ignore[attr-defined]
    results: list[vidgraph.FrameResult] = []
    whole, lines = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    for path, options in ((whole, {}), (lines, {"frames": 3}), (lines, {})):
        sinks = [open_sink(path, header=header, resume=path.exists()), open_sink(results.append)]
        vidgraph.Graph(open_source(clip, **options), [detect, describe], sinks).run()
    assert lines.read_bytes() == whole.read_bytes()
    frames = _lines(whole)[1:]
    assert [frame["objects"][0]["color"] for frame in frames[1:]] == ["=red"] * 5
    assert frames[2]["objects"][1]["embedding"] == [0.42857143, 0.5714286, 0.71428573]
    assert frames[2]["objects"][1]["worn"] is False
    found = results[2].detections
    assert [(row.data["color"], row.data["embedding"].shape) for row in found] == [("=red", (3,)), ("blue", (3,))]
    np.testing.assert_array_equal(found[[1]].data["embedding"], found.data["embedding"][1:])
    for record, result in zip(vidgraph.read_results(whole), results, strict=False):
        assert record.detections.data.keys() == (result.detections.data.keys() if record.index else set())
        for name, column in record.detections.data.items():
            expected = result.detections.data[name]
            assert column.dtype.kind == expected.dtype.kind
            np.testing.assert_array_equal(column.astype(expected.dtype), expected)
    table = convert(whole, "csv", tmp_path / "table.csv").read_text("utf-8").splitlines()
    assert table[0].endswith("file,color,embedding.1,embedding.2,embedding.3," + _numbered("corners", 8) + ",worn")
    assert table[2].split(",")[19:23] == ["'=red", "0.0", "0.14285715", "0.2857143"]
    annotations = json.loads(convert(whole, "coco-results", tmp_path / "coco.json").read_text("utf-8"))
    assert [one["color"] for one in annotations[:3]] == ["=red", "=red", "blue"]
    shown = [tmp_path / name / "%06d.png" for name in ("drawn", "again")]
    vidgraph.Graph(open_source(clip), [detect, describe, Draw()], [open_sink(shown[0])]).run()
    replay = ReplayResults(vidgraph.read_results(whole))
    vidgraph.Graph(open_source(clip), [replay, Draw()], [open_sink(shown[1])]).run()
    for path in sorted((tmp_path / "drawn").iterdir()):
        np.testing.assert_array_equal(_pixels(tmp_path / "again" / path.name), _pixels(path))


def _numbered(name: str, count: int) -> str:
    return ",".join(f"{name}.{number}" for number in range(1, count + 1))
