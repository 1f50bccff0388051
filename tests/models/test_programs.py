"""Own models as programs of torch: the same outputs as their ONNX files, and refusals where there is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from vidgraph.engines import compare, open_engine
from vidgraph.engines.compare import random_feeds
from vidgraph.models import find_model, load_model
from vidgraph.models.export.export import export
from vidgraph.models.weights.find import Weights
from vidgraph.pipeline.errors import OutputError, UsageError

from ..material import picture

pytest.importorskip("torch", reason="needs torch (the extra 'torch')")
pytest.importorskip("onnxruntime", reason="they are compared with it (the extra 'onnxruntime')")

Make = Callable[[str], Path]


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("model", ["retinaface-slim", "retinaface-1mb", "yolact-edge-tiny"])
def test_programs_give_what_onnx_files_give(
    model: str, batch: int, seeded_checkpoint: Make, tolerance: Callable[[str], float]
) -> None:
    weights = Weights.find(find_model(model), seeded_checkpoint(model))
    for graph in weights.graphs:
        files = [weights.network_file((70, 101), batch, graph, kind) for kind in (".onnx", ".pt2")]
        exact, program = (open_engine(file, precision="fp32", engine=engine)
                          for file, engine in zip(files, ("onnxruntime", "torch"), strict=True))  # fmt: skip
        assert (program.inputs, program.outputs) == (exact.inputs, exact.outputs)
        for difference in compare(exact, program, random_feeds(exact.inputs)):
            assert difference.relative <= tolerance("parity, engine fp32"), (graph, difference)


def test_a_video_model_has_fp16(seeded_checkpoint: Make) -> None:
    """Whole numbers and checks of types in its graph do not stand in the way."""
    weights = Weights.find(find_model("yolact-edge-tiny"), seeded_checkpoint("yolact-edge-tiny"))
    for graph in weights.graphs:
        file = weights.network_file((70, 101), 1, graph, ".pt2")
        exact, half = (open_engine(file, precision=precision) for precision in ("fp32", "fp16"))
        assert half.precision == "fp16"
        differences = compare(exact, half, random_feeds(exact.inputs))
        assert 1e-5 < max(difference.relative for difference in differences) < 0.1, graph


def test_a_model_runs_in_torch(seeded_checkpoint: Make) -> None:
    results = []
    for engine in ("onnxruntime", "torch"):
        with load_model("retinaface", weights=seeded_checkpoint("retinaface"), engine=engine, device="cpu",
                        precision="fp32", min_score=0.0, max_detections=5) as model:  # fmt: skip
            results.append((model(picture(0)), model.describe()))
    (expected, _), (got, about) = results
    assert (about.engine, about.device, about.precision) == ("torch", "cpu", "fp32")
    assert len(got.detections) == len(expected.detections) == 5
    np.testing.assert_allclose(got.detections.boxes, expected.detections.boxes, atol=0.05)


def test_export_writes_programs_that_say_what_they_are(seeded_checkpoint: Make, tmp_path: Path) -> None:
    from vidgraph.engines.torch.archive import read_program

    target = tmp_path / "tiny.pt2"
    first = export("yolact-edge-tiny", seeded_checkpoint("yolact-edge-tiny"), (64, 96), 2, target)
    assert first == tmp_path / "tiny-key.pt2"
    engine = open_engine(tmp_path / "tiny-non_key.pt2")
    assert engine.engine == "torch"
    assert engine.inputs[0].shape == (2, 3, 64, 96)
    _, metadata = read_program(first)
    assert (metadata["vidgraph.model"], metadata["vidgraph.graph"]) == ("yolact-edge-tiny", "key")
    assert json.loads(metadata["vidgraph.input"])["layout"] == "NCHW"
    with pytest.raises(OutputError, match="exists"):
        export("yolact-edge-tiny", seeded_checkpoint("yolact-edge-tiny"), (64, 96), 2, target)


def test_refusals(seeded_checkpoint: Make, tmp_path: Path) -> None:
    slim = seeded_checkpoint("retinaface-slim")
    onnx = export("retinaface-slim", slim, (32, 32), path=tmp_path / "slim.onnx")
    with pytest.raises(UsageError, match=r"slim\.onnx is an ONNX file, and a program of torch is made of a checkpoint"):
        export("retinaface-slim", onnx, (32, 32), path=tmp_path / "slim.pt2")
    with pytest.raises(UsageError, match=r"slim\.onnx is an ONNX file, and a program of torch is made of a check"):
        load_model("retinaface-slim", weights=onnx, engine="torch")
    with pytest.raises(UsageError, match=r"^export writes int8 as an ONNX file"):
        export(
            "retinaface-slim", slim, (32, 32), path=tmp_path / "i.pt2", precision="int8", calibrate=tmp_path / "no.mp4"
        )
    program = export("retinaface-slim", slim, (32, 32), path=tmp_path / "slim.pt2")
    for given in (str(program), f"retinaface-slim={program}"):
        with pytest.raises(
            UsageError, match=r"slim\.pt2 is a program of torch, which vidgraph\.engines\.open_engine runs"
        ):
            load_model(given)


def test_a_custom_model_is_an_onnx_file(tmp_path: Path) -> None:
    import onnx

    float32 = onnx.TensorProto.FLOAT
    ports = [onnx.helper.make_tensor_value_info(name, float32, [1, 3, 32, 32]) for name in ("x", "y")]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "own", ports[:1], ports[1:])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)]), tmp_path / "own.onnx")
    with pytest.raises(UsageError, match=r"is an ONNX file, which engines of exported programs of torch do not take"):
        load_model(str(tmp_path / "own.onnx"), engine="torch", head="raw")
