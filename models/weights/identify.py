"""Which model a file of weights belongs to, from its content and its name."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from ...engines.onnx_file import read_metadata
from ...pipeline.errors import CheckpointError
from ..registry import MODELS, implemented, model_of_file, plain_name
from ..variant import Variant
from .checkpoint import fitting_rows, read_state_dict, sha256_of, shapes_of
from .onnx_export import is_exported


def identify(path: Path) -> Variant:
    """The model of a checkpoint or of an exported file.

    Raises:
        CheckpointError: the file is damaged, or fits no model, or fits several; the message names them.
        MissingExtraError: torch is needed and not installed.
    """
    names = identify_checkpoint(path)
    if not names:
        known = ", ".join(row.name for row in implemented())
        raise CheckpointError(
            f"{path} fits none of the models ({known}); name the one it should be, to see what differs: "
            f"--model NAME={path}"
        )
    if len(names) > 1:
        raise CheckpointError(f"{path} fits {' and '.join(names)}: use --model {names[0]}={path} or another of them")
    return MODELS[names[0]]


def identify_checkpoint(path: Path) -> list[str]:
    """The names of the models that a file may belong to.

    An exported file says it, and a published one is known by its hash. Otherwise names and shapes of the
    tensors decide; of several models that fit, the one that the file's name begins with
    (``yolact_edge_54_800000.pth``), or else those that the tensors' names speak for.

    Raises:
        CheckpointError, MissingExtraError: see :func:`identify`.
    """
    if is_exported(path):
        name = read_metadata(path).get("vidgraph.model")
        return [name] if name in MODELS else []
    published = model_of_file(sha256_of(path))
    if published is not None:
        return [published.name]
    shapes = shapes_of(read_state_dict(path))
    rows = fitting_rows(shapes)
    named = _named_by_file(rows, path)
    if named is not None:
        return [named.name]
    folders = (list(same) for _, same in groupby(rows, key=lambda row: row.folder))
    return [name for same in folders for name in same[0].family().rank_candidates([row.name for row in same], shapes)]


def _named_by_file(rows: list[Variant], path: Path) -> Variant | None:
    """The one of ``rows`` whose name or alias the file's name begins with; the longest name wins."""
    stem = plain_name(path.stem)
    fits = [
        (len(name), row)
        for row in rows
        for name in map(plain_name, (row.name, *row.aliases))
        if stem == name or stem.startswith(f"{name}-")
    ]
    return max(fits, key=lambda fit: fit[0])[1] if fits else None
