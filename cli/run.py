"""The commands that make a graph over videos: run, graph and draw."""

from __future__ import annotations

import argparse
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..pipeline.errors import UsageError
from .cameras import is_file_of_cameras, run_cameras
from .options import passed
from .terminal import show
from .watch import say_models, watch

if TYPE_CHECKING:
    from ..models.run import Run


def run(options: argparse.Namespace) -> int:
    """``vidgraph run``: the first line says what runs, the table at the end how it went."""
    if len(options.sources) == 1 and is_file_of_cameras(options.sources[0]):
        return run_cameras(options)
    if options.sources and not options.outputs:
        raise UsageError("no output was given; -o out.mp4, -o out.jsonl, -o frames/%06d.png, -o - (standard output)")
    made = _make(options)
    say_models(made.models, quiet=options.quiet)
    return execute(made, quiet=options.quiet)


def graph(options: argparse.Namespace) -> int:
    """``vidgraph graph``: the graph of what ``run`` would run, which is opened and closed again."""
    for address in options.sources:
        if _is_pipe(address) or _is_pipe(address.partition("=")[2]):
            raise UsageError(
                f"{address} is a pipe, and graph opens its sources; give a file like what will come through the pipe"
            )
    with _make(options) as made:
        show(made.describe(options.format))
    return 0


def _is_pipe(name: str) -> bool:
    """Whether a named pipe has that name: opening one waits for whoever writes into it, and takes what was written."""
    with suppress(OSError, ValueError):
        return Path(name).is_fifo()
    return False


def _make(options: argparse.Namespace) -> Run:
    from ..models.run import run as make_run

    return make_run(options.sources, **passed(options, make_run))


def draw(options: argparse.Namespace) -> int:
    """``vidgraph draw``: recorded results on their video."""
    from ..models.run import draw as make_draw

    if not options.outputs:
        raise UsageError("no output was given; -o drawn.mp4")
    return execute(make_draw(options.source, options.results, **passed(options, make_draw)), quiet=options.quiet)


def execute(made: Run, *, quiet: bool) -> int:
    """Run ``made`` with a progress bar and signals; print the table; return the exit code."""
    with made:
        return watch(
            lambda limit_s: [made.join(limit_s)], lambda: [made.stats], made.cancel, start=made.start, quiet=quiet
        )
