"""Key-frame bookkeeping is exact: against a reference that recomputes every frame from its own key frame."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from vidgraph.pipeline.errors import UsageError
from vidgraph.pipeline.packet import KEY_FRAME, SKIPPED, Frame, Key, Packet
from vidgraph.pipeline.stage import EndReason
from vidgraph.pipeline.types.affine import Affine
from vidgraph.pipeline.types.picture import Picture
from vidgraph.stages.inference.infer import RawOutputs
from vidgraph.stages.inference.key_frames import Adaptive, FixedInterval, OnRequest, policy_named
from vidgraph.stages.inference.preprocess import BufferPool, ModelInput
from vidgraph.stages.inference.temporal import TemporalInfer

INPUT, RAW = Key("input", ModelInput), Key("raw", RawOutputs)
Image = NDArray[np.float32]


class Network:
    """Outputs that depend on the image and on the state, at a pace that differs from call to call."""

    def __init__(self, *, pace_s: float = 0.0, fail_on: float | None = None) -> None:
        self.batches: list[int] = []
        self._random = random.Random(0)
        self._pace_s, self._fail_on = pace_s, fail_on

    def key(self, image: Image) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        self._wait()
        if image[0, 0, 0, 0] == self._fail_on:
            raise RuntimeError("no such key frame")
        return {"value": image[:, 0, 0, :1] * 3}, {"state": image[:, 0, 0, :1].copy()}

    def non_key(self, images: Image, state: Mapping[str, Any]) -> Mapping[str, Any]:
        self._wait()
        self.batches.append(len(images))
        value = images[:, 0, 0, :1] + 1000 * state["state"]
        return {"value": value, "evidence": images[:, 0, 0, 1]}

    def _wait(self) -> None:
        if self._pace_s:
            time.sleep(self._random.random() * self._pace_s)


class Cache:
    def __init__(self, network: Network) -> None:
        self.network = network

    @contextmanager
    def runner(self, size: tuple[int, int]) -> Iterator[Network]:
        yield self.network


def packet(index: int, *, stream: str = "a", epoch: int = 0, width: int = 4, evidence: float = 0.0) -> Packet:
    """A frame whose input holds the number that its outputs are computed from."""
    tensor = np.zeros((1, 3, 2, width), np.float32)
    tensor[0, 0, 0, :2] = index + 1 + 100 * (stream == "b"), evidence
    picture = Picture.from_rgb(np.zeros((2, 4, 3), np.uint8))
    frame = Frame(stream, index, epoch, index * 40_000_000, 40_000_000, picture)
    return Packet(frame).with_item(INPUT, ModelInput(tensor, Affine((1.0, 1.0)), BufferPool()))


def expected(packets: list[Packet], interval: int) -> list[tuple[str, int, int, float]]:
    """(stream, frame, key frame, value) of each frame that runs, each recomputed from its own key frame."""
    keys: dict[str, Packet] = {}
    rows = []
    for one in packets:
        if one.drop_cause is not None or one.get(SKIPPED):
            continue
        stream, frame = one.frame.stream_id, one.frame
        key = keys.get(stream)
        fresh = key is None or key.frame.epoch != frame.epoch or key[INPUT].size != one[INPUT].size
        if fresh or key is None or frame.index - key.frame.index >= interval:
            key = keys[stream] = one
        own, its = float(one[INPUT].tensor[0, 0, 0, 0]), float(key[INPUT].tensor[0, 0, 0, 0])
        value = own * 3 if key is one else own + 1000 * its
        rows.append((stream, frame.index, key.frame.index, value))
    return rows


def run(stage: TemporalInfer, packets: list[Packet]) -> list[Packet]:
    """Everything that comes out, the ends of the streams included."""
    stage.open()
    try:
        out = [given for one in packets for given in stage.process(one)]
        for stream in dict.fromkeys(one.frame.stream_id for one in packets):
            out += stage.end_stream(stream, EndReason.FINISHED)
        return out
    finally:
        stage.close()


def rows_of(packets: list[Packet]) -> list[tuple[str, int, int, float]]:
    return [
        (p.frame.stream_id, p.frame.index, p[KEY_FRAME], float(p[RAW].arrays["value"][0, 0]))
        for p in packets
        if RAW in p
    ]


def sequence(seed: int) -> list[Packet]:
    """Two interleaved streams with lost frames, dropped and skipped ones, seeks and changes of size."""
    chance = random.Random(seed)
    packets, state = [], {"a": [0, 0, 4], "b": [0, 0, 4]}
    for _ in range(120):
        stream = chance.choice("ab")
        index, epoch, width = state[stream]
        epoch += chance.random() < 0.05
        width = chance.choice([4, 6]) if chance.random() < 0.05 else width
        one = packet(index, stream=stream, epoch=epoch, width=width)
        fate = chance.random()
        if fate < 0.1:
            one = one.dropped("late")
        elif fate < 0.2:
            one = one.with_item(SKIPPED, True)
        packets.append(one)
        state[stream] = [index + 1 + (chance.random() < 0.1) * chance.randint(1, 7), epoch, width]
    return packets


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("workers", "ahead", "batch"), [(1, 0, 1), (2, 0, 1), (2, 12, 1), (3, 12, 4)])
def test_every_frame_comes_from_its_own_key_frame(seed: int, workers: int, ahead: int, batch: int) -> None:
    packets = sequence(seed)
    network = Network(pace_s=0.002)
    stage = TemporalInfer(Cache(network), INPUT, RAW, policy=policy_named(5), workers=workers, ahead=ahead, batch=batch)
    out = run(stage, packets)
    for stream in "ab":
        given = [p.frame.index for p in packets if p.frame.stream_id == stream]
        assert [p.frame.index for p in out if p.frame.stream_id == stream] == given
        want = [row for row in expected(packets, 5) if row[0] == stream]
        assert [row for row in rows_of(out) if row[0] == stream] == want


def test_frames_between_key_frames_run_as_one_batch() -> None:
    network = Network()
    packets = [packet(index) for index in range(12)]
    stage = TemporalInfer(Cache(network), INPUT, RAW, policy=policy_named(5), workers=1, ahead=12, batch=4)
    assert rows_of(run(stage, packets)) == expected(packets, 5)
    assert sorted(network.batches) == [1, 4, 4]  # frames 1-4, 6-9, and 11 alone


def test_an_interval_counts_frame_indices() -> None:
    packets = [packet(index) for index in (0, 1, 4, 7, 8, 11, 12)]
    stage = TemporalInfer(Cache(Network()), INPUT, RAW, policy=policy_named(5))
    assert [row[2] for row in rows_of(run(stage, packets))] == [0, 0, 0, 7, 7, 7, 12]


def test_a_key_frame_on_request() -> None:
    policies: dict[str, OnRequest] = {}

    def policy(stream: str) -> OnRequest:
        policies[stream] = OnRequest(FixedInterval(100))
        return policies[stream]

    stage = TemporalInfer(Cache(Network()), INPUT, RAW, policy=policy)
    stage.open()
    out = []
    for index in range(6):
        if index == 3:
            policies["a"].request()
        out += stage.process(packet(index))
    stage.close()
    assert [p[KEY_FRAME] for p in out] == [0, 0, 0, 3, 3, 3]


def test_a_bad_warp_makes_the_next_frame_a_key_frame() -> None:
    bad = {2, 6}
    packets = [packet(index, evidence=1.0 if index in bad else 0.0) for index in range(9)]
    stage = TemporalInfer(
        Cache(Network()), INPUT, RAW, policy=lambda stream: Adaptive(cut=1e9, limit=0.5), workers=2, ahead=6
    )
    assert [row[2] for row in rows_of(run(stage, packets))] == [0, 0, 0, 3, 3, 3, 3, 7, 7]


def test_a_cut_is_a_key_frame() -> None:
    policy = Adaptive(longest=100)
    frames = [packet(index).frame for index in range(4)]
    dark, bright = np.zeros((1, 3, 64, 64), np.float32), np.full((1, 3, 64, 64), 2.0, np.float32)
    policy.key_taken(frames[0], dark)
    assert [policy.is_key(frames[n], image, 0) for n, image in ((1, dark), (2, bright), (3, bright))] == [
        False,
        True,
        False,
    ]


def test_after_a_failed_key_frame_the_next_one_is_a_key_frame() -> None:
    stage = TemporalInfer(Cache(Network(fail_on=1.0)), INPUT, RAW, policy=policy_named(5))
    stage.open()
    with pytest.raises(RuntimeError, match="no such key frame"):
        list(stage.process(packet(0)))
    (after,) = stage.process(packet(1))
    stage.close()
    assert (after[KEY_FRAME], float(after[RAW].arrays["value"][0, 0])) == (1, 6.0)


@pytest.mark.parametrize("after", range(11))
@pytest.mark.parametrize("policy", ["fixed", "adaptive"])
def test_a_run_that_goes_on_after_a_frame_is_as_one_that_was_not_interrupted(after: int, policy: str) -> None:
    """Only the last key frame and the last frame are seen again; the bad warp of frame 6 may be that last frame."""

    def stage() -> TemporalInfer:
        made = FixedInterval if policy == "fixed" else lambda: Adaptive(longest=5, cut=1e9, limit=0.5)
        return TemporalInfer(Cache(Network()), INPUT, RAW, policy=lambda stream: made(), workers=2, ahead=6)

    def packets(first: int = 0) -> list[Packet]:
        given = [packet(index, evidence=1.0 if index == 6 else 0.0) for index in range(first, 12)]
        return [one.dropped("late") if one.frame.index == 4 else one for one in given]

    whole = rows_of(run(stage(), packets()))
    assert [row[2] for row in whole][-5:] == ([5, 5, 5, 10, 10] if policy == "fixed" else [7, 7, 7, 7, 7])
    _, last, key, _ = [row for row in whole if row[1] <= after][-1]
    resumed = stage()
    again = []
    for index in dict.fromkeys((key, last)):
        again += resumed.begin_with(packet(index, evidence=1.0 if index == 6 else 0.0))
    assert rows_of(again) == [row for row in whole if row[1] in (key, last)]
    assert rows_of(run(resumed, packets(after + 1))) == [row for row in whole if row[1] > after]


def test_a_thousand_streams_leave_nothing_behind() -> None:
    before = threading.active_count()
    stage = TemporalInfer(Cache(Network()), INPUT, RAW, policy=policy_named(5), workers=2)
    stage.open()
    for number in range(1000):
        name = f"stream {number}"
        list(stage.process(packet(0, stream=name)))
        assert stage.state_bytes(name) == 4
        list(stage.end_stream(name, EndReason.FINISHED))
        assert stage.state_bytes(name) == 0
    assert not stage._streams
    stage.close()
    assert threading.active_count() == before


def test_policies_by_name() -> None:
    assert policy_named("all")("a") == FixedInterval(1)
    assert policy_named(7)("a") == FixedInterval(7)
    assert isinstance(policy_named("Adaptive")("a"), Adaptive)
    with pytest.raises(UsageError, match="a number from 1, 'adaptive' or 'all', got '0'"):
        policy_named("0")


def test_the_stream_that_waited_longest_loses_its_state(caplog: pytest.LogCaptureFixture) -> None:
    """Its next frame is a key frame; those in the network are finished."""
    stage = TemporalInfer(Cache(Network()), INPUT, RAW, policy=policy_named(5), most_streams=2)
    order = [("a", 0), ("b", 0), ("a", 1), ("c", 0), ("a", 2), ("b", 1), ("c", 1), ("c", 2)]
    packets = [packet(index, stream=stream) for stream, index in order]
    rows = rows_of(run(stage, packets))
    assert [(stream, index) for stream, index, *_ in rows] == order
    assert [key for _, _, key, _ in rows] == [0, 0, 0, 0, 0, 1, 1, 1]
    assert stage.evictions == 3  # b by c, c by b, a by c
    assert [record.message for record in caplog.records] == [
        "infer: more than 2 streams; stream b begins again with a key frame"
    ]
