"""The network's raw outputs as a result."""

from __future__ import annotations

from dataclasses import dataclass

from ...kernels.device import HOST
from ...pipeline.packet import TENSORS, Key, Packet
from ...pipeline.types.tensors import Tensors
from .infer import RawOutputs, outputs_on
from .network_stage import NetworkStage


@dataclass(frozen=True)
class RawTensors(NetworkStage):
    """Reads ``raw`` and creates ``key`` in its place, with the same arrays.

    Frames that were dropped or that the network skips pass unchanged.
    """

    raw: Key[RawOutputs]
    key: Key[Tensors] = TENSORS
    name: str = "raw_tensors"

    @property
    def reads(self) -> frozenset[Key[RawOutputs]]:
        """What is kept of the network's outputs."""
        return frozenset({self.raw})

    def added(self, packet: Packet) -> Packet:
        """Add the tensors."""
        raw = packet[self.raw]
        tensors = Tensors(outputs_on(raw.arrays, HOST), raw.size, raw.affine)
        return packet.without(self.raw).with_item(self.key, tensors)
