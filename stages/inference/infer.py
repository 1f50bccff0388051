"""Run the network on what :class:`.preprocess.Preprocess` made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from ...kernels.device import HOST, Device, Tensor, all_to_host, to_device
from ...pipeline.packet import Key, Packet
from ...pipeline.types.affine import Affine
from ...pipeline.types.picture import Picture, Size
from .engine_cache import Runner
from .network_stage import NetworkStage
from .preprocess import ModelInput

Arrays = dict[str, Any]
"""NumPy arrays, of a stage that was told a device arrays on it."""


@dataclass(frozen=True, slots=True, eq=False)
class RawOutputs:
    """What is kept of the network's outputs for one frame.

    Attributes:
        arrays: name -> array, owned by the packet.
        size: height and width of the network's input.
        affine: from pixels of that input to frame pixels.
        picture: of the frame, for who makes another one of it; None: nobody does.
        crops: of a network that saw N crops, and whose arrays are [N, …]: from pixels of each to frame pixels.
    """

    arrays: Arrays
    size: Size
    affine: Affine
    crops: tuple[Affine, ...] = ()
    picture: Picture | None = None


class Runners(Protocol):
    """Gives the runner of an input size; an ``EngineCache``, or one graph of its runners."""

    def runner(self, size: Size) -> AbstractContextManager[Runner]: ...


def copy_outputs(outputs: Mapping[str, Tensor]) -> Arrays:
    """Every output as an array of its own, where it lies."""
    return {name: array.copy() for name, array in outputs.items()}


def outputs_on(outputs: Mapping[str, Tensor], device: Device) -> Arrays:
    """An engine's outputs on ``device``: the one place where they leave its own, in one transfer to the host."""
    if device == HOST:
        return dict(zip(outputs, all_to_host(list(outputs.values())), strict=True))
    return {name: to_device(array, device) for name, array in outputs.items()}


@dataclass(frozen=True)
class Infer(NetworkStage):
    """Run the network of the frame's input size.

    Consumes ``input_key`` (the packet goes on without it) and creates ``key``. An engine's outputs
    are leases that end with the same thread's next run, and the next stage may run in another
    thread, so ``select_outputs`` picks what is needed, as arrays of its own, before this stage returns.
    Frames that were dropped or that the network skips pass unchanged.

    ``device`` is where ``select_outputs`` and the stages behind this one work: outputs that lie elsewhere are copied
    there.

    The cache belongs to whoever made it: closing this stage leaves the engines open.
    """

    cache: Runners
    input_name: str
    input_key: Key[ModelInput]
    key: Key[RawOutputs]
    select_outputs: Callable[[Mapping[str, Any]], Arrays] = copy_outputs
    name: str = "infer"
    device: Device = HOST

    @property
    def reads(self) -> frozenset[Key[ModelInput]]:
        """The network's input."""
        return frozenset({self.input_key})

    def added(self, packet: Packet) -> Packet:
        """Replace the network's input by its outputs."""
        given = packet[self.input_key]
        with self.cache.runner(given.size) as runner:
            future = runner.submit({self.input_name: given.tensor}, stream_id=packet.frame.stream_id)
            arrays = self.select_outputs(outputs_on(future.result(), self.device))
        given.release()
        raw = RawOutputs(arrays, given.size, given.affine)
        return packet.without(self.input_key).with_item(self.key, raw)
