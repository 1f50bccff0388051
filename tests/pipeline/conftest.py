"""Frames with results, and results files, as the tests of the format need them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vidgraph.pipeline.packet import DETECTIONS, LANDMARKS, Frame, Packet
from vidgraph.pipeline.results.format import ModelInfo, SourceInfo, dumps, frame_record, header_record
from vidgraph.pipeline.types.detections import Detections
from vidgraph.pipeline.types.landmarks import Landmarks
from vidgraph.pipeline.types.masks import Masks
from vidgraph.pipeline.types.picture import Picture

POINT_NAMES = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
SIZE = (48, 64)  # height, width


class Samples:
    """Makes packets whose results depend on the frame number only."""

    model = ModelInfo("faces", class_names=("face", "mask"), point_names=POINT_NAMES)

    def frame(self, index: int, stream: str = "in", **fields: Any) -> Frame:
        picture = Picture.from_rgb(np.full((*SIZE, 3), index, np.uint8))
        return Frame(stream, index, 0, index * 40_000_000, 40_000_000, picture, **fields)

    def detections(self, index: int, *, masks: bool = True) -> Detections:
        """``index`` modulo 4 objects, with masks, all but the first with a track."""
        count = index % 4
        rng = np.random.default_rng(index)
        corners = rng.uniform(0, 24, (count, 4)).astype(np.float32) + np.array([0, 0, 24, 24], np.float32)
        return Detections(
            corners,
            np.linspace(0.9, 0.5, count, dtype=np.float32),
            (np.arange(count) % 2).astype(np.int32),
            self.model.class_names,
            Masks.from_full(rng.random((count, *SIZE)) < 0.5) if masks else None,
            np.arange(-1, count - 1, dtype=np.int32),
        )

    def landmarks(self, detections: Detections) -> Landmarks:
        """Points of every detection but the last."""
        count = max(len(detections) - 1, 0)
        rng = np.random.default_rng(count)
        return Landmarks(
            rng.uniform(0, 48, (count, 5, 2)).astype(np.float32),
            rng.uniform(0.1, 1, (count, 5)).astype(np.float32),
            detections.boxes[:count],
            POINT_NAMES,
            np.arange(count, dtype=np.int32),
            np.full(count, -1, np.int32),
        )

    def packet(self, index: int, stream: str = "in", **fields: Any) -> Packet:
        found = self.detections(index)
        packet = Packet(self.frame(index, stream, **fields)).with_item(DETECTIONS, found)
        return packet.with_item(LANDMARKS, self.landmarks(found))


@pytest.fixture
def samples() -> Samples:
    return Samples()


@pytest.fixture
def write_results(tmp_path: Path, samples: Samples) -> Callable[..., Path]:
    """Writes a results file of sample packets and gives its path."""

    def write(packets: list[Packet], *, streams: tuple[str, ...] = ("in",), tail: str = "") -> Path:
        path = tmp_path / "results.jsonl"
        records = [header_record(models=[samples.model], sources=[SourceInfo(name) for name in streams])]
        records += [frame_record(packet) for packet in packets]
        path.write_text("".join(dumps(record) + "\n" for record in records) + tail, "utf-8")
        return path

    return write
