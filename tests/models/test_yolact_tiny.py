"""``yolact-edge-tiny``: the compact network, its graphs in every engine, and where the package keeps its weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from vidgraph.engines import ENGINES, open_engine
from vidgraph.models import MODELS, find_model, load_model
from vidgraph.models.export.export import export
from vidgraph.models.options import PostprocessOptions
from vidgraph.models.weights.checkpoint import load_network
from vidgraph.models.weights.download import pull
from vidgraph.models.weights.find import Weights, pulled_path, weights_here
from vidgraph.models.yolact_edge.config import CONFIGS, YolactConfig
from vidgraph.models.yolact_edge.family import FAMILY
from vidgraph.models.yolact_edge.postprocess import DecodeInstances
from vidgraph.models.yolact_edge.priors import priors_of
from vidgraph.pipeline.errors import UsageError
from vidgraph.pipeline.packet import Key
from vidgraph.pipeline.results.format import ResultKeys
from vidgraph.pipeline.types.affine import Affine
from vidgraph.pipeline.types.detections import Detections
from vidgraph.stages.inference.infer import RawOutputs

from ..material import CPU_ENGINES

TINY = "yolact-edge-tiny"
CONFIG = CONFIGS[TINY]
STATE = ("state_p4", "state_p5", "state_pre")
VARIANTS = {
    "as shipped": CONFIG,
    "carried prototypes": replace(CONFIG, carry_protos=True),
    "slim": replace(CONFIG, slim_depth=0, spa=False),
    "three levels between key frames": replace(CONFIG, slim_levels=3),
    "four levels": replace(CONFIG, strides=(8, 16, 32, 64), scales_px=(11, 24, 52, 112)),
}


@pytest.fixture(params=list(VARIANTS))
def variant(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a variant of the compact network."""
    monkeypatch.setitem(CONFIGS, request.param, VARIANTS[request.param])
    return str(request.param)


def test_anchors_have_their_aspect() -> None:
    priors = priors_of(CONFIG, CONFIG.size)
    assert len(priors) == CONFIG.prior_count(CONFIG.size) == 3 * (54 * 96 + 27 * 48 + 14 * 24 + 7 * 12 + 4 * 6)
    pixels = priors[:3, 2:] * np.array(CONFIG.size[::-1])
    np.testing.assert_allclose(pixels[:, 0] / pixels[:, 1], CONFIG.aspects, rtol=1e-6)
    np.testing.assert_allclose(pixels.prod(axis=1), 11 * 11, rtol=1e-6)
    twice = priors_of(CONFIG, (2 * CONFIG.size[0], 2 * CONFIG.size[1]))
    np.testing.assert_allclose(2 * twice[:3, 2:], priors[:3, 2:], rtol=1e-6)


def test_anchors_lie_in_the_middle_of_their_cells_where_a_stride_does_not_divide_the_input() -> None:
    size = (90, 150)
    levels = np.split(priors_of(CONFIG, size), np.cumsum([3 * 12 * 19, 3 * 6 * 10, 3 * 3 * 5, 3 * 2 * 3]))
    for stride, level in zip(CONFIG.strides, levels, strict=True):
        pixels = level[:, :2].astype(np.float64) * size[::-1]
        np.testing.assert_allclose(pixels[0], (stride / 2, stride / 2), rtol=1e-6)
        np.testing.assert_allclose(pixels[-1] % stride, (stride / 2, stride / 2), rtol=1e-5)
        np.testing.assert_allclose(pixels[3] - pixels[0], (stride, 0), rtol=1e-5)


def test_prototypes_are_quarters_of_cells(torch: Any) -> None:
    """The rows of the last convolution are the prototypes, and of each the quarters (row, column)."""
    network: Any = FAMILY.network(TINY)
    image = torch.randn((1, 3, 96, 160), generator=torch.Generator().manual_seed(0))
    seen: list[Any] = []
    network.proto_net.out.register_forward_hook(lambda module, given, out: seen.append(out))
    with torch.no_grad():
        proto = network(image)[3]
    (cells,) = seen
    assert proto.shape == (1, *CONFIG.proto_size((96, 160)), 16) == (1, 48, 80, 16)
    for row in range(2):
        for column in range(2):
            quarter = cells[:, 2 * row + column :: 4].relu().permute(0, 2, 3, 1)
            assert torch.equal(proto[:, row::2, column::2], quarter)


def test_exported_quarters_lie_side_by_side(seeded_checkpoint: Callable[[str], Path], torch: Any) -> None:
    """Which engines are quicker at; that the prototypes are the same, the engines' own test says."""
    weights = Weights.find(find_model(TINY), seeded_checkpoint(TINY))
    for graph in ("key", "non_key"):
        nodes = onnx.load_from_string(weights.network((96, 160), 1, graph)).graph.node
        (shuffle,) = [node for node in nodes if node.op_type == "DepthToSpace"]
        assert {each.name: onnx.helper.get_attribute_value(each) for each in shuffle.attribute} == {
            "blocksize": 2,
            "mode": b"DCR",
        }


@pytest.mark.parametrize("size", [(96, 160), (33, 70)])
def test_shapes_are_those_of_the_network(variant: str, size: tuple[int, int], torch: Any) -> None:
    with torch.device("meta"):
        network = FAMILY.network(variant)
    for graph in FAMILY.graphs(variant):
        shape = FAMILY.graph_shape(variant, size, 2, graph)
        given = [torch.zeros(dims, device="meta") for dims in shape.inputs.values()]
        given += [torch.from_numpy(table).to("meta") for table in shape.tables.values()]
        with torch.no_grad():
            outputs = FAMILY.traced(network, graph)(*given)
        assert {name: tuple(out.shape) for name, out in zip(shape.outputs, outputs, strict=True)} == shape.outputs


@pytest.mark.parametrize("engine", [name for name in CPU_ENGINES if ENGINES[name].installed])
@pytest.mark.parametrize(("size", "batch"), [((70, 101), 2)])
def test_engines_agree_with_the_network(
    engine: str, size: tuple[int, int], batch: int, seeded_checkpoint: Callable[[str], Path], tmp_path: Path,
    torch: Any, tolerance: Callable[[str], float],
) -> None:  # fmt: skip
    """Both graphs, from one export at another size; the state of the key frame goes into the other."""
    weights = Weights.find(find_model(TINY), seeded_checkpoint(TINY))
    network: Any = load_network(find_model(TINY), seeded_checkpoint(TINY))
    random = np.random.default_rng(0)
    first, second = random.normal(size=(2, batch, 3, *size)).astype(np.float32)
    with torch.no_grad():
        outputs, state = network.key(torch.from_numpy(first))
        after, evidence = network.non_key(torch.from_numpy(second), state)
    given = dict(zip(STATE, (each.numpy() for each in state), strict=True))
    cases = {
        "key": ({"image": first}, (*outputs, *state)),
        "non_key": ({"image": second, **given}, (*after, evidence)),
    }
    for graph, (feeds, expected) in cases.items():
        file = tmp_path / f"{graph}.onnx"
        file.write_bytes(weights.network(size, batch, graph))
        opened = open_engine(file, engine=engine, precision="fp32", threads=2)
        try:
            for array, want in zip(opened.run(feeds).values(), expected, strict=True):
                limit = tolerance("parity, engine fp32") * np.abs(want.numpy()).max()
                assert np.abs(array - want.numpy()).max() <= limit
        finally:
            opened.close()


def test_training_reaches_every_weight(variant: str, torch: Any) -> None:
    """A key frame and one that follows it, end to end; what the start has at zero moves after two steps."""
    network: Any = FAMILY.network(variant).train()
    images = torch.randn((2, 2, 3, 160, 256), generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    for _ in range(3):
        optimizer.zero_grad()
        key = network.look(images[0])
        after = network.follow(images[1], key.state)
        outputs = (*key.outputs, *after.outputs, network.semantic(key.levels), after.motions[1].flow + 1)
        sum(each.square().mean() for each in outputs).backward()
        optimizer.step()
    assert [name for name, each in network.named_parameters() if each.grad is None or not each.grad.any()] == []


def test_a_fresh_network_carries_features_unchanged(torch: Any) -> None:
    network: Any = FAMILY.network(TINY)
    image = torch.randn((2, 3, 160, 256), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        key = network.look(image)
        after = network.follow(image, key.state)
    assert all(not motion.flow.any() for motion in after.motions)
    assert not after.evidence.any()
    assert torch.equal(network.warp(key.state.p4, after.motions[0], grid(key.state.p4)), key.state.p4)
    logits = network.train()(image)[1]  # with norms of this picture
    assert 0.98 < logits.softmax(-1)[..., 0].mean() < 0.995


def grid(features: Any) -> Any:
    from vidgraph.models.yolact_edge.flow import WarpGrid

    return WarpGrid.of((features.shape[2], features.shape[3]), len(features))


def test_scores_count_how_sure_the_mask_is() -> None:
    """By hand: the mask of the best row is the least sure, and one has no pixel; published models do without."""
    size = (96, 160)
    priors = priors_of(CONFIG, size)
    rows = np.array([0, 45, 90, 135])  # anchors that do not overlap
    proto = np.zeros((*CONFIG.proto_size(size), 16), np.float32)
    proto[..., 0] = 1
    coeff, scores = np.zeros((4, 16), np.float32), np.zeros((4, 5), np.float32)
    inside = np.array([0.6, 0.9, 0.75, 1e-4])  # the probability of every pixel
    coeff[:, 0] = np.log(inside / (1 - inside))
    scores[:, 2] = (0.9, 0.8, 0.6, 0.7)
    arrays = {"index": rows, "scores": scores, "loc": np.zeros((4, 4), np.float32), "coeff": coeff, "proto": proto}
    raw = RawOutputs(arrays, size, Affine((1.0, 1.0)))
    assert len(priors) > rows.max()

    def found(config: YolactConfig, least: float) -> Detections:
        choices, key = PostprocessOptions(min_score=least), Key("raw", RawOutputs)
        return DecodeInstances.of(config, choices, raw=key, keys=ResultKeys(), stage_name="decode").decode(raw, size)

    sure = found(CONFIG, 0.01)
    np.testing.assert_allclose(sure.scores, [0.8 * 0.9, 0.9 * 0.6, 0.6 * 0.75], rtol=1e-5)
    assert found(CONFIG, 0.6).scores.tolist() == sure.scores[:1].tolist()
    plain = found(replace(CONFIG, mask_scores=False), 0.01)
    np.testing.assert_array_equal(plain.scores, np.sort(scores[:, 2])[::-1])
    np.testing.assert_array_equal(sure.boxes, plain.boxes[[1, 0, 3]])
    assert sure.masks is not None
    assert all(sure.masks.area(row) > 0 for row in range(3))
    assert [name for name, config in CONFIGS.items() if config.mask_scores] == [TINY]


def test_other_classes(torch: Any, tmp_path: Path) -> None:
    """A file with classes of its own is known, runs and exports; the default input is that of the config."""
    network = FAMILY.for_settings(TINY, {"class_names": 2}).network(TINY)
    path = tmp_path / "two.pth"
    torch.save(network.state_dict(), path)
    exported = export(TINY, path, path=tmp_path / "two.onnx")
    for weights in (path, exported):
        with load_model(TINY, weights=weights, min_score=0.001, precision="fp32") as model:
            assert model.class_names == ("class_0", "class_1")
            assert model.input_size((1080, 1920)) == model.input_size((480, 480)) == (432, 768)
    with load_model(TINY, weights=exported, size=128, precision="fp32", min_score=0.001, keyframes=2) as model:
        assert model.input_size((1080, 1920)) == (128, 128)
        stream = model.stream()
        for _ in range(3):
            assert stream(np.zeros((90, 160, 3), np.uint8)).detections is not None


@pytest.mark.parametrize("name", [TINY, "retinaface-tiny"])
def test_weights_come_with_the_package(
    name: str, seeded_checkpoint: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = MODELS[name]
    (file,) = row.weights
    assert pulled_path(row, file).parent.name == "pretrained"
    assert pulled_path(row, file).parent.parent.name == row.folder
    with pytest.raises(UsageError, match=f"{name} comes with the package; there is nothing to pull"):
        pull(name)
    monkeypatch.setattr("vidgraph.models.weights.find.pulled_path", lambda row, each: tmp_path / each.file)
    assert weights_here(row) is None
    with pytest.raises(UsageError, match=f"{name} comes with the package, but .* is missing; install again, or give"):
        load_model(name)
    export(name, seeded_checkpoint(name), (64, 96), path=tmp_path / f"{name}.onnx")
    assert weights_here(row) == tmp_path / file.file
    with load_model(name, size=(64, 96)) as model:
        assert model.describe().trained_on.startswith("synth")
