"""Which card this is, and what runs it."""

from __future__ import annotations

import importlib.metadata
import subprocess
from typing import Any

from ...kernels.cuda.compile import sources
from ...kernels.cuda.driver import driver
from .report import Report
from .scale import Bench

PACKAGES = (
    "cuda-bindings",
    "nvidia-cuda-nvrtc",
    "onnxruntime-gpu",
    "tensorrt",
    "torch",
    "torch-tensorrt",
    "cvcuda-cu13",
    "cvcuda-cu12",
)
ATTRIBUTES = {
    "multiprocessors": "MULTIPROCESSOR_COUNT", "clock_khz": "CLOCK_RATE", "memory_clock_khz": "MEMORY_CLOCK_RATE",
    "memory_bus_bits": "GLOBAL_MEMORY_BUS_WIDTH", "l2_bytes": "L2_CACHE_SIZE", "ecc": "ECC_ENABLED",
    "major": "COMPUTE_CAPABILITY_MAJOR", "minor": "COMPUTE_CAPABILITY_MINOR",
}  # fmt: skip
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
    driver()  # which says in one line what is wrong where there is none
    from cuda.bindings import driver as cuda

    handle = cuda.cuDeviceGet(index)[1]
    kinds = cuda.CUdevice_attribute
    numbers = {
        name: cuda.cuDeviceGetAttribute(getattr(kinds, f"CU_DEVICE_ATTRIBUTE_{word}"), handle)[1]
        for name, word in ATTRIBUTES.items()
    }
    name = cuda.cuDeviceGetName(256, handle)[1]
    version = cuda.cuDriverGetVersion()[1]
    return {
        "card": name.rstrip(b"\0").decode(errors="replace"),
        "capability": f"{numbers.pop('major')}.{numbers.pop('minor')}",
        "memory_bytes": int(cuda.cuDeviceTotalMem(handle)[1]),
        "driver_cuda": f"{version // 1000}.{version % 1000 // 10}",
        **{name: int(number) for name, number in numbers.items()},
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
