"""The frames of an earlier run that a run which goes on reads first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from vidgraph.pipeline.packet import Frame, Packet
from vidgraph.pipeline.stage import Source
from vidgraph.pipeline.types.picture import Picture
from vidgraph.stages.sinks.registry import open_sink
from vidgraph.stages.sinks.resume import seen_frames
from vidgraph.stages.sources.peekable import PeekableSource, SeenFrames

FRAMES = 8
DROPPED = {2: "mailbox_full", 5: "mailbox_full", 6: "failed"}


def frames() -> Iterator[Frame]:
    """The clock jumps before frame 4."""
    picture = Picture.from_rgb(np.zeros((4, 6, 3), np.uint8))
    for index in range(FRAMES):
        yield Frame("a", index, int(index >= 4), index * 40_000_000, 40_000_000, picture)


class Eight(Source):
    stream_id = "a"

    def __init__(self) -> None:
        self.read = 0

    def frames(self) -> Iterator[Frame]:
        for frame in frames():
            self.read += 1
            yield frame


@pytest.mark.parametrize(
    ("after", "seen"),
    [
        (1, SeenFrames(0, {})),
        (3, SeenFrames(0, {2: "mailbox_full"})),
        (6, SeenFrames(4, {5: "mailbox_full", 6: "failed"})),
    ],
)
def test_results_say_what_the_earlier_run_saw(after: int, seen: SeenFrames, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    sink = open_sink(out, needs=frozenset())
    sink.open()
    for frame in frames():
        cause = DROPPED.get(frame.index)
        sink.write(Packet(frame) if cause is None else Packet(frame).dropped(cause))
        sink.write(Packet(Frame("b", frame.index, 0, 0, 0, frame.picture)).dropped("failed"))
    sink.close()
    assert seen_frames({str(out): {"a": out, "b": out}}, "a", after) == seen


@pytest.mark.parametrize(
    ("after", "seen", "passed"),
    [
        (3, SeenFrames(), [0, 1, 2, 3]),
        (3, SeenFrames(0, {2: "mailbox_full"}), [0, 1, 3]),
        (6, SeenFrames(4, {5: "mailbox_full", 6: "failed"}), [4, 6]),
        (FRAMES, SeenFrames(), list(range(FRAMES))),
    ],
)
def test_frames_are_read_as_they_are_seen_again(after: int, seen: SeenFrames, passed: list[int]) -> None:
    source = Eight()
    peek = PeekableSource(source, after=after, seen=seen)
    peek.open()
    assert (source.read, peek.size, peek.rate) == (1, (4, 6), 25.0)
    again = list(peek.passed())
    assert [frame.index for frame, _ in again] == passed
    assert [frame.index for frame, failed in again if failed] == [index for index in passed if index in seen.dropped]
    assert [frame.index for frame in peek.frames()] == list(range(after + 1, FRAMES))
    peek.close()


def test_the_sampler_is_told_of_all_and_says_which_the_network_ran_on() -> None:
    told = []

    def skip(frame: Frame) -> bool:
        told.append(frame.index)
        return frame.index % 2 == 0

    peek = PeekableSource(Eight(), after=5, skip=skip, seen=SeenFrames(2))
    peek.open()
    assert [frame.index for frame, _ in peek.passed()] == [2, 4]
    assert told == list(range(6))
    assert not peek.held
    peek.close()


def test_without_such_a_network_frames_are_skipped_when_it_is_opened() -> None:
    source = Eight()
    peek = PeekableSource(source, after=4, skip=lambda frame: frame.index in (1, 3))
    peek.open()
    assert source.read == 6
    assert [frame.index for frame in peek.held] == [3]
    assert not list(peek.passed())
    assert [frame.index for frame in peek.frames()] == [5, 6, 7]
    peek.close()
