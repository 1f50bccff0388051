"""The cheaper non-key graphs: what they leave out, and that the model's own configuration comes back."""

from __future__ import annotations

from dataclasses import asdict

import pytest
from vidgraph.benchmarks.bench_non_key import MODEL, configured, graphs, table
from vidgraph.models.yolact_edge.config import CONFIGS


def test_the_graphs() -> None:
    own = asdict(CONFIGS[MODEL])
    found = {
        name: {field: value for field, value in asdict(each).items() if value != own[field]}
        for name, each in graphs().items()
    }
    assert found == {
        "as it is": {},
        "prototypes carried": {"carry_protos": True},
        "no refinement": {"spa": False},
        "both": {"carry_protos": True, "spa": False},
        "P3 to P6": {"slim_levels": 4},
        "P3 to P5": {"slim_levels": 3},
        "a second head": {"slim_depth": 2},
        "a head with one convolution": {"slim_depth": 1},
        "a head with none": {"slim_depth": 0},
    }


def test_the_configuration_comes_back() -> None:
    own, other = CONFIGS[MODEL], graphs()["both"]
    with pytest.raises(RuntimeError, match="stop"), configured(other):
        assert CONFIGS[MODEL] is other
        raise RuntimeError("stop")
    assert CONFIGS[MODEL] is own


def test_the_table() -> None:
    one = {"mask AP": 0.25, "mask AP50": 0.5, "AP against key 1": -0.01, "cpu_ms": 12.0, "cpu against key 1": 0.8}
    assert table({"both": one}).splitlines()[2] == "| both | 0.250 | 0.500 | -0.010 | 12.0 | 0.80 |"
