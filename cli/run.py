"""The commands that run a graph over videos: run and draw."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..pipeline.cancel import StopOnSignal
from ..pipeline.errors import UsageError
from ..pipeline.results.format import ModelInfo
from .terminal import Progress, progress_line, say

if TYPE_CHECKING:
    from ..models.run import Run

PROGRESS_S = 0.5
"""Seconds between two looks at the progress."""


def run(options: argparse.Namespace) -> int:
    """``vidgraph run``: the first line says what runs, the table at the end how it went."""
    from ..models.default_model import default_model
    from ..models.run import run as make_run

    model = options.model or default_model(options.sources)
    if options.sources and not options.outputs:
        raise UsageError("no output was given; -o out.mp4, -o out.jsonl, -o frames/%06d.png, -o - (standard output)")
    job = make_run(
        options.sources,
        model=model,
        outputs=options.outputs,
        classes=None if options.classes is None else [name.strip() for name in options.classes.split(",")],
        labels=labels(options.labels),
        **{name: getattr(options, name) for name in _PASSED},
    )
    if not options.quiet:
        for info in job.models:
            say(first_line(info))
    return carry_out(job, quiet=options.quiet)


_PASSED = (
    "min_score", "nms_iou", "max_detections", "size", "device", "engine", "precision", "every", "max_fps", "start",
    "end", "frames", "policy", "overwrite", "resume", "preset", "threads", "deterministic", "strict",
    "nms", "keyframes", "batch_non_key", "head", "max_pixels",
)  # fmt: skip


def draw(options: argparse.Namespace) -> int:
    """``vidgraph draw``: recorded results on their video."""
    from ..models.run import draw as make_draw

    if not options.outputs:
        raise UsageError("no output was given; -o drawn.mp4")
    job = make_draw(
        options.source,
        options.results,
        outputs=options.outputs,
        overwrite=options.overwrite,
        preset=options.preset,
        threads=options.threads,
        max_pixels=options.max_pixels,
    )
    return carry_out(job, quiet=options.quiet)


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


def labels(text: str | None) -> Any:
    """``a,b`` -> names; a text that looks like a file is one, for the model to read."""
    if text is None or Path(text).suffix in (".txt", ".names", ".json", ".yaml") or "/" in text:
        return text
    if os.path.isfile(text):  # noqa: PTH113  Path.is_file raises where there are many names
        return text
    return [name.strip() for name in text.split(",")]
