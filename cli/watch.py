"""Runs from the command line: what runs, how far it is, how it went."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..pipeline.cancel import StopOnSignal
from ..pipeline.execution.stats import RunStats
from ..pipeline.results.format import ModelInfo
from .terminal import Progress, progress_line, say

PROGRESS_S = 0.5
"""Seconds between two looks at the progress."""


def say_models(models: Iterable[ModelInfo], *, quiet: bool) -> None:
    """A line for each: model, what it finds, what it was trained on, engine, precision, device, input size."""
    for info in () if quiet else models:
        size = "" if info.input_size is None else f", input {info.input_size[1]}x{info.input_size[0]}"
        trained = f"trained on: {info.trained_on}" if info.trained_on else ""
        about = "; ".join(filter(None, (info.task, trained)))
        say(f"{info.name}{f' ({about})' if about else ''}: {info.engine} {info.precision} on {info.device}{size}")


def watch(
    wait: Callable[[float], Sequence[RunStats]],
    now: Callable[[], Sequence[RunStats]],
    cancel: Callable[[bool], object],
    *,
    quiet: bool,
    start: Callable[[], object] = lambda: None,
) -> int:
    """Follow runs to their end, with a progress line and signals; print their tables; return the exit code.

    Args:
        wait: their statistics at the end; TimeoutError where they are not over after so many seconds.
        now: their statistics so far.
        cancel: stops them in order.
        start: sets them in motion, when signals are heard.
    """
    with StopOnSignal(cancel) as signals:
        start()
        progress = Progress(quiet=quiet)
        while True:
            try:
                stats = wait(PROGRESS_S)
                break
            except TimeoutError:
                if progress.shown:
                    progress.show("; ".join(map(progress_line, now())))
    for one in () if quiet else stats:
        say(one.table())
    if signals.received is not None:
        return 128 + signals.received
    return 0 if all(one.complete for one in stats) else 3
