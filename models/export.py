"""``vidgraph export``: a model as one file that needs neither torch nor the cache."""

from __future__ import annotations

import os
from pathlib import Path

from ..pipeline.errors import OutputError, UsageError
from .registry import find_model
from .weights import Weights


def export(
    model: str,
    weights: str | os.PathLike[str] | None = None,
    size: tuple[int, int] = (360, 640),
    batch: int = 1,
    path: str | os.PathLike[str] | None = None,
    *,
    force: bool = False,
) -> Path:
    """Write a model as a static-shape ONNX file.

    Args:
        model: a name of ``MODELS``.
        weights: a checkpoint (its first use needs torch) or a file exported before (does not); by
            default what ``vidgraph pull`` has fetched.
        size: height and width of the input, in pixels.
        batch: pictures per run.
        path: where to; by default ``MODEL-WIDTHxHEIGHT-bBATCH.onnx`` in the working folder.
        force: replace an existing file.

    Returns:
        The path of the file.

    Raises:
        UsageError: unknown model, impossible size or batch, no weights.
        CheckpointError: the weights do not fit the model.
        OutputError: the file exists, or cannot be written.
        MissingExtraError: torch or onnx is needed and not installed.
    """
    row = find_model(model)
    if not isinstance(size, tuple) or len(size) != 2 or min(size) < 1 or batch < 1:
        raise UsageError(
            f"export needs a size of width and height (640x360) and a batch of at least 1, got {size}, {batch}"
        )
    target = Path(path) if path is not None else Path(f"{row.name}-{size[1]}x{size[0]}-b{batch}.onnx")
    if target.exists() and not force:
        raise OutputError(f"{target} exists; choose another name or overwrite it (-y, force=True)")
    _write_whole(target, Weights.find(row, weights).network(size, batch))
    return target


def _write_whole(path: Path, content: bytes) -> None:
    """Write ``path`` so that it is there whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
