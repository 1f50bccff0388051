"""A run that names no model: synthetic scenes have one, other sources are told what is on this machine."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
import vidgraph
from vidgraph.models.default_model import SYNTHETIC_MODEL, default_model, models_here
from vidgraph.models.registry import MODELS, find_model
from vidgraph.models.weights.find import pulled_path
from vidgraph.pipeline.errors import UsageError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache: nothing was pulled."""
    monkeypatch.setenv("VIDGRAPH_CACHE", str(tmp_path / "cache"))


def pulled(name: str) -> None:
    row = find_model(name)
    path = pulled_path(row, row.weights[0])
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")


@pytest.mark.parametrize(
    "addresses", [["synth:street"], ["synth:street?seed=7&size=640x360"], ["SYNTH:street", "b=synth:street"], []]
)
def test_a_synthetic_scene_has_a_model(addresses: list[str]) -> None:
    assert default_model(addresses) == SYNTHETIC_MODEL


@pytest.mark.parametrize("addresses", [["in.mp4"], [Path("in.mp4")], ["synth:street", "in.mp4"], ["-"], ["synth"]])
def test_nothing_else_has(addresses: list[str]) -> None:
    with pytest.raises(UsageError, match=r"no model was given \(--model NAME.*vidgraph pull NAME.*synth:street") as got:
        default_model(addresses)
    assert "\n" not in str(got.value)


def named(names: Iterable[str]) -> str:
    return ", ".join(f"{name} (trained on: {MODELS[name].trained_on})" for name in names)


def test_models_with_weights_here_are_named() -> None:
    shipped = [row.name for row in models_here()]
    with pytest.raises(UsageError) as none_pulled:
        default_model(["in.mp4"])
    pulled("yolact-base")
    pulled("retinaface-1mb")
    assert [row.name for row in models_here()] == [
        n for n in MODELS if n in (*shipped, "retinaface-1mb", "yolact-base")
    ]
    with pytest.raises(UsageError) as got:
        default_model(["in.mp4"])
    assert f"weights on this machine are those of {named(row.name for row in models_here())};" in str(got.value)
    assert "yolact-base" not in str(none_pulled.value)


def test_from_python(tmp_path: Path) -> None:
    (tmp_path / "in.mp4").write_bytes(b"")
    with pytest.raises(UsageError, match="no model was given"):
        vidgraph.run(tmp_path / "in.mp4")
    with pytest.raises(UsageError, match=r"no source was given.*vidgraph run synth:street -o out.mp4"):
        vidgraph.run([])


def test_a_run_that_names_none(face_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidgraph.models.default_model.SYNTHETIC_MODEL", "retinaface")
    run = vidgraph.run("synth:street?size=320x180&frames=3", weights=face_weights, size=96)
    assert [result.index for result in run] == [0, 1, 2]
    assert run.models[0].name == "retinaface"
