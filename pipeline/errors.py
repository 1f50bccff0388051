"""The one exception tree: everything vidgraph raises on purpose is a ``VidgraphError``.

Errors of other libraries are mapped where they are called, with ``raise … from``. A message
says who, what was expected, what came, and what to do, on one line; whatever goes into it, secrets in addresses
and control characters are gone from it (:mod:`.redaction`).
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from .redaction import one_line, redact as redact


class VidgraphError(Exception):
    """Base of every error that vidgraph raises on purpose. ``exit_code`` is the command line's.

    Every one can be pickled, and so comes out of another process as it was.
    """

    exit_code = 1

    def __init__(self, *args: object) -> None:
        super().__init__(*(one_line(each) if isinstance(each, str) else each for each in args))

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[VidgraphError], args: tuple[object, ...], attributes: dict[str, Any]) -> VidgraphError:
    """An error that was pickled; what its class asks for to make a new one need not be known."""
    error = kind.__new__(kind)
    VidgraphError.__init__(error, *args)
    error.__dict__.update(attributes)
    return error


class UsageError(VidgraphError):
    """The call itself is wrong: an unknown name, an impossible combination (exit code 2)."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration has mistakes; all of them are in ``mistakes``, one line each, with file, line and key."""

    def __init__(self, *mistakes: str) -> None:
        self.mistakes = tuple(one_line(mistake) for mistake in mistakes)
        some = f"{len(mistakes)} mistakes: " if len(mistakes) > 1 else ""
        super().__init__(some + "; ".join(self.mistakes))


class GraphError(UsageError):
    """The graph cannot work as it was put together; the message has the cure."""


class SourceError(VidgraphError):
    """A source cannot be opened or read: no such file, no video stream, a dead camera."""


class OutputError(VidgraphError):
    """An output cannot be written: no permission, a full disk, a file that exists already."""


class CheckpointError(VidgraphError):
    """Weights do not fit the model, are damaged, or would run code when loaded."""


class EngineError(VidgraphError):
    """A network cannot be compiled or run, or was fed what it does not take."""


class DeviceError(EngineError):
    """A card cannot be used: no driver or one that is too old, no such card, no memory left, a kernel that failed."""


class DownloadError(VidgraphError):
    """Published weights could not be fetched or are not what was pinned."""


class ResultsError(VidgraphError):
    """A results file is damaged or of another version."""


class MissingExtraError(VidgraphError, ImportError):
    """An optional dependency is not installed; the message names the extra."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional package; install it with: pip install 'vidgraph[{extra}]'")
        self.extra = extra


def import_extra(module: str, what: str, extra: str) -> Any:
    """A module of an optional package.

    Raises:
        MissingExtraError: it is not installed, and ``what`` needs it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(what, extra) from error


class StageError(VidgraphError):
    """A stage failed on a frame; raised once, by the executor, from the original error."""

    def __init__(self, message: str, *, stage: str, stream_id: str, frame_index: int | None) -> None:
        super().__init__(message)
        self.stage, self.stream_id, self.frame_index = stage, stream_id, frame_index


def nearest(name: str, known: Iterable[str], *, always: bool = False) -> str:
    """What to say of a name that is not ``known``: the nearest ones, or all; ``always``: all in any case."""
    known = tuple(known)
    hint, names = did_you_mean(name, known, cutoff=0.5), f"known: {', '.join(known) or 'none'}"
    return f"{hint} {names}".strip() if always else hint or names


def did_you_mean(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """The nearest of the ``known`` names as a question; empty where none has a ratio (difflib's) of ``cutoff``."""
    near = get_close_matches(name, tuple(known), n=3, cutoff=cutoff)
    return f"did you mean {' or '.join(near)}?" if near else ""
