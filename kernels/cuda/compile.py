"""Compiles the CUDA kernels ahead of time, a fatbin a source: what the build runs where it finds ``nvcc``.

    python kernels/cuda/compile.py OUT_FOLDER --nvcc /usr/local/cuda/bin/nvcc

A script that needs nothing but Python, as it runs before the package is there.
"""

from __future__ import annotations

import argparse
import os
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

KERNELS = Path(__file__).parents[1]

ARCHITECTURES = ("75", "80", "86", "87", "89", "90", "100", "110", "120")
"""Compute capabilities, times ten, that a fatbin has machine code for."""

PTX = ("90", "120")
"""Those that it also has PTX for, which the driver compiles for later cards."""

OPTIONS = ("-std=c++17", "-fmad=false")
"""What nvcc and NVRTC are told: sums and products are not contracted, as they are not on the CPU."""


def sources() -> list[Path]:
    """The sources of all kernels."""
    return sorted(KERNELS.glob("*/*.cu"))


def command(nvcc: str, source: Path, out: Path, architectures: Sequence[str], *, strict: bool) -> list[str]:
    """What makes a fatbin of a source; the assembler says how many registers each kernel needs."""
    targets = [f"arch=compute_{name},code=sm_{name}" for name in architectures]
    targets += [f"arch=compute_{name},code=compute_{name}" for name in PTX if name in architectures]
    options = [*OPTIONS, "-Xptxas", "-v,-warn-spills,-warn-lmem-usage"]
    if strict:
        options += ["-Werror", "all-warnings"]
    return [nvcc, "-fatbin", *options, *(f"-gencode={target}" for target in targets), "-o", str(out), str(source)]


def compile_source(
    nvcc: str, source: Path, folder: Path, architectures: Sequence[str] = ARCHITECTURES, *, strict: bool = False
) -> str:
    """Write the fatbin of a source into a folder. Gives what the assembler says.

    Args:
        nvcc: the compiler, of version 13 or later.
        source: of ``sources``.
        folder: which is there.
        architectures: compute capabilities, times ten.
        strict: warnings are errors; another version of the compiler may have others, which harm nobody.

    Raises:
        RuntimeError: it does not compile; with what nvcc says.
    """
    out = folder / f"{source.stem}.fatbin"
    done = subprocess.run(
        command(nvcc, source, out, architectures, strict=strict), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"nvcc cannot compile {source.name}:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def main(words: Sequence[str] | None = None) -> None:
    """Compile all sources, as many at a time as there are processors."""
    parser = argparse.ArgumentParser(description="Compile the CUDA kernels.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--nvcc", default="nvcc")
    given = parser.parse_args(words)
    given.folder.mkdir(parents=True, exist_ok=True)
    try:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda source: compile_source(given.nvcc, source, given.folder), sources()))
    except (OSError, RuntimeError) as error:
        parser.exit(1, f"{error}\nTo leave the CUDA kernels to NVRTC, build with -DVIDGRAPH_CUDA=OFF.\n")


if __name__ == "__main__":
    main()
