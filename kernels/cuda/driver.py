"""What makes memory on a card and launches kernels: NVIDIA's driver, or what a test puts in its place."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..device import Device, DeviceArray

Extent: TypeAlias = tuple[int, int, int]
Argument: TypeAlias = "DeviceArray | ctypes._SimpleCData[Any] | ctypes.Structure | None"


class CudaError(RuntimeError):
    """A card cannot be used, and the message says why: no driver, an old one, no memory left, a failed kernel."""


class Driver(Protocol):
    """One process's way to its cards. Work of a device is done in the order in which it is asked for, on one stream."""

    def allocate(self, nbytes: int, device: Device) -> int:
        """Address of new memory of arbitrary content."""

    def free(self, pointer: int, device: Device) -> None:
        """Give memory back, once the work that was asked for before is done; does not wait."""

    def copy(self, target: int, source: int, nbytes: int, device: Device) -> None:
        """From one place of the device to another; does not wait."""

    def read(self, pointer: int, into: NDArray[np.uint8], device: Device) -> None:
        """Copy to host memory, once all work that was asked for before is done; waits."""

    def write(self, pointer: int, array: NDArray[np.uint8], device: Device) -> None:
        """Copy from host memory; ``array`` may be changed afterwards."""

    def fill(self, pointer: int, byte: int, nbytes: int, device: Device) -> None:
        """Set bytes; does not wait."""

    def launch(
        self, kernel: str, grid: Extent, block: Extent, shared: int, values: Sequence[Any], device: Device
    ) -> None:
        """Start a kernel; does not wait. ``values`` are ctypes, in the order of its parameters."""

    def stream(self, device: Device) -> int:
        """Handle of the stream on which the work of a device is done."""


_drivers: list[Driver] = []


def driver() -> Driver:
    """The driver of this process, opened when it is first asked for.

    Raises:
        CudaError: there is none, or it is too old.
    """
    if not _drivers:
        from .nvidia import open_driver

        _drivers.append(open_driver())
    return _drivers[-1]


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


def _value(argument: Argument) -> Any:
    if isinstance(argument, DeviceArray):
        return ctypes.c_void_p(argument.pointer)
    return ctypes.c_void_p(None) if argument is None else argument
