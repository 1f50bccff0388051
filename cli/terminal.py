"""What the command line says on standard error while it works: messages of the package, and one progress line."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ..pipeline.redaction import one_line, printable, redact

if TYPE_CHECKING:
    from ..pipeline.execution.stats import RunStats


class _OneLine(logging.Formatter):
    """``vidgraph: message``, on one line and without secrets; tracebacks below debug messages only."""

    def format(self, record: logging.LogRecord) -> str:
        text = f"vidgraph: {one_line(record.getMessage())}"
        if record.exc_info and record.levelno <= logging.DEBUG:
            text += "\n" + self.formatException(record.exc_info)
        return text


class _ToStandardError(logging.Handler):
    """Writes to whatever standard error is now, after removing the progress line."""

    def emit(self, record: logging.LogRecord) -> None:
        say(self.format(record))


@contextmanager
def speaking(*, quiet: bool, verbose: bool) -> Iterator[None]:
    """Within it, messages of the package go to standard error: with ``quiet`` errors, with ``verbose`` all.

    Python's own warnings (of libraries) are shown with ``verbose`` only.
    """
    logger = logging.getLogger("vidgraph")
    before = logger.level, logger.propagate
    handler = _ToStandardError()
    handler.setFormatter(_OneLine())
    logger.setLevel(logging.ERROR if quiet else logging.DEBUG if verbose else logging.INFO)
    logger.addHandler(handler)
    logger.propagate = False
    with warnings.catch_warnings():
        if not (verbose or sys.warnoptions):
            warnings.simplefilter("ignore")
        try:
            yield
        finally:
            Progress.clear()
            logger.removeHandler(handler)
            logger.setLevel(before[0])
            logger.propagate = before[1]


def say(text: str) -> None:
    """A line on standard error, in place of the progress line; without secrets and control characters."""
    Progress.clear()
    _write(_clean(text) + "\n")


def show(text: object) -> None:
    """Text on standard output; without secrets and control characters."""
    print(_clean(str(text)))


def show_path(path: object) -> None:
    """A path on standard output: whatever it has but control characters, because it is a file's name."""
    print(printable(str(path)))


def _clean(text: str) -> str:
    return printable(redact(text), keep="\n\t")


def _write(text: str) -> None:
    """Onto standard error, where there is one and somebody reads it."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()


class Progress:
    """One line that is written over again and again.

    Attributes:
        shown: somebody watches; otherwise nothing is written.
    """

    _width = 0  # of the line that is there now; there is one terminal

    def __init__(self, *, quiet: bool) -> None:
        self.shown = not quiet and sys.stderr is not None and sys.stderr.isatty()

    def show(self, text: str) -> None:
        """Write the line."""
        if self.shown:
            _write("\r" + text.ljust(Progress._width))
            Progress._width = len(text)

    @classmethod
    def clear(cls) -> None:
        """Remove the line, if there is one."""
        width, cls._width = cls._width, 0
        if width:
            _write("\r" + " " * width + "\r")


def progress_line(stats: RunStats) -> str:
    """``[#####     ]  50%  52/105 frames, 101.3 fps, 1 s left``; without the bar where the end is not known."""
    expected = [stream.expected_frames for stream in stats.streams]
    total = sum(count for count in expected if count) if all(expected) else 0
    if not total:
        return f"{stats.frames} frames, {stats.fps:.1f} fps"
    share = min(1.0, stats.frames / total)
    left_s = max(0.0, (total - stats.frames) / stats.fps) if stats.fps > 0 else 0.0
    bar = "#" * round(30 * share)
    return f"[{bar:<30}] {share:4.0%}  {stats.frames}/{total} frames, {stats.fps:.1f} fps, {left_s:.0f} s left"
