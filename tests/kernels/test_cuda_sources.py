"""The sources of the CUDA kernels compile for all cards, by nvcc and by NVRTC, and need little of them."""

from __future__ import annotations

import errno
import os
import re
import shutil
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from vidgraph.kernels.cuda import driver, program
from vidgraph.kernels.cuda.compile import ARCHITECTURES, PTX, compile_source, sources

NVCC = shutil.which("nvcc")
DRIVER = 13000
"""The CUDA of the driver that kernels are compiled for."""
STEMS = [source.stem for source in sources()]

MOST_REGISTERS = 128  # so that two blocks of 256 threads are on a multiprocessor at a time
MOST_SHARED = 48 << 10  # bytes that a block has on every card without asking for more


def source_of(stem: str) -> Path:
    """The source of a kernel."""
    return program.KERNELS / stem / f"{stem}.cu"


@pytest.mark.skipif(NVCC is None, reason="needs nvcc")
@pytest.mark.parametrize("stem", STEMS)
def test_kernels_spill_nothing_and_share_little(stem: str, tmp_path: Path) -> None:
    said = compile_source(str(NVCC), source_of(stem), tmp_path, strict=True)
    kernels = re.findall(r"Compiling entry function '(\w+)' for", said)
    assert len(kernels) == len(ARCHITECTURES) * len(set(kernels)) > 0
    assert re.findall(r"(\d+) bytes spill stores, (\d+) bytes spill loads", said) == [("0", "0")] * len(kernels)
    registers = [int(number) for number in re.findall(r"Used (\d+) registers", said)]
    assert len(registers) == len(kernels)
    assert max(registers) <= MOST_REGISTERS, dict(zip(kernels, registers, strict=True))
    assert max(map(int, re.findall(r"(\d+) bytes smem", said)), default=0) <= MOST_SHARED


@pytest.mark.parametrize("stem", STEMS)
def test_nvrtc_compiles_what_is_shipped(stem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        program.open_nvrtc(DRIVER)
    except driver.CudaError as error:
        pytest.skip(str(error))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    image = program.compile_source(source_of(stem), "sm_90", DRIVER)
    assert image.startswith(b"\x7fELF")
    (cached,) = (tmp_path / "vidgraph" / "cuda").iterdir()
    cached.write_bytes(b"from the cache")
    assert program.compile_source(source_of(stem), "sm_90", DRIVER) == b"from the cache"
    assert program.compile_source(source_of(stem), "sm_80", DRIVER) != b"from the cache"


@pytest.mark.parametrize(
    ("driver_version", "nvrtc", "refused"),
    [
        (13000, (0, 13, 5), ""),
        (13010, (0, 12, 9), ""),
        (12000, (0, 12, 9), ""),
        (
            12040,
            (0, 13, 5),
            "the NVIDIA driver is for CUDA 12.4, and does not load the kernels that NVRTC 13.5 would compile: "
            "update the driver, or pip install 'vidgraph[cuda12]'",
        ),
        (12040, None, "is not installed: pip install 'vidgraph[cuda12]'"),
        (13000, None, "is not installed: pip install 'vidgraph[cuda]'"),
    ],
)
def test_nvrtc_must_be_for_the_driver(
    driver_version: int, nvrtc: tuple[int, int, int] | None, refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bindings = ModuleType("cuda.bindings")
    if nvrtc is not None:
        bindings.nvrtc = SimpleNamespace(nvrtcVersion=lambda: nvrtc)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cuda", ModuleType("cuda"))
    monkeypatch.setitem(sys.modules, "cuda.bindings", bindings)
    monkeypatch.delitem(sys.modules, "cuda.bindings.nvrtc", raising=False)  # of a test before
    if not refused:
        assert program.open_nvrtc(driver_version).nvrtcVersion() == nvrtc
        return
    with pytest.raises(driver.CudaError, match=re.escape(refused)):
        program.open_nvrtc(driver_version)


@pytest.mark.parametrize("cannot", ["a folder be made", "a file be read", "a home be found", "a file be written whole"])
def test_a_cache_that_cannot_be_used_is_no_error(cannot: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "open_nvrtc", lambda _: SimpleNamespace(nvrtcVersion=lambda: (0, 13, 0)))
    monkeypatch.setattr(program, "_compile", lambda *_: b"image")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source = source_of(STEMS[0])
    if cannot == "a folder be made":
        (tmp_path / "cache").write_bytes(b"")
    elif cannot == "a file be read":
        program.compile_source(source, "sm_90", DRIVER)
        (cached,) = (tmp_path / "cache").rglob("*.cubin")
        cached.unlink()
        cached.mkdir()
    elif cannot == "a home be found":
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setattr(program.os.path, "expanduser", lambda path: path)  # as of a user without one
    else:
        monkeypatch.setattr(Path, "replace", fails_with(errno.ENOSPC))
    for _ in range(2):
        assert program.compile_source(source, "sm_90", DRIVER) == b"image"
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes()]


def fails_with(code: int) -> Callable[..., Any]:
    def fail(*_: Any) -> Any:
        raise OSError(code, os.strerror(code))

    return fail


def parts_of(fatbin: Path) -> list[tuple[int, str]]:
    """Kind (1: PTX, 2: machine code) and compute capability of each part, from the headers of the parts."""
    data = fatbin.read_bytes()
    magic, _, at, size = struct.unpack_from("<IHHQ", data)
    assert (magic, at + size) == (0xBA55ED50, len(data))
    parts = []
    while at < len(data):
        kind, _, header, length = struct.unpack_from("<HHIQ", data, at)
        parts.append((kind, str(struct.unpack_from("<I", data, at + 28)[0])))
        at += header + length
    return parts


def test_installed_fatbins_are_for_all_architectures() -> None:
    fatbins = sorted(Path(program.__file__).parent.glob("*.fatbin"))
    if not fatbins:
        pytest.skip("the package was built without nvcc")
    assert [path.stem for path in fatbins] == STEMS
    expected = sorted([(2, name) for name in ARCHITECTURES] + [(1, name) for name in PTX])
    for path in fatbins:
        assert sorted(parts_of(path)) == expected, path
