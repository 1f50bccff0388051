"""What a model's name means, whoever asks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from vidgraph.models.default_model import SYNTHETIC_MODEL
from vidgraph.models.registry import MODELS
from vidgraph.models.resolve import ResolvedModel, resolve_model
from vidgraph.pipeline.errors import CheckpointError, UsageError

from .custom.planted import write_network

ROW = MODELS["retinaface-1mb"]


@pytest.fixture
def custom(tmp_path: Path) -> Path:
    pytest.importorskip("onnx", reason="networks are made with onnx")
    return write_network(tmp_path / "my=own.onnx", {"output": np.zeros((1, 4), np.float32)}, size=(8, 8))


@pytest.mark.parametrize(
    ("text", "weights", "path"),
    [
        ("retinaface-1mb", None, None),
        ("RetinaFace_1MB", None, None),
        ("retinaface-1mb=no.pth", None, Path("no.pth")),
        ("retinaface-1mb=no.onnx", None, Path("no.onnx")),
        ("retinaface-1mb", "~/no.pth", Path("~/no.pth").expanduser()),
    ],
)
def test_a_built_in_model(text: str, weights: str | None, path: Path | None) -> None:
    resolved = resolve_model(text, weights=weights)
    assert (resolved.name, resolved.row, resolved.weights) == (ROW.name, ROW, path)
    assert resolved.built_in("never said") is ROW
    assert resolve_model(resolved) is resolved


def test_a_custom_model(custom: Path) -> None:
    """A file is itself, even where its name has a ``=``."""
    assert resolve_model(str(custom)) == ResolvedModel(str(custom), "my=own", None, custom)
    named = ResolvedModel("pets", "pets", None, custom)
    assert resolve_model("pets", weights=custom) == resolve_model(f"pets={custom}") == named
    assert named.file == custom
    with pytest.raises(UsageError, match="it is none of ours"):
        named.built_in("it is none of ours")


def test_no_model_is_that_of_the_sources() -> None:
    assert resolve_model(None, sources=["synth:street"]).row is MODELS[SYNTHETIC_MODEL]
    with pytest.raises(UsageError, match="no model was given"):
        resolve_model(None, sources=["in.mp4"])


def test_what_means_nothing(custom: Path) -> None:
    for text in ("", "zebra", "=no.pth", "zebra=no.pth"):
        said = {"": "no model was given", "=no.pth": "model '=no.pth' has no name before the ="}
        with pytest.raises(UsageError, match=said.get(text, "unknown model")):
            resolve_model(text)
    for text in ("no.onnx", "no.pth", "zebra=no.onnx"):
        with pytest.raises(CheckpointError, match=r"no such weights file: no\."):
            resolve_model(text)
    for text in ("retinaface=no.pth", str(custom)):
        with pytest.raises(UsageError, match=r"weights are given twice: .* with the model, and other\.pth"):
            resolve_model(text, weights="other.pth")


@pytest.mark.parametrize("text", ["yolo.engine", "a/b.PLAN", "retinaface=face.trt"])
def test_an_engine_is_no_model(text: str) -> None:
    with pytest.raises(UsageError, match=r"is an engine: .* Give the ONNX file .*yolo export.*vidgraph build"):
        resolve_model(text)
