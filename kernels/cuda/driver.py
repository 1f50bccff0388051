"""The way to the cards of this process: their memory, kernels, streams and graphs. Kernels and engines have this alone.

A device has one compute stream, on which all work of this process is done in the order in which it is asked for. What
another stream writes is waited for where its arrays come in.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..device import Device, DeviceArray
from .libcuda import CudaError as CudaError

Extent: TypeAlias = tuple[int, int, int]
Argument: TypeAlias = "DeviceArray | ctypes._SimpleCData[Any] | ctypes.Structure | None"


@dataclass(frozen=True, slots=True)
class Card:
    """A CUDA device of this machine.

    Attributes:
        index: its number.
        name: as the driver calls it.
        capability: its compute capability, such as ``8.6``.
        driver: the newest CUDA that the driver knows, such as (13, 0).
    """

    index: int
    name: str
    capability: str
    driver: tuple[int, int]


class Driver(Protocol):
    """One process's cards; safe from several threads. Whatever fails is a ``CudaError``."""

    def allocate(self, nbytes: int, device: Device) -> int:
        """Address of new memory of arbitrary content."""

    def free(self, pointer: int, device: Device) -> None:
        """Give memory back, once the work that was asked for before is done; does not wait, and never raises."""

    def allocate_fixed(self, nbytes: int, device: Device) -> int:
        """As ``allocate``, of memory that other libraries may register, as NVENC does; it may wait for the card."""

    def free_fixed(self, pointer: int, device: Device) -> None:
        """Give memory of ``allocate_fixed`` back; waits for the card, and never raises."""

    def copy(self, target: int, source: int, nbytes: int, device: Device) -> None:
        """From one place of the device to another; does not wait."""

    def read(self, pointer: int, into: NDArray[np.uint8], device: Device) -> None:
        """Copy to host memory, once all work that was asked for before is done; waits."""

    def upload(self, array: NDArray[np.uint8], device: Device) -> int:
        """Address of new memory with the bytes of a contiguous array, which may be changed afterwards.

        The copy begins at once, beside the work that was asked for before; what is asked for later waits for it.
        """

    def fill(self, pointer: int, byte: int, nbytes: int, device: Device) -> None:
        """Set bytes; does not wait."""

    def launch(
        self, kernel: str, grid: Extent, block: Extent, shared: int, values: Sequence[Any], device: Device
    ) -> None:
        """Start a kernel; does not wait. ``values`` are ctypes, in the order of its parameters."""

    def stream(self, device: Device) -> int:
        """Handle of the compute stream."""

    def wait_for(self, stream: int, other: int, device: Device) -> None:
        """Have what is queued on ``stream`` from now on wait for what is queued on ``other`` now; does not wait."""

    def card(self, device: Device) -> Card:
        """What a device is."""

    def device_at(self, pointer: int) -> Device:
        """The card on which memory lies, whoever got it."""

    def memory_in_use(self) -> dict[Device, int]:
        """Bytes in use, by all processes, on each card that this one uses and that still answers."""

    def active(self, device: Device) -> AbstractContextManager[object]:
        """The context of a device, its primary one, as that of the calling thread: for other libraries, meanwhile.

        All else here leaves the thread's context as it was, too.
        """

    def synchronise(self, device: Device) -> None:
        """Wait until all work that was asked for before is done."""

    def new_stream(self, device: Device) -> int:
        """Handle of a stream beside the compute stream."""

    def destroy_stream(self, stream: int, device: Device) -> None:
        """Once what is queued on it is done; does not wait."""

    def capture(self, queue: Callable[[int], bool], device: Device) -> int | None:
        """Handle of a graph of what ``queue`` puts onto the stream that it is given; None: it cannot be captured.

        The stream is one of its own, so that nothing that other threads ask for is captured.
        """

    def launch_graph(self, graph: int, device: Device) -> None:
        """Queue a captured graph on the compute stream."""

    def destroy_graph(self, graph: int, device: Device) -> None:
        """Once it is no longer launched."""


_drivers: list[Driver] = []
_opening = threading.Lock()


def driver() -> Driver:
    """The driver of this process, opened when it is first asked for.

    Raises:
        CudaError: there is none, or it is too old.
    """
    if not _drivers:
        from .nvidia import open_driver

        with _opening:
            if not _drivers:  # no other thread was first
                _drivers.append(open_driver())
    return _drivers[-1]


def memory_in_use() -> dict[Device, int]:
    """Bytes in use, by all processes, on each card that this one uses; starts no driver."""
    return _drivers[-1].memory_in_use() if _drivers else {}


def launch(
    kernel: str, device: Device, threads: int, blocks: int | Extent, *arguments: Argument, shared: int = 0
) -> None:
    """Start a kernel on the stream of a device.

    Args:
        kernel: the name of an ``extern "C" __global__`` function of this package's sources.
        device: where all arrays lie.
        threads: of a block, along x.
        blocks: of the grid; a number is along x. Nothing is started where there is none.
        arguments: arrays by their address, None for a null pointer, numbers and structs as ctypes.
        shared: bytes of dynamic shared memory.
    """
    grid = (blocks, 1, 1) if isinstance(blocks, int) else blocks
    if 0 in grid:
        return
    values = [_value(argument) for argument in arguments]
    driver().launch(kernel, grid, (threads, 1, 1), shared, values, device)


def blocks_for(count: int, threads: int) -> int:
    """How many blocks have a thread for each of ``count`` things."""
    return -(-count // threads)


def address_of(array: DeviceArray) -> int:
    """The address of an array, for what is queued next on its device: that waits for another stream that writes it."""
    if array.stream is not None:
        opened = driver()
        opened.wait_for(opened.stream(array.device), array.stream, array.device)
    return array.pointer


def _value(argument: Argument) -> Any:
    if isinstance(argument, DeviceArray):
        return ctypes.c_void_p(address_of(argument))
    return ctypes.c_void_p(None) if argument is None else argument
