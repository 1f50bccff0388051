"""``vidgraph train``."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..pipeline.cancel import StopOnSignal
from ..pipeline.errors import UsageError
from .options import passed
from .terminal import Progress, say

if TYPE_CHECKING:
    from ..training.loop import Trainer


def train(options: argparse.Namespace) -> int:
    """Train a model; a first Ctrl-C or SIGTERM ends it in order, to be gone on with by ``--resume``."""
    from ..models.weights.checkpoint import import_torch

    import_torch("training")
    from ..training.settings import TrainSettings
    from ..training.train import train as run_training

    if isinstance(options.size, int) or isinstance(options.cache_size, int):
        raise UsageError("training needs both sides of a size, such as 512x288")
    given = {one.name: getattr(options, one.name, None) for one in fields(TrainSettings)}
    settings = TrainSettings(**{name: value for name, value in given.items() if value is not None})
    trainers: list[Trainer] = []

    def stop(now: bool) -> None:
        if now or not trainers:
            raise KeyboardInterrupt
        trainers[0].stop()

    with StopOnSignal(stop) as signals:
        trained = run_training(
            options.model,
            options.data,
            Path(options.output),
            settings,
            processes=options.threads or 2,
            rendered=_rendered(Progress(quiet=options.quiet)),
            begun=trainers.append,
            tell=(lambda report: None) if options.quiet else (lambda report: say(report.line())),
            **passed(options, run_training),
        )
    if signals.received is not None:
        say(f"vidgraph: stopped after step {trained.steps}; the same command with --resume goes on from there")
        return 128 + signals.received
    if not options.quiet:
        say(
            f"{trained.weights}: {options.model} after {trained.steps} steps; --model {options.model}={trained.weights}"
        )
    return 0


def _rendered(progress: Progress) -> Any:
    def tell(done: int, total: int) -> None:
        progress.show(f"frames of the data set: {done} of {total}")
        if done == total:
            Progress.clear()

    return tell
