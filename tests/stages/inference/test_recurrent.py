"""What a network with memory is given of the frame before: against a loop over the frames of each stream."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from vidgraph.engines import Engine, EngineQueue, TensorSpec
from vidgraph.kernels.device import DeviceArray
from vidgraph.pipeline.errors import EngineError
from vidgraph.pipeline.packet import SKIPPED, Frame, Key, Packet
from vidgraph.pipeline.stage import EndReason
from vidgraph.pipeline.types.affine import Affine
from vidgraph.pipeline.types.picture import Picture
from vidgraph.stages.inference.infer import RawOutputs
from vidgraph.stages.inference.preprocess import BufferPool, ModelInput
from vidgraph.stages.inference.recurrent import Memory, RecurrentInfer, State
from vidgraph.stages.inference.runners import QueueRunner

from ... import standin

INPUT, RAW = Key("input", ModelInput), Key("raw", RawOutputs)
FIRST, FAILS = 7.0, -1.0
COUNTED = Memory((State("sum", "sum.next", np.array(FIRST, np.float32)),), hidden=frozenset({"sum.next"}))
PREVIOUS = Memory(previous="before")
BOTH = Memory(COUNTED.states, "before", COUNTED.hidden)


class Network:
    """``sum.next`` = 2 * ``sum`` + value; ``y`` = the same, plus 1000 times the value before. Outputs are leases."""

    inputs = (TensorSpec("x", np.dtype(np.float32), (1, 3, 2, 2)), TensorSpec("sum", np.dtype(np.float32), (1, 1)))

    def __init__(self) -> None:
        self.outputs = np.zeros((2, 1, 1), np.float32)
        self.first = self

    @contextmanager
    def runner(self, size: tuple[int, int]) -> Iterator[Network]:
        yield self

    def submit(self, feeds: Mapping[str, Any], *, stream_id: str = "") -> Future[Mapping[str, Any]]:
        done: Future[Mapping[str, Any]] = Future()
        value = feeds["x"][:, 0, 0, 0]
        if value[0] == FAILS:
            done.set_exception(EngineError("no"))
            return done
        before = feeds["before"][:, 0, 0, 0] if "before" in feeds else 0
        self.outputs[0] = 2 * feeds.get("sum", 0) + value
        self.outputs[1] = self.outputs[0] + 1000 * before
        done.set_result({"sum.next": self.outputs[0], "y": self.outputs[1]})
        return done


class CountingPool(BufferPool):
    """Makes what is given back useless, so that nobody can read it unnoticed."""

    def __init__(self) -> None:
        super().__init__()
        self.given = 0

    def give(self, tensor: Any) -> None:
        tensor[...] = np.nan
        self.given += 1


def packet(
    value: float, index: int, *, stream: str = "a", epoch: int = 0, width: int = 2, pool: BufferPool | None = None
) -> Packet:
    tensor = np.full((1, 3, 2, width), value, np.float32)
    frame = Frame(stream, index, epoch, index * 40_000_000, 40_000_000, Picture.from_rgb(np.zeros((2, 4, 3), np.uint8)))
    return Packet(frame).with_item(INPUT, ModelInput(tensor, Affine((1.0, 1.0)), pool or CountingPool()))


def made(network: Any, memory: Memory, **options: Any) -> RecurrentInfer:
    return RecurrentInfer(network, "x", INPUT, RAW, memory=memory, **options)


def values(packets: list[Packet]) -> list[float | None]:
    return [float(one[RAW].arrays["y"][0, 0]) if RAW in one else None for one in packets]


def sequence(seed: int, pool: BufferPool) -> list[Packet]:
    """Three interleaved streams with dropped and skipped frames, seeks and changes of size."""
    chance = random.Random(seed)
    packets, state = [], {stream: [0, 0, 2] for stream in "abc"}
    for _ in range(200):
        stream = chance.choice("abc")
        index, epoch, width = state[stream]
        epoch += chance.random() < 0.04
        width = chance.choice([2, 3]) if chance.random() < 0.04 else width
        one = packet(chance.randint(1, 9), index, stream=stream, epoch=epoch, width=width, pool=pool)
        fate = chance.random()
        if fate < 0.1:
            one = one.dropped("mailbox_full").without(INPUT)
        elif fate < 0.2:
            one = one.with_item(SKIPPED, True)
        packets.append(one)
        state[stream] = [index + chance.randint(1, 3), epoch, width]
    return packets


def expected(packets: list[Packet], memory: Memory) -> list[float | None]:
    """The loop."""
    held: dict[str, tuple[Any, float, float]] = {}
    found: list[float | None] = []
    for one in packets:
        if one.drop_cause is not None or one.get(SKIPPED):
            found.append(None)
            continue
        given, frame = one[INPUT], one.frame
        value, kind = float(given.tensor[0, 0, 0, 0]), (frame.epoch, given.size)
        known, total, before = held.get(frame.stream_id, (None, FIRST, value))
        if known != kind:
            total, before = FIRST, value
        total = np.float32(2 * total + value) if memory.states else value
        found.append(float(np.float32(total + (1000 * before if memory.previous else 0))))
        held[frame.stream_id] = kind, total, value
    return found


@pytest.mark.parametrize("memory", [COUNTED, PREVIOUS, BOTH])
@pytest.mark.parametrize("seed", range(3))
def test_every_frame_goes_on_from_the_one_before_it(seed: int, memory: Memory) -> None:
    pool = CountingPool()
    packets = sequence(seed, pool)
    want = expected(packets, memory)
    stage = made(Network(), memory)
    stage.open()
    out = [given for one in packets for given in stage.process(one)]
    assert values(out) == want
    assert [one.frame for one in out] == [one.frame for one in packets]
    kept = pool.given
    for stream in "abc":
        assert list(stage.end_stream(stream, EndReason.FINISHED)) == []
    assert pool.given - kept == (3 if memory.previous else 0)
    assert pool.given == sum(value is not None for value in want)
    stage.close()


def test_outputs_that_are_state_alone_are_not_shown() -> None:
    for memory, names in ((COUNTED, ["y"]), (Memory(COUNTED.states), ["sum.next", "y"])):
        (out,) = made(Network(), memory).process(packet(1, 0))
        assert list(out[RAW].arrays) == names
        assert INPUT not in out


def test_the_next_frame_goes_on_from_the_last_that_went_through() -> None:
    stage = made(Network(), BOTH)
    out = [*stage.process(packet(1, 0)), *stage.process(packet(2, 1))]
    with pytest.raises(EngineError):
        stage.process(packet(FAILS, 2))
    out += stage.process(packet(3, 3))
    first, second = 2 * FIRST + 1, 2 * (2 * FIRST + 1) + 2
    assert values(out) == [first + 1000, second + 1000, 2 * second + 3 + 1000 * FAILS]


def test_frames_before_open_count() -> None:
    """A run that goes on shows them to the stage, which is then opened."""
    stage = made(Network(), COUNTED)
    stage.process(packet(1, 0))
    stage.open()
    assert values(list(stage.process(packet(2, 1)))) == [2 * (2 * FIRST + 1) + 2]
    stage.close()
    assert values(list(stage.process(packet(2, 1)))) == [2 * FIRST + 2]


def test_a_thousand_streams_leave_nothing_behind() -> None:
    stage = made(Network(), BOTH)
    for number in range(1000):
        stage.process(packet(1, 0, stream=f"{number}"))
        stage.end_stream(f"{number}", EndReason.FINISHED)
    assert not stage._streams


def test_the_stream_that_waited_longest_loses_its_state(caplog: pytest.LogCaptureFixture) -> None:
    stage = made(Network(), COUNTED, most_streams=2)
    order = [("a", 0), ("b", 0), ("a", 1), ("c", 0), ("a", 2), ("b", 1), ("b", 2)]
    with caplog.at_level(logging.WARNING, "vidgraph"):
        out = [given for stream, index in order for given in stage.process(packet(1, index, stream=stream))]
    totals = [2 * FIRST + 1]
    while len(totals) < 3:
        totals.append(2 * totals[-1] + 1)
    one, two, three = totals
    assert values(out) == [one, one, two, one, three, one, two]
    assert (stage.evictions, len(stage._streams)) == (2, 2)
    assert [record.message for record in caplog.records] == [
        "infer: more than 2 streams; what is remembered of stream b is lost"
    ]


class Sums:
    """On the stand-in device: ``sum.next`` = ``y`` = the mean of x + ``sum``."""

    engine, precision = "standin", "fp32"

    def __init__(self, batch: int = 1) -> None:
        self.name, self.device = f"sums {batch}", str(standin.DEVICE)
        float32 = np.dtype(np.float32)
        self.inputs = (TensorSpec("x", float32, (batch, 3, 2, 2)), TensorSpec("sum", float32, (batch, 1)))
        self.outputs = tuple(TensorSpec(name, float32, (batch, 1)) for name in ("sum.next", "y"))

    def run(self, feeds: Mapping[str, Any]) -> dict[str, DeviceArray]:
        assert all(isinstance(array, DeviceArray) for array in feeds.values())
        total = standin._read(feeds["x"]).mean(axis=(1, 2, 3), keepdims=True)[:, 0, 0] + standin._read(feeds["sum"])
        return {name: standin._made(total.astype(np.float32)) for name in ("sum.next", "y")}

    def close(self) -> None: ...


class OneRunner:
    def __init__(self, runner: QueueRunner) -> None:
        self._runner = runner

    @contextmanager
    def runner(self, size: tuple[int, int]) -> Iterator[QueueRunner]:
        yield self._runner


def on_device(one: Packet) -> Packet:
    given = one[INPUT]
    (tensor,) = standin.put(given.tensor)
    return one.with_item(INPUT, ModelInput(tensor, given.affine, BufferPool()))


@pytest.fixture
def standin_device(monkeypatch: pytest.MonkeyPatch) -> None:
    standin.plug_in(monkeypatch)


@pytest.mark.usefixtures("standin_device")
@pytest.mark.parametrize("device", [standin.DEVICE, None])
def test_on_a_card_state_stays_there(device: Any) -> None:
    engines: dict[int, Engine] = {1: Sums()}
    runner = OneRunner(QueueRunner(engines, EngineQueue(engines)))
    stage = made(runner, COUNTED, **({} if device is None else {"device": device}))
    packets = [on_device(packet(value, index)) for index, value in enumerate((1, 2, 3, 4))]
    standin.TRANSFERS.clear()
    out = [given for one in packets for given in stage.process(one)]
    assert standin.TRANSFERS["to device"] == 1  # the first value
    assert standin.TRANSFERS["to host"] == (4 if device is None else 0)  # what is shown, where it is wanted there
    state = stage._streams["a"].state
    assert state is not None
    assert isinstance(state["sum"], DeviceArray)
    shown = [one[RAW].arrays["y"] for one in out]
    found = [float((one.to_host() if isinstance(one, DeviceArray) else one)[0, 0]) for one in shown]
    assert found == [FIRST + 1, FIRST + 3, FIRST + 6, FIRST + 10]


@pytest.mark.usefixtures("standin_device")
def test_streams_run_together_each_with_its_own_state() -> None:
    engines: dict[int, Engine] = {size: Sums(size) for size in (1, 2)}
    queue = EngineQueue(engines, deadline_ms=10_000)
    stage = made(OneRunner(QueueRunner(engines, queue)), COUNTED, device=standin.DEVICE)

    def stream(name: str) -> list[float]:
        scale = 1 if name == "a" else 10
        packets = [on_device(packet(scale * value, index, stream=name)) for index, value in enumerate((1, 2, 3))]
        out = [given for one in packets for given in stage.process(one)]
        return [float(one[RAW].arrays["y"].to_host()[0, 0]) for one in out]

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(stream, "ab")
    queue.close()
    assert queue.batches == {2: 3}
    assert (first, second) == ([FIRST + 1, FIRST + 3, FIRST + 6], [FIRST + 10, FIRST + 30, FIRST + 60])
