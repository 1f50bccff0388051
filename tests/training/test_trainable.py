"""A family that is trained because its row names a training and it gives what that one asks for."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")
pytest.importorskip("onnx", reason="the trained weights are exported")

from vidgraph.models.formats import GraphShape, InputFormat  # noqa: E402
from vidgraph.models.registry import MODELS  # noqa: E402
from vidgraph.models.trainable import TrainableFamily, TrainingLayout  # noqa: E402
from vidgraph.models.variant import Variant  # noqa: E402
from vidgraph.training.settings import TrainSettings  # noqa: E402
from vidgraph.training.train import train  # noqa: E402

from .shapes import Shapes  # noqa: E402

nn = torch.nn
STRIDE = 32


class OneLevel(nn.Module):  # type: ignore[misc, name-defined]
    """One anchor in each cell of one map."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.Conv2d(3, 16, STRIDE, STRIDE)

    def forward(self, image: Any) -> tuple[Any, Any, Any]:
        rows = self.cells(image).flatten(2).transpose(1, 2)
        return rows[..., :4], rows[..., 4:6].softmax(-1), rows[..., 6:]


class OneLevelFamily(TrainableFamily):
    started = 0

    def network(self, name: str) -> Any:
        return OneLevel().eval()

    def settings(self, name: str) -> dict[str, object]:
        return {}

    def input_format(self, name: str) -> InputFormat:
        return InputFormat("image", (0.0, 0.0, 0.0), (255.0, 255.0, 255.0), bgr=False, pad=(0, 0, 0), long_side=320)

    def graph_shape(self, name: str, size: tuple[int, int], batch: int, graph: str = "") -> GraphShape:
        raise AssertionError("nothing is exported here")

    def class_names(self, name: str) -> tuple[str, ...]:
        return ("face",)

    def point_names(self, name: str) -> tuple[str, ...]:
        return ()

    def start_from(self, network: Any) -> None:
        self.started += 1

    def part_of_frame(self, name: str, size: tuple[int, int]) -> float:
        return 0.8

    def training_layout(self, name: str, size: tuple[int, int]) -> TrainingLayout:
        height, width = (length // STRIDE for length in size)
        y, x = ((grid + 0.5).reshape(-1) for grid in np.indices((height, width)))
        sides = np.full_like(x, 2.0)
        priors = np.stack([x / width, y / height, sides / width, sides / height], 1)
        return TrainingLayout(priors.astype(np.float32), (0.1, 0.2))


def test_a_family_is_trained_by_what_its_row_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDGRAPH_CACHE", str(tmp_path / "cache"))
    module = ModuleType("vidgraph.models.dummy.family")
    family = module.FAMILY = OneLevelFamily()  # type: ignore[attr-defined, abstract]
    monkeypatch.setitem(sys.modules, "vidgraph.models.dummy", ModuleType("vidgraph.models.dummy"))
    monkeypatch.setitem(sys.modules, "vidgraph.models.dummy.family", module)
    row = Variant("dummy", (), "dummy", "faces", "a test", "MIT", "-", (), False, "a dummy", training="faces")
    monkeypatch.setitem(MODELS, "dummy", row)
    settings = TrainSettings(steps=20, batch=2, processes=1, threads=1, warmup=0)
    done = train("dummy", "shapes", tmp_path / "run", settings, dataset=Shapes())
    assert (done.steps, family.started) == (20, 1)
    assert {"box", "class", "points"} <= set(done.losses)
    assert all(np.isfinite(list(done.losses.values())))
    assert torch.load(done.weights, weights_only=True)["cells.weight"].shape == (16, 3, STRIDE, STRIDE)
