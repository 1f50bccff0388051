"""A recurrent network of random weights, exported by torch, in both engines: equal to the loop, and to torch."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.models import load_model
from vidgraph.pipeline.packet import Packet

from ...tolerances import TOLERANCES
from .exported import seeded
from .memory_nets import Loop, check_equal, frame, given_by, inputs_of, pictures, tensors_of
from .planted import precision_of

SIZE = (32, 48)
INPUTS, OUTPUTS = ("src", "r1i", "r2i"), ("fgr", "pha", "r1o", "r2o")
ATOL, _ = TOLERANCES["state in another engine"]


@pytest.fixture(scope="module")
def nets(torch: Any) -> Any:
    from . import recurrent_nets

    return recurrent_nets


def export(torch: Any, nets: Any, path: Path, network: Any, exporter: str) -> Path:
    """``tracing``: of open axes, with first states [1, 1, 1, 1]; ``capturing``: of fixed ones."""
    capturing = exporter == "capturing"
    if capturing:
        pytest.importorskip("onnxscript", reason="torch's newer exporter needs onnxscript (the extra 'torch')")
    more = {"external_data": False, "verbose": False} if capturing else {"dynamic_axes": nets.open_axes()}
    examples = (torch.zeros(1, 3, *SIZE), *nets.first_states(SIZE, full=capturing))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch's notes on its own exporter
        torch.onnx.export(
            network, examples, str(path), input_names=list(INPUTS), output_names=list(OUTPUTS), dynamo=capturing,
            opset_version=18 if capturing else 17, **more,
        )  # fmt: skip
    path.with_suffix(".toml").write_text('[input]\nfit = "stretch"\nmean = [0, 0, 0]\nstd = [255, 255, 255]\n')
    return path


@pytest.mark.parametrize("exporter", ["tracing", "capturing"])
def test_both_exporters(torch: Any, nets: Any, exporter: str, tmp_path: Path) -> None:
    network = seeded(torch, nets.Matting)
    path = export(torch, nets, tmp_path / "matting.onnx", network, exporter)
    packets = [Packet(frame(picture, index)) for index, picture in enumerate(pictures(5))]
    first = {f"r{n}i": each.numpy() for n, each in enumerate(nets.first_states(SIZE, full=exporter == "capturing"), 1)}
    found = {}
    for engine in ("onnxruntime", "openvino"):
        options: dict[str, Any] = {"engine": engine, "precision": precision_of(engine), "size": SIZE}
        with load_model(str(path), head="raw", **options) as model:
            images = inputs_of(model, [packet.frame for packet in packets])
            found[engine] = [tensors_of(packet) for packet in given_by(model.stages(), packets)]
    check_equal(found["onnxruntime"], Loop(path, "src", {"r1i": "r1o", "r2i": "r2o"}, first)(images), ("fgr", "pha"))
    states = nets.first_states(SIZE, full=False)
    for place, image in enumerate(images):
        with torch.no_grad():
            fgr, pha, *states = network(torch.from_numpy(image), *states)
        for answers in found.values():
            np.testing.assert_allclose(answers[place]["fgr"], fgr.numpy(), atol=ATOL)
            np.testing.assert_allclose(answers[place]["pha"], pha.numpy(), atol=ATOL)
