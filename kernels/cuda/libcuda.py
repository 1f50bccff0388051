"""NVIDIA's driver, libcuda, through ctypes: the one place that opens it and calls its functions.

All of them are of CUDA 12.0 or before. Without a driver, opening the library fails, at once and however often it is
asked for; ``cuda-bindings`` and what is made on it wait for ever the second time.

Source: the CUDA Driver API (``cuda.h``).
"""

from __future__ import annotations

import ctypes
from ctypes import c_int, c_size_t, c_ubyte, c_uint, c_uint64, c_void_p
from functools import cached_property
from typing import Any

from ..device import DeviceFailure

OLDEST = 12000  # cuLibraryLoadData
OUT_OF_MEMORY, NOT_FOUND, NOT_READY = 2, 500, 600

_NAME = "libcuda.so.1"
_ON_THE_CPU = "Use device cpu"
_LOST = frozenset({214, 220, 700, 702, 710, 714, 715, 716, 717, 718, 719})  # after which a context cannot be used


_HANDLE = _PLACE = _MEMORY = c_void_p  # CUstream and the like; where a result goes; host memory
_POINTER = c_uint64  # CUdeviceptr
_COPY = c_size_t, _HANDLE  # bytes and stream

PROTOTYPES: dict[str, tuple[Any, ...]] = {
    "cuCtxPopCurrent_v2": (_PLACE,),
    "cuCtxPushCurrent_v2": (_HANDLE,),
    "cuDeviceGet": (_PLACE, c_int),
    "cuDeviceGetAttribute": (_PLACE, c_int, c_int),
    "cuDeviceGetCount": (_PLACE,),
    "cuDeviceGetDefaultMemPool": (_PLACE, c_int),
    "cuDeviceGetName": (_PLACE, c_int, c_int),
    "cuDevicePrimaryCtxRetain": (_PLACE, c_int),
    "cuDriverGetVersion": (_PLACE,),
    "cuEventCreate": (_PLACE, c_uint),
    "cuEventDestroy_v2": (_HANDLE,),
    "cuEventQuery": (_HANDLE,),
    "cuEventRecord": (_HANDLE, _HANDLE),
    "cuEventSynchronize": (_HANDLE,),
    "cuGetErrorName": (c_int, _PLACE),
    "cuGetErrorString": (c_int, _PLACE),
    "cuGraphDestroy": (_HANDLE,),
    "cuGraphExecDestroy": (_HANDLE,),
    "cuGraphInstantiateWithFlags": (_PLACE, _HANDLE, c_uint64),
    "cuGraphLaunch": (_HANDLE, _HANDLE),
    "cuInit": (c_uint,),
    "cuLaunchKernel": (_HANDLE, *[c_uint] * 7, _HANDLE, _MEMORY, _MEMORY),
    "cuLibraryGetKernel": (_PLACE, _HANDLE, _MEMORY),
    "cuLibraryLoadData": (_PLACE, _MEMORY, *[_MEMORY, _MEMORY, c_uint] * 2),
    "cuMemAllocAsync": (_PLACE, *_COPY),
    "cuMemAlloc_v2": (_PLACE, c_size_t),
    "cuMemFreeAsync": (_POINTER, _HANDLE),
    "cuMemFree_v2": (_POINTER,),
    "cuMemGetInfo_v2": (_PLACE, _PLACE),
    "cuMemHostAlloc": (_PLACE, c_size_t, c_uint),
    "cuMemPoolSetAttribute": (_HANDLE, c_int, _MEMORY),
    "cuMemcpyDtoDAsync_v2": (_POINTER, _POINTER, *_COPY),
    "cuMemcpyDtoHAsync_v2": (_MEMORY, _POINTER, *_COPY),
    "cuMemcpyHtoDAsync_v2": (_POINTER, _MEMORY, *_COPY),
    "cuMemsetD8Async": (_POINTER, c_ubyte, *_COPY),
    "cuPointerGetAttribute": (_PLACE, c_int, _POINTER),
    "cuStreamBeginCapture_v2": (_HANDLE, c_int),
    "cuStreamCreate": (_PLACE, c_uint),
    "cuStreamDestroy_v2": (_HANDLE,),
    "cuStreamEndCapture": (_HANDLE, _PLACE),
    "cuStreamSynchronize": (_HANDLE,),
    "cuStreamWaitEvent": (_HANDLE, _HANDLE, c_uint),
    "cuThreadExchangeStreamCaptureMode": (_PLACE,),
}
"""The functions that are called, and the types of their parameters."""


class CudaError(DeviceFailure):
    """A card cannot be used; ``code`` is the CUresult of the call that failed, 0 where it was none."""

    code = 0

    def __str__(self) -> str:
        return f"{super().__str__().rstrip('.')}. {_ON_THE_CPU}"

    @property
    def out_of_memory(self) -> bool:
        """Whether the card has no memory left."""
        return self.code == OUT_OF_MEMORY

    @property
    def lost(self) -> bool:
        """Whether this process cannot use the card any more."""
        return self.code in _LOST


class Libcuda:
    """The driver's functions; safe from several threads."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self._functions: dict[str, Any] = {}

    @cached_property
    def version(self) -> int:
        """The newest CUDA that it knows, such as 12040. Raises as :meth:`call`."""
        return self.number("ask the NVIDIA driver for its version", "cuDriverGetVersion")

    def start(self) -> None:
        """To be called before any other function but that of the version. Raises as :meth:`call`."""
        self.call("start the NVIDIA driver", "cuInit", 0)

    def code(self, function: str, *arguments: Any) -> int:
        """The CUresult of a call."""
        return int((self._functions.get(function) or self._function(function))(*arguments))

    def _function(self, name: str) -> Any:
        try:
            function = getattr(self._library, name)
        except AttributeError as error:  # a library of that name that is no driver
            raise CudaError(f"the NVIDIA driver cannot be used: it has no {name}; install it again") from error
        function.argtypes = PROTOTYPES[name]
        return self._functions.setdefault(name, function)

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
        self.code(function, code, ctypes.byref(text))
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
    opened = Libcuda(library)
    if opened.version < OLDEST:
        raise CudaError(
            f"the NVIDIA driver is too old: it is for CUDA {dotted(opened.version)}, and {dotted(OLDEST)} is needed; "
            f"update it"
        )
    opened.start()
    return opened


def count_devices() -> int:
    """How many cards this machine has, also where the driver is too old for them; 0 where they cannot be counted."""
    try:
        library = Libcuda(_load())
        library.start()
        return library.number("count the cards", "cuDeviceGetCount")
    except (OSError, CudaError):
        return 0
