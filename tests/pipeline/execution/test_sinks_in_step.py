"""Sinks of one run stay close together, so that a kill leaves files that end near each other."""

from __future__ import annotations

import threading
import time

import pytest
from vidgraph.pipeline.execution.scheduler import SINKS_APART
from vidgraph.pipeline.graph import Graph
from vidgraph.pipeline.packet import Packet
from vidgraph.pipeline.stage import EndReason, Sink

from ..parts import Numbers


class Slow(Sink):
    """A sink that takes its time."""

    name = "slow"

    def __init__(self) -> None:
        self.done: list[int] = []
        self.ends = 0

    def write(self, packet: Packet) -> None:
        time.sleep(0.003)
        self.done.append(packet.frame.index)

    def end_stream(self, stream_id: str, reason: EndReason) -> None:
        self.ends += 1


class Quick(Slow):
    """A sink that takes none, and notes how far the slow one is when it gets a packet."""

    name = "quick"

    def __init__(self, slow: Slow) -> None:
        super().__init__()
        self.slow, self.lead = slow, 0

    def write(self, packet: Packet) -> None:
        self.done.append(packet.frame.index)
        self.lead = max(self.lead, len(self.done) - len(self.slow.done))


@pytest.mark.parametrize("count", [1, 2, 40])
def test_a_quick_sink_is_never_far_ahead(count: int) -> None:
    slow = Slow()
    quick = Quick(slow)
    Graph([Numbers(count)], [], [quick, slow]).run(max_in_flight=16)
    assert slow.done == quick.done == list(range(count))
    assert quick.lead <= SINKS_APART
    assert slow.ends == quick.ends == 1


def test_a_cancelled_run_still_writes_what_was_under_way() -> None:
    slow = Slow()
    quick = Quick(slow)
    run = Graph([Numbers(10_000)], [], [quick, slow]).prepare(max_in_flight=16)
    run.start()
    threading.Timer(0.2, run.cancel).start()
    run.wait()
    assert slow.done == quick.done == list(range(len(slow.done)))
    assert 0 < len(slow.done) < 10_000
    assert slow.ends == quick.ends == 1
