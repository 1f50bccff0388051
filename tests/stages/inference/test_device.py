"""From a device's pictures to its results: nothing crosses to the host but what a caller asks for."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph import Frame, Key, Packet, Picture, kernels
from vidgraph.engines import Engine, EngineQueue, ReplayEngine, TensorSpec, check_feeds, open_engine
from vidgraph.engines.open import place_of_arrays
from vidgraph.kernels import HOST, Device, DeviceArray, to_device
from vidgraph.pipeline.errors import EngineError
from vidgraph.pipeline.packet import KEY_FRAME
from vidgraph.pipeline.types.affine import Affine
from vidgraph.stages.inference.infer import Infer, RawOutputs
from vidgraph.stages.inference.key_frames import policy_named
from vidgraph.stages.inference.preprocess import BufferPool, InputSize, ModelInput, Preprocess
from vidgraph.stages.inference.runners import BatchedTemporal, QueueRunner, TemporalEngines
from vidgraph.stages.inference.temporal import TemporalInfer

from ... import standin
from ...kernels.cases import random_planes

GIVEN, RAW = Key("given", ModelInput), Key("raw", RawOutputs)
FRAMES = 4
PRIORS = np.random.default_rng(5).random((6, 4), np.float32)


@pytest.fixture(autouse=True)
def device(monkeypatch: pytest.MonkeyPatch) -> None:
    standin.plug_in(monkeypatch)


class Shelf:
    """Gives one runner, whatever the size."""

    def __init__(self, engine: Engine) -> None:
        self.queue = EngineQueue({1: engine})

    def runner(self, size: tuple[int, int]) -> AbstractContextManager[Any]:
        return nullcontext(self.queue)


def pictures() -> list[Picture]:
    return [Picture("yuv420p", random_planes("yuv420p", 24, 32, seed)) for seed in range(FRAMES)]


def stages(engine: Engine, network: Device, behind: Device) -> list[Any]:
    preprocess = Preprocess(InputSize(stretch=(16, 16)), GIVEN, (100.0,) * 3, (50.0,) * 3, device=network)
    return [preprocess, Infer(Shelf(engine), "image", GIVEN, RAW, device=behind)]  # type: ignore[arg-type]


def run(steps: list[Any], picture: Picture, index: int = 0) -> Packet:
    packet = Packet(Frame("one", index, 0, 0, 0, picture))
    for step in steps:
        (packet,) = step.process(packet)
    return packet


def found_in(arrays: Mapping[str, Any], priors: Any) -> dict[str, Any]:
    """The best boxes and all masks, by kernels alone, so where the arrays lie."""
    boxes = kernels.decode_boxes(arrays["loc"], priors)
    tight, bits, offsets = kernels.assemble_masks(arrays["proto"], arrays["coeff"], boxes, size=(24, 32))
    kept = kernels.nms(boxes, arrays["scores"], max_iou=0.5)
    return {"boxes": boxes, "kept": kept, "tight": tight, "bits": bits, "offsets": offsets}


def network(device: str = "standin") -> Engine:
    return open_engine(Path("boxes.onnx"), device=device)


def test_all_the_way_on_the_device() -> None:
    """Frames, preprocessing, network and postprocessing stay there; the results are asked for, one array each."""
    (priors,) = standin.put(PRIORS)
    there = [picture.on(standin.DEVICE) for picture in pictures()]
    engine = network()
    assert (engine.engine, engine.device) == ("standin", "standin:0")
    steps = stages(engine, place_of_arrays("auto", engine.device), standin.DEVICE)
    standin.TRANSFERS.clear()
    results = [found_in(run(steps, picture, index)[RAW].arrays, priors) for index, picture in enumerate(there)]
    assert not standin.TRANSFERS
    got = [{name: array.to_host() for name, array in result.items()} for result in results]
    assert standin.TRANSFERS == {"to host": 5 * FRAMES}
    for picture, ours in zip(pictures(), got, strict=True):
        given = run(stages(network(), HOST, HOST)[:1], picture)[GIVEN].tensor
        for name, theirs in found_in(standin.BoxesOfMeans.answer(given), PRIORS).items():
            np.testing.assert_array_equal(ours[name], theirs, err_msg=name)


def test_pictures_of_the_host_cross_once_and_outputs_come_back_where_asked() -> None:
    steps = stages(network(), standin.DEVICE, HOST)
    arrays = run(steps, pictures()[0])[RAW].arrays
    assert standin.TRANSFERS == {"to device": 3, "to host": 1}
    assert all(isinstance(array, np.ndarray) for array in arrays.values())


def test_pictures_of_the_device_for_an_engine_of_the_host() -> None:
    recorded = [standin.BoxesOfMeans.answer(np.zeros((1, 3, 16, 16), np.float32))]
    engine = ReplayEngine(standin.BoxesOfMeans.inputs, standin.BoxesOfMeans.outputs, recorded)
    there = pictures()[0].on(standin.DEVICE)
    standin.TRANSFERS.clear()
    arrays = run(stages(engine, place_of_arrays("auto", "cpu"), HOST), there)[RAW].arrays
    assert standin.TRANSFERS == {"to host": 3}
    assert set(arrays) == {"loc", "scores", "coeff", "proto"}


def test_an_input_elsewhere_is_refused() -> None:
    image = np.zeros((1, 3, 16, 16), np.float32)
    with pytest.raises(EngineError) as caught:
        network().run({"image": image})
    assert str(caught.value) == (
        "boxes.onnx: input 'image' must lie on standin:0, got one in host memory; copy it with to_device()"
    )
    engine = ReplayEngine(standin.BoxesOfMeans.inputs, standin.BoxesOfMeans.outputs, [])
    with pytest.raises(
        EngineError, match=r"^replay: input 'image' must lie in host memory, got one on standin:0; copy"
    ):
        engine.run({"image": to_device(image, standin.DEVICE)})


def test_a_buffer_is_used_again_where_it_lies() -> None:
    steps = stages(network(), standin.DEVICE, standin.DEVICE)
    tensors = []
    for index, picture in enumerate(pictures()):
        packet = run(steps[:1], picture, index)
        tensors.append(packet[GIVEN].tensor)
        list(steps[1].process(packet))
    assert all(tensor is tensors[0] for tensor in tensors)
    assert isinstance(tensors[0], DeviceArray)
    assert isinstance(steps[0].pool.take((16, 16)), np.ndarray)


class Sums:
    """Twice ``x`` plus ``state`` where it has one, for a batch, on the device."""

    engine, precision, device, name = "sums", "fp32", "standin:0", "sums.onnx"

    def __init__(self, batch: int, *names: str) -> None:
        self.inputs = tuple(TensorSpec(name, np.dtype(np.float32), (batch, 2)) for name in names)
        self.outputs = tuple(TensorSpec(name, np.dtype(np.float32), (batch, 2)) for name in ("y", "state"))

    def run(self, feeds: Mapping[str, Any]) -> dict[str, DeviceArray]:
        check_feeds(self.name, self.inputs, feeds, standin.DEVICE)
        x, *state = (standin._read(feeds[spec.name]) for spec in self.inputs)
        return {"y": standin._made(2 * x + sum(state)), "state": standin._made(x)}

    def close(self) -> None: ...


def test_batches_are_put_together_and_taken_apart_there() -> None:
    queue = EngineQueue({1: Sums(1, "x"), 2: Sums(2, "x")}, deadline_ms=10_000)
    rows = [np.array([[1, 2]], np.float32), np.array([[3, 4]], np.float32)]
    futures = [queue.submit({"x": array}) for array in standin.put(*rows)]
    standin.TRANSFERS.clear()
    answers = [future.result(10)["y"] for future in futures]
    queue.close()
    assert queue.batches == {2: 1}
    assert not standin.TRANSFERS
    for row, answer in zip(rows, answers, strict=True):
        np.testing.assert_array_equal(answer.to_host(), 2 * row)


def test_the_state_of_a_key_frame_stays_there() -> None:
    engines = TemporalEngines(Sums(1, "x"), {1: Sums(1, "x", "state"), 2: Sums(2, "x", "state")})
    key, both = standin.put(np.array([[1, 2]], np.float32), np.array([[3, 4], [5, 6]], np.float32))
    standin.TRANSFERS.clear()
    outputs, state = engines.key(key)
    frames = engines.non_key(both, state)
    assert not standin.TRANSFERS
    np.testing.assert_array_equal(outputs["y"].to_host(), [[2, 4]])
    np.testing.assert_array_equal(frames["y"].to_host(), [[7, 10], [11, 14]])


def test_frames_of_two_streams_run_together_each_with_its_own_state() -> None:
    def queue(*inputs: str) -> QueueRunner:
        engines: dict[int, Engine] = {size: Sums(size, *inputs) for size in (1, 2)}
        return QueueRunner(engines, EngineQueue(engines, deadline_ms=10_000))

    both = BatchedTemporal(queue("x"), queue("x", "state"))
    frames = [
        standin.put(*(np.array([row], np.float32) for row in rows)) for rows in ([[1, 2], [3, 4]], [[5, 6], [7, 8]])
    ]
    standin.TRANSFERS.clear()

    def stream(given: Any) -> tuple[Any, Any]:
        outputs, state = both.key(given[0])
        return outputs["y"], both.non_key(given[1], state)["y"]

    with ThreadPoolExecutor(2) as threads:
        (first_key, first), (second_key, second) = threads.map(stream, frames)
    assert not standin.TRANSFERS
    assert [runner.queue.batches for runner in (both._key, both._non_key)] == [{2: 1}, {2: 1}]
    both.close()
    for answer, want in ((first_key, [[2, 4]]), (second_key, [[10, 12]]), (first, [[7, 10]]), (second, [[19, 22]])):
        np.testing.assert_array_equal(answer.to_host(), want)


class TwoGraphs:
    """A video network on the device; how far from good the prediction of a frame was, is 0.25."""

    def runner(self, size: tuple[int, int]) -> AbstractContextManager[Any]:
        return nullcontext(self)

    def key(self, image: DeviceArray) -> tuple[dict[str, DeviceArray], dict[str, DeviceArray]]:
        return {"y": image}, {"state": image}

    def non_key(self, images: DeviceArray, state: Mapping[str, Any]) -> dict[str, DeviceArray]:
        assert state["state"].device == standin.DEVICE
        return {"y": images, "evidence": standin._made(np.full(len(images), 0.25, np.float32))}


@pytest.mark.parametrize(("keyframes", "transfers"), [(3, 0), ("adaptive", 4 + 3)])
def test_a_video_network_waits_only_for_a_policy_that_asks(keyframes: int | str, transfers: int) -> None:
    """An adaptive one sees each picture, and the evidence of each frame that is no key frame before the next."""
    stage = TemporalInfer(TwoGraphs(), GIVEN, RAW, policy=policy_named(keyframes), device=standin.DEVICE)
    pool, packets = BufferPool(), []
    for index, image in enumerate(standin.put(*np.zeros((FRAMES, 1, 3, 64, 64), np.float32))):
        packet = Packet(Frame("one", index, 0, 0, 0, pictures()[0]))
        packets.append(packet.with_item(GIVEN, ModelInput(image, Affine((1.0, 1.0)), pool)))
    stage.open()
    standin.TRANSFERS.clear()
    out = [each for packet in packets for each in stage.process(packet)]
    stage.close()
    assert [each[KEY_FRAME] for each in out] == ([0, 0, 0, 3] if keyframes == 3 else [0, 0, 0, 0])
    assert standin.TRANSFERS["to host"] == transfers


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_inputs_of_wide_whole_numbers_are_made_in_host_memory_and_copied(dtype: str) -> None:
    size, values = InputSize(stretch=(16, 16)), ((0.0,) * 3, (1.0,) * 3)
    made = {
        name: Preprocess(size, GIVEN, *values, dtype=name, layout="nhwc", device=device)
        for name, device in (("uint8", HOST), (dtype, standin.DEVICE))
    }
    narrow, wide = (run([stage], pictures()[0])[GIVEN].tensor for stage in made.values())
    assert isinstance(wide, DeviceArray)
    assert (wide.dtype, wide.shape) == (np.dtype(dtype), (1, 16, 16, 3))
    np.testing.assert_array_equal(kernels.to_host(wide), narrow)
