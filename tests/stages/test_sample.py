"""Sampling and holding: which frames run, and what the others are given."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from vidgraph.pipeline.errors import UsageError
from vidgraph.pipeline.packet import DETECTIONS, HELD_FROM, LANDMARKS, SKIPPED, Frame, Packet
from vidgraph.pipeline.stage import EndReason, Stage
from vidgraph.pipeline.types.detections import Detections
from vidgraph.pipeline.types.picture import Picture
from vidgraph.stages.repeat_results import RepeatResults
from vidgraph.stages.sample import Sample

PICTURE = Picture.from_rgb(np.zeros((2, 2, 3), np.uint8))


def packet(index: int, *, ns: int | None = None, epoch: int = 0, stream: str = "a") -> Packet:
    """A frame of a stream of 25 frames a second."""
    return Packet(Frame(stream, index, epoch, index * 40_000_000 if ns is None else ns, 0, PICTURE))


def runs(stage: Sample, packets: Iterable[Packet]) -> list[int]:
    """Indices of the frames on which the network runs; every packet must come out, marked."""
    ran = []
    for given in packets:
        (out,) = stage.process(given)
        assert out.frame is given.frame
        if not out[SKIPPED]:
            ran.append(out.frame.index)
    return ran


def test_they_are_stages() -> None:
    assert isinstance(Sample(every=2), Stage)
    assert isinstance(RepeatResults([DETECTIONS]), Stage)
    assert Sample.creates == {SKIPPED}
    assert RepeatResults([DETECTIONS]).updates == {DETECTIONS}
    assert (RepeatResults.reads, RepeatResults.creates) == ({SKIPPED}, {HELD_FROM})


@pytest.mark.parametrize("every", [1, 2, 3, 10])
def test_every(every: int) -> None:
    assert runs(Sample(every=every), map(packet, range(20))) == list(range(0, 20, every))


def test_every_counts_dropped_frames() -> None:
    assert runs(Sample(every=3), map(packet, [0, 1, 2, 4, 5, 6, 7, 8])) == [0, 4, 7]


@pytest.mark.parametrize("source_fps", [10, 24, 25, 29.97, 30, 50, 60])
@pytest.mark.parametrize("max_fps", [1, 5, 7.5, 10, 24, 25, 30, 100])
@pytest.mark.parametrize("unit_ns", [1, 1_000_000])
def test_max_fps_is_kept_and_used(source_fps: float, max_fps: float, unit_ns: int) -> None:
    times = [round(n * 1e9 / source_fps / unit_ns) * unit_ns for n in range(600)]
    ran = runs(Sample(max_fps=max_fps), (packet(n, ns=ns) for n, ns in enumerate(times)))
    seconds = 600 / source_fps
    wanted = min(source_fps, max_fps) * seconds
    assert wanted * 0.99 - 1 <= len(ran) <= max_fps * seconds + 1


def test_max_fps_does_not_catch_up_after_a_gap() -> None:
    times = [0, 100, 200, 5000, 5040, 5080, 5120]
    ran = runs(Sample(max_fps=10), (packet(n, ns=ms * 1_000_000) for n, ms in enumerate(times)))
    assert ran == [0, 1, 2, 3, 6]


@pytest.mark.parametrize("options", [{"every": 4}, {"max_fps": 6.25}])
def test_streams_and_epochs_are_sampled_each_on_its_own(options: dict[str, Any]) -> None:
    stage = Sample(**options)
    assert runs(stage, map(packet, range(6))) == [0, 4]
    assert runs(stage, (packet(n, stream="b") for n in range(3, 9))) == [3, 7]
    assert runs(stage, (packet(n, epoch=1) for n in range(6, 12))) == [6, 10]
    assert list(stage.end_stream("a", EndReason.FINISHED)) == []
    assert runs(stage, (packet(n, epoch=1) for n in range(12, 14))) == [12]
    stage.open()
    assert runs(stage, [packet(8, stream="b")]) == [8]
    stage.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "one of every and max_fps"),
        ({"every": 2, "max_fps": 3}, "one of every and max_fps"),
        ({"every": 0}, "every must be at least 1, got 0"),
        ({"max_fps": 0}, "max_fps must be more than 0, got 0"),
        ({"max_fps": float("nan")}, "max_fps must be more than 0, got nan"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Sample(**options)


def found(index: int) -> Detections:
    return Detections(np.full((1, 4), index, np.float32), np.ones(1, np.float32), np.zeros(1, np.int32), ("thing",))


def hold(stage: RepeatResults, given: Packet, *, skipped: bool) -> Packet:
    """What comes out for a frame; one that is not skipped has found something."""
    given = given.with_item(SKIPPED, skipped)
    if not skipped:
        given = given.with_item(DETECTIONS, found(given.frame.index))
    (out,) = stage.process(given)
    return out


def test_a_skipped_frame_is_given_the_last_result() -> None:
    stage = RepeatResults([DETECTIONS, LANDMARKS])
    ran = hold(stage, packet(0), skipped=False)
    assert HELD_FROM not in ran
    for index in (1, 2):
        out = hold(stage, packet(index), skipped=True)
        assert out[DETECTIONS] is ran[DETECTIONS]
        assert out[HELD_FROM] == 0
        assert LANDMARKS not in out
    hold(stage, packet(3), skipped=False)
    assert hold(stage, packet(4), skipped=True)[HELD_FROM] == 3


def test_nothing_is_held_across_epochs_streams_and_ends() -> None:
    stage = RepeatResults([DETECTIONS])
    hold(stage, packet(0), skipped=False)
    for other in (packet(1, epoch=1), packet(1, stream="b")):
        out = hold(stage, other, skipped=True)
        assert DETECTIONS not in out
        assert HELD_FROM not in out
    assert hold(stage, packet(2), skipped=True)[HELD_FROM] == 0
    assert list(stage.end_stream("a", EndReason.FINISHED)) == []
    assert HELD_FROM not in hold(stage, packet(3), skipped=True)
    hold(stage, packet(4), skipped=False)
    stage.open()
    assert HELD_FROM not in hold(stage, packet(5), skipped=True)
    stage.close()


def test_a_frame_that_is_not_marked_counts_as_one_that_ran() -> None:
    stage = RepeatResults([DETECTIONS])
    (out,) = stage.process(packet(0).with_item(DETECTIONS, found(0)))
    assert HELD_FROM not in out
    assert hold(stage, packet(1), skipped=True)[HELD_FROM] == 0
