"""The commands bench and compare."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..pipeline.errors import OutputError, UsageError
from .options import passed
from .terminal import say, show


def compare(options: argparse.Namespace) -> int:
    """Two engines on the same frames."""
    from ..benchmarks.compare_engines import compare_engines

    if not options.model:
        raise UsageError("--model is missing; vidgraph models lists them")
    compared = compare_engines(options.source, options.model, **passed(options, compare_engines))
    show(compared.table)
    if compared.results is not None:
        show(compared.results)
    say(f"worst of {compared.frames} frame{'s' if compared.frames != 1 else ''}")
    return 0


def bench(options: argparse.Namespace) -> int:
    """Measure each part alone, and the whole; or, with ``--streams``, that many cameras at once."""
    from ..benchmarks.cameras import bench_cameras
    from ..benchmarks.harness import save
    from ..benchmarks.parts import bench as bench_parts

    measure: Callable[..., Any] = bench_parts if options.streams is None else bench_cameras
    if options.streams is None and options.target_latency is not None:
        raise UsageError("--target-latency is for cameras; say how many to try at most: --streams 64")
    if not options.model:
        raise UsageError("--model is missing; vidgraph models lists them")
    if options.output and Path(options.output).exists() and not options.overwrite:
        raise OutputError(f"{options.output} exists already; -y (overwrite) replaces it, or name another file")
    figures = measure(options.source, options.model, **passed(options, measure))
    show(figures.table())
    if options.output:
        save(Path(options.output), "vidgraph bench", figures.to_dict(), overwrite=options.overwrite)
    return 0
