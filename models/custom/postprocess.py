"""From what a head kept of the outputs to results in displayed pixels: one stage for all heads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ...pipeline.packet import SKIPPED, Key, Packet
from ...pipeline.stage import EndReason
from ...stages.inference.infer import RawOutputs
from ..family import OutputKeys
from ..options import PostprocessOptions
from .head import Head


@dataclass(frozen=True)
class DecodeOwn:
    """Reads ``raw``; creates those of ``keys`` that the head gives.

    Frames that were dropped or that the network skips pass unchanged.
    """

    head: Head
    raw: Key[RawOutputs]
    choices: PostprocessOptions = field(default_factory=PostprocessOptions)
    class_names: tuple[str, ...] = ()
    keys: OutputKeys = field(default_factory=OutputKeys)
    name: str = "decode_own"

    stateless = True

    @property
    def reads(self) -> frozenset[Key[RawOutputs]]:
        """What is kept of the network's outputs."""
        return frozenset({self.raw})

    @property
    def creates(self) -> frozenset[Key[Any]]:
        """What the head gives."""
        return self.head.creates(self.keys)

    def open(self) -> None:
        """Nothing to open."""

    def process(self, packet: Packet) -> Iterable[Packet]:
        """Add the results."""
        if packet.drop_cause is not None or packet.get(SKIPPED):
            return (packet,)
        picture = packet.frame.picture
        found = self.head.decode(packet[self.raw], (picture.height, picture.width), self.choices, self.class_names)
        packet = packet.without(self.raw)
        results: tuple[tuple[Key[Any], Any], ...] = (
            (self.keys.detections, found.detections),
            (self.keys.landmarks, found.landmarks),
            (self.keys.panoptic, found.panoptic),
            (self.keys.tensors, found.tensors),
        )
        for key, value in results:
            if value is not None:
                packet = packet.with_item(key, value)
        return (packet,)

    def end_stream(self, stream_id: str, reason: EndReason) -> Iterable[Packet]:
        """Nothing is kept back."""
        return ()

    def close(self) -> None:
        """Nothing to close."""
