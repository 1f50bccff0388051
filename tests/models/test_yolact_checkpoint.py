"""YOLACT checkpoints: official and older names, other numbers of classes, and which model a file belongs to.

The files made here have the right names and shapes and no content: one zero stands for all numbers of a tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.models import MODELS, find_model, load_model
from vidgraph.models.export.export import export
from vidgraph.models.known_classes import COCO, COCO_IDS
from vidgraph.models.weights.checkpoint import load_fitted, load_network, network_shapes
from vidgraph.models.weights.identify import identify, identify_checkpoint
from vidgraph.models.yolact_edge.classes import YOUTUBE_VIS
from vidgraph.models.yolact_edge.config import CONFIGS
from vidgraph.models.yolact_edge.family import YolactFamily
from vidgraph.pipeline.errors import CheckpointError

EDGE = [name for name in CONFIGS if name.startswith("yolact-edge")]
BASE = ["yolact-base", "yolact-resnet50", "yolact-resnet152", "yolact-darknet53"]
State = dict[str, Any]


@pytest.fixture
def hollow(torch: Any) -> Callable[..., State]:
    """A state dict of zeros: of a model, with its own number of classes or another."""

    def make(model: str, classes: int | None = None) -> State:
        shapes = network_shapes(find_model(model), YolactFamily(classes))
        return {
            key: torch.zeros((), dtype=torch.int64) if key.endswith("tracked") else torch.zeros(1).expand(shape)
            for key, shape in shapes.items()
        }

    return make


@pytest.fixture
def save(tmp_path: Path, torch: Any) -> Callable[..., Path]:
    def write(state: Mapping[str, Any], name: str = "weights.pth") -> Path:
        torch.save(dict(state), tmp_path / name)
        return tmp_path / name

    return write


def as_base(state: State) -> State:
    """The names of YOLACT's own code, with the leftovers that its files may have."""
    old = {}
    for key, value in state.items():
        for half in ("fpn_phase_1.", "fpn_phase_2."):
            key = key.replace(half, "fpn.")
        old[key] = value
    bias = state["fpn_phase_2.downsample_layers.1.bias"]
    return {**old, "fpn.downsample_layers.2.bias": bias, "backbone.layer1.0.conv1.weight": bias}


def refused(model: str, path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_network(find_model(model), path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("model", "count"),
    [
        ("yolact-edge-mobilenetv2", 348),
        ("yolact-edge-resnet50", 354),
        ("yolact-edge", 660),
        ("yolact-edge-vid-resnet50", 391),
        ("yolact-edge-vid", 697),
        ("yolact-edge-vid-minimal", 693),
    ],
)
def test_every_tensor_of_an_official_file_has_its_place(model: str, count: int, torch: Any) -> None:
    assert len(network_shapes(find_model(model))) == count


def test_names_in_the_order_of_the_golden_file(shared: Callable[[str], Path], torch: Any) -> None:
    import json

    for case in ("yolact_edge_vid_resnet50", "yolact_edge_resnet50"):
        entries = json.loads((shared(f"golden/{case}") / "weights.json").read_text("utf-8"))["tensors"]
        shapes = {key: tuple(entry["shape"]) for key, entry in entries.items()}
        assert shapes == network_shapes(find_model(case))


def test_class_lists() -> None:
    assert (len(COCO), len(set(COCO)), len(COCO_IDS)) == (80, 80, 80)
    assert (COCO[0], COCO[79], COCO_IDS[11], COCO_IDS[79]) == ("person", "toothbrush", 13, 90)
    assert COCO[61] == "toilet"
    assert (len(YOUTUBE_VIS), YOUTUBE_VIS[1], YOUTUBE_VIS[-1]) == (40, "giant_panda", "tennis_racket")


def test_official_configurations_are_names() -> None:
    assert find_model("yolact_edge_vid_resnet50_config").name == "yolact-edge-vid-resnet50"
    assert find_model("yolact_base_config").name == "yolact-base"
    for name in CONFIGS:
        if MODELS[name].source != "vidgraph":
            assert find_model(f"{name.replace('-', '_')}_config").name == name


@pytest.mark.parametrize("model", ["yolact-resnet50", "yolact-edge-resnet50", "yolact-edge-mobilenetv2"])
def test_names_of_base_yolact(model: str, hollow: Any, save: Any, torch: Any) -> None:
    state = hollow(model)
    for number, key in enumerate(state):
        if key.startswith("fpn"):
            state[key] = torch.full(state[key].shape, float(number))
    path = save({f"module.{key}": value for key, value in as_base(state).items()})
    loaded = load_network(find_model(model), path).state_dict()
    for key in state:
        assert torch.equal(loaded[key], state[key].to(loaded[key].dtype)), key


@pytest.mark.parametrize("model", EDGE)
def test_edge_files_are_known_by_their_tensors(model: str, hollow: Any, save: Any) -> None:
    assert identify(save(hollow(model))).name == model


@pytest.mark.parametrize("model", BASE)
def test_base_files_are_known_by_their_tensors(model: str, hollow: Any, save: Any) -> None:
    assert identify(save(as_base(hollow(model)))).name == model


@pytest.mark.parametrize(
    ("file", "made_of", "name"),
    [
        ("yolact_edge_54_800000.pth", "yolact-base", "yolact-edge"),
        ("yolact_base_54_800000.pth", "yolact-base", "yolact-base"),
        ("yolact_im700_54_800000.pth", "yolact-base", "yolact-im700"),
        ("yolact_edge_vid_847_50000.pth", "yolact-edge-vid", "yolact-edge-vid"),
        ("yolact_edge_vid_847_50000.pth", "yolact-edge-vid-minimal", "yolact-edge-vid-minimal"),  # content decides
        ("yolact_resnet50_54_800000.pth", "yolact-resnet50", "yolact-resnet50"),
        ("yolact_edge_resnet50_54_800000.pth", "yolact-resnet50", "yolact-edge-resnet50"),
        ("yolact_edge_youtubevis_1_2.pth", "yolact-edge-youtubevis", "yolact-edge-youtubevis"),
        ("yolact_darknet53_54_800000.pth", "yolact-darknet53", "yolact-darknet53"),
        ("yolact_resnet50_pascal_105_120000.pth", "yolact-resnet50-pascal", "yolact-resnet50-pascal"),
        ("yolact_resnet50_9_9.pth", "yolact-resnet50-pascal", "yolact-resnet50"),  # with 20 classes of its own
    ],
)  # fmt: skip
def test_the_file_name_decides_between_those_that_fit(
    file: str, made_of: str, name: str, hollow: Any, save: Any
) -> None:
    assert identify(save(as_base(hollow(made_of)), file)).name == name


def test_two_that_fit_are_both_named(hollow: Any, save: Any) -> None:
    path = save(hollow("yolact-edge-resnet50", 3), "mine.pth")
    both = ["yolact-edge-resnet50", "yolact-edge-youtubevis-resnet50"]
    assert identify_checkpoint(path) == both
    with pytest.raises(CheckpointError, match=f"fits {both[0]} and {both[1]}: use --model {both[0]}=.*mine.pth"):
        identify(path)


def test_other_anchors_are_told_by_nothing_but_the_name(hollow: Any, save: Any) -> None:
    """Twenty classes may be Pascal's or somebody's own, and the anchors are others: nothing is guessed."""
    pascal, own = "yolact-resnet50-pascal", "yolact-resnet50"
    path = save(as_base(hollow(pascal)), "mine.pth")
    with pytest.raises(CheckpointError, match=f"mine.pth fits {own} and {pascal}: use --model"):
        identify(path)
    assert load_fitted(find_model(own), path)[0].class_names(own) == tuple(f"class_{each}" for each in range(20))
    assert load_fitted(find_model(pascal), path)[0].class_names(pascal)[-1] == "tvmonitor"
    assert identify(save(as_base(hollow(pascal, 3)), "three.pth")).name == own
    assert identify(save(as_base(hollow(pascal, 3)), "yolact_resnet50_pascal_1_2.pth")).name == pascal
    assert "it fits yolact-edge-resnet50 and yolact-resnet50: " in refused(pascal, save(as_base(hollow(own))))


def test_nothing_fits(save: Any, torch: Any) -> None:
    path = save({"conv.weight": torch.zeros(3)}, "other.pth")
    with pytest.raises(CheckpointError, match=r"other.pth fits none of the models .*--model NAME="):
        identify(path)


def test_other_families_are_identified_too(seeded_checkpoint: Callable[[str], Path], exported: Path) -> None:
    assert identify(seeded_checkpoint("retinaface-rfb")).name == "retinaface-rfb"
    assert identify(exported).name == "retinaface-slim"


def test_the_number_of_classes_is_that_of_the_file(hollow: Any, save: Any, torch: Any) -> None:
    row = find_model("yolact-edge-vid-resnet50")
    family, network = load_fitted(row, save(hollow(row.name, 3)))
    assert family.class_names(row.name) == ("class_0", "class_1", "class_2")
    assert family.graph_shape(row.name, (550, 550), 1, "key").outputs["logits"] == (1, 19248, 4)
    assert network.state_dict()["prediction_layers.0.conf_layer.bias"].shape == (12,)
    assert network.state_dict()["semantic_seg_conv.bias"].shape == (3,)


def test_the_classes_of_another_model_are_not_taken_for_ones_own(hollow: Any, save: Any) -> None:
    message = refused("yolact-edge-resnet50", save(hollow("yolact-edge-youtubevis-resnet50")))
    assert "conf_layer.weight must be [243, 256, 3, 3], got [123, 256, 3, 3]" in message
    assert "it fits yolact-edge-youtubevis-resnet50: use --model yolact-edge-youtubevis-resnet50=" in message


@pytest.mark.parametrize(
    ("model", "other", "why"),
    [
        ("yolact-edge-vid", "yolact-edge-youtubevis", r"are missing \(flow_net_pre_convs"),
        ("yolact-edge-youtubevis", "yolact-edge-vid", r"37 are unknown \(flow_net_pre_convs"),
        ("yolact-edge-vid-minimal", "yolact-edge-vid", r"4 are unknown \(spa\."),
        ("yolact-edge", "yolact-edge-mobilenetv2", "are missing"),
        ("yolact-edge-resnet50", "yolact-edge", r"306 are unknown \(backbone\.layers\.2\.6"),
    ],
)
def test_a_file_of_another_variant(model: str, other: str, why: str, hollow: Any, save: Any) -> None:
    import re

    message = refused(model, save(hollow(other)))
    assert re.search(why, message), message
    assert f"it fits {other}" in message


def test_what_nobody_computes_may_be_missing(hollow: Any, save: Any) -> None:
    for model, unused in (
        ("yolact-edge-mobilenetv2", ("semantic_seg_conv.", "backbone.layers.7.", "backbone.layers.8.")),
        ("yolact-edge-vid-resnet50", ("semantic_seg_conv.", "flow_net.pred1", "flow_net.upfeat2", "flow_net.upflow2")),
    ):
        state = {key: value for key, value in hollow(model).items() if not key.startswith(unused)}
        state = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
        load_network(find_model(model), save(state))


@pytest.mark.parametrize("key", ["proto_net.8.bias", "prediction_layers.0.conf_layer.bias", "backbone.bn1.running_var"])
def test_partial_files_are_refused(key: str, hollow: Any, save: Any) -> None:
    state = hollow("yolact-edge-resnet50")
    del state[key]
    message = refused("yolact-edge-resnet50", save(state))
    assert f"1 of 354 tensors are missing ({key})" in message


def test_a_head_that_does_not_divide_into_anchors(hollow: Any, save: Any, torch: Any) -> None:
    state = hollow("yolact-edge-resnet50")
    state["prediction_layers.0.conf_layer.bias"] = torch.zeros(250)
    assert "conf_layer.bias must be [243], got [250]" in refused("yolact-edge-resnet50", save(state))


def test_classes_of_a_file_reach_results_and_exports(hollow: Any, save: Any, tmp_path: Path) -> None:
    """Also through an exported file, which needs no torch to say what its classes are."""
    path = save(hollow("yolact-edge-mobilenetv2", 2))
    options: dict[str, Any] = {"size": 64, "precision": "fp32", "threads": 2, "min_score": 0.05}
    with load_model("yolact-edge-mobilenetv2", weights=path, labels=["bolt", "nut"], **options) as model:
        assert model.class_names == ("bolt", "nut")
        found = model(np.zeros((40, 60, 3), np.uint8)).detections
        assert {row.class_name for row in found} == {"bolt", "nut"}  # all logits are 0: each class has a third
        np.testing.assert_allclose(found.scores, 1 / 3, rtol=1e-5)
    exported = export("yolact-edge-mobilenetv2", path, (64, 64), path=tmp_path / "two.onnx")
    with load_model("yolact-edge-mobilenetv2", weights=exported, classes=["class_1"], **options) as model:
        assert model.class_names == ("class_0", "class_1")
        assert set(model(np.zeros((40, 60, 3), np.uint8)).detections.class_ids.tolist()) == {1}


def test_every_row_has_its_configuration() -> None:
    rows = {name: row for name, row in MODELS.items() if row.folder == "yolact_edge"}
    assert set(rows) == set(CONFIGS)
    assert {name for name, row in rows.items() if not row.verified} == {"yolact-edge-tiny"}
