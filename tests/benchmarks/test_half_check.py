"""What fp16 breaks is found without a card, kept in fp32 where that helps, and refused where it does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from vidgraph.benchmarks import half_check
from vidgraph.benchmarks.half_check import MOST_NOISE, check_engine, check_half
from vidgraph.engines.half.record import recall
from vidgraph.engines.onnx_file import file_digest
from vidgraph.models.resolve import resolve_model
from vidgraph.pipeline.errors import EngineError, SourceError
from vidgraph.pipeline.packet import Frame
from vidgraph.stages.sources.camera.options import FEW_FRAMES, CameraOptions
from vidgraph.stages.sources.registry import open_source
from vidgraph.stages.sources.wrapper import SourceWrapper

from ..material import make_photo

pytest.importorskip("onnxruntime", reason="what fp16 does is computed with it (the extra 'onnxruntime')")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDGRAPH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("VIDGRAPH_CACHE_MAX", raising=False)


Node = tuple[str, str, float]  # operator, name, second operand


def with_nodes(model: Path, target: Path, nodes: list[Node], output: int = -1) -> Path:
    """A copy of a network with further arithmetic behind one of its outputs."""
    net = onnx.load(model)
    last = net.graph.output[output].name
    source = f"{last}.before"
    for node in net.graph.node:
        node.output[:] = [source if name == last else name for name in node.output]
    for index, (kind, name, number) in enumerate(nodes):
        given = source if index == 0 else f"{nodes[index - 1][1]}.out"
        made = last if index == len(nodes) - 1 else f"{name}.out"
        net.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(number), f"{name}.number"))
        net.graph.node.append(onnx.helper.make_node(kind, [given, f"{name}.number"], [made], name=name))
    onnx.save(net, target)
    return target


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_photo(tmp_path / "photo.png")


def graph_of(found: Any) -> Any:
    ((_, graph),) = found.graphs.items()
    return graph


def test_an_ordinary_network_needs_nothing(custom_model: Path, source: Path) -> None:
    found = check_half(resolve_model(str(custom_model)), source=source)
    graph = graph_of(found)
    assert (graph.keep, graph.overflowing, found.frames) == ((), (), 1)
    assert graph.noise <= MOST_NOISE
    assert found.results is not None
    assert (found.results.reference, found.results.pairs) == (1, 1)
    assert found.text().startswith(f"fp16 on 1 frame of {source}: error ")


def test_an_intermediate_of_1e5_is_found_and_its_layers_stay_in_fp32(
    custom_model: Path, tmp_path: Path, source: Path
) -> None:
    """The prototypes are 4: 4 * 25000 is 1e5, which no output shows."""
    broken = with_nodes(custom_model, tmp_path / "broken.onnx", [("Mul", "up", 25000.0), ("Mul", "down", 1 / 25000.0)])
    found = check_half(resolve_model(str(broken)), source=source)
    graph = graph_of(found)
    assert graph.overflowing == ("up.out",)
    assert set(graph.keep) == {"up", "down"}
    assert graph.noise <= MOST_NOISE
    assert "1 tensor above 65504, 2 layers stay in fp32" in found.text()
    (path,) = found.graphs
    record = recall(file_digest(path))
    assert record is not None
    assert record.keep == ("down", "up")


def test_what_is_lost_without_an_overflow_is_found_too(custom_model: Path, tmp_path: Path, source: Path) -> None:
    """Near 30000, fp16 has steps of 16: a prototype of 4 is gone."""
    broken = with_nodes(custom_model, tmp_path / "broken.onnx", [("Add", "away", 30000.0), ("Sub", "back", 30000.0)])
    found = check_half(resolve_model(str(broken)), source=source)
    graph = graph_of(found)
    assert graph.overflowing == ()
    assert {"away", "back"} <= set(graph.keep)
    assert graph.noise <= MOST_NOISE


def test_what_cannot_be_repaired_is_refused_on_one_line_with_its_layers(
    custom_model: Path, tmp_path: Path, source: Path
) -> None:
    nodes: list[Node] = []
    for index in range(20):
        nodes += [("Add", f"away{index}", 30000.0 + 5 * index), ("Sub", f"back{index}", 30000.0 + 5 * index)]
    broken = with_nodes(custom_model, tmp_path / "broken.onnx", nodes)
    with pytest.raises(
        EngineError, match=r"cannot run in fp16: .* even with half of it in fp32: layers \S+, "
    ) as caught:
        check_half(resolve_model(str(broken)), source=source)
    assert "\n" not in str(caught.value)
    assert "away" in str(caught.value)


def test_detections_that_differ_are_repaired_whatever_the_outputs_look_like(
    custom_model: Path, tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The score of 0.9 is gone; next to boxes of 160 pixels that is hardly an error of the output."""
    nodes: list[Node] = [("Add", "away", 3000.0), ("Sub", "back", 3000.0)]
    broken = with_nodes(custom_model, tmp_path / "broken.onnx", nodes, output=0)
    found = check_half(resolve_model(str(broken)), source=source)
    graph = graph_of(found)
    assert {"away", "back"} <= set(graph.keep)
    assert found.results is not None
    assert found.results.pairs == 1
    monkeypatch.setattr("vidgraph.benchmarks.half_check.LEAST_SAME", 2.0)
    refused = r"^broken cannot run in fp16: 0 of 1 detections are not those of fp32 within \S+ px and 0\.03 of score; "
    with pytest.raises(EngineError, match=refused):
        check_half(resolve_model(str(broken)), source=source)


def test_a_video_model_is_checked_with_its_state_and_remembered_for_batches() -> None:
    """The weights come with the package."""
    found = check_half(resolve_model("yolact-edge-tiny"), frames=3, batch=2, size=(96, 160))
    assert len(found.graphs) == 2
    assert all(0 < graph.noise <= MOST_NOISE and not graph.keep for graph in found.graphs.values())
    assert "2 tensors above 65504" not in found.text()
    single = {path.name: recall(file_digest(path)) for path in found.graphs}
    batched = [path.with_name(name.replace("-b1-", "-b2-")) for name in single for path in found.graphs]
    known = [recall(file_digest(path)) for path in batched if path.exists()]
    assert len(known) >= 2
    assert all(known)


def test_a_camera_that_is_away_is_an_error(custom_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert FEW_FRAMES.give_up_s == 30
    monkeypatch.setattr(half_check, "FEW_FRAMES", CameraOptions(give_up_s=0.2))
    with pytest.raises(
        SourceError, match=r"^camera '127\.0\.0\.1' \(rtsp://127\.0\.0\.1:9/none\): the connection is refu"
    ):
        check_half(resolve_model(str(custom_model)), source="rtsp://127.0.0.1:9/none")


def test_frames_of_a_camera_are_those_of_the_first_look(
    custom_model: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next ones are others, and so are their results."""

    class Camera(SourceWrapper):
        live = True
        looks = 0

        def frames(self) -> Iterator[Frame]:
            self.looks += 1
            return self.source.frames()

    (photo,) = open_source(source)
    camera = Camera(photo)
    monkeypatch.setattr(half_check, "open_sources", lambda *_, **__: [camera])
    assert check_half(resolve_model(str(custom_model)), source="rtsp://camera").frames == 1
    assert camera.looks == 1


def test_an_engine_that_was_built_is_compared_with_fp32(
    custom_model: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine with a card that is the engine on it."""
    model = resolve_model(str(custom_model))
    settings = {"engine": "openvino", "precision": "fp32", "device": "cpu", "source": source}
    (path,) = check_half(model, source=source).graphs
    results = check_engine(model, **settings)
    assert results is not None
    assert results.pairs == 1
    assert recall(file_digest(path)) is not None
    monkeypatch.setattr("vidgraph.benchmarks.half_check.MOST_SCORE", -1.0)
    with pytest.raises(
        EngineError, match=r"^my runs with openvino in fp32 on this machine, but 1 of 1 detections are not"
    ):
        check_engine(model, **settings)
    assert recall(file_digest(path)) is None, "fp16 is not trusted any more"
