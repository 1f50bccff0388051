"""What a run gives for each frame."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from vidgraph.pipeline.errors import MissingExtraError, UsageError
from vidgraph.pipeline.packet import DETECTIONS, HELD_FROM, LANDMARKS, Packet
from vidgraph.pipeline.results.format import frame_record
from vidgraph.pipeline.results.frame_result import FrameResult


def test_everything_is_at_hand(samples: Any) -> None:
    packet = samples.packet(3).with_item(HELD_FROM, 2)
    result = FrameResult(packet)
    assert result.frame is packet.frame
    assert (result.stream, result.index, result.time_s) == ("in", 3, 0.12)
    assert result.detections is packet[DETECTIONS]
    assert result.landmarks is packet[LANDMARKS]
    assert result[DETECTIONS] is packet[DETECTIONS]
    assert result.panoptic is None
    assert (result.held_from, result.dropped) == (2, None)
    assert result.to_dict() == frame_record(packet)
    np.testing.assert_array_equal(result.image, np.full((48, 64, 3), 3, np.uint8))
    assert repr(result) == "FrameResult('in' frame 3; 0.120 s; 64x48; 2 face, 1 mask; held from frame 2)"


def test_a_frame_without_results(samples: Any) -> None:
    result = FrameResult(Packet(samples.frame(1)).dropped("mailbox_full"))
    assert len(result.detections) == 0
    assert list(result.detections) == []
    assert result.landmarks is None
    assert repr(result) == "FrameResult('in' frame 1; 0.040 s; 64x48; nothing found; dropped: mailbox_full)"


def test_drawing_is_done_when_asked(samples: Any) -> None:
    drawn: list[Packet] = []

    def drawer(packet: Packet) -> np.ndarray:
        drawn.append(packet)
        return np.zeros((48, 64, 3), np.uint8)

    result = FrameResult(samples.packet(1), drawer=drawer)
    assert drawn == []
    assert result.draw().shape == (48, 64, 3)
    assert drawn == [result.packet]
    with pytest.raises(UsageError, match="without a drawer"):
        FrameResult(samples.packet(1)).draw()


@pytest.mark.parametrize("index", [0, 3])
def test_supervision(samples: Any, index: int) -> None:
    supervision = pytest.importorskip("supervision", reason="the conversion needs supervision")
    found = samples.detections(index)
    converted = FrameResult(samples.packet(index)).to_supervision()
    assert isinstance(converted, supervision.Detections)
    assert len(converted) == index
    np.testing.assert_array_equal(converted.xyxy, found.boxes)
    np.testing.assert_array_equal(converted.confidence, found.scores)
    np.testing.assert_array_equal(converted.tracker_id, found.track_ids)
    assert list(converted["class_name"]) == ["face", "mask", "face"][:index]
    assert converted.mask.shape == (index, 48, 64)
    for row in range(index):
        np.testing.assert_array_equal(converted.mask[row], found.masks.full(row))


def test_supervision_without_masks_and_tracks(samples: Any) -> None:
    pytest.importorskip("supervision", reason="the conversion needs supervision")
    found = samples.detections(3, masks=False)
    moods = np.array(["calm", "glad", "cross"])
    plain = type(found)(found.boxes, found.scores, found.class_ids, found.class_names, data={"mood": moods})
    converted = FrameResult(samples.packet(3).with_item(DETECTIONS, plain)).to_supervision()
    assert converted.mask is None
    assert converted.tracker_id is None
    assert list(converted[1:]["mood"]) == ["glad", "cross"]


def test_without_supervision_the_extra_is_named(samples: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(MissingExtraError, match=r"vidgraph\[supervision\]"):
        FrameResult(samples.packet(1)).to_supervision()
