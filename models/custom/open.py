"""How a network of the user's own is opened."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ...pipeline.errors import UsageError
from ...stages.inference.preprocess import InputSize, Size
from ..options import read_labels
from .defaults import assumed_rows, assumptions
from .description import InputDescription
from .facts import read_facts
from .family import OwnWeights
from .inspect import OwnNetwork, look_through, seen_outputs
from .static_shapes import fixed_file

LOG = logging.getLogger("vidgraph")


@dataclass(frozen=True, slots=True)
class Opened:
    """A network of the user's own as :class:`..base.Model` takes it."""

    weights: OwnWeights
    size: InputSize

    @property
    def own(self) -> OwnNetwork:
        """What was found out about it."""
        return self.weights.own


def open_own(
    name: str,
    path: Path,
    *,
    size: int | Size | None = None,
    engine: str = "auto",
    head: str | None = None,
    labels: Sequence[str] | str | os.PathLike[str] | None = None,
    batch: int = 1,
) -> Opened:
    """Look through a network; what had to be assumed of it is logged as a warning.

    Raises:
        UsageError, CheckpointError, EngineError: see :func:`.look.look_through`.
    """
    own = look_through(
        path, size=size, head=head, engine=engine, labels=None if labels is None else read_labels(labels)
    )
    if batch > 1:
        _check_outputs(own, batch, engine)
    for what in _warnings(own, asked=head is not None):
        _warn_once(path, what)
    return Opened(OwnWeights.of(name, own, engine), placement(own.about.input, own.size))


def _warnings(own: OwnNetwork, *, asked: bool) -> Iterator[str]:
    """What had to be assumed, or is not followed, behind the name of the file; ``asked``: the caller names the head."""
    if assumed := "; ".join(assumptions(own.about, own.head)):
        yield f"does not say how its picture is made; assumed: {assumed} (vidgraph check says more)"
    if own.about.classes is None and own.about.names_problem is not None and own.class_names:
        yield f"has no names of classes: {own.about.names_problem}; name them with --labels or in its TOML"
    if not asked and (rows := assumed_rows(own.about, own.head)):
        yield rows
    yield from (f"is not run quite as described: {note}" for note in own.about.notes)


def _check_outputs(own: OwnNetwork, batch: int, engine: str) -> None:
    """Refuse a batch that does not go through to every output."""
    file = fixed_file(own.path, own.facts, own.picture, own.size, batch=batch, engine=engine)
    for single, several in zip(own.outputs, seen_outputs(own.path, read_facts(file)), strict=True):
        if several.shape != (single.shape[0] * batch, *single.shape[1:]):
            raise UsageError(
                f"{own.path}: output {single.name!r} is {list(single.shape)} for one picture and {list(several.shape)} "
                f"for {batch}; leave out batch"
            )


@lru_cache(maxsize=64)
def _warn_once(path: Path, what: str) -> None:
    """However often a process loads the file."""
    LOG.warning("%s %s", path.name, what)


def placement(made: InputDescription, size: Size) -> InputSize:
    """How frames lie in an input of (height, width) ``size``."""
    if made.fit == "letterbox":
        return InputSize(letterbox=size)
    if made.fit == "crop":
        return InputSize(crop=size, crop_share=made.crop or 1.0)
    return InputSize(fixed=size) if made.fit == "pad" else InputSize(stretch=size)
