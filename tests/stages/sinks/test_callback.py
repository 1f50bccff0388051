"""Functions as outputs."""

from __future__ import annotations

import pytest
from vidgraph.pipeline.packet import DETECTIONS
from vidgraph.pipeline.results.frame_result import FrameResult
from vidgraph.pipeline.stage import Sink
from vidgraph.pipeline.types.detections import Detections
from vidgraph.stages.sinks.callback import Callback

from .sinks import packets, write_all


def test_the_function_gets_every_result_in_order() -> None:
    seen: list[FrameResult] = []
    sink = Callback(seen.append)
    assert isinstance(sink, Sink)
    assert sink.name == "append"
    assert sink.reads == {DETECTIONS}
    given = [packet.with_item(DETECTIONS, Detections.empty(("face",))) for packet in packets(4)]
    given[2] = given[2].dropped("failed")
    write_all(sink, given)
    assert [result.index for result in seen] == [0, 1, 2, 3]
    assert [result.dropped for result in seen] == [None, None, "failed", None]
    assert seen[0].to_dict()["objects"] == []
    assert seen[0].draw().shape == (64, 96, 3)


def test_what_the_function_raises_goes_on() -> None:
    def fail(result: FrameResult) -> None:
        raise RuntimeError(f"no to frame {result.index}")

    with pytest.raises(RuntimeError, match="no to frame 0"):
        write_all(Callback(fail), packets(2))


def test_results_can_be_made_by_the_run() -> None:
    seen: list[object] = []
    write_all(Callback(seen.append, result_of=lambda packet: FrameResult(packet, (), None)), packets(1))
    assert isinstance(seen[0], FrameResult)
    assert seen[0].keys == ()
