"""Every graph of every model is built by TensorRT-RTX, in fp32 and fp16, without a card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from vidgraph.models.export.export import default_size
from vidgraph.models.registry import MODELS, implemented
from vidgraph.models.weights.onnx_export import TEMPLATE_SIZE, export_graph, resized

pytest.importorskip("tensorrt_rtx_bindings", reason="needs TensorRT-RTX (the extra 'tensorrt-rtx')")

from vidgraph.engines.tensorrt.flavour import RTX
from vidgraph.engines.tensorrt.rtx import build_network


@pytest.mark.parametrize("model", [row.name for row in implemented()])
def test_every_graph_is_built(model: str, torch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the model's own size, with fresh weights: what is built depends on none."""
    monkeypatch.setenv("VIDGRAPH_CACHE_MAX", "0")
    row = MODELS[model]
    family, size = row.family(), default_size(row)
    network = family.network(model)
    for graph in family.graphs(model):
        template = tmp_path / "template.onnx"
        shape = family.graph_shape(model, TEMPLATE_SIZE, 1, graph)
        template.write_bytes(export_graph(family.traced(network, graph), shape, {}))
        wanted = family.graph_shape(model, size, 1, graph)
        path = tmp_path / f"net-{graph}.onnx"
        path.write_bytes(resized(template, wanted))
        for precision in ("fp32", "fp16"):
            facts = build_network(path, precision).facts
            assert {spec.name: spec.shape for spec in facts.inputs} == dict(wanted.inputs)
            assert {spec.name: spec.shape for spec in facts.outputs} == dict(wanted.outputs)
            assert {spec.dtype.name for spec in (*facts.inputs, *facts.outputs)} == {"float32"}
            assert (facts.precision, facts.architectures) == (precision, RTX.architectures)
        path.unlink()


def test_a_quantised_export_is_built(exported: Path, tmp_path: Path) -> None:
    """As ``vidgraph export --precision int8`` makes it, for processors."""
    pytest.importorskip("nncf", reason="needs nncf to quantise (the extra 'int8')")
    from vidgraph.models.export.quantise import quantise

    sample = np.random.default_rng(0).normal(0, 60, (1, 3, 64, 96)).astype(np.float32)
    path = tmp_path / "int8.onnx"
    path.write_bytes(quantise(exported.read_bytes(), [{"image": sample}]))
    kinds = {tensor.data_type for tensor in onnx.load(path).graph.initializer}
    assert {onnx.TensorProto.UINT8, onnx.TensorProto.INT8} <= kinds
    built = build_network(path, "int8")
    assert built.facts.precision == "int8"
    assert [spec.name for spec in built.facts.outputs] == ["loc", "conf", "landm"]
