"""docs/adding.md holds: a dummy of each kind is added in one place and with one line."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

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


@dataclass(frozen=True)
class KeepFirst:
    count: int = 1
    name = "keep_first"
    stateless = True
    amends = frozenset({DETECTIONS})

    def open(self): ...

    def process(self, packet):
        yield packet.with_item(DETECTIONS, packet[DETECTIONS][: self.count])

    def end_stream(self, stream_id, reason):
        return ()

    def close(self): ...
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
from ...pipeline.types.detections import Detections
from ...stages.inference.infer import copy_all
from ..family import Family, GraphShape, InputFormat


class Brightness(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix = nn.Conv2d(3, 1, 1)

    def forward(self, image):
        return self.mix(image)


class Postprocess:
    name, stateless = "brightness", True

    def __init__(self, raw, keys):
        self.raw, self.key = raw, keys.to(DETECTIONS)
        self.reads, self.creates = frozenset({raw}), frozenset({self.key})

    def open(self): ...

    def process(self, packet):
        level = float(packet[self.raw].arrays["level"].mean())
        box = np.array([[0, 0, 1, 1]], np.float32)
        found = Detections(box, np.array([level], np.float32), np.zeros(1, np.int32), ("bright",))
        yield packet.with_item(self.key, found)

    def end_stream(self, stream_id, reason):
        return ()

    def close(self): ...


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

    def take(self, name, choices):
        return copy_all

    def postprocess(self, name, choices, *, raw, keys, stage_name):
        return Postprocess(raw, keys)


FAMILY = BrightnessFamily()
"""

VARIANTS = """
from ..variant import ModelRow

VARIANTS = (ModelRow("dummy", (), "dummy", "brightness", "this test", "MIT", "nothing", (), False, "a dummy"),)
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

    def take(self, choices):
        return copy_all


    def decode(self, raw, frame, choices, names):
        box = raw.affine.boxes(raw.arrays[self.output])
        return {DETECTIONS: Detections(box, np.ones(1, np.float32), np.zeros(1, np.int32), names)}


def fit(outputs, about, size):
    return Brightest(outputs[0].name) if outputs[0].shape == (1, 4) and outputs[0].name == "brightest" else None
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose sub-folders kernels, stages, engines and models count as those of the package."""
    for name in ("kernels", "stages", "engines", "models", "models/custom/heads", "pipeline/results/result_types"):
        (tmp_path / name).mkdir(parents=True)
        module = importlib.import_module(f"vidgraph.{name.replace('/', '.')}")
        monkeypatch.setattr(module, "__path__", [*module.__path__, str(tmp_path / name)])
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


def test_a_kernel_is_a_folder_and_a_line(tmp_path: Path) -> None:
    """Builds the dummy alone: the other kernels' names are left out of the list to save their time."""
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
    lines = (ROOT / "CMakeLists.txt").read_text("utf-8")
    start = lines.index("set(VIDGRAPH_KERNELS")
    listed = lines[start : lines.index(")", start)]
    (root / "CMakeLists.txt").write_text(lines.replace(listed, "set(VIDGRAPH_KERNELS\n    dummy"), "utf-8")
    _build(cmake, root)
    shutil.copy(ROOT / "kernels" / "arrays.py", root / "kernels")
    (root / "kernels" / "__init__.py").write_text("from .dummy import dummy\n\n__all__ = ['dummy']\n", "utf-8")
    for built in (root / "build").glob("_native*.so"):
        shutil.copy(built, root / "kernels")
    code = (
        "import numpy as np; from kernels.dummy import dummy; from kernels.dummy.reference import dummy_reference\n"
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
