"""In which zones of a camera's picture objects stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..pipeline.packet import DETECTIONS, Key, Packet
from ..pipeline.stage import Stage
from ..pipeline.types.detections import Detections
from ..pipeline.types.picture import Size
from .areas import contains

ZONES = "zones"
"""The column of ``Detections.data``."""

Zones = Mapping[str, list[tuple[float, float]]]
"""Name -> corners of its polygon, from (0, 0) at the upper left to (1, 1) at the lower right."""


class MarkZones(Stage):
    """Gives detections a column ``zones``: the names of the zones that an object's foot is in, with commas between.

    The foot is the middle of the lower side of the box, where somebody who stands touches the ground; where a box
    reaches out of the picture, the nearest pixel of it.

    Args:
        of_stream: stream -> its zones; detections of the others are left as they are. May change while it runs.
        detections: where they are.
    """

    name = "zones"
    stateless = True

    def __init__(self, of_stream: Mapping[str, Zones], *, detections: Key[Detections] = DETECTIONS) -> None:
        self._of_stream, self._detections = of_stream, detections
        self.updates: frozenset[Key[Any]] = frozenset({detections})

    def process(self, packet: Packet) -> Iterable[Packet]:
        zones = self._of_stream.get(packet.frame.stream_id)
        found = packet.get(self._detections)
        if zones is None or found is None:
            return (packet,)
        picture = packet.frame.picture
        return (packet.with_item(self._detections, marked(found, zones, (picture.height, picture.width))),)


def marked(found: Detections, zones: Zones, size: Size) -> Detections:
    """Detections with the column ``zones``, of a picture of ``size``."""
    height, width = size
    boxes = found.boxes.astype(np.float64)
    feet = np.stack([boxes[:, [0, 2]].mean(axis=1), boxes[:, 3]], axis=1)
    feet = np.clip(feet, 0.5, np.array([width, height]) - 0.5) / (width, height)
    inside = {name: contains(polygon, feet[:, 0], feet[:, 1]) for name, polygon in zones.items()}
    texts = [",".join(name for name, within in inside.items() if within[row]) for row in range(len(found))]
    column = np.array(texts, np.str_) if texts else np.zeros(0, "U1")
    return replace(found, data={**found.data, ZONES: column})
