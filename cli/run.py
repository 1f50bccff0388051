"""The commands that run a graph over videos: run and draw."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..pipeline.cancel import StopOnSignal
from ..pipeline.errors import UsageError
from ..pipeline.results.format import ModelInfo
from .options import passed
from .terminal import Progress, progress_line, say

if TYPE_CHECKING:
    from ..models.run import Run

PROGRESS_S = 0.5
"""Seconds between two looks at the progress."""


def run(options: argparse.Namespace) -> int:
    """``vidgraph run``: the first line says what runs, the table at the end how it went."""
    from ..models.run import run as make_run

    if options.sources and not options.outputs:
        raise UsageError("no output was given; -o out.mp4, -o out.jsonl, -o frames/%06d.png, -o - (standard output)")
    job = make_run(options.sources, **passed(options, make_run))
    if not options.quiet:
        for info in job.models:
            say(first_line(info))
    return carry_out(job, quiet=options.quiet)


def draw(options: argparse.Namespace) -> int:
    """``vidgraph draw``: recorded results on their video."""
    from ..models.run import draw as make_draw

    if not options.outputs:
        raise UsageError("no output was given; -o drawn.mp4")
    return carry_out(make_draw(options.source, options.results, **passed(options, make_draw)), quiet=options.quiet)


def first_line(info: ModelInfo) -> str:
    """Model, what it finds, what it was trained on, engine, precision, device, input size."""
    size = "" if info.input_size is None else f", input {info.input_size[1]}x{info.input_size[0]}"
    trained = f"trained on: {info.trained_on}" if info.trained_on else ""
    about = "; ".join(filter(None, (info.task, trained)))
    return f"{info.name}{f' ({about})' if about else ''}: {info.engine} {info.precision} on {info.device}{size}"


def carry_out(job: Run, *, quiet: bool) -> int:
    """Run ``job`` with a progress bar and signals; print the table; return the exit code."""
    with job, StopOnSignal(job.cancel) as signals:
        job.start()
        progress = Progress(quiet=quiet)
        while True:
            try:
                stats = job.join(PROGRESS_S)
                break
            except TimeoutError:
                if progress.shown:
                    progress.show(progress_line(job.stats))
    if not quiet:
        say(stats.table())
    if signals.received is not None:
        return 128 + signals.received
    return 0 if stats.complete else 3
