"""A small network with known answers, the engines that must run it, and a cache of the tests' own."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from vidgraph.engines import ENGINES, Engine, ReplayEngine, TensorSpec, open_engine

from ..material import CPU_ENGINES

Arrays = dict[str, np.ndarray]
NETWORK = "conv_relu.onnx"
ENGINE_NAMES = [*CPU_ENGINES, "torch", "replay"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a cache of its own; nobody's real one is read or written."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("VIDGRAPH_CACHE", str(folder))
    monkeypatch.delenv("VIDGRAPH_CACHE_MAX", raising=False)
    return folder


@pytest.fixture
def cpu_engines_alone() -> Iterator[None]:
    """Whatever else is installed here; the table keeps its order."""
    rows = dict(ENGINES)
    for name in ENGINES.keys() - CPU_ENGINES:
        del ENGINES[name]
    yield
    ENGINES.clear()
    ENGINES.update(rows)


@pytest.fixture(scope="session")
def tolerance() -> Callable[[str], float]:
    """A value of the one table of tolerances."""
    table = runpy.run_path(str(Path(__file__).parent.parent / "tolerances.py"))["TOLERANCES"]
    return lambda name: float(table[name][0])


@dataclass(frozen=True)
class ConvRelu:
    """``features = relu(conv3x3(image) + bias)``, ``means`` = its mean over rows and columns."""

    batch: int = 1
    height: int = 24
    width: int = 20

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return (TensorSpec("image", np.dtype(np.float32), (self.batch, 3, self.height, self.width)),)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        float32 = np.dtype(np.float32)
        return (
            TensorSpec("features", float32, (self.batch, 4, self.height, self.width)),
            TensorSpec("means", float32, (self.batch, 4, 1, 1)),
        )

    def parameters(self) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng(7)
        return random.normal(0, 0.2, (4, 3, 3, 3)).astype(np.float32), random.normal(0, 0.2, 4).astype(np.float32)

    def write(self, folder: Path, name: str = NETWORK, dynamic: bool = False) -> Path:
        helper, kind = onnx.helper, onnx.TensorProto.FLOAT
        weight, bias = self.parameters()

        def tensor(spec: TensorSpec) -> Any:
            shape = ["batch", *spec.shape[1:]] if dynamic else list(spec.shape)
            return helper.make_tensor_value_info(spec.name, kind, shape)

        graph = helper.make_graph(
            [
                helper.make_node("Conv", ["image", "weight", "bias"], ["sums"], pads=[1, 1, 1, 1]),
                helper.make_node("Relu", ["sums"], ["features"]),
                helper.make_node("GlobalAveragePool", ["features"], ["means"]),
            ],
            "conv_relu",
            [tensor(spec) for spec in self.inputs],
            [tensor(spec) for spec in self.outputs],
            [onnx.numpy_helper.from_array(weight, "weight"), onnx.numpy_helper.from_array(bias, "bias")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        path = folder / name
        path.write_bytes(model.SerializeToString())
        return path

    def image(self, seed: int) -> np.ndarray:
        shape = self.inputs[0].shape
        return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)

    def answer(self, image: np.ndarray) -> Arrays:
        """The definition, in float64."""
        weight, bias = self.parameters()
        padded = np.pad(image.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
        sums = np.zeros(self.outputs[0].shape) + bias[None, :, None, None]
        for y in range(3):
            for x in range(3):
                window = padded[:, :, y : y + self.height, x : x + self.width]
                sums += np.einsum("oc,nchw->nohw", weight[:, :, y, x].astype(np.float64), window)
        features = np.maximum(sums, 0)
        means = features.mean(axis=(2, 3), keepdims=True)
        return {"features": features.astype(np.float32), "means": means.astype(np.float32)}


@pytest.fixture(scope="session")
def conv() -> ConvRelu:
    return ConvRelu()


@pytest.fixture(scope="session")
def network(conv: ConvRelu, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return conv.write(tmp_path_factory.mktemp("network"))


@pytest.fixture(scope="session")
def make_conv() -> type[ConvRelu]:
    return ConvRelu


@pytest.fixture(scope="session")
def network_for(network: Path, conv: ConvRelu) -> Callable[[str], Path]:
    """The network as the file that an engine takes; skips where the engine is not installed."""

    def find(name: str) -> Path:
        row = ENGINES[name]
        if not row.installed:
            pytest.skip(f"needs the package {row.package}")
        path = network.with_suffix(row.network)
        if not path.exists():
            from .torch.programs import write_conv

            write_conv(conv, path)
        return path

    return find


Opener = Callable[..., Engine]


@pytest.fixture(params=ENGINE_NAMES)
def open_one(
    request: pytest.FixtureRequest, network: Path, network_for: Callable[[str], Path], conv: ConvRelu
) -> Iterator[Opener]:
    """Opens the network on one engine; ``images`` are what will be asked, in order (for the replay engine)."""
    name, opened = request.param, []

    def open_it(*, images: list[np.ndarray] | None = None, **options: Any) -> Engine:
        if name == "replay":
            answers = {id(image): conv.answer(image) for image in {id(image): image for image in images or []}.values()}
            recorded = [answers[id(image)] for image in images or []]
            engine: Engine = ReplayEngine(conv.inputs, conv.outputs, recorded, name=network.name)
        else:
            engine = open_engine(network_for(name), engine=name, **{"precision": "fp32", **options})
        opened.append(engine)
        return engine

    yield open_it
    for engine in opened:
        engine.close()
