"""docs/adding.md holds for models: a dummy family, head and option are added in one place and with one line each."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import vidgraph
from vidgraph import Detections

from .test_adding import ROOT, place as place  # place: a fixture

FAMILY = """
import numpy as np
from torch import nn

from ...pipeline.packet import DETECTIONS
from ...pipeline.stage import Stage
from ...pipeline.types.detections import Detections
from ...stages.inference.infer import copy_outputs
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
        return copy_outputs

    def postprocess(self, name, choices, *, raw, keys, stage_name):
        return Postprocess(raw, keys)


FAMILY = BrightnessFamily()
"""

VARIANTS = """
from ..variant import Variant, Protocol, Published

VARIANTS = (
    Variant(
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
from ....stages.inference.infer import copy_outputs


@dataclass(frozen=True)
class Brightest:
    output: str
    kind, task, class_count, point_names, gives = "dummy", "the brightest place", 1, (), (DETECTIONS,)
    device_outputs = ()

    @property
    def reads(self):
        return frozenset({self.output})

    def select_outputs(self, choices):
        return copy_outputs


    def decode(self, raw, frame, choices, names):
        box = raw.affine.boxes(raw.arrays[self.output])
        return {DETECTIONS: Detections(box, np.ones(1, np.float32), np.zeros(1, np.int32), names)}


def fit(outputs, about, size):
    return Brightest(outputs[0].name) if outputs[0].shape == (1, 4) and outputs[0].name == "brightest" else None
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
    from vidgraph.pipeline.ground_truth import GroundTruth
    from vidgraph.training.evaluation import evaluate
    from vidgraph.training.settings import TrainSettings
    from vidgraph.training.train import train

    from .training.evaluation.scenes import Scene

    bright = Detections(
        np.array([[0, 0, 1, 1]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int32), ("bright",)
    )
    scene = Scene({"clip": [GroundTruth.of(bright)]}, class_names=("bright",))
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
        [sys.executable, "-c", USE_OPTION, str(ROOT / "docs")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "VIDGRAPH_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "min_side must be a whole number from 1, got 0" in run.stdout
    assert "min_side cannot be given with head 'raw'" in run.stdout
    assert re.search(r"--min-side PIXELS +drop boxes whose shorter side is below this", run.stdout)


def link_all(source: Path, target: Path) -> None:
    """A folder of links to everything in another."""
    target.mkdir()
    for each in source.iterdir():
        if each.name != "__pycache__":
            (target / each.name).symlink_to(each)
