"""Which card this is, and what runs it."""

from __future__ import annotations

import ctypes
import importlib.metadata
import subprocess
from ctypes import byref, c_int, c_size_t
from typing import Any

from ...kernels.cuda.compile import sources
from ...pipeline.errors import EngineError
from .clock import load_libcuda
from .report import Report
from .scale import Bench

PACKAGES = (
    "cuda-bindings",
    "nvidia-cuda-nvrtc",
    "nvidia-cuda-nvrtc-cu12",
    "onnxruntime-gpu",
    "tensorrt",
    "torch",
    "torch-tensorrt",
    "cvcuda-cu13",
    "cvcuda-cu12",
)
ATTRIBUTES = {
    "multiprocessors": 16, "clock_khz": 13, "memory_clock_khz": 36, "memory_bus_bits": 37, "l2_bytes": 38, "ecc": 32,
    "major": 75, "minor": 76,
}  # fmt: skip
"""Of ``CUdevice_attribute`` (``cuda.h``)."""
ASKED = (
    "driver_version",
    "clocks.sm",
    "clocks.mem",
    "clocks.max.sm",
    "clocks.max.mem",
    "power.limit",
    "temperature.gpu",
    "persistence_mode",
)
"""Of ``nvidia-smi``: the clocks as they are at that moment."""


def measure(bench: Bench, report: Report) -> None:
    """Facts only."""
    report.note(**card_facts(bench.device.index))
    report.note(clocks=clocks(bench.device.index) or "nvidia-smi is not here, or does not answer")
    report.note(packages=installed(), kernels=compiled())


def card_facts(index: int) -> dict[str, Any]:
    """What the driver says of a card."""
    cuda, card = load_libcuda(), c_int()
    name, memory, version = ctypes.create_string_buffer(256), c_size_t(), c_int()
    answers = [
        cuda.cuDeviceGet(byref(card), c_int(index)),
        cuda.cuDeviceGetName(name, c_int(len(name)), card),
        cuda.cuDeviceTotalMem_v2(byref(memory), card),
        cuda.cuDriverGetVersion(byref(version)),
    ]
    numbers = {word: c_int() for word in ATTRIBUTES}
    for word, number in numbers.items():
        answers.append(cuda.cuDeviceGetAttribute(byref(number), c_int(ATTRIBUTES[word]), card))
    if any(answers):
        raise EngineError(f"cannot ask cuda:{index} what it is: its CUresults are {answers}")
    major, minor = numbers.pop("major").value, numbers.pop("minor").value
    return {
        "card": name.value.decode(errors="replace"),
        "capability": f"{major}.{minor}",
        "memory_bytes": memory.value,
        "driver_cuda": f"{version.value // 1000}.{version.value % 1000 // 10}",
        **{word: number.value for word, number in numbers.items()},
    }


def clocks(index: int) -> dict[str, str]:
    """What ``nvidia-smi`` says; nothing where it is not installed."""
    words = ["nvidia-smi", f"--id={index}", f"--query-gpu={','.join(ASKED)}", "--format=csv,noheader"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(zip(ASKED, (word.strip() for word in done.stdout.split(",")), strict=False))


def installed() -> dict[str, str]:
    """Versions of the packages that have to do with cards."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def compiled() -> str:
    """Where the kernels come from."""
    folder = sources()[0].parents[1] / "cuda"
    missing = [source.stem for source in sources() if not (folder / f"{source.stem}.fatbin").exists()]
    return "compiled with the package" if not missing else f"compiled here by NVRTC: {', '.join(missing)}"
