"""docs/adding.md holds: a dummy of each kind is added in one place and with one line."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import vidgraph
from vidgraph import DETECTIONS, Detections, Frame, Packet, Picture
from vidgraph.kernels import to_device
from vidgraph.kernels.cuda import driver
from vidgraph.kernels.twins import TWINS

from . import emulator
from .kernels.cases import CUDA
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

TWIN = {
    "dummy.cu": """
#include "../native/cuda.h"
namespace vidgraph {
CUDA_KERNEL(128) dummy_double(const float* values, int count, float* out) {
  const int i = static_cast<int>(global_index());
  if (i < count) out[i] = values[i] * 2.f;
}
}  // namespace vidgraph
""",
    "cuda.py": """
from ctypes import c_int
from ..cuda.driver import blocks_for, launch
from ..cuda.memory import empty

def dummy(values):
    out = empty(values.shape, values.dtype, values.device)
    launch("dummy_double", values.device, 128, blocks_for(len(values), 128), values, c_int(len(values)), out)
    return out
""",
    "__init__.py": """
import numpy as np
from ..arrays import require
from ..device import HOST
from ..twins import twin

def dummy(values):
    device = require(values, "dummy: values", np.float32, (None,))
    return values * 2 if device is HOST else twin(dummy, device)(values)
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
    updates = frozenset({DETECTIONS})

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
    assert kinds.short_kinds().endswith(", synth:street or gray:N")
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
    assert kinds.short_kinds().endswith(", srt://…, .txt")
    with pytest.raises(vidgraph.VidgraphError, match=r"srt://HOST:PORT \(video\), file.txt \(objects a frame\)$"):
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


def test_a_kernel_of_a_card_is_two_files_and_a_row(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if emulator.compiler() is None:
        pytest.skip("running a CUDA kernel on the CPU needs a C++ compiler")
    folder = place / "kernels" / "dummy"
    folder.mkdir()
    shutil.copytree(ROOT / "kernels" / "native", place / "kernels" / "native")
    for name, text in TWIN.items():
        (folder / name).write_text(text, "utf-8")
    dummy = importlib.import_module("vidgraph.kernels.dummy").dummy
    monkeypatch.setattr(driver, "_drivers", [emulator.EmulatedDriver(extra=(folder / "dummy.cu",))])
    with pytest.raises(ValueError, match=r"^dummy: there is no such kernel for arrays on cuda:0"):
        dummy(to_device(np.zeros(3, np.float32), CUDA))
    monkeypatch.setitem(TWINS, ("dummy", "cuda"), ".dummy.cuda")
    for count in (0, 1, 127, 129, 1000):
        values = np.arange(count, dtype=np.float32)
        np.testing.assert_array_equal(dummy(to_device(values, CUDA)).to_host(), dummy(values))


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
    folders = [path.parent.name for path in (ROOT / "kernels").glob("*/__init__.py")]
    others = [line for line in listed if line in [f"from .{folder} import *\n" for folder in folders]]
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
    configure.append("-DVIDGRAPH_CUDA=OFF")
    for command in (configure, [cmake, "--build", "build", "--parallel", "2"]):
        run = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=240, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
