"""Golden cases, checkpoints made of them, and a cache that the tests of models share."""

from __future__ import annotations

import importlib.util
import runpy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="session")
def cache_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(cache_of_the_session: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nobody's real cache is read or written; exports are shared between tests, for they take seconds."""
    monkeypatch.setenv("VIDGRAPH_CACHE", str(cache_of_the_session))
    monkeypatch.delenv("VIDGRAPH_CACHE_MAX", raising=False)
    return cache_of_the_session


@pytest.fixture(scope="session")
def torch() -> Any:
    """The torch module, with onnx beside it; skips where they are missing."""
    pytest.importorskip("onnx", reason="needs onnx to export (the extra 'torch')")
    module = pytest.importorskip("torch", reason="needs torch to read checkpoints (the extra 'torch')")
    module.set_num_threads(2)
    return module


@dataclass(frozen=True)
class Golden:
    """One golden case: the model it belongs to, its folder and its raw outputs."""

    model: str
    folder: Path

    def load(self, name: str) -> Arrays:
        with np.load(self.folder / f"{name}.npz") as file:
            return {key: file[key] for key in file.files}

    @property
    def raw(self) -> Arrays:
        (path,) = self.folder.glob("raw_*.npz")
        return self.load(path.stem)


CASES = {
    "retinaface": "retinaface_mobilenet0.25_leaky",
    "retinaface-1mb": "retinaface_mobilenet0.25_1mb",
    "retinaface-resnet50": "retinaface_resnet50",
}


@pytest.fixture(scope="session")
def golden(shared: Callable[[str], Path]) -> Callable[[str], Golden]:
    return lambda model: Golden(model, shared(f"golden/{CASES[model]}"))


@pytest.fixture(scope="session")
def checkpoint(
    golden: Callable[[str], Golden], shared: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory, torch: Any
) -> Callable[[str], Path]:
    """The file of weights that belongs to a golden case; that of the large random one is made here."""
    made: dict[str, Path] = {}

    def find(model: str) -> Path:
        stored = golden(model).folder / "state_dict.pth"
        if stored.exists():
            return stored
        if model not in made:
            spec = importlib.util.spec_from_file_location("golden_recipe", shared("golden/recipe.py"))
            assert spec is not None
            assert spec.loader is not None
            recipe = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(recipe)
            arrays = recipe.load_weights(golden(model).folder)
            made[model] = tmp_path_factory.mktemp("weights") / f"{model}.pth"
            tensors = {f"module.{key}": torch.from_numpy(np.array(array)) for key, array in arrays.items()}
            torch.save({"state_dict": tensors, "epoch": 1}, made[model])
        return made[model]

    return find


@pytest.fixture(scope="session")
def photo(shared: Callable[[str], Path]) -> Callable[[str], np.ndarray]:
    """A photo as RGB, uint8 [H, W, 3]."""
    from PIL import Image

    def read(name: str) -> np.ndarray:
        (path,) = shared("golden/photos").glob(f"{name}.*")
        return np.asarray(Image.open(path).convert("RGB"))

    return read


@pytest.fixture(scope="session")
def parity() -> dict[str, Any]:
    """The functions that make the parity files."""
    return runpy.run_path(str(Path(__file__).parent / "parity" / "make.py"))


@pytest.fixture(scope="session")
def seeded_checkpoint(
    parity: dict[str, Any], tmp_path_factory: pytest.TempPathFactory, torch: Any
) -> Callable[[str], Path]:
    """A checkpoint with seeded weights, of any model, without anything beside the checkout."""
    made: dict[str, Path] = {}

    def make(model: str) -> Path:
        from vidgraph.models.checkpoint import network_shapes
        from vidgraph.models.registry import find_model

        if model not in made:
            weights = parity["seeded_weights"](model, network_shapes(find_model(model)))
            made[model] = tmp_path_factory.mktemp("seeded") / f"{model}.pth"
            torch.save({key: torch.from_numpy(array) for key, array in weights.items()}, made[model])
        return made[model]

    return make


@pytest.fixture(scope="session")
def exported(seeded_checkpoint: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``retinaface-slim`` with seeded weights as an exported file: what a machine without torch has."""
    from vidgraph.models import export

    path = tmp_path_factory.mktemp("exported") / "slim.onnx"
    return export("retinaface-slim", seeded_checkpoint("retinaface-slim"), (64, 96), path=path)
