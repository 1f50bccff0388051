"""CUDA kernels on the CPU: their sources compiled as C++ and run with shuffled threads; see ``emulator.h``.

A library a source is compiled once for all processes of a test run. Where the address sanitizer is loaded (``make
sanitize``), the libraries have it too, so that every access beyond an array is an error.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from vidgraph.kernels.device import Device

HERE = Path(__file__).parent
KERNELS = Path(__file__).parents[2] / "kernels"
SOURCES = sorted(KERNELS.glob("*/*.cu"))

_KERNEL = re.compile(r"^CUDA_KERNEL\([^)]*\)\s*(\w+)\(", re.MULTILINE)
_WAITS = re.compile(r"_sync\(|__sync|count_before")
_INCLUDED = re.compile(r'^#include "([^"]+)"', re.MULTILINE)
_FLAGS = (
    "-std=c++17",
    "-O1",
    "-fPIC",
    "-fvisibility=hidden",
    "-ffp-contract=off",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-attributes",
    "-Wno-unknown-pragmas",
    "-Wno-sign-compare",
)
_ADDRESSES = ("-w", "-fsanitize=address", "-fno-omit-frame-pointer", "-fsanitize-sections=emulated_shared")
_SANITIZED = (
    "-g", "-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer",
    "-fsanitize-sections=emulated_shared",
)  # fmt: skip


def sanitized() -> bool:
    """Whether the address sanitizer is in this process."""
    return hasattr(ctypes.CDLL(None), "__asan_init")


def compiler() -> str | None:
    """The C++ compiler, if there is one."""
    return shutil.which(os.environ.get("CXX", "c++"))


@cache
def _waits(source: Path, text: str | None = None) -> bool:
    """Whether threads of its kernels, or what they include, may wait for one another."""
    text = source.read_text() if text is None else text
    included = [source.parent / name for name in _INCLUDED.findall(text)]
    return bool(_WAITS.search(text)) or any(_waits(header) for header in included if header.name != "cuda.h")


@cache
def kernels_of(source: Path) -> list[str]:
    """Names of the kernels of a source."""
    return _KERNEL.findall(source.read_text())


@cache
def build(source: Path, text: str | None = None) -> Path:
    """The library of a source, or of ``text`` in its place, whose sanitizer looks at addresses alone.

    Raises:
        RuntimeError: it does not compile; with what the compiler says.
    """
    checks = () if not sanitized() else _SANITIZED if text is None else _ADDRESSES
    flags, headers = (*_FLAGS, *checks), sorted(HERE.glob("*.h"))
    scheduler = _made("emulator.o", ("-c", *flags), {}, [HERE / "emulator.cpp"], headers)
    written = {
        "source.cu": source.read_text() if text is None else text,
        "kernels.h": "".join(f"KERNEL({name})\n" for name in kernels_of(source)),
    }
    flags = ("-shared", *flags, f"-I{HERE}", f"-iquote{source.parent}")
    own = [*headers, *sorted(KERNELS.glob("*/*.h"))]
    return _made(f"{source.stem}.so", flags, written, [HERE / "library.cpp", scheduler], own)


def _made(name: str, flags: Sequence[str], written: Mapping[str, str], of: Iterable[Path], headers: list[Path]) -> Path:
    """What the compiler makes of files, and of others that are written for it; made once for all processes."""
    key = hashlib.sha256("\0".join([*flags, *written.values()]).encode())
    for path in (*of, *headers):
        key.update(path.read_bytes())
    folder = Path(tempfile.gettempdir(), f"vidgraph-emulator-{os.getuid()}", f"{name}-{key.hexdigest()[:20]}")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    made, part = folder / name, folder / f"{os.getpid()}-{name}"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if made.exists():
            return made
        for file, text in written.items():
            (folder / file).write_text(text)
        command = (str(compiler()), *flags, f"-iquote{folder}", *map(str, of), "-o", str(part))
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"the emulator cannot compile {name}:\n{done.stderr[-4000:]}")
        part.rename(made)
    return made


MOST_BYTES = 1 << 40  # beyond, an array is refused; a kernel with a fault may count anything

_one_launch = threading.Lock()  # a library has one launch at a time
_libc = ctypes.CDLL(None)  # or what the sanitizer has put in its place
_libc.malloc.restype, _libc.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
_libc.free.argtypes = (ctypes.c_void_p,)
_library = cache(ctypes.CDLL)


def choose_fault(library: Path, number: int) -> None:
    """From now on the fault of that number shows, of those that have been put into a text; -1 for none."""
    ctypes.c_int.in_dll(_library(library), "emulator_fault").value = number
    ctypes.c_int.in_dll(_library(library), "emulator_fault_met").value = 0


def fault_was_met(library: Path) -> bool:
    """Whether a thread has come by the fault that is chosen."""
    return bool(ctypes.c_int.in_dll(_library(library), "emulator_fault_met").value)


class EmulatedDriver:
    """A driver whose card is the CPU.

    Args:
        seed: of the orders in which blocks and threads run; each launch has another.
        texts: sources in place of those of their files.
        extra: further sources.

    Attributes:
        launches: how many kernels were started.
        reads: bytes of each transfer to the host, in order; every one is a wait.
        library: the stand-in of NVIDIA's driver by which it is asked, where it is.
    """

    def __init__(self, seed: int = 0, texts: dict[Path, str] | None = None, extra: Sequence[Path] = ()) -> None:
        self.seed, self.launches = seed, 0
        self.reads: list[int] = []
        self.library: Any = None
        self._texts = texts or {}
        self._sources = {kernel: source for source in (*SOURCES, *extra) for kernel in kernels_of(source)}

    def _of(self, kernel: str) -> tuple[ctypes.CDLL, bool]:
        source = self._sources[kernel]
        text = self._texts.get(source)
        return _library(build(source, text)), not _waits(source, text)

    def allocate(self, nbytes: int, device: Device) -> int:
        """New memory, full of noise."""
        pointer = _libc.malloc(max(nbytes, 1)) if 0 <= nbytes <= MOST_BYTES else None
        if pointer is None:
            raise MemoryError(f"{nbytes} bytes for an array of the emulated card")
        ctypes.memset(pointer, 0xA5, nbytes)
        return int(pointer)

    def free(self, pointer: int, device: Device) -> None:
        """Give it back."""
        _libc.free(pointer)

    def copy(self, target: int, source: int, nbytes: int, device: Device) -> None:
        """As the driver's."""
        ctypes.memmove(target, source, nbytes)

    def read(self, pointer: int, into: np.ndarray, device: Device) -> None:
        """As the driver's."""
        self.reads.append(into.nbytes)
        ctypes.memmove(into.ctypes.data, pointer, into.nbytes)

    def upload(self, array: np.ndarray, device: Device) -> int:
        """As the driver's."""
        pointer = self.allocate(array.nbytes, device)
        ctypes.memmove(pointer, array.ctypes.data, array.nbytes)
        return pointer

    def fill(self, pointer: int, byte: int, nbytes: int, device: Device) -> None:
        """As the driver's."""
        ctypes.memset(pointer, byte, nbytes)

    def launch(
        self,
        kernel: str,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        shared: int,
        values: Sequence[Any],
        device: Device,
    ) -> None:
        """Run a kernel to its end; see :meth:`run`."""
        self.run(kernel, grid, block, shared, (ctypes.c_void_p * len(values))(*map(ctypes.addressof, values)))

    def run(
        self, kernel: str, grid: tuple[int, ...], block: tuple[int, ...], shared: int, places: ctypes.Array[Any]
    ) -> None:
        """Run a kernel to its end, with arguments at these addresses.

        Raises:
            RuntimeError: what the emulator found wrong.
        """
        library, plain = self._of(kernel)
        extent, message = ctypes.c_uint * 3, ctypes.create_string_buffer(512)
        self.launches += 1
        seed = ctypes.c_uint64(self.seed << 32 | self.launches)
        with _one_launch:
            wrong = library.emulator_launch(
                kernel.encode(), extent(*grid), extent(*block), ctypes.c_size_t(shared), seed, int(plain), len(places),
                places, message, ctypes.c_size_t(len(message)),
            )  # fmt: skip
        if wrong:
            raise RuntimeError(f"{kernel}: {message.value.decode()}")

    def stream(self, device: Device) -> int:
        """A handle as good as any."""
        return 1

    def device_at(self, pointer: int) -> Device:
        """There is one."""
        return Device("cuda", 0)

    def memory_in_use(self) -> dict[Device, int]:
        """Not counted."""
        return {}

    def wait_for(self, stream: int, other: int, device: Device) -> None:
        """Nothing is late here; :mod:`.libcuda` has streams that are."""
