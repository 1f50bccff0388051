"""What gives way under load: which frames the network takes, whose are next, and how far key frames are apart."""

from __future__ import annotations

from typing import Any

import pytest
from vidgraph.pipeline.errors import UsageError
from vidgraph.pipeline.graph import Graph
from vidgraph.pipeline.packet import HELD_FROM, SKIPPED, Packet
from vidgraph.pipeline.stage import EndReason
from vidgraph.stages.inference.key_frames import Adaptive, FixedInterval
from vidgraph.stages.overload import FORGOTTEN_S, KeyFramesUnderLoad, NetworkDone, NetworkLoad, TakeUnderLoad
from vidgraph.stages.repeat_results import RepeatResults
from vidgraph.stages.sample import Sample

from ..pipeline.parts import VALUE, Call, Collect, Create, Numbers, frame


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_without_a_target_so_many_frames_are_taken_as_it_works_on() -> None:
    load = NetworkLoad(target_s=None, at_once=2)
    assert [load.take(frame(index)) for index in range(4)] == [True, True, False, False]
    load.done(frame(0))
    assert [load.take(frame(index)) for index in (4, 5)] == [True, False]


def test_with_a_target_as_many_are_taken_as_are_done_in_time() -> None:
    clock = Clock()
    load = NetworkLoad(target_s=0.1, clock=clock)
    assert load.take(frame(0))
    assert load.take(frame(1))  # nothing is known yet
    clock.now = 0.08
    assert load.done(frame(0)) == pytest.approx(0.08)
    assert load.done(frame(1)) == pytest.approx(0.08)  # two at once: 40 ms each
    one = pytest.approx(0.08 + (0.04 - 0.08) * 0.1)
    assert load._one_s == one
    assert load.take(frame(2))
    assert not load.take(frame(3))  # 2 x 76 ms are more than 100


def test_one_frame_is_always_taken_however_far_the_target_is() -> None:
    clock = Clock()
    load = NetworkLoad(target_s=0.001, clock=clock)
    for index in range(5):
        assert load.take(frame(index))
        clock.now += 1.0
        load.done(frame(index))


def test_streams_take_turns_whatever_order_they_ask_in() -> None:
    clock = Clock()
    load = NetworkLoad(target_s=None, clock=clock)
    taken = {"a": 0, "b": 0, "c": 0}
    for index in range(30):
        inside = [name for name in taken if load.take(frame(index, name))]
        assert len(inside) <= 1
        for name in inside:
            taken[name] += 1
            load.done(frame(index, name))
        clock.now += 0.04
    assert max(taken.values()) - min(taken.values()) <= 1
    assert sum(taken.values()) >= 29


def test_a_stream_that_no_longer_asks_holds_nobody_up() -> None:
    clock = Clock()
    load = NetworkLoad(target_s=None, clock=clock)
    assert load.take(frame(0, "a"))
    assert not load.take(frame(0, "b"))
    load.done(frame(0, "a"))
    assert not load.take(frame(1, "a"))  # b is before it
    clock.now += FORGOTTEN_S
    assert load.take(frame(2, "a"))
    load.done(frame(2, "a"))
    assert not load.take(frame(3, "a")) or load.done(frame(3, "a")) is not None


def test_a_slow_stream_has_its_turn_and_leaves_the_network_to_a_quick_one_meanwhile() -> None:
    """A frame takes 50 ms; of 30 frames a second, every other one finds the network idle."""
    clock = Clock()
    load = NetworkLoad(target_s=None, clock=clock)
    taken, inside, until = {"quick": 0, "slow": 0}, None, 0.0
    asks = sorted([*((n / 30, "quick", n) for n in range(1800)), *((0.01 + n / 1.2, "slow", n) for n in range(72))])
    for now, name, index in asks:
        if inside is not None and until <= now:
            clock.now = until
            load.done(inside)
            inside = None
        clock.now = now
        if load.take(frame(index, name)):
            taken[name] += 1
            inside, until = frame(index, name), now + 0.05
    assert taken["slow"] >= 35
    assert taken["quick"] >= 800


def test_a_stream_that_ends_leaves_nothing() -> None:
    load = NetworkLoad(target_s=None)
    assert load.take(frame(0, "a"))
    load.forget("a")
    assert load.take(frame(0, "b"))
    assert load.done(frame(0, "a")) is None


def skipping(load: NetworkLoad, network: Any) -> list[Any]:
    return [Create(), Sample(every=1), TakeUnderLoad(load), network, NetworkDone(load, [VALUE]), RepeatResults([VALUE])]


@pytest.mark.parametrize("executor", ["serial", "threaded"])
def test_all_frames_come_out_and_those_that_were_skipped_hold_a_result(executor: str) -> None:
    """Every frame that is looked at between two that the network takes finds it busy."""
    load = NetworkLoad(target_s=None)
    kept: list[Packet] = []
    assert load.take(frame(0, "other"))

    def network(packet: Packet) -> list[Packet]:
        if packet.frame.index == 5:
            load.done(frame(0, "other"))
        return [packet]

    Graph(Numbers(10), skipping(load, Call(network, "network", updates=frozenset({VALUE}))), kept.append).run(
        executor=executor, threads=1
    )
    assert [packet.frame.index for packet in kept] == [*range(10)]
    skipped = [packet.frame.index for packet in kept if packet[SKIPPED]]
    assert skipped[:6] == [0, 1, 2, 3, 4, 5]
    ran = [packet.frame.index for packet in kept if not packet[SKIPPED]]
    assert ran
    assert all(packet[HELD_FROM] in ran for packet in kept if packet[SKIPPED] and packet.frame.index > ran[0])


def test_a_frame_that_fails_makes_room_for_the_next() -> None:
    load = NetworkLoad(target_s=None)

    def fail(packet: Packet) -> list[Packet]:
        if packet.frame.index == 1:
            raise ValueError("no")
        return [packet]

    sink = Collect()
    stats = Graph(Numbers(6), skipping(load, Call(fail, "network", updates=frozenset({VALUE}))), sink).run(
        executor="serial"
    )
    assert stats.dropped == {"failed": 1}
    assert load.take(frame(9))


def test_key_frames_come_further_apart_above_the_target_and_back_below_it() -> None:
    keys = KeyFramesUnderLoad(lambda stream_id: FixedInterval(5), 0.1)
    policy = keys.policy("a")
    image: Any = None
    assert policy.is_key(frame(5), image, 0)
    for _ in range(10):
        keys.took("a", 0.2)
    assert not policy.is_key(frame(7), image, 0)
    assert policy.is_key(frame(13), image, 0)
    for _ in range(100):
        keys.took("a", 0.2)
    assert not policy.is_key(frame(39), image, 0)
    assert policy.is_key(frame(40), image, 0)  # 8 times as far at the most
    for _ in range(100):
        keys.took("a", 0.07)  # within the target: it stays
    assert policy.is_key(frame(40), image, 0)
    for _ in range(100):
        keys.took("a", 0.01)
    assert policy.is_key(frame(5), image, 0)
    keys.took("another", 9.0)
    NetworkDone(NetworkLoad(target_s=None), [], keys).end_stream("a", EndReason.FINISHED)
    assert not keys._policies
    assert not keys._means


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(UsageError, match="max_latency must be more than 0 seconds, got -1"):
        NetworkLoad(target_s=-1)
    with pytest.raises(UsageError, match="give keyframes a number"):
        KeyFramesUnderLoad(lambda stream_id: Adaptive(), 0.1).policy("a")
