"""Which frames a network with memory sees again before a run goes on."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from vidgraph.models.going_on import done_before
from vidgraph.pipeline.errors import EngineError
from vidgraph.pipeline.packet import Frame, Packet
from vidgraph.pipeline.stage import Stage
from vidgraph.pipeline.types.picture import Picture
from vidgraph.stages.inference.recurrent import Memory, State

STATE = Memory((State("h", "h.next", np.zeros((1, 1), np.float32)),))
PREVIOUS = Memory(previous="before")


class Note(Stage):
    """Notes what it sees, and fails on some of it."""

    name = "note"

    def __init__(self, fails: Iterable[tuple[str, int]] = ()) -> None:
        self.saw: list[tuple[str, int]] = []
        self._fails = set(fails)

    def process(self, packet: Packet) -> Iterable[Packet]:
        self.saw.append((packet.frame.stream_id, packet.frame.index))
        if self.saw[-1] in self._fails:
            raise EngineError("no")
        return (packet,)


def passed(text: str) -> list[tuple[Frame, bool]]:
    """``a0 a1! b0``: frames, those with a mark failed before."""
    picture = Picture.from_rgb(np.zeros((2, 2, 3), np.uint8))
    return [(Frame(word[0], int(word[1]), 0, 0, 0, picture), word.endswith("!")) for word in text.split()]


def go_on(text: str, memory: Memory, stage: Note) -> list[tuple[str, int]]:
    outputs = SimpleNamespace(check_goes_on=lambda header: None)
    session: Any = SimpleNamespace(
        take_passed=lambda: iter(passed(text)), outputs=outputs, header=lambda stages, **about: {}
    )
    model: Any = SimpleNamespace(memory=memory)
    return [(packet.frame.stream_id, packet.frame.index) for packet in done_before(session, model, [stage])]


def test_all_frames_count_for_a_state() -> None:
    stage = Note(fails=[("a", 1), ("b", 2)])
    assert go_on("a0 a1! a2 b0 b1 b2!", STATE, stage) == [("a", 2), ("b", 1)]
    assert stage.saw == [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1), ("b", 2)]


def test_the_last_frame_counts_for_pairs_of_pictures() -> None:
    stage = Note(fails=[("b", 2), ("b", 3)])
    assert go_on("a0 a1! a2 b0 b1 b2! b3!", PREVIOUS, stage) == [("a", 2), ("b", 1)]
    assert stage.saw == [("a", 2), ("b", 1), ("b", 2), ("b", 3)]


def test_a_frame_that_did_not_fail_before_must_not_fail_now() -> None:
    with pytest.raises(EngineError):
        go_on("a0 a1 a2", STATE, Note(fails=[("a", 1)]))
