"""The compiled kernels: a fatbin that came with the package, or what NVRTC makes of the sources here, once."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from .compile import KERNELS, OPTIONS, sources
from .driver import CudaError
from .libcuda import dotted

LOG = logging.getLogger("vidgraph")
_FATBIN_VERSION = 13000  # of CUDA, whose compiler makes the fatbins; older drivers do not take them

# What NVRTC does not have; the kernels use of them what follows.
_HEADERS = {
    "cstddef": "using size_t = unsigned long; using ptrdiff_t = long;",
    "cstdint": "using int8_t = signed char; using uint8_t = unsigned char; using int16_t = short; "
    "using uint16_t = unsigned short; using int32_t = int; using uint32_t = unsigned; using int64_t = long; "
    "using uint64_t = unsigned long; using uintptr_t = unsigned long;",
    "cstring": "namespace std { using ::memcpy; }",
    "cmath": "",
}


def program_for(major: int, minor: int, driver_version: int) -> Iterator[bytes]:
    """Images of all kernels for a card and a driver, one a source.

    Args:
        major, minor: compute capability of the card.
        driver_version: as ``cuDriverGetVersion`` has it; fatbins are for that of their compiler or later.

    Raises:
        CudaError: there are no fatbins for it, and NVRTC cannot compile the sources.
    """
    for source in sources():
        fatbin = Path(__file__).with_name(f"{source.stem}.fatbin")
        if fatbin.exists() and driver_version >= _FATBIN_VERSION:
            yield fatbin.read_bytes()
        else:
            yield compile_source(source, f"sm_{major}{minor}", driver_version)


def compile_source(source: Path, architecture: str, driver_version: int) -> bytes:
    """One source, compiled by NVRTC for an architecture such as ``sm_90``, or taken from the cache.

    Raises:
        CudaError: NVRTC is not installed, is newer than the driver, or refuses the source.
    """
    nvrtc = open_nvrtc(driver_version)
    _, major, minor = nvrtc.nvrtcVersion()
    options = [*OPTIONS, "-default-device", f"-arch={architecture}"]
    texts = [path.read_bytes() for path in (source, *sorted(KERNELS.glob("*/*.h")))]
    key = hashlib.sha256(repr((texts, _HEADERS, options, major, minor)).encode())
    cached = _cache() / f"{source.stem}-{architecture}-{key.hexdigest()[:32]}.cubin"
    with suppress(OSError):  # it is not there, or cannot be read
        return cached.read_bytes()
    image = _compile(nvrtc, source, [*options, f"-I{source.parent}"])
    _keep(image, cached)
    return image


def _keep(image: bytes, cached: Path) -> None:
    """For the next process, unless the cache cannot be written."""
    written = cached.with_suffix(f".{os.getpid()}")
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        written.write_bytes(image)
        written.replace(cached)
    except OSError as error:
        LOG.debug("cannot keep a compiled kernel in %s: %s", cached.parent, error)
        with suppress(OSError):  # a disk that is full
            written.unlink(missing_ok=True)


def open_nvrtc(driver_version: int) -> Any:
    """The bindings of NVRTC.

    Raises:
        CudaError: they, or its library, are not installed, or what it makes is for later drivers.
    """
    extra = "cuda" if driver_version >= _FATBIN_VERSION else "cuda12"
    install = f"pip install 'vidgraph[{extra}]'"
    try:
        from cuda.bindings import nvrtc

        _, major, minor = nvrtc.nvrtcVersion()
    except Exception as error:  # what it raises where its library is missing has no class of its own
        raise CudaError(
            "there are no kernels compiled for this card and driver, and NVRTC, which would compile them, is not "
            f"installed: {install}"
        ) from error
    if major > driver_version // 1000:  # a driver loads what any CUDA of its own major version makes, or an earlier one
        raise CudaError(
            f"the NVIDIA driver is for CUDA {dotted(driver_version)}, and does not load the kernels that NVRTC "
            f"{major}.{minor} would compile: update the driver, or {install}"
        )
    return nvrtc


def _compile(nvrtc: Any, source: Path, options: list[str]) -> bytes:
    names, contents = ([text.encode() for text in column] for column in zip(*_HEADERS.items(), strict=True))
    arguments = (source.read_bytes(), source.name.encode(), len(names), contents, names)
    program = _checked(nvrtc, source, nvrtc.nvrtcCreateProgram(*arguments))
    try:
        (status,) = nvrtc.nvrtcCompileProgram(program, len(options), [option.encode() for option in options])
        if int(status):
            log = b" " * _checked(nvrtc, source, nvrtc.nvrtcGetProgramLogSize(program))
            nvrtc.nvrtcGetProgramLog(program, log)
            first = next((line for line in log.decode(errors="replace").splitlines() if "error" in line), str(status))
            raise CudaError(f"NVRTC cannot compile {source.name}: {first}")
        image: bytes = b" " * _checked(nvrtc, source, nvrtc.nvrtcGetCUBINSize(program))
        _checked(nvrtc, source, nvrtc.nvrtcGetCUBIN(program, image))
    finally:
        nvrtc.nvrtcDestroyProgram(program)
    return image


def _checked(nvrtc: Any, source: Path, answer: tuple[Any, ...]) -> Any:
    status, *results = answer
    if int(status):
        raise CudaError(f"NVRTC cannot compile {source.name}: {nvrtc.nvrtcGetErrorString(status)[1].decode()}")
    return results[0] if results else None


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or _home() / ".cache", "vidgraph", "cuda")


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # a user without a home, as in some containers: a place where no folder can be made
        return Path(os.devnull)
