"""What every engine on a card shares: its buffers, and how it tells what goes wrong there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..kernels.cuda.driver import CudaError
from ..kernels.device import Device, DeviceArray, empty
from ..pipeline.errors import DeviceError, EngineError
from .spec import TensorSpec

ON_THE_CPU = "Use device cpu (engine openvino)"
"""The way on, where a card cannot be used."""


@contextmanager
def card_errors(who: str) -> Iterator[None]:
    """What is wrong with a card comes out as a ``DeviceError`` of ``who``."""
    try:
        yield
    except CudaError as error:
        raise DeviceError(f"{who}: {error}") from error


def out_of_memory(name: str, reason: str = "", *, instead: str = ON_THE_CPU) -> EngineError:
    """The error where a card has no room for a network, or for what it computes."""
    told = f" ({reason})" if reason else ""
    return EngineError(
        f"{name}: the card has no memory left{told}; end what else runs on it, choose a smaller size or batch, or run "
        f"it elsewhere. {instead}"
    )


class CardBuffers:
    """Memory on a card for every input and output of a network, at the same place for all runs.

    Raises:
        EngineError: the card has no memory left.
    """

    def __init__(self, name: str, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], place: Device) -> None:
        try:
            self.inputs = {spec.name: _buffer(spec, place) for spec in inputs}
            self.outputs = {spec.name: _buffer(spec, place) for spec in outputs}
        except CudaError as error:
            if error.out_of_memory:
                raise out_of_memory(name) from error
            raise

    def clear(self) -> None:
        """Let go of them; outputs that were given away stay valid."""
        self.inputs.clear()
        self.outputs.clear()


def _buffer(spec: TensorSpec, place: Device) -> DeviceArray:
    array = empty(spec.shape, spec.dtype, place)
    if not isinstance(array, DeviceArray):
        raise AssertionError("an array on a card is a DeviceArray")
    return array
