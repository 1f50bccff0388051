"""From what a head kept of the outputs to results in displayed pixels: one stage for all heads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from ...pipeline.packet import SKIPPED, Key, Packet
from ...pipeline.results.format import ResultKeys
from ...pipeline.stage import Stage
from ...stages.inference.infer import RawOutputs
from ..options import PostprocessOptions
from .head import Head


@dataclass(frozen=True)
class DecodeCustom(Stage):
    """Reads ``raw``; creates those of ``keys`` that the head gives.

    Frames that were dropped or that the network skips pass unchanged.
    """

    head: Head
    raw: Key[RawOutputs]
    choices: PostprocessOptions = field(default_factory=PostprocessOptions)
    class_names: tuple[str, ...] = ()
    keys: ResultKeys = field(default_factory=ResultKeys)
    name: str = "decode_own"

    stateless = True

    @property
    def reads(self) -> frozenset[Key[RawOutputs]]:
        """What is kept of the network's outputs."""
        return frozenset({self.raw})

    @property
    def creates(self) -> frozenset[Key[Any]]:
        """What the head gives."""
        return frozenset(self.keys.to(kind) for kind in self.head.gives)

    def process(self, packet: Packet) -> Iterable[Packet]:
        """Add the results."""
        if packet.drop_cause is not None or packet.get(SKIPPED):
            return (packet,)
        picture = packet.frame.picture
        raw = replace(packet[self.raw], picture=picture)
        found = self.head.decode(raw, (picture.height, picture.width), self.choices, self.class_names)
        packet = packet.without(self.raw)
        for kind, value in found.items():
            packet = packet.with_item(self.keys.to(kind), value)
        return (packet,)
