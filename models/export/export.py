"""``vidgraph export``: a model as one ONNX file that needs neither torch nor the cache, or as a program of torch."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ...engines.network_file import PROGRAM
from ...pipeline.claims import alone, whole_file
from ...pipeline.errors import OutputError, UsageError
from ..resolve import ResolvedModel, resolve_model
from ..variant import Variant
from ..weights.find import Weights, graph_file


def export(
    model: str | ResolvedModel,
    weights: str | os.PathLike[str] | None = None,
    size: tuple[int, int] | None = None,
    batch: int = 1,
    path: str | os.PathLike[str] | None = None,
    *,
    force: bool = False,
    precision: str = "auto",
    calibrate: str | os.PathLike[str] | None = None,
    frames: int | None = None,
) -> Path:
    """Write a model as a static-shape ONNX file; a video model as two, ``…-key.onnx`` and ``…-non_key.onnx``.

    Where the name ends in ``.pt2``, as an exported program of torch (``torch.export``), for the engines ``torch`` and
    ``torch-tensorrt`` of :func:`vidgraph.engines.open_engine`.

    Args:
        model: a name of ``MODELS``, ``NAME=FILE``, or a file of weights.
        weights: a checkpoint (its first use needs torch) or a file exported before (does not); by
            default what ``vidgraph pull`` has fetched.
        size: height and width of the input, in pixels; None: the model's own, or 360 and 640 where the frame decides.
        batch: pictures per run.
        path: where to; by default ``MODEL-WIDTHxHEIGHT-bBATCH.onnx`` in the working folder.
        force: replace an existing file.
        precision: ``int8`` quantises the network, which needs ``calibrate``; ``auto`` and ``fp32`` leave it as it is.
            What runs it chooses between fp32 and bf16.
        calibrate: what ``vidgraph run`` takes as a source, with frames like those the model will see.
        frames: calibrate with at most so many of them, spread evenly; by default 64.

    Returns:
        The path of the file, of several the first.

    Raises:
        UsageError: unknown model, impossible size or batch, no weights; a program of weights that are an ONNX file, or
            in int8.
        CheckpointError: the weights do not fit the model.
        OutputError: the file exists, is written by another process, or cannot be written.
        SourceError: the frames to calibrate with cannot be read.
        MissingExtraError: torch or nncf is needed and not installed.
    """
    resolved = resolve_model(model, weights=weights)
    row = exportable(resolved)
    size = default_size(row) if size is None else size
    if not isinstance(size, tuple) or len(size) != 2 or min(size) < 1 or batch < 1:
        raise UsageError(
            f"export needs a size of width and height (640x360) and a batch of at least 1, got {size}, {batch}"
        )
    target = Path(path) if path is not None else Path(f"{row.name}-{size[1]}x{size[0]}-b{batch}.onnx")
    targets = {graph: graph_file(target, graph) for graph in row.family().graphs(row.name)}
    with alone(*targets.values()):
        for each in targets.values():
            if each.exists() and not force:
                raise OutputError(f"{each} exists; choose another name or overwrite it (-y, force=True)")
        found = Weights.find(row, resolved.weights)
        network = _network(found, size, precision, calibrate, frames, target.suffix.lower())
        for graph, each in targets.items():
            with whole_file(each, overwrite=force) as part:
                part.write_bytes(network(size, batch, graph))
    return next(iter(targets.values()))


def exportable(resolved: ResolvedModel) -> Variant:
    """The row of a model that can be exported.

    Raises:
        UsageError: it is an ONNX file already.
    """
    return resolved.built_in(
        f"{resolved.given} is {resolved.title} already; --template writes the TOML that describes it"
    )


def _network(
    found: Weights,
    size: tuple[int, int],
    precision: str,
    calibrate: str | os.PathLike[str] | None,
    frames: int | None,
    kind: str,
) -> Callable[[tuple[int, int], int, str], bytes]:
    """What makes the files: of these weights as they are, or of what they become by quantising."""
    from .calibrate import CALIBRATION_FRAMES, quantised

    if precision not in ("auto", "fp32", "int8"):
        raise UsageError(
            f"export writes fp32 or int8, got precision {precision!r}; bf16 and fp16 are chosen where the file is run"
        )
    if precision != "int8" and (calibrate is not None or frames is not None):
        raise UsageError("calibrate and frames are for precision int8, which was not asked for")
    if kind == PROGRAM:
        if precision == "int8":
            raise UsageError("export writes int8 as an ONNX file (.onnx), not as a program of torch (.pt2)")
        return found.program
    if calibrate is None:
        found.check_precision(precision)
        return found.network
    return quantised(found, calibrate, size, CALIBRATION_FRAMES if frames is None else frames).network


def default_size(row: Variant) -> tuple[int, int]:
    """Height and width of the input that is exported where none is named."""
    form = row.family().input_format(row.name)
    return form.size or ((form.long_side, form.long_side) if form.stretch else (360, 640))
