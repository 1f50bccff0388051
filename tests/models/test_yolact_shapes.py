"""YolactEdge at other sizes: priors by hand, exported graphs of every shape, and the frame in the input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.engines import open_engine
from vidgraph.engines.onnx_file import read_metadata
from vidgraph.models import ResultKeys, find_model, load_model
from vidgraph.models.export.export import export
from vidgraph.models.options import PostprocessOptions
from vidgraph.models.weights.checkpoint import load_network
from vidgraph.models.weights.find import Weights
from vidgraph.models.yolact_edge.config import CONFIGS
from vidgraph.models.yolact_edge.family import FAMILY
from vidgraph.models.yolact_edge.postprocess import DecodeInstances, SelectRows, frame_boxes
from vidgraph.models.yolact_edge.priors import priors_of
from vidgraph.pipeline.errors import CheckpointError, OutputError, UsageError
from vidgraph.pipeline.packet import Key
from vidgraph.stages.inference.infer import RawOutputs
from vidgraph.stages.inference.preprocess import InputSize

VIDEO = "yolact-edge-vid-resnet50"
STATE = ("state_p4", "state_p5", "state_pre")


def test_priors_by_hand() -> None:
    priors = priors_of(CONFIGS[VIDEO], (550, 550))
    assert priors.shape == (19248, 4)
    assert not priors.flags.writeable
    side = np.float64(24) / 550
    expected = [[0.5 / 69, 0.5 / 69, side * root, side * root] for root in (1.0, 0.5**0.5, 2.0**0.5)]
    np.testing.assert_array_equal(priors[:3], np.array(expected, np.float32))
    np.testing.assert_array_equal(priors[3, :2], np.array([1.5 / 69, 0.5 / 69], np.float32))
    last = [4.5 / 5, 4.5 / 5, 384 / 550 * 2.0**0.5, 384 / 550 * 2.0**0.5]
    np.testing.assert_array_equal(priors[-1], np.array(last, np.float32))


def test_anchors_with_their_aspect() -> None:
    """Those trained on Pascal are as narrow or flat as their aspect says."""
    priors = priors_of(CONFIGS["yolact-resnet50-pascal"], (550, 550))
    sides = [(32 * root, 32 / root) for root in (1.0, 0.5**0.5, 2.0**0.5)]
    np.testing.assert_array_equal(priors[:3, 2:], np.array(sides, np.float64).astype(np.float32) / np.float32(550))


def test_darknet_takes_values_up_to_one() -> None:
    form = find_model("yolact-darknet53").family().input_format("yolact-darknet53")
    assert (form.mean, form.std, form.bgr) == ((0, 0, 0), (255, 255, 255), False)


@pytest.mark.parametrize(("side", "smallest"), [(400, 17), (700, 30), (550, 24)])
def test_anchors_of_other_sizes_are_whole_pixels(side: int, smallest: int) -> None:
    assert priors_of(CONFIGS[VIDEO], (side, side))[0, 2] == np.float32(smallest / side)


def test_sizes_that_are_not_square() -> None:
    priors = priors_of(CONFIGS[VIDEO], (270, 480))
    assert len(priors) == CONFIGS[VIDEO].prior_count((270, 480)) == 3 * (34 * 60 + 17 * 30 + 9 * 15 + 5 * 8 + 3 * 4)
    assert CONFIGS[VIDEO].proto_size((270, 480)) == (68, 120)
    np.testing.assert_array_equal(priors[0, 2:], np.array([20 / 480, 11 / 270], np.float32))


@pytest.mark.parametrize("size", [(550, 550), (96, 160), (33, 70), (400, 400)])
def test_shapes_are_those_of_the_network(size: tuple[int, int], torch: Any) -> None:
    for model in (VIDEO, "yolact-edge-mobilenetv2", "yolact-darknet53"):
        with torch.device("meta"):
            network = FAMILY.network(model)
        for graph in FAMILY.graphs(model):
            shape = FAMILY.graph_shape(model, size, 2, graph)
            given = [torch.zeros(dims, device="meta") for dims in shape.inputs.values()]
            given += [torch.from_numpy(table).to("meta") for table in shape.tables.values()]
            with torch.no_grad():
                outputs = FAMILY.traced(network, graph)(*given)
            got = {name: tuple(out.shape) for name, out in zip(shape.outputs, outputs, strict=True)}
            assert got == shape.outputs


@pytest.mark.parametrize(("size", "batch"), [((70, 101), 2), ((96, 96), 1)])
def test_resized_graphs_agree_with_the_network(
    size: tuple[int, int], batch: int, checkpoint: Callable[[str], Path], tmp_path: Path, torch: Any,
    tolerance: Callable[[str], float],
) -> None:  # fmt: skip
    """Graphs for another size are made without torch, from one export; here with several frames in one run."""
    weights = Weights.find(find_model(VIDEO), checkpoint(VIDEO))
    network: Any = load_network(find_model(VIDEO), checkpoint(VIDEO))
    image = np.random.default_rng(0).normal(size=(batch, 3, *size)).astype(np.float32)
    other = image + np.random.default_rng(1).normal(size=image.shape).astype(np.float32) / 4
    with torch.no_grad():
        outputs, state = network.key(torch.from_numpy(image))
        expected = {"key": (*outputs, *state), "non_key": None}
        outputs, evidence = network.non_key(torch.from_numpy(other), state)
        expected["non_key"] = (*outputs, evidence)
    feeds = {"key": {"image": image}, "non_key": {"image": other, **{n: s.numpy() for n, s in zip(STATE, state)}}}  # noqa: B905
    for graph, given in feeds.items():
        file = tmp_path / f"{graph}.onnx"
        file.write_bytes(weights.network(size, batch, graph))
        engine = open_engine(file, precision="fp32", threads=2)
        got = engine.run(given)
        for array, want in zip(got.values(), expected[graph], strict=True):
            assert array.shape == tuple(want.shape)
            difference = np.abs(array - want.numpy())
            assert (difference <= tolerance("yolact levels") + tolerance("yolact relative") * np.abs(array)).all()
        engine.close()


def test_exported_video_graphs_belong_together(checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    key = export(VIDEO, checkpoint(VIDEO), (64, 96), path=tmp_path / "video.onnx")
    assert key == tmp_path / "video-key.onnx"
    other = tmp_path / "video-non_key.onnx"
    assert {read_metadata(path)["vidgraph.graph"] for path in (key, other)} == {"key", "non_key"}
    with pytest.raises(OutputError, match=r"video-key.onnx exists"):
        export(VIDEO, checkpoint(VIDEO), (64, 96), path=tmp_path / "video.onnx")
    for given in (key, other):
        weights = Weights.find(find_model(VIDEO), given)
        for graph, path in (("key", key), ("non_key", other)):
            assert weights.network((64, 96), 1, graph) == path.read_bytes()
    other.unlink()
    with pytest.raises(CheckpointError, match=r"video-key.onnx is one graph of .*; it needs video-non_key.onnx beside"):
        Weights.find(find_model(VIDEO), key)


def test_the_input_is_filled_whatever_the_aspect(seeded_checkpoint: Callable[[str], Path]) -> None:
    weights = seeded_checkpoint("yolact-edge-mobilenetv2")
    for size, expected in ((None, (550, 550)), (128, (128, 128)), ((96, 160), (96, 160))):
        with load_model("yolact-edge-mobilenetv2", weights=weights, size=size) as model:
            assert model.input_size((1080, 1920)) == model.input_size((17, 5)) == expected
    fit = InputSize(stretch=(96, 160)).fit((1080, 1920))
    assert fit.affine.scale == (12.0, 11.25)
    assert fit.content == (0, 0, 96, 160)
    assert find_model("yolact-im700").family().input_format("yolact-im700").long_side == 700


def test_boxes_in_the_frame() -> None:
    """In order, clipped, rounded down."""
    boxes = np.array([[0.26, 0.1, 0.1, 0.299], [-1.0, 0.5, 2.0, 0.75]], np.float32)
    np.testing.assert_array_equal(frame_boxes(boxes, (10, 100)), [[10, 1, 26, 2], [0, 5, 100, 7]])
    assert frame_boxes(np.zeros((0, 4), np.float32), (10, 100)).shape == (0, 4)


def test_nothing_found() -> None:
    outputs = {
        "loc": np.zeros((1, 507, 4), np.float32),
        "logits": np.zeros((1, 507, 41), np.float32),  # every class has a score of 1 / 41
        "coeff": np.zeros((1, 507, 32), np.float32),
        "proto": np.zeros((1, 18, 26, 32), np.float32),
    }
    from vidgraph.pipeline.types.affine import Affine

    raw = RawOutputs(SelectRows()(outputs), (70, 101), Affine((1.0, 1.0)))
    for nms in ("fast", "cross-class", "traditional"):
        choices = PostprocessOptions(nms=nms)
        decode = DecodeInstances.of(
            CONFIGS[VIDEO], choices, raw=Key("raw", RawOutputs), keys=ResultKeys(), stage_name="decode"
        )
        found = decode.decode(raw, (70, 101))
        assert len(found) == 0
        assert found.masks is not None


def test_unknown_suppression() -> None:
    with pytest.raises(UsageError, match="unknown suppression 'soft'; known: fast, cross-class, traditional"):
        DecodeInstances.of(
            CONFIGS[VIDEO],
            PostprocessOptions(nms="soft"),
            raw=Key("raw", RawOutputs),
            keys=ResultKeys(),
            stage_name="decode",
        )
