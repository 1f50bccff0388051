"""A head of their own for non-key frames: it is trained, and the rest of the network stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs torch (the extra 'torch')")

from vidgraph.benchmarks.bench_non_key import MODEL, OWN_HEAD, configured, fit, graphs  # noqa: E402
from vidgraph.models.weights.checkpoint import read_state_dict  # noqa: E402
from vidgraph.training.render_frames import frame_cache  # noqa: E402

from .shapes import Shapes  # noqa: E402


def test_a_head_is_trained_and_nothing_else(seeded_checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    size = 96, 160
    cache = frame_cache("shapes", size, folder=tmp_path / "cache", dataset=Shapes(clips=2, size=size))
    weights = read_state_dict(seeded_checkpoint(MODEL))
    with configured(graphs()["a head with one convolution"]):
        found = fit(weights, cache, tmp_path, size=size, steps=2, precision="fp32")
    head = {name for name in found if name.startswith(OWN_HEAD)}
    assert found.keys() - head == weights.keys()
    assert {name for name in weights if not torch.equal(found[name], weights[name])} == set()
    moved = {name for name in head if not torch.equal(found[name], weights[name.replace(".1.", ".0.", 1)])}
    assert moved >= {f"{OWN_HEAD}upfeature.0.conv.weight", f"{OWN_HEAD}conf_layer.weight", f"{OWN_HEAD}bbox_layer.bias"}
