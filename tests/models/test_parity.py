"""Every model against its parity file (see ``parity/make.py``): works in a clone with nothing beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.engines import ENGINES, open_engine
from vidgraph.models import find_model
from vidgraph.models.registry import implemented
from vidgraph.models.variant import Variant
from vidgraph.models.weights.find import Weights

from ..material import CPU_ENGINES

SMALL = ("retinaface", "retinaface-1mb", "retinaface-slim", "retinaface-rfb", "yolact-edge-mobilenetv2")
FOLDER = Path(__file__).parent / "parity"


Tolerance = Callable[[str], float]


def check(outputs: dict[str, np.ndarray], model: str, parity: dict[str, Any], limit: Callable[[float], float]) -> None:
    """Every output against the file; ``limit`` of the recorded rounding is the distance allowed."""
    with np.load(FOLDER / f"{model}.npz") as stored:
        for name, array in outputs.items():
            assert array.shape == tuple(stored[f"{name}_shape"])
            assert array.size == 1 or np.ptp(stored[name]) > 0.05
            distance = parity["distance"](parity["sampled"](name, array), stored[name])
            assert distance <= limit(float(stored[f"{name}_rounding"])), f"{name}: {distance:.2e}"


@pytest.mark.parametrize("model", [row.name for row in implemented()])
def test_torch_network(model: str, parity: dict[str, Any], tolerance: Tolerance, torch: Any) -> None:
    """In float64, which every processor computes alike, as far from the record as the record is rounded, and no more;
    in float32, which each sums in another order, near its own float64."""
    with torch.no_grad():
        exact, outputs = (parity["network_outputs"](model, dtype) for dtype in ("float64", "float32"))
    with np.load(FOLDER / f"{model}.npz") as stored:
        names = {name for name in stored.files if not name.endswith(("_shape", "_rounding"))}
        rounding = {name: float(stored[f"{name}_rounding"]) for name in names - {"source", "recorded"}}
    assert set(outputs) == set(rounding)
    check(exact, model, parity, lambda recorded: recorded * tolerance("parity, torch fp64, of the recorded rounding"))
    for name, array in outputs.items():
        limit = max(rounding[name], tolerance("fp32 rounding of any network"))
        limit *= tolerance("parity, torch fp32, of the recorded rounding")
        assert parity["distance"](array, exact[name]) <= limit, name


@pytest.mark.parametrize("engine", CPU_ENGINES)
@pytest.mark.parametrize("model", SMALL)
def test_exported_network(
    model: str, engine: str, parity: dict[str, Any], tolerance: Tolerance,
    seeded_checkpoint: Callable[[str], Path],
) -> None:  # fmt: skip
    """Large networks are left out for their time; exports of some are held against the golden cases."""
    if not ENGINES[engine].installed:
        pytest.skip(f"needs the package {ENGINES[engine].package}")
    file = Weights.find(find_model(model), seeded_checkpoint(model)).network_file(parity["SIZE"])
    opened = open_engine(file, engine=engine, precision="fp32")
    try:
        outputs = opened.run({"image": parity["seeded_image"]()})
        check(outputs, model, parity, lambda recorded: recorded + tolerance("parity, engine fp32"))
    finally:
        opened.close()


@pytest.mark.parametrize("row", implemented(), ids=lambda row: row.name)
def test_a_model_is_verified_where_its_source_has_computed_the_outputs(row: Variant, parity: dict[str, Any]) -> None:
    official = parity["official_outputs"](FOLDER / f"{row.name}.npz")
    assert row.verified == bool(official)
    if official:
        assert str(official["source"]) == row.source
        graphs = row.family().graphs(row.name)
        shapes = {graph: row.family().graph_shape(row.name, parity["SIZE"], 1, graph) for graph in graphs}
        names = {f"{graph}.{name}" if graph else name for graph in graphs for name in shapes[graph].outputs}
        assert set(official["recorded"].tolist()) == names - {"non_key.evidence"}  # which is our own


def test_files_are_small_and_there_for_every_model() -> None:
    assert {path.stem for path in FOLDER.glob("*.npz")} == {row.name for row in implemented()}
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
        check({"loc": outputs[0].numpy()}, "retinaface", parity, lambda recorded: 1e-3)
