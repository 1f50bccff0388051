"""The input of a network that takes one channel: the luma of what was made for it in colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...kernels.device import HOST, Device, to_device, to_host
from ...pipeline.packet import Key, Packet
from .network_stage import NetworkStage
from .preprocess import BufferPool, ModelInput

_NONE_KEPT = BufferPool(limit=0)
LUMA_OF_RGB = (0.299, 0.587, 0.114)
"""Of BT.601, as JFIF has it."""


@dataclass(frozen=True)
class GrayInput(NetworkStage):
    """Replaces the network's input of three channels, red first, by their luma.

    The channels are normalised alike, so that the luma of them is the normalised luma. It is made in host memory.
    Frames that were dropped or that the network skips pass unchanged.
    """

    key: Key[ModelInput]
    name: str = "gray"
    device: Device = HOST

    creates = frozenset()

    @property
    def updates(self) -> frozenset[Key[ModelInput]]:
        """The network's input."""
        return frozenset({self.key})

    def added(self, packet: Packet) -> Packet:
        """Replace the input."""
        given = packet[self.key]
        axis = 1 if given.layout == "nchw" else 3
        colors = np.moveaxis(np.asarray(to_host(given.tensor)), axis, 0)
        luma = sum(np.float32(share) * channel for share, channel in zip(LUMA_OF_RGB, colors, strict=True))
        whole = np.rint(luma) if colors.dtype.kind in "iu" else luma
        gray = np.expand_dims(np.asarray(whole).astype(colors.dtype), axis)
        given.release()
        made = ModelInput(to_device(gray, self.device), given.affine, _NONE_KEPT, given.layout)
        return packet.with_item(self.key, made)
