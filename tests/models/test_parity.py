"""Every model against its parity file (see ``parity/make.py``): works in a clone with nothing beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.engines import ENGINES, open_engine
from vidgraph.models import MODELS, find_model
from vidgraph.models.registry import ModelRow
from vidgraph.models.weights import Weights

SMALL = ("retinaface", "retinaface-1mb", "retinaface-slim", "retinaface-rfb", "yolact-edge-mobilenetv2")
FOLDER = Path(__file__).parent / "parity"


def check(outputs: dict[str, np.ndarray], model: str, parity: dict[str, Any], limit: float) -> None:
    with np.load(FOLDER / f"{model}.npz") as stored:
        for name, array in outputs.items():
            assert array.shape == tuple(stored[f"{name}_shape"])
            got = array.reshape(-1)[parity["sample_index"](name, array.size)]
            expected = stored[name]
            assert array.size == 1 or np.ptp(expected) > 0.05
            assert np.abs(got - expected).max() <= limit * np.abs(expected).max(), name


@pytest.mark.parametrize("model", list(MODELS))
def test_torch_network(model: str, parity: dict[str, Any], tolerance: Callable[[str], float], torch: Any) -> None:
    with torch.no_grad():
        outputs = parity["network_outputs"](model)
    with np.load(FOLDER / f"{model}.npz") as stored:
        about = {"source", "recorded"}
        assert set(outputs) == {name for name in stored.files if not name.endswith("_shape")} - about
    check(outputs, model, parity, tolerance("parity, torch fp32"))


@pytest.mark.parametrize("engine", list(ENGINES))
@pytest.mark.parametrize("model", SMALL)
def test_exported_network(
    model: str, engine: str, parity: dict[str, Any], tolerance: Callable[[str], float],
    seeded_checkpoint: Callable[[str], Path],
) -> None:  # fmt: skip
    """Large networks are left out for their time; exports of some are held against the golden cases."""
    if not ENGINES[engine].installed:
        pytest.skip(f"needs the package {ENGINES[engine].package}")
    file = Weights.find(find_model(model), seeded_checkpoint(model)).network_file(parity["SIZE"])
    opened = open_engine(file, engine=engine, precision="fp32")
    try:
        check(opened.run({"image": parity["seeded_image"]()}), model, parity, tolerance("parity, engine fp32"))
    finally:
        opened.close()


@pytest.mark.parametrize("row", MODELS.values(), ids=list(MODELS))
def test_a_model_is_verified_where_its_source_has_computed_the_outputs(row: ModelRow, parity: dict[str, Any]) -> None:
    official = parity["official_outputs"](FOLDER / f"{row.name}.npz")
    assert row.verified == bool(official)
    if official:
        assert str(official["source"]) == row.source
        graphs = row.family().graphs(row.name)
        shapes = {graph: row.family().graph_shape(row.name, parity["SIZE"], 1, graph) for graph in graphs}
        names = {f"{graph}.{name}" if graph else name for graph in graphs for name in shapes[graph].outputs}
        assert set(official["recorded"].tolist()) == names - {"non_key.evidence"}  # which is our own


def test_files_are_small_and_there_for_every_model() -> None:
    assert {path.stem for path in FOLDER.glob("*.npz")} == set(MODELS)
    assert all(path.stat().st_size < 200_000 for path in FOLDER.glob("*.npz"))


def test_the_two_families_differ(parity: dict[str, Any], torch: Any) -> None:
    """The wrong activation is found: the names of the weights alone would let it pass."""
    from vidgraph.models.retinaface.config import CONFIGS
    from vidgraph.models.retinaface.network import build_network

    network = build_network(CONFIGS["retinaface-1mb"])
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    weights = parity["seeded_weights"]("retinaface", shapes)
    network.load_state_dict({key: torch.from_numpy(array) for key, array in weights.items()})
    with torch.no_grad():
        outputs = network(torch.from_numpy(parity["seeded_image"]()))
    with pytest.raises(AssertionError):
        check({"loc": outputs[0].numpy()}, "retinaface", parity, 1e-3)
