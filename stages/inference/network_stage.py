"""What the stages around a network have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

from ...pipeline.packet import SKIPPED, Key, Packet
from ...pipeline.stage import Stage


class NetworkStage(Stage):
    """Adds ``key`` to every frame; those that were dropped or that the network skips pass unchanged."""

    key: Key[Any]
    stateless = True

    @property
    def creates(self) -> frozenset[Key[Any]]:
        """What it adds."""
        return frozenset({self.key})

    def process(self, packet: Packet) -> Iterable[Packet]:
        """The frame with ``key``."""
        if packet.drop_cause is not None or packet.get(SKIPPED):
            return (packet,)
        return (self.added(packet),)

    @abstractmethod
    def added(self, packet: Packet) -> Packet:
        """``packet`` with ``key``."""
