"""docs/adding.md holds: a dummy of each kind is added in one place and with one line."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import vidgraph
from vidgraph import DETECTIONS, Detections, Frame, Packet, Picture

from .kernels.test_hostile_calls import attack

ROOT = Path(__file__).resolve().parent.parent

KERNEL = {
    "dummy.h": """
#pragma once
#include "../native/kernel.h"
namespace vidgraph {
namespace KERNEL_ISA {
KERNEL_HD inline float doubled(float value) { return value * 2.f; }
}  // namespace KERNEL_ISA
KERNEL_ENTRY(double_all, const float* values, int64_t count, float* out)
}  // namespace vidgraph
""",
    "dummy.cpp": """
#include "dummy.h"
namespace vidgraph::KERNEL_ISA {
void double_all(const float* values, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = doubled(values[i]);
}
}  // namespace vidgraph::KERNEL_ISA
""",
    "bind.cpp": """
#include "../native/binding.h"
#include "dummy.h"
namespace vidgraph {
void bind_dummy(nb::module_& module) {
  module.def("dummy", [](In<float> values, Out<float> out) {
    const float* data = values.data();
    const auto count = static_cast<int64_t>(values.shape(0));
    nb::gil_scoped_release released;
    KERNEL_CALL(double_all)(data, count, out.data());
  });
}
}  // namespace vidgraph
""",
    "__init__.py": """
import numpy as np
from .. import _native
from ..arrays import require

__all__ = ("dummy",)

def dummy(values):
    require(values, "dummy: values", np.float32, (None,))
    out = np.empty(values.shape, np.float32)
    _native.dummy(values, out)
    return out
""",
    "reference.py": """
def dummy_reference(values):
    return values * 2
""",
}

TABLE = """
import kernels
import numpy as np

def cases():
    yield "dummy", kernels.dummy(np.arange(5, dtype=np.float32))

CASES = (cases,)
"""

STAGE = """
from dataclasses import dataclass
from ..pipeline.packet import DETECTIONS
from ..pipeline.stage import Stage


@dataclass(frozen=True)
class KeepFirst(Stage):
    count: int = 1
    name = "keep_first"
    stateless = True
    amends = frozenset({DETECTIONS})

    def process(self, packet):
        yield packet.with_item(DETECTIONS, packet[DETECTIONS][: self.count])
"""

SOURCE = """
from collections.abc import Iterator

import numpy as np

from ...pipeline.errors import UsageError
from ...pipeline.packet import Frame
from ...pipeline.stage import Source
from ...pipeline.types.picture import Picture


class Gray(Source):
    live = True

    def __init__(self, address, stream_id, frames):
        self.address, self.stream_id, self._frames = address, stream_id, frames

    def frames(self) -> Iterator[Frame]:
        picture = Picture.from_rgb(np.full((48, 64, 3), 128, np.uint8))
        for index in range(self._frames):
            yield Frame(self.stream_id, index, 0, index * 40_000_000, 40_000_000, picture)


def open_gray(address, name, options):
    count = address.partition(":")[2]
    if not count.isdigit():
        raise UsageError(f"{address}: how many frames? as in gray:10")
    return [Gray(address, name or "gray", min(int(count), options.frames or int(count)))]
"""

SINK = """
from ...pipeline.packet import DETECTIONS
from ...pipeline.stage import Sink


class CountObjects(Sink):
    name = "count_objects"
    reads = frozenset({DETECTIONS})

    def __init__(self, paths, claims):
        self._paths, self._claims = paths, claims
        self._counts = {stream: [] for stream in paths}

    def write(self, packet):
        self._counts[packet.frame.stream_id].append(len(packet[DETECTIONS]) if packet.drop_cause is None else 0)

    def end_stream(self, stream_id, reason):
        self._paths[stream_id].write_text(" ".join(map(str, self._counts[stream_id])), "utf-8")


def open_counts(address, paths, settings):
    return CountObjects(paths, settings.claims)
"""

ENGINE = """
import numpy as np
from .spec import EngineDescription, TensorSpec, check_feeds


class Echo:
    engine, device, precision = "dummy", "cpu", "fp32"
    inputs = outputs = (TensorSpec("x", np.dtype(np.float32), (1, 2)),)

    def __init__(self, name):
        self.name = name

    def run(self, feeds):
        check_feeds(self.name, self.inputs, feeds)
        return dict(feeds)

    def close(self): ...


def open_network(path, options):
    return Echo(path.name)


def describe():
    return EngineDescription("1.0", ("cpu",), ("fp32",))
"""

FAMILY = """
import numpy as np
from torch import nn

from ...pipeline.packet import DETECTIONS
from ...pipeline.stage import Stage
from ...pipeline.types.detections import Detections
from ...stages.inference.infer import copy_all
from ..family import Family, GraphShape, InputFormat


class Brightness(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix = nn.Conv2d(3, 1, 1)

    def forward(self, image):
        return self.mix(image)


class Postprocess(Stage):
    name, stateless = "brightness", True

    def __init__(self, raw, keys):
        self.raw, self.key = raw, keys.to(DETECTIONS)
        self.reads, self.creates = frozenset({raw}), frozenset({self.key})

    def process(self, packet):
        level = float(packet[self.raw].arrays["level"].mean())
        box = np.array([[0, 0, 1, 1]], np.float32)
        found = Detections(box, np.array([level], np.float32), np.zeros(1, np.int32), ("bright",))
        yield packet.with_item(self.key, found)


class BrightnessFamily(Family):
    def network(self, name):
        return Brightness()

    def settings(self, name):
        return {"kernel": 1}

    def input_format(self, name):
        return InputFormat("image", (0.0, 0.0, 0.0), (255.0, 255.0, 255.0), bgr=False, pad=(0, 0, 0), long_side=32)

    def graph_shape(self, name, size, batch, graph=""):
        return GraphShape({"image": (batch, 3, *size)}, {"level": (batch, 1, *size)})

    def class_names(self, name):
        return ("bright",)

    def point_names(self, name):
        return ()

    def select_outputs(self, name, choices):
        return copy_all

    def postprocess(self, name, choices, *, raw, keys, stage_name):
        return Postprocess(raw, keys)


FAMILY = BrightnessFamily()
"""

VARIANTS = """
from ..variant import ModelRow, Protocol, Published

VARIANTS = (
    ModelRow(
        "dummy", (), "dummy", "brightness", "this test", "MIT", "nothing", (), False, "a dummy",
        published=(Published("box AP", 0.9, "the author's pictures", "this test"),),
        protocol=Protocol("official: as this test does it", {"min_score": 0.1}),
    ),
)
"""


HEAD = """
from dataclasses import dataclass

import numpy as np

from ....pipeline.packet import DETECTIONS
from ....pipeline.types.detections import Detections
from ....stages.inference.infer import copy_all


@dataclass(frozen=True)
class Brightest:
    output: str
    kind, task, class_count, point_names, gives = "dummy", "the brightest place", 1, (), (DETECTIONS,)

    def select_outputs(self, choices):
        return copy_all


    def decode(self, raw, frame, choices, names):
        box = raw.affine.boxes(raw.arrays[self.output])
        return {DETECTIONS: Detections(box, np.ones(1, np.float32), np.zeros(1, np.int32), names)}


def fit(outputs, about, size):
    return Brightest(outputs[0].name) if outputs[0].shape == (1, 4) and outputs[0].name == "brightest" else None
"""


DEPTH = """
from dataclasses import dataclass

import numpy as np

from ...drawing.canvas import Layer
from ...packet import Key
from .base import ResultType


@dataclass(frozen=True, eq=False)
class DepthMap:
    metres: np.ndarray  # float32 [H, W]


DEPTH = Key("depth", DepthMap)


class DepthResults(ResultType[DepthMap]):
    key, field = DEPTH, "depth"
    schema = {
        "required": ["nearest", "metres"],
        "properties": {
            "nearest": {"type": "number"},
            "metres": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
        },
    }

    def write(self, items, value):
        items.append({"nearest": float(value.metres.min()), "metres": value.metres.tolist()})

    def read(self, items, model, size):
        return DepthMap(np.array(items[0]["metres"], np.float32)) if items else None

    def rows(self, record, items):
        height, width = record.size
        return [{"box": [0, 0, width, height], "nearest": item["nearest"]} for item in items]

    def draw(self, value, style):
        ids = np.digitize(value.metres, np.arange(1, 100)).astype(np.int32) + 1
        colors = np.repeat(np.linspace(255, 0, 101).astype(np.uint8)[:, None], 3, axis=1)
        yield Layer.SURFACE, lambda canvas: canvas.segments(ids, colors, style.mask_opacity)

    def summary(self, value):
        return [f"{value.metres.min():.1f} m away"]
"""

ENLARGED = """
from ...packet import Key
from ...types.picture import Picture
from .base import ResultType

ENLARGED = Key("enlarged", Picture)


class EnlargedResults(ResultType[Picture]):
    key, field, marked = ENLARGED, "pictures", False
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
    "depth": """
from ....pipeline.results.result_types.depth import DEPTH as KEY, DepthMap


def made(array, frame):
    return DepthMap(np.tile(array.reshape(1, -1)[:, : frame[1]], (frame[0], 1)))
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

from ....stages.inference.infer import copy_all
{gives}

@dataclass(frozen=True)
class Giving:
    output: str
    kind, task, class_count, point_names, gives = KEY.name, "a dummy", 0, (), (KEY,)

    def select_outputs(self, choices):
        return copy_all

    def decode(self, raw, frame, choices, names):
        return {{KEY: made(raw.arrays[self.output], frame)}}


def fit(outputs, about, size):
    return Giving(outputs[0].name) if about.head == KEY.name else None
"""

COLUMNS = """
from dataclasses import dataclass, replace

import numpy as np

from ..pipeline.packet import DETECTIONS


@dataclass(frozen=True)
class Describe:
    name = "describe"
    stateless = True
    amends = frozenset({DETECTIONS})

    def open(self): ...

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

    def end_stream(self, stream_id, reason):
        return ()

    def close(self): ...
"""

OPTION = {
    "pipeline/options.py": (
        '    OptionRow("labels"',
        '''    OptionRow("min_side", COUNT, None, "drop boxes whose shorter side is below this", "model",
              f"{_RUN} --min-side 9", "PIXELS", in_header=True),
    OptionRow("labels"''',
    ),
    "models/run.py": (
        "    nms: str | None = None,\n",
        "    nms: str | None = None,\n    min_side: int | None = None,\n",
    ),
    "models/load.py": (
        "    nms: str | None = None,\n",
        "    nms: str | None = None,\n    min_side: int | None = None,\n",
    ),
    "models/options.py": (
        "    nms: str | None = None\n",
        "    nms: str | None = None\n    min_side: int | None = None\n",
    ),
}
"""The row, the two signatures, and what uses it: postprocessing. File -> a text that it has, and what becomes of it."""

USE_OPTION = """
import json, sys
sys.path.insert(0, sys.argv[1])
import vidgraph
from generate_cli import cli_page
from vidgraph.cli import build_parser, main

assert "`--min-side PIXELS` | drop boxes whose shorter side is below this |" in cli_page()
given = dict(size=64, precision="fp32")
with vidgraph.load_model("yolact-edge-tiny", min_side=9, **given) as model:
    assert model.choices.min_side == 9
vidgraph.run("synth:street?frames=1&size=64x64", min_side=9, outputs="python.jsonl", **given).wait()
words = ["--min-side", "9", "--size", "64", "--precision", "fp32", "-q"]
assert main(["run", "synth:street?frames=1&size=64x64", "-o", "command.jsonl", *words]) == 0
for name in ("python.jsonl", "command.jsonl"):
    assert json.loads(open(name).readline())["settings"]["min_side"] == 9
for wrong in (dict(min_side=0), dict(min_side=9, head="raw")):
    try:
        vidgraph.load_model("yolact-edge-tiny", **wrong)
    except vidgraph.VidgraphError as error:
        print(error)
main(["run", "--help"])
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose sub-folders kernels, stages, engines and models count as those of the package."""
    for name in (
        "kernels", "stages/sources", "stages/sinks", "engines", "models/custom/heads", "pipeline/results/result_types",
    ):  # fmt: skip
        for folder in (Path(name), *Path(name).parents[:-1]):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            module = importlib.import_module(".".join(["vidgraph", *folder.parts]))
            monkeypatch.setattr(module, "__path__", [*module.__path__, str(tmp_path / folder)])
    yield tmp_path
    for name in [name for name, module in sys.modules.items() if _lies_in(module, tmp_path)]:
        del sys.modules[name]


def _lies_in(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and folder in Path(file).parents


def test_a_stage_is_a_file(place: Path) -> None:
    (place / "stages" / "keep_first.py").write_text(STAGE, "utf-8")
    stage = importlib.import_module("vidgraph.stages.keep_first").KeepFirst()
    boxes = np.array([[0, 0, 4, 4], [1, 1, 2, 2]], np.float32)
    found = Detections(boxes, np.array([0.9, 0.8], np.float32), np.zeros(2, np.int32), ("face",))
    frame = Frame("one", 0, 0, 0, 0, Picture.from_rgb(np.zeros((8, 8, 3), np.uint8)))
    (packet,) = stage.process(Packet(frame).with_item(DETECTIONS, found))
    assert len(packet[DETECTIONS]) == 1


def test_a_source_is_a_file_and_a_row(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from vidgraph.cli import main
    from vidgraph.stages.session import Policy, Session, SessionOptions
    from vidgraph.stages.sources import kinds
    from vidgraph.stages.sources.registry import open_source

    (place / "stages" / "sources" / "gray.py").write_text(SOURCE, "utf-8")
    row = kinds.SourceKind(
        "gray:N (gray frames)", lambda text, exists: text.startswith("gray:"), ".gray:open_gray", "gray:N"
    )
    monkeypatch.setattr(kinds, "SOURCES", (*kinds.SOURCES, row))
    assert kinds.short_kinds().endswith("-, synth:street or gray:N")
    with pytest.raises(vidgraph.VidgraphError, match=r"synth:faces \(drawn\), gray:N \(gray frames\)$"):
        open_source("ftp://host/a.mp4")
    with pytest.raises(vidgraph.VidgraphError, match="gray:few: how many frames"):
        open_source("gray:few")
    out = place / "out.jsonl"
    run = vidgraph.run("wall=gray:3", model="retinaface-tiny", outputs=str(out), policy="lossless")
    assert run.wait().frames == 3
    recorded = vidgraph.read_results(out)
    assert recorded.header["sources"][0]["stream"] == "wall"
    assert main(["run", "gray:2", "--model", "retinaface-tiny", "-o", str(place / "two.mp4"), "-q"]) == 0
    cases: tuple[tuple[Policy | None, int], ...] = ((None, 1), ("lossless", 4))
    for policy, requests in cases:  # the budget of a live source, which says so itself
        session = Session.open("gray:1", [], SessionOptions(threads=4, policy=policy))
        assert session.budget.requests == requests
        session.close()


def test_a_sink_is_a_file_and_a_row(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vidgraph.stages.sinks import kinds

    (place / "stages" / "sinks" / "counts.py").write_text(SINK, "utf-8")
    row = kinds.SinkKind(
        name="counts", help="file.txt (objects a frame)", short=".txt", open=".counts:open_counts", suffixes=(".txt",)
    )
    monkeypatch.setattr(kinds, "SINKS", (*kinds.SINKS, row))
    assert kinds.short_kinds().endswith(", http://…, .txt")
    with pytest.raises(vidgraph.VidgraphError, match=r"a browser\), file.txt \(objects a frame\)$"):
        kinds.kind_of("out.xyz")
    out = place / "out.txt"
    source = "synth:street?frames=3&size=320x192"
    vidgraph.run(source, outputs=str(out)).wait()
    assert len(out.read_text("utf-8").split()) == 3
    with pytest.raises(vidgraph.VidgraphError, match=r"out.txt exists already"):
        vidgraph.run(source, outputs=str(out))
    with pytest.raises(vidgraph.VidgraphError, match="cannot hold 2 streams"):
        vidgraph.run([source, f"b={source}"], outputs=str(place / "both.txt"))
    with pytest.raises(vidgraph.VidgraphError, match=r"an output of file.txt .* cannot be gone on with"):
        vidgraph.run(source, outputs=[str(place / "other.txt"), str(place / "out.jsonl")], resume=True)


def test_an_engine_is_a_file_and_a_row(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vidgraph.engines.open import ENGINES, EngineRow, open_engine

    (place / "engines" / "dummy.py").write_text(ENGINE, "utf-8")
    monkeypatch.setitem(ENGINES, "dummy", EngineRow("dummy", ".dummy", package="numpy", extra="dummy"))
    network = place / "network.onnx"
    network.write_bytes(b"")
    engine = open_engine(network, engine="dummy")
    feeds = {"x": np.array([[1, 2]], np.float32)}
    np.testing.assert_array_equal(engine.run(feeds)["x"], feeds["x"])
    with pytest.raises(vidgraph.VidgraphError, match="input 'x'"):
        engine.run({"x": np.zeros((2, 2), np.float32)})


def test_a_family_is_a_folder_and_a_line(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="a checkpoint is read with torch")
    from vidgraph.models.registry import MODELS, variants_of

    (place / "models" / "dummy").mkdir()
    for name, text in {"__init__": "", "family": FAMILY, "variants": VARIANTS}.items():
        (place / "models" / "dummy" / f"{name}.py").write_text(text, "utf-8")
    (row,) = variants_of("dummy")
    monkeypatch.setitem(MODELS, row.name, row)
    monkeypatch.setenv("VIDGRAPH_CACHE", str(place / "cache"))
    weights = place / "dummy.pth"
    torch.save({"mix.weight": torch.full((1, 3, 1, 1), 1 / 3), "mix.bias": torch.zeros(1)}, weights)
    with vidgraph.load_model("dummy", weights=weights, precision="fp32") as model:
        result = model(np.full((24, 32, 3), 51, np.uint8))
    assert [row.class_name for row in result.detections] == ["bright"]
    np.testing.assert_allclose(result.detections.scores, [0.2], atol=1e-3)
    _is_evaluated_and_not_trained(weights, place)


def _is_evaluated_and_not_trained(weights: Path, place: Path) -> None:
    """By the protocol of its row, beside the published figures of its row; without a training it is refused."""
    from vidgraph.pipeline.ground_truth import Truth
    from vidgraph.training.evaluation import evaluate
    from vidgraph.training.settings import TrainSettings
    from vidgraph.training.train import train

    from .training.evaluation.scenes import Scene

    bright = Detections(
        np.array([[0, 0, 1, 1]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int32), ("bright",)
    )
    scene = Scene({"clip": [Truth.of(bright)]}, class_names=("bright",))
    report = evaluate("dummy", scene, protocol="official", weights=weights)
    assert report.figures.values["box AP"] == 1.0
    assert report.figures.notes[0] == "official: as this test does it"
    assert "0.9000 published (the author's pictures)" in report.table()
    with pytest.raises(vidgraph.VidgraphError, match=r"^dummy cannot be trained here; models that can: retinaface, "):
        train("dummy", "synth:street", place / "run", TrainSettings(steps=1))
    assert not (place / "run").exists()


def test_a_head_is_a_file_and_a_row(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vidgraph.models.custom.heads import HEADS

    from .models.custom.planted import write_network

    (place / "models" / "custom" / "heads" / "dummy.py").write_text(HEAD, "utf-8")
    monkeypatch.setitem(HEADS, "dummy", ".dummy")
    monkeypatch.setenv("VIDGRAPH_CACHE", str(place / "cache"))
    box = np.array([[1, 2, 3, 4]], np.float32)
    toml = '[input]\nfit = "stretch"\nmean = [0, 0, 0]\nstd = [1, 1, 1]'
    path = write_network(place / "my.onnx", {"brightest": box}, size=(8, 8), toml=toml)
    with vidgraph.load_model(str(path), head="dummy", labels=["bright"]) as model:
        result = model(np.zeros((16, 32, 3), np.uint8))
    assert [row.class_name for row in result.detections] == ["bright"]
    np.testing.assert_array_equal(result.detections.boxes, [[4, 4, 12, 8]])


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
    from vidgraph.pipeline.results.format import schema

    jsonschema = pytest.importorskip("jsonschema", reason="checking the schema needs jsonschema")
    validator = jsonschema.Draft202012Validator(schema())
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

    model = str(network("depth", DEPTH))
    depth = importlib.import_module("vidgraph.pipeline.results.result_types.depth").DEPTH
    whole, lines, drawn = tmp_path / "whole.jsonl", tmp_path / "out.jsonl", tmp_path / "drawn" / "%06d.png"
    options: dict[str, Any] = {
        "model": model,
        "head": "depth",
        "precision": "fp32",
        "engine": "onnxruntime",
        "every": 2,
    }
    results: list[vidgraph.FrameResult] = []
    vidgraph.run(clip, outputs=[whole, drawn, results.append], **options).wait()
    assert results[0][depth].metres.shape == (48, 64)
    assert "1.0 m away" in repr(results[0])
    assert results[0].to_dict()["depth"][0]["nearest"] == 1.0
    header, *frames = _lines(whole)
    assert header["models"][0]["depth"] is True
    assert [frame.get("held_from") for frame in frames] == [None, 0, None, 2, None, 4]
    assert all(len(frame["depth"][0]["metres"]) == 48 for frame in frames)
    assert (_pixels(tmp_path / "drawn" / "000000.png") > 80).all()  # the picture is black
    for record, result in zip(vidgraph.read_results(whole), results, strict=True):
        np.testing.assert_array_equal(record.result(depth).metres, result[depth].metres)
    draw(clip, whole, outputs=[tmp_path / "again" / "%06d.png"]).wait()
    for path in sorted((tmp_path / "drawn").iterdir()):
        np.testing.assert_array_equal(_pixels(tmp_path / "again" / path.name), _pixels(path))
    table = convert(whole, "csv", tmp_path / "table.csv").read_text("utf-8").splitlines()
    assert table[0].endswith("file,nearest")
    assert [row.split(",")[-1] for row in table[1:]] == ["1.0"] * 6
    annotations = json.loads(convert(whole, "coco-results", tmp_path / "coco.json").read_text("utf-8"))
    assert [(one["bbox"], one["nearest"]) for one in annotations] == [([0, 0, 64, 48], 1.0)] * 6
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
    assert [line["pictures"] for line in _lines(lines)[1:]] == [[{"size": [128, 96]}]] * 4
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
    assert frames[2]["objects"][1]["embedding"] == [0.42857, 0.57143, 0.71429]
    assert frames[2]["objects"][1]["worn"] is False
    found = results[2].detections
    assert [(row.data["color"], row.data["embedding"].shape) for row in found] == [("=red", (3,)), ("blue", (3,))]
    np.testing.assert_array_equal(found[[1]].data["embedding"], found.data["embedding"][1:])
    for record, result in zip(vidgraph.read_results(whole), results, strict=False):
        assert record.detections.data.keys() == (result.detections.data.keys() if record.index else set())
        for name, column in record.detections.data.items():
            expected = result.detections.data[name]
            assert column.dtype.kind == expected.dtype.kind
            if column.dtype.kind == "f":
                np.testing.assert_allclose(column, expected, atol=1e-5)
            else:
                np.testing.assert_array_equal(column, expected)
    table = convert(whole, "csv", tmp_path / "table.csv").read_text("utf-8").splitlines()
    assert table[0].endswith("file,color,embedding_1,embedding_2,embedding_3," + _numbered("corners", 8) + ",worn")
    assert table[2].split(",")[19:23] == ["'=red", "0.0", "0.14286", "0.28571"]
    annotations = json.loads(convert(whole, "coco-results", tmp_path / "coco.json").read_text("utf-8"))
    assert [one["color"] for one in annotations[:3]] == ["=red", "=red", "blue"]
    shown = [tmp_path / name / "%06d.png" for name in ("drawn", "again")]
    vidgraph.Graph(open_source(clip), [detect, describe, Draw()], [open_sink(shown[0])]).run()
    replay = ReplayResults(vidgraph.read_results(whole))
    vidgraph.Graph(open_source(clip), [replay, Draw()], [open_sink(shown[1])]).run()
    for path in sorted((tmp_path / "drawn").iterdir()):
        np.testing.assert_array_equal(_pixels(tmp_path / "again" / path.name), _pixels(path))


def _numbered(name: str, count: int) -> str:
    return ",".join(f"{name}_{number}" for number in range(1, count + 1))


def test_an_option_is_a_row_a_signature_and_its_use(tmp_path: Path) -> None:
    """In a package whose other files are links to the real ones."""
    package = Path(vidgraph.__file__).parent
    link_all(package, tmp_path / "vidgraph")
    for folder in ("pipeline", "models"):
        (tmp_path / "vidgraph" / folder).unlink()
        link_all(package / folder, tmp_path / "vidgraph" / folder)
    for name, (before, after) in OPTION.items():
        file = tmp_path / "vidgraph" / name
        text = file.read_text("utf-8")
        assert text.count(before) == 1, name
        file.unlink()
        file.write_text(text.replace(before, after), "utf-8")
    run = subprocess.run(
        [sys.executable, "-c", USE_OPTION, str(package / "docs")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "VIDGRAPH_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "min_side must be at least 1, got 0" in run.stdout
    assert "min_side cannot be given with head 'raw'" in run.stdout
    assert "--min-side PIXELS     drop boxes whose shorter side is below this" in run.stdout


def link_all(source: Path, target: Path) -> None:
    """A folder of links to everything in another."""
    target.mkdir()
    for each in source.iterdir():
        if each.name != "__pycache__":
            (target / each.name).symlink_to(each)


def test_a_kernel_is_a_folder_and_a_line(tmp_path: Path) -> None:
    """Builds the dummy alone: the other kernels are left out, folders and lines, to save their time."""
    for tool in ("nanobind",):
        pytest.importorskip(tool, reason=f"building a kernel needs {tool}")
    cmake = shutil.which("cmake", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if cmake is None:
        pytest.skip("building a kernel needs cmake")
    root = tmp_path / "checkout"
    shutil.copytree(ROOT / "kernels" / "native", root / "kernels" / "native")
    for name in ("__init__.py", "py.typed"):
        shutil.copy(ROOT / name, root / name)
    folder = root / "kernels" / "dummy"
    folder.mkdir()
    for name, text in KERNEL.items():
        (folder / name).write_text(text, "utf-8")
    shutil.copy(ROOT / "CMakeLists.txt", root)
    _build(cmake, root)
    for file in (ROOT / "kernels").glob("*.py"):
        shutil.copy(file, root / "kernels")
    listed = (ROOT / "kernels" / "__init__.py").read_text("utf-8").splitlines(keepends=True)
    others = [f"from .{path.parent.name} import *\n" for path in (ROOT / "kernels").glob("*/bind.cpp")]
    place = listed.index(others[0])
    kept = [line for line in [*listed[:place], "from .dummy import *\n", *listed[place:]] if line not in others]
    (root / "kernels" / "__init__.py").write_text("".join(kept), "utf-8")
    for built in (root / "build").glob("_native*.so"):
        shutil.copy(built, root / "kernels")
    code = (
        "import numpy as np; from kernels import dummy; from kernels.dummy.reference import dummy_reference\n"
        "values = np.arange(5, dtype=np.float32)\n"
        "np.testing.assert_array_equal(dummy(values), dummy_reference(values))"
    )
    for isa in ("", "baseline"):
        run = subprocess.run(
            [sys.executable, "-c", code],
            cwd=root,
            env={**os.environ, "VIDGRAPH_ISA": isa},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert run.returncode == 0, run.stderr
    (root / "table.py").write_text(TABLE, "utf-8")
    found = attack(root / "table.py", 0, tmp_path, env={**os.environ, "PYTHONPATH": str(root)})
    assert found["complaints"] == []
    assert found["counts"]["dummy"] > 100


def _build(cmake: str, root: Path) -> None:
    """Configure and build in ``root/build``, with this interpreter."""
    configure = [cmake, "-S", ".", "-B", "build", f"-DPython_EXECUTABLE={sys.executable}", "-DCMAKE_BUILD_TYPE=Debug"]
    for command in (configure, [cmake, "--build", "build", "--parallel", "2"]):
        run = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=240, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
