"""NVIDIA's driver, libcuda, through ctypes: the one place that opens it and calls its functions.

All of them are of CUDA 12.0 or before. Without a driver, opening the library fails, at once and however often it is
asked for; ``cuda-bindings`` and what is made on it wait for ever the second time.

Source: the CUDA Driver API (``cuda.h``).
"""

from __future__ import annotations

import ctypes
from typing import Any

from ..device import DeviceFailure

OLDEST = 12000  # cuLibraryLoadData
OUT_OF_MEMORY, NOT_FOUND, NOT_READY = 2, 500, 600

_NAME = "libcuda.so.1"
_ON_THE_CPU = "Use device cpu"
_LOST = frozenset({214, 220, 700, 702, 710, 714, 715, 716, 717, 718, 719})  # after which a context cannot be used


class CudaError(DeviceFailure):
    """A card cannot be used; ``code`` is the CUresult of the call that failed, 0 where it was none."""

    code = 0

    def __str__(self) -> str:
        return f"{super().__str__().rstrip('.')}. {_ON_THE_CPU}"

    @property
    def out_of_memory(self) -> bool:
        """Whether the card has no memory left."""
        return self.code == OUT_OF_MEMORY


class Libcuda:
    """The driver's functions; safe from several threads.

    Raises:
        CudaError: it is too old, or does not start.
    """

    def __init__(self, library: Any) -> None:
        self._library = library
        self.version = self.number("ask the NVIDIA driver for its version", "cuDriverGetVersion")
        if self.version < OLDEST:
            raise CudaError(
                f"the NVIDIA driver is too old: it is for CUDA {dotted(self.version)}, and {dotted(OLDEST)} is needed; "
                f"update it"
            )
        self.call("start the NVIDIA driver", "cuInit", ctypes.c_uint(0))

    def code(self, function: str, *arguments: Any) -> int:
        """The CUresult of a call."""
        try:
            called = getattr(self._library, function)
        except AttributeError as error:  # a library of that name that is no driver
            raise CudaError(f"the NVIDIA driver cannot be used: it has no {function}; install it again") from error
        return int(called(*arguments))

    def call(self, what: str, function: str, *arguments: Any) -> None:
        """Call a function; ``what`` it is to do is said where it fails.

        Raises:
            CudaError: it did not give CUDA_SUCCESS.
        """
        code = self.code(function, *arguments)
        if code:
            raise self.error(what, code)

    def number(self, what: str, function: str, *arguments: Any) -> int:
        """The int that a function gives through its first parameter. Raises as :meth:`call`."""
        number = ctypes.c_int(0)
        self.call(what, function, ctypes.byref(number), *arguments)
        return number.value

    def handle(self, what: str, function: str, *arguments: Any) -> int:
        """The handle or address that a function gives through its first parameter. Raises as :meth:`call`."""
        handle = ctypes.c_void_p()
        self.call(what, function, ctypes.byref(handle), *arguments)
        return handle.value or 0

    def error(self, what: str, code: int) -> CudaError:
        """What is raised where a call for ``what`` gave a ``code`` other than CUDA_SUCCESS."""
        cure = ""
        if code == OUT_OF_MEMORY:
            cure = "; end what else runs on the card, or use smaller pictures, a smaller batch or fewer streams"
        elif code in _LOST:
            cure = "; work that was queued on it has failed, and this process cannot use the card any more"
        said = f"{self._said('cuGetErrorString', code)} ({self._said('cuGetErrorName', code)})"
        error = CudaError(f"cannot {what}: {said}{cure}")
        error.code = code
        return error

    def _said(self, function: str, code: int) -> str:
        text = ctypes.c_char_p()
        self.code(function, ctypes.c_int(code), ctypes.byref(text))
        return (text.value or str(code).encode()).decode(errors="replace")


def dotted(version: int) -> str:
    """A version as the driver has it, such as 12040, as it is written: ``12.4``."""
    return f"{version // 1000}.{version % 1000 // 10}"


def _load() -> Any:
    return ctypes.CDLL(_NAME)


def open_libcuda() -> Libcuda:
    """The driver of this machine.

    Raises:
        CudaError: there is none, it is too old, or it does not start.
    """
    try:
        library = _load()
    except OSError as error:
        raise CudaError(f"there is no NVIDIA driver on this machine ({_NAME})") from error
    return Libcuda(library)


def count_devices() -> int:
    """How many cards this machine has, also where the driver is too old for them; 0 where they cannot be counted."""
    count = ctypes.c_int(0)
    try:
        library = _load()
        found = library.cuInit(ctypes.c_uint(0)) == 0 and library.cuDeviceGetCount(ctypes.byref(count)) == 0
    except (OSError, AttributeError):
        return 0
    return count.value if found else 0
