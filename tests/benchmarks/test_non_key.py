"""The cheaper non-key graphs: what they leave out, and that the model's own configuration comes back."""

from __future__ import annotations

import pytest
from vidgraph.benchmarks.bench_non_key import MODEL, configured, graphs, table
from vidgraph.models.yolact_edge.config import CONFIGS


def test_the_graphs() -> None:
    found = {name: (each.carry_protos, each.spa) for name, each in graphs().items()}
    assert found == {
        "as it is": (False, True),
        "prototypes carried": (True, True),
        "no refinement": (False, False),
        "both": (True, False),
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
