"""Stages that do something else for each stream: settings of one camera beside those of others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..pipeline.packet import LANDMARKS, Key, Packet
from ..pipeline.stage import EndReason, Stage
from ..pipeline.types.detections import Detections
from ..pipeline.types.landmarks import Landmarks


class PerStream(Stage):
    """Gives the packets of each stream to a stage of its own, which is opened when the stream's first packet comes.

    Args:
        prototype: says what all of them need and give; it is given no packets.
        of_stream: makes a stream's own stage, which needs and gives the same.
    """

    def __init__(self, prototype: Stage, of_stream: Callable[[str], Stage]) -> None:
        self.name: str = prototype.name
        self.creates: frozenset[Key[Any]] = prototype.creates
        self.reads: frozenset[Key[Any]] = prototype.reads
        self.updates: frozenset[Key[Any]] = prototype.updates
        self.holds: int = prototype.holds
        self.on_dropped: bool = prototype.on_dropped
        self._of_stream = of_stream
        self._stages: dict[str, Stage] = {}

    def process(self, packet: Packet) -> Iterable[Packet]:
        stream_id = packet.frame.stream_id
        stage = self._stages.get(stream_id)
        if stage is None:
            stage = self._of_stream(stream_id)
            stage.open()
            self._stages[stream_id] = stage
        return stage.process(packet)

    def end_stream(self, stream_id: str, reason: EndReason) -> Iterable[Packet]:
        stage = self._stages.pop(stream_id, None)
        if stage is None:
            return ()
        last = list(stage.end_stream(stream_id, reason))
        stage.close()
        return last

    def close(self) -> None:
        while self._stages:
            self._stages.popitem()[1].close()


class KeepClasses(Stage):
    """Leaves only detections of some classes, of the streams that have such a choice.

    Args:
        wanted: stream -> ids of the classes; streams that are not in it keep all. May change while it runs.
        detections: where they are; ``landmarks`` of them go with them.
    """

    name = "keep_classes"
    stateless = True

    def __init__(
        self, wanted: dict[str, frozenset[int]], *, detections: Key[Detections], landmarks: Key[Landmarks] | None = None
    ) -> None:
        self._wanted, self._detections, self._landmarks = wanted, detections, landmarks or LANDMARKS
        self.updates: frozenset[Key[Any]] = frozenset({detections, *([landmarks] if landmarks else ())})

    def process(self, packet: Packet) -> Iterable[Packet]:
        wanted = self._wanted.get(packet.frame.stream_id)
        if wanted is None or self._detections not in packet:
            return (packet,)
        rows = np.isin(packet[self._detections].class_ids, list(wanted))
        return (packet.keep_rows(rows, detections=self._detections, landmarks=self._landmarks),)
