"""The commands that run a graph over videos: run and draw."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from typing import TYPE_CHECKING, Any

from ..cancel import StopOnSignal
from ..errors import UsageError
from ..results import ModelInfo
from ..stats import RunStats

if TYPE_CHECKING:
    from ...models.run import Run

PROGRESS_S = 0.5
"""Seconds between two looks at the progress."""


def run(options: argparse.Namespace) -> int:
    """``vidgraph run``: the first line says what runs, the table at the end how it went."""
    from ...models.registry import MODELS
    from ...models.run import run as make_run

    listen(options)
    if not options.model:
        raise UsageError(f"--model is missing; models are {', '.join(MODELS)}; vidgraph models says more")
    if not options.outputs:
        raise UsageError("no output was given; -o out.mp4, -o out.jsonl, -o frames/%06d.png, -o - (standard output)")
    job = make_run(
        options.sources,
        model=options.model,
        outputs=options.outputs,
        classes=None if options.classes is None else [name.strip() for name in options.classes.split(",")],
        labels=_labels(options.labels),
        **{name: getattr(options, name) for name in _PASSED},
    )
    if not options.quiet:
        for info in job.models:
            print(first_line(info), file=sys.stderr)
    return carry_out(job, quiet=options.quiet)


_PASSED = (
    "min_score", "nms_iou", "max_detections", "size", "device", "engine", "precision", "every", "max_fps", "start",
    "end", "frames", "policy", "overwrite", "resume", "preset", "threads", "deterministic", "strict",
)  # fmt: skip


def draw(options: argparse.Namespace) -> int:
    """``vidgraph draw``: recorded results on their video."""
    from ...models.run import draw as make_draw

    listen(options)
    if not options.outputs:
        raise UsageError("no output was given; -o drawn.mp4")
    job = make_draw(
        options.source,
        options.results,
        outputs=options.outputs,
        overwrite=options.overwrite,
        preset=options.preset,
        threads=options.threads,
    )
    return carry_out(job, quiet=options.quiet)


def listen(options: argparse.Namespace) -> None:
    """Messages of the package go to standard error: warnings, and with ``-v`` more; with ``-q`` errors only."""
    level = logging.ERROR if options.quiet else logging.DEBUG if options.verbose else logging.INFO
    logger = logging.getLogger("vidgraph")
    logger.setLevel(level)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("vidgraph: %(message)s"))
    logger.addHandler(handler)
    logger.propagate = False


def first_line(info: ModelInfo) -> str:
    """Model, what it was trained on, engine, precision, device, input size."""
    size = "" if info.input_size is None else f", input {info.input_size[1]}x{info.input_size[0]}"
    trained = f" (trained on: {info.trained_on})" if info.trained_on else ""
    return f"{info.name}{trained}: {info.engine} {info.precision} on {info.device}{size}"


def carry_out(job: Run, *, quiet: bool) -> int:
    """Run ``job`` with a progress bar and signals; print the table; return the exit code."""
    with job, StopOnSignal(job.cancel) as signals:
        job.start()
        progress = None if quiet or not sys.stderr.isatty() else Progress()
        while True:
            try:
                stats = job.join(PROGRESS_S)
                break
            except TimeoutError:
                if progress is not None:
                    progress.show(job.stats)
    if progress is not None:
        progress.clear()
    if not quiet:
        print(stats.table(), file=sys.stderr)
    if signals.received is not None:
        return 128 + signals.received
    return 0 if stats.complete else 3


class Progress:
    """One line that is written over again and again: frames, rate, time to go."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._width = 0

    def show(self, stats: RunStats) -> None:
        """Write the line for ``stats``."""
        expected = [stream.expected_frames for stream in stats.streams]
        total = sum(count for count in expected if count) if all(expected) else 0
        text = f"{stats.frames} frames, {stats.fps:.1f} fps"
        if total:
            share = min(1.0, stats.frames / total)
            bar = "#" * round(30 * share)
            left = (total - stats.frames) / stats.fps if stats.fps > 0 else 0.0
            text = f"[{bar:<30}] {share:4.0%}  {stats.frames}/{total} frames, {stats.fps:.1f} fps, {max(0.0, left):.0f} s left"
        sys.stderr.write("\r" + text.ljust(self._width))
        sys.stderr.flush()
        self._width = len(text)

    def clear(self) -> None:
        """Remove the line."""
        sys.stderr.write("\r" + " " * self._width + "\r")


def _labels(text: str | None) -> Any:
    """``a,b`` -> names; anything else is a file for the model to read."""
    from pathlib import Path

    if text is None or Path(text).is_file():
        return text
    return [name.strip() for name in text.split(",")]
