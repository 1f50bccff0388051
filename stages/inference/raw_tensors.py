"""The network's raw outputs as a result."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ...kernels.device import HOST
from ...pipeline.packet import SKIPPED, TENSORS, Key, Packet
from ...pipeline.stage import Stage
from ...pipeline.types.tensors import Tensors
from .infer import RawOutputs, outputs_on


@dataclass(frozen=True)
class RawTensors(Stage):
    """Reads ``raw`` and creates ``key`` in its place, with the same arrays.

    Frames that were dropped or that the network skips pass unchanged.
    """

    raw: Key[RawOutputs]
    key: Key[Tensors] = TENSORS
    name: str = "raw_tensors"

    stateless = True

    @property
    def reads(self) -> frozenset[Key[RawOutputs]]:
        """What is kept of the network's outputs."""
        return frozenset({self.raw})

    @property
    def creates(self) -> frozenset[Key[Tensors]]:
        """The same as a result."""
        return frozenset({self.key})

    def process(self, packet: Packet) -> Iterable[Packet]:
        """Add the tensors."""
        if packet.drop_cause is not None or packet.get(SKIPPED):
            return (packet,)
        raw = packet[self.raw]
        tensors = Tensors(outputs_on(raw.arrays, HOST), raw.size, raw.affine)
        return (packet.without(self.raw).with_item(self.key, tensors),)
