"""Families of kinds that the package has none of, each made here: nothing else knows of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from vidgraph import DETECTIONS, Detections, Frame, Graph, Key, Model, Packet, Picture, load_model
from vidgraph.models.export.export import export
from vidgraph.models.family import Family
from vidgraph.models.formats import GraphShape, InputFormat
from vidgraph.models.inference import Inference
from vidgraph.models.options import PostprocessOptions
from vidgraph.models.registry import MODELS
from vidgraph.models.variant import Variant
from vidgraph.pipeline.errors import UsageError
from vidgraph.pipeline.stage import Source, Stage
from vidgraph.stages.inference.crops import CropBoxes, Crops, InferCrops, fit_box
from vidgraph.stages.inference.infer import Infer, RawOutputs, copy_outputs

torch = pytest.importorskip("torch", reason="needs torch to make networks (the extra 'torch')")
nn = torch.nn

NUMBERS: Key[np.ndarray] = Key("numbers", np.ndarray)
CROPPED: Key[RawOutputs] = Key("cropped", RawOutputs)
ENLARGED: Key[Picture] = Key("enlarged", Picture)
SIZE = (24, 32)

Add = Callable[[Family], Path]
Shapes = dict[str, tuple[int, ...]]


@pytest.fixture
def add(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Add:
    """Adds a family as a folder of models with one model, ``dummy``; gives a file of its weights."""

    def added(family: Family) -> Path:
        module = ModuleType("vidgraph.models.dummy.family")
        module.FAMILY = family  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "vidgraph.models.dummy", ModuleType("vidgraph.models.dummy"))
        monkeypatch.setitem(sys.modules, "vidgraph.models.dummy.family", module)
        row = Variant("dummy", (), "dummy", "a test", "this test", "MIT", "nothing", (), False, "a dummy")
        monkeypatch.setitem(MODELS, "dummy", row)
        path = tmp_path / "dummy.pth"
        torch.save(family.network("dummy").state_dict(), path)
        return path

    return added


@dataclass(frozen=True)
class Give(Stage):
    """Gives what a function makes of the raw outputs and the frame."""

    stateless = True

    raw: Key[RawOutputs]
    key: Key[Any]
    made: Callable[[RawOutputs, Frame], Any]
    name: str = "give"

    @property
    def reads(self) -> frozenset[Key[Any]]:
        return frozenset({self.raw})

    @property
    def creates(self) -> frozenset[Key[Any]]:
        return frozenset({self.key})

    def process(self, packet: Packet) -> Iterable[Packet]:
        return (packet.with_item(self.key, self.made(packet[self.raw], packet.frame)),)


class Dummy(Family):
    """What all families here have in common."""

    def settings(self, name: str) -> dict[str, object]:
        return {"kind": type(self).__name__}

    def input_format(self, name: str) -> InputFormat:
        white = (255.0, 255.0, 255.0)
        return InputFormat("image", (0.0, 0.0, 0.0), white, False, (0, 0, 0), SIZE[1], stretch=True, size=SIZE)

    def class_names(self, name: str) -> tuple[str, ...]:
        return ()

    def point_names(self, name: str) -> tuple[str, ...]:
        return ()

    def select_outputs(self, name: str, choices: PostprocessOptions) -> Callable[..., Any]:
        return copy_outputs


class Noise(Source):
    """A source of nine frames of noise, other ones in every stream."""

    def __init__(self, stream_id: str) -> None:
        self.stream_id = stream_id

    def frames(self) -> Iterator[Frame]:
        for index in range(9):
            yield frame_of(self.stream_id, index)


def rgb_of(stream_id: str, index: int) -> np.ndarray:
    """A frame's picture: noise, with a seed of its own."""
    random = np.random.default_rng((ord(stream_id[0]), index))
    return random.integers(0, 256, (*SIZE, 3)).astype(np.uint8)


def frame_of(stream_id: str, index: int) -> Frame:
    return Frame(stream_id, index, 0, index * 40_000_000, 40_000_000, Picture.from_rgb(rgb_of(stream_id, index)))


def ran(sources: list[str], stages: list[Stage], key: Key[Any], executor: str) -> dict[str, list[Any]]:
    """The item of every frame, by stream, in the order in which frames come out, which is that of their indices."""
    seen: dict[str, list[Any]] = {name: [] for name in sources}

    def sink(packet: Packet) -> None:
        assert packet.frame.index == len(seen[packet.frame.stream_id])
        seen[packet.frame.stream_id].append(packet[key])

    Graph([Noise(name) for name in sources], stages, [sink]).run(executor=executor)
    return seen


class BackboneAndHead(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.head = nn.Conv2d(3, 4, 4, 4), nn.Conv2d(7, 2, 1)
        with torch.no_grad():
            for place, each in enumerate(self.parameters()):
                each.copy_(torch.linspace(-1, 1, each.numel()).reshape(each.shape) * (place + 1) / each[0].numel())

    def forward(self, image: Any) -> Any:
        return self.second(self.backbone(image), image)

    def second(self, features: Any, image: Any) -> Any:
        return self.head(torch.cat([features, image[:, :, ::4, ::4]], 1))


class Second(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self, network: BackboneAndHead) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Any, image: Any) -> Any:
        return self.network.second(features, image)


class Chained(Dummy):
    """Two graphs that run one after the other on every frame; the second takes the picture too."""

    def graphs(self, name: str) -> tuple[str, ...]:
        return ("backbone", "head")

    def network(self, name: str) -> BackboneAndHead:
        network: BackboneAndHead = BackboneAndHead().eval()
        return network

    def traced(self, network: Any, graph: str) -> Any:
        return network.backbone if graph == "backbone" else Second(network)

    def graph_shape(self, name: str, size: tuple[int, int], batch: int, graph: str = "") -> GraphShape:
        cells = (size[0] // 4, size[1] // 4)
        image: Shapes = {"image": (batch, 3, *size)}
        features: Shapes = {"features": (batch, 4, *cells)}
        if graph == "backbone":
            return GraphShape(image, features)
        return GraphShape(features | image, {"map": (batch, 2, *cells)})

    def postprocess(self, name: str, choices: PostprocessOptions, *, raw: Any, keys: Any, stage_name: str) -> Give:
        return Give(raw, NUMBERS, lambda given, frame: given.arrays["map"][0], stage_name)


@pytest.mark.parametrize(("executor", "batch"), [("serial", 1), ("threaded", 1), ("threaded", 2)])
def test_two_graphs_may_run_one_after_the_other(add: Add, executor: str, batch: int) -> None:
    weights, network = add(Chained()), BackboneAndHead()
    with load_model("dummy", weights=weights, precision="fp32", batch=batch, requests=2, threads=2) as model:
        assert (model.graphs, model.key_frames, model.lookahead) == (("backbone", "head"), False, 0)
        found = ran(["a", "b"], model.stages(ahead=5), NUMBERS, executor)
        assert model.describe().name == "dummy"
    for stream, maps in found.items():
        assert len(maps) == 9
        for index, each in enumerate(maps):
            image = torch.from_numpy(rgb_of(stream, index)).permute(2, 0, 1)[None] / 255
            np.testing.assert_allclose(each, network(image)[0].detach().numpy(), atol=1e-4)


def test_several_graphs_are_no_key_frames(add: Add, tmp_path: Path) -> None:
    weights = add(Chained())
    with pytest.raises(UsageError, match="dummy is no video model"):
        load_model("dummy", weights=weights, keyframes=3)
    file = export("dummy", weights, path=tmp_path / "out.onnx")
    assert sorted(each.name for each in tmp_path.glob("*.onnx")) == ["out-backbone.onnx", "out-head.onnx"]
    with load_model("dummy", weights=file) as model, load_model("dummy", weights=weights) as same:
        first, second = (each(rgb_of("a", 0))[NUMBERS] for each in (model, same))
        np.testing.assert_array_equal(first, second)


class Detect(Stage):
    """Finds as many boxes as the remainder of the frame's index by 4."""

    name = "detect"
    creates = frozenset({DETECTIONS})

    def process(self, packet: Packet) -> Iterable[Packet]:
        return (packet.with_item(DETECTIONS, boxes_of(packet.frame.index)),)


def boxes_of(index: int) -> Detections:
    corners = np.array([[8 * row, 4 * row, 8 * row + 8, 4 * row + 8] for row in range(index % 4)], np.float32)
    count = len(corners)
    return Detections(corners.reshape(-1, 4), np.ones(count, np.float32), np.zeros(count, np.int32), ("box",))


class MeanColour(Dummy):
    """One graph, which sees a crop for every box of another model."""

    def network(self, name: str) -> Any:
        network = nn.Conv2d(3, 3, 8)
        with torch.no_grad():
            network.weight.copy_(torch.eye(3)[:, :, None, None].expand(3, 3, 8, 8) / 64)
            network.bias.zero_()
        return network.eval()

    def input_format(self, name: str) -> InputFormat:
        ones = (1.0, 1.0, 1.0)
        return InputFormat("image", (0.0, 0.0, 0.0), ones, False, (0, 0, 0), 8, stretch=True)

    def graph_shape(self, name: str, size: tuple[int, int], batch: int, graph: str = "") -> GraphShape:
        return GraphShape({"image": (batch, 3, *size)}, {"mean": (batch, 3, size[0] - 7, size[1] - 7)})

    def infer(self, name: str, given: Inference) -> list[Stage]:
        crops = Key(f"{given.prefix}crops", Crops)
        form = self.input_format(name)
        boxes, name = given.results.to(DETECTIONS), f"{given.prefix}crop"
        cut = CropBoxes(given.preprocess(form), form.name, crops, boxes, name=name)
        return [cut, InferCrops(given.engines, crops, given.key, given.select_outputs, name=f"{given.prefix}infer")]

    def postprocess(self, name: str, choices: PostprocessOptions, *, raw: Any, keys: Any, stage_name: str) -> Give:
        return Give(raw, CROPPED, lambda given, frame: given, stage_name)


@pytest.mark.parametrize(("executor", "batch"), [("serial", 1), ("threaded", 1), ("serial", 2), ("threaded", 2)])
def test_a_frame_may_become_any_number_of_crops(add: Add, executor: str, batch: int) -> None:
    weights = add(MeanColour())
    with load_model("dummy", weights=weights, precision="fp32", batch=batch, requests=2, threads=2) as model:
        found = ran(["a", "b"], [Detect(), *model.stages(prefix="crops_")], CROPPED, executor)
        with model._cache.runner((8, 8)) as runner:
            assert runner.queue.batches[batch] > 0
            assert sum(size * count for size, count in runner.queue.batches.items()) == 2 * (0 + 1 + 2 + 3) * 2
    for stream, frames in found.items():
        assert [len(raw.crops) for raw in frames] == [0, 1, 2, 3, 0, 1, 2, 3, 0]
        for index, raw in enumerate(frames):
            colours = raw.arrays["mean"][:, :, 0, 0]
            assert colours.dtype == np.float32
            for colour, affine, box in zip(colours, raw.crops, boxes_of(index).boxes, strict=True):
                x1, y1, x2, y2 = box.astype(int)
                assert affine.offset == (x1, y1)
                np.testing.assert_allclose(colour, rgb_of(stream, index)[y1:y2, x1:x2].mean((0, 1)), atol=0.2)


def test_crops_need_somebody_s_boxes(add: Add) -> None:
    weights = add(MeanColour())
    with load_model("dummy", weights=weights) as model:
        with pytest.raises(UsageError, match="dummy looks at parts of frames"):
            model.preprocess()
        with pytest.raises(Exception, match="'crop' reads 'detections', which no stage creates"):
            ran(["a"], model.stages(), NUMBERS, "serial")


def test_a_crop_has_the_aspect_of_the_input_and_its_box_in_the_middle() -> None:
    fit = fit_box([10.0, 20.0, 30.0, 30.0], (8, 8), (100, 100))
    assert (fit.affine.scale, fit.affine.offset, fit.content) == ((2.5, 2.5), (10.0, 15.0), (0, 0, 8, 8))
    fit = fit_box([0.0, 0.0, 8.0, 8.0], (8, 8), (100, 4), margin=2.0)
    assert (fit.affine.scale, fit.affine.offset, fit.content) == ((2.0, 2.0), (-4.0, -4.0), (2, 2, 8, 4))
    empty = fit_box([5.0, 5.0, 5.0, 5.0], (4, 8), (100, 100))
    assert empty.affine.scale == (0.125, 0.125)


class Parts(Chained):
    """The second graph sees a crop of the first one's map for every box."""

    def graph_shape(self, name: str, size: tuple[int, int], batch: int, graph: str = "") -> GraphShape:
        if graph == "backbone":
            return super().graph_shape(name, size, batch, graph)
        return GraphShape({"part": (batch, 7, 1, 2)}, {"map": (batch, 2, 1, 2)})

    def traced(self, network: Any, graph: str) -> Any:
        return network.backbone if graph == "backbone" else network.head

    def infer(self, name: str, given: Inference) -> list[Stage]:
        form, whole = self.input_format(name), Key(f"{given.prefix}whole", RawOutputs)
        infer = Infer(given.graph("backbone"), form.name, given.input_key, whole, name=f"{given.prefix}whole")
        crops = Key(f"{given.prefix}crops", Crops)
        rest = InferCrops(given.graph("head"), crops, given.key, given.select_outputs, name=f"{given.prefix}parts")
        cut = CutMap(whole, crops, given.results.to(DETECTIONS))
        return [given.preprocess(form), infer, cut, rest]


@dataclass(frozen=True)
class CutMap(Stage):
    whole: Key[RawOutputs]
    key: Key[Crops]
    boxes: Key[Detections]
    name: str = "cut"

    @property
    def reads(self) -> frozenset[Key[Any]]:
        return frozenset({self.whole, self.boxes})

    @property
    def creates(self) -> frozenset[Key[Any]]:
        return frozenset({self.key})

    def process(self, packet: Packet) -> Iterable[Packet]:
        whole, boxes = packet[self.whole], packet[self.boxes].boxes
        cells = whole.arrays["features"][0]
        parts = np.zeros((len(boxes), 7, 1, 2), np.float32)
        for part, (x1, y1, _, _) in zip(parts, boxes.astype(int) // 4, strict=True):
            part[:4] = cells[:, y1 : y1 + 1, x1 : x1 + 2]
        crops = Crops({"part": parts}, (whole.affine,) * len(boxes), whole.size)
        return (packet.with_item(self.key, crops),)


@pytest.mark.parametrize("executor", ["serial", "threaded"])
def test_crops_may_be_of_what_the_first_graph_gives(add: Add, executor: str) -> None:
    class Last(Parts):
        def postprocess(self, name: str, choices: PostprocessOptions, *, raw: Any, keys: Any, stage_name: str) -> Give:
            return Give(raw, NUMBERS, lambda given, frame: given.arrays["map"], stage_name)

    weights, network = add(Last()), BackboneAndHead()
    with load_model("dummy", weights=weights, precision="fp32", batch=2, requests=2, threads=2) as model:
        found = ran(["a", "b"], [Detect(), *model.stages()], NUMBERS, executor)
    for stream, frames in found.items():
        for index, maps in enumerate(frames):
            image = torch.from_numpy(rgb_of(stream, index)).permute(2, 0, 1)[None] / 255
            cells = network.backbone(image)
            assert maps.shape == (index % 4, 2, 1, 2)
            for each, (x1, y1, _, _) in zip(maps, boxes_of(index).boxes.astype(int) // 4, strict=True):
                part = torch.cat([cells[:, :, y1 : y1 + 1, x1 : x1 + 2], torch.zeros(1, 3, 1, 2)], 1)
                np.testing.assert_allclose(each, network.head(part)[0].detach().numpy(), atol=1e-4)


class Enlarge(Dummy):
    """Gives a picture with twice the frame's sides: every pixel four times."""

    def network(self, name: str) -> Any:
        network = nn.ConvTranspose2d(3, 3, 2, 2)
        with torch.no_grad():
            network.weight.copy_(torch.eye(3)[:, :, None, None].expand(3, 3, 2, 2))
            network.bias.zero_()
        return network.eval()

    def graph_shape(self, name: str, size: tuple[int, int], batch: int, graph: str = "") -> GraphShape:
        return GraphShape({"image": (batch, 3, *size)}, {"large": (batch, 3, 2 * size[0], 2 * size[1])})

    def postprocess(self, name: str, choices: PostprocessOptions, *, raw: Any, keys: Any, stage_name: str) -> Give:
        return Give(raw, ENLARGED, _as_picture, stage_name)


def _as_picture(raw: RawOutputs, frame: Frame) -> Picture:
    large = np.clip(raw.arrays["large"][0] * 255 + 0.5, 0, 255).astype(np.uint8)
    return Picture.from_rgb(np.ascontiguousarray(large.transpose(1, 2, 0)))


def enlarged(rgb: np.ndarray) -> np.ndarray:
    return rgb.repeat(2, axis=0).repeat(2, axis=1)


@pytest.mark.parametrize("executor", ["serial", "threaded"])
def test_a_result_may_be_a_picture_of_another_size(add: Add, executor: str) -> None:
    weights = add(Enlarge())
    with load_model("dummy", weights=weights, precision="fp32") as model:
        found = ran(["a"], model.stages(), ENLARGED, executor)
        result = model(rgb_of("a", 3))[ENLARGED]
    for index, picture in enumerate(found["a"]):
        np.testing.assert_array_equal(picture.rgb(), enlarged(rgb_of("a", index)))
    np.testing.assert_array_equal(result.rgb(), enlarged(rgb_of("a", 3)))


def test_a_run_gives_pictures_to_a_function(add: Add) -> None:
    import vidgraph

    weights = add(Enlarge())
    seen: list[tuple[int, int]] = []

    def sink(result: vidgraph.FrameResult) -> None:
        seen.append((result[ENLARGED].height, result[ENLARGED].width))

    with load_model("dummy", weights=weights, precision="fp32") as model:
        assert isinstance(model, Model)
        vidgraph.run("synth:street?size=320x180", model=model, outputs=[sink], frames=2).wait()
    assert seen == [(2 * SIZE[0], 2 * SIZE[1])] * 2
