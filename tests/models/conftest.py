"""Golden cases, checkpoints made of them, and a cache that the tests of models share."""

from __future__ import annotations

import importlib.util
import runpy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.benchmarks.soak import repeat_clip

from ..waiting import until_no_thread_is_left

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
def camera(face_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of minutes: it is played at its own pace, as a camera's would be."""
    return repeat_clip(face_clip, tmp_path_factory.mktemp("long") / "long.mp4", frames=4000)


@pytest.fixture
def no_thread_is_left() -> Iterator[None]:
    """After the test."""
    yield
    until_no_thread_is_left()


@pytest.fixture(scope="session")
def torch() -> Any:
    """The torch module; skips where it is missing."""
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
    "yolact-edge-resnet50": "yolact_edge_resnet50",
    "yolact-edge-vid-resnet50": "yolact_edge_vid_resnet50",
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
        from vidgraph.models.registry import find_model
        from vidgraph.models.weights.checkpoint import network_shapes

        if model not in made:
            weights = parity["seeded_weights"](model, network_shapes(find_model(model)))
            made[model] = tmp_path_factory.mktemp("seeded") / f"{model}.pth"
            torch.save({key: torch.from_numpy(array) for key, array in weights.items()}, made[model])
        return made[model]

    return make


@pytest.fixture(scope="session")
def exported(seeded_checkpoint: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``retinaface-slim`` with seeded weights as an exported file: what a machine without torch has."""
    from vidgraph.models.export.export import export

    path = tmp_path_factory.mktemp("exported") / "slim.onnx"
    return export("retinaface-slim", seeded_checkpoint("retinaface-slim"), (64, 96), path=path)


@dataclass(frozen=True)
class YolactFrame:
    """One frame of a YolactEdge golden case, computed here by the torch network in fp32.

    ``expected`` is the golden file; ``raw`` are the outputs under the names of the graphs (the state too, on key
    frames); ``taps`` are the levels on the way, under the names of the golden files.
    """

    model: str
    expected: Arrays
    raw: Arrays
    taps: Arrays


@pytest.fixture(scope="session")
def yolact_images(shared: Callable[[str], Path], torch: Any) -> Arrays:
    """The frames (BGR), and their official preprocessing in torch: float32 [3, 3, 550, 550]."""
    with np.load(shared("golden/inputs.npz")) as file:
        inputs = {key: file[key] for key in file.files}
    frames = torch.from_numpy(inputs["frames_bgr_u8"]).permute(0, 3, 1, 2).float()
    resized = torch.nn.functional.interpolate(frames, size=(550, 550), mode="bilinear", align_corners=False)
    mean, std = torch.tensor([103.94, 116.78, 123.68]), torch.tensor([57.38, 57.12, 58.40])
    images = ((resized - mean[:, None, None]) / std[:, None, None]).flip(1)
    return {**inputs, "images": np.ascontiguousarray(images.numpy())}


@pytest.fixture(scope="session")
def yolact_frames(
    golden: Callable[[str], Golden], checkpoint: Callable[[str], Path], yolact_images: Arrays, torch: Any
) -> dict[str, YolactFrame]:
    """Every frame of every golden case, by case and frame number (``vid/0``, ``nospa/1``, ``image/0``)."""
    from vidgraph.models import find_model
    from vidgraph.models.weights.checkpoint import load_network

    probe = runpy.run_path(str(Path(__file__).parent / "yolact_probe.py"))
    images = [torch.from_numpy(image[None]) for image in yolact_images["images"]]
    video, still = "yolact-edge-vid-resnet50", "yolact-edge-resnet50"
    frames: dict[str, YolactFrame] = {}
    with torch.no_grad():
        network = load_network(find_model(video), checkpoint(video))
        raw, taps = probe["key_frame"](network, images[0])
        state = tuple(torch.from_numpy(raw[name]) for name in ("state_p4", "state_p5", "state_pre"))
        frames["vid/0"] = YolactFrame(video, golden(video).load("frame0"), raw, taps)
        for case, folder in (("vid", golden(video).folder), ("nospa", golden(video).folder.with_name(NO_SPA))):
            if case == "nospa":
                network.spa = None
            for index in (1, 2):
                raw, taps = probe["non_key_frame"](network, images[index], state)
                frames[f"{case}/{index}"] = YolactFrame(video, Golden(video, folder).load(f"frame{index}"), raw, taps)
        raw, taps = probe["image"](load_network(find_model(still), checkpoint(still)), images[0])
        frames["image/0"] = YolactFrame(still, golden(still).load("frame0"), raw, taps)
    return frames


NO_SPA = "yolact_edge_vid_resnet50_nospa"
