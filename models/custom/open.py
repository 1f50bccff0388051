"""How a custom model is opened."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from ...engines.open import check_file
from ...pipeline.errors import UsageError
from ...pipeline.types.picture import Size
from ...stages.inference.preprocess import InputSize
from ..options import read_labels
from ..published import SETTINGS
from ..variant import Variant
from .defaults import assumed_rows, assumptions
from .description import Description
from .detect_head import unread
from .family import CustomWeights
from .inspect import CustomNetwork, inspect_model, seen_outputs
from .memory import RATIO, USUAL_RATIO
from .network import read_info
from .own_size import own_placement
from .static_shapes import with_static_shapes
from .toml_file import from_toml

LOG = logging.getLogger("vidgraph")


def open_custom(
    name: str,
    path: Path,
    *,
    size: int | Size | None = None,
    engine: str = "auto",
    head: str | None = None,
    labels: Sequence[str] | str | os.PathLike[str] | None = None,
    batch: int = 1,
    published: Variant | None = None,
) -> tuple[CustomWeights, InputSize]:
    """Inspect a model; what had to be assumed about it is logged as a warning.

    Args:
        name: in results.
        path: the file.
        size, engine, head, labels, batch: as for :func:`..load.load_model`.
        published: the row of the model, whose settings say what the file is, in place of a TOML beside it.

    Returns:
        its weights and how frames lie in its input, as :class:`..model.Model` takes them.

    Raises:
        UsageError, CheckpointError, EngineError: see :func:`.inspect.inspect_model`.
    """
    check_file(path, engine)
    said = None if published is None or published.settings is None else from_toml(published.settings, SETTINGS)
    custom = inspect_model(
        path, size=size, head=head, engine=engine, labels=None if labels is None else read_labels(labels), said=said
    )
    if batch > 1:
        _check_outputs(custom, batch, engine)
    for what in _warnings(custom, asked=head is not None):
        _warn_once(path, what)
    return CustomWeights.of(name, custom, engine, published), placement(custom.about, custom.size)


def _warnings(custom: CustomNetwork, *, asked: bool) -> Iterator[str]:
    """What had to be assumed, or is not followed, behind the name of the file; ``asked``: the caller names the head."""
    if assumed := "; ".join(assumptions(custom.about, custom.head)):
        yield f"does not say how its picture is made; assumed: {assumed} (vidgraph check says more)"
    if custom.about.classes is None and custom.about.names_problem is not None and custom.class_names:
        yield f"has no names of classes: {custom.about.names_problem}; name them with --labels or in its TOML"
    if custom.image.memory.ratio is not None and custom.about.input.downsample_ratio is None:
        yield (
            f"is given a {RATIO} of {USUAL_RATIO}, which suits pictures of 1080 lines; {RATIO} under [input] in its "
            "TOML says another"
        )
    if not asked and (rows := assumed_rows(custom.about, custom.head)):
        yield rows
    if left := ", ".join(spec.name for spec in unread(custom.head, custom.shown, custom.about)):
        yield f"has outputs that {custom.head.kind} does not read, and that are left out: {left}"
    yield from (f"is not run quite as described: {note}" for note in custom.about.notes)


def _check_outputs(custom: CustomNetwork, batch: int, engine: str) -> None:
    """Refuse a batch that does not go through to every output."""
    file = with_static_shapes(custom.path, custom.info, custom.image, custom.size, batch=batch, engine=engine)
    for single, several in zip(custom.outputs, seen_outputs(custom.path, read_info(file)), strict=True):
        if several.shape != (single.shape[0] * batch, *single.shape[1:]):
            raise UsageError(
                f"{custom.path}: output {single.name!r} is {list(single.shape)} for one picture and "
                f"{list(several.shape)} for {batch}; leave out batch"
            )


@lru_cache(maxsize=64)
def _warn_once(path: Path, what: str) -> None:
    """However often a process loads the file."""
    LOG.warning("%s %s", path.name, what)


def placement(about: Description, size: Size) -> InputSize:
    """How frames lie in an input of (height, width) ``size``, or in inputs of their own size."""
    made, own = about.input, own_placement(about)
    if own is not None:
        return own
    if made.fit == "letterbox":
        return InputSize(letterbox=size)
    if made.fit == "crop":
        return InputSize(crop=size, crop_share=made.crop or 1.0)
    return InputSize(fixed=size) if made.fit == "pad" else InputSize(stretch=size)
