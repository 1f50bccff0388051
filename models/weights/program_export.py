"""From a checkpoint to an exported program of torch (``.pt2``) for one size of the input."""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path

from ...engines.torch.archive import METADATA
from ..variant import Variant
from .checkpoint import import_torch, load_fitted
from .onnx_export import metadata_of

PROGRAM_VERSION = 1
"""Part of the key of cached programs: raised whenever exported programs change."""


def export_program(row: Variant, path: Path, size: tuple[int, int], batch: int = 1, graph: str = "") -> bytes:
    """A file of ``torch.export.save``: one graph of a checkpoint for an input of ``size`` (height, width).

    Raises:
        CheckpointError: the checkpoint does not fit.
        MissingExtraError: torch is not installed.
    """
    torch = import_torch("exporting a model")
    from ..layers import WithTables

    family, network = load_fitted(row, path)
    shape = family.graph_shape(row.name, size, batch, graph)
    traced = WithTables(family.traced(network, graph), [torch.from_numpy(table) for table in shape.tables.values()])
    examples = tuple(torch.zeros(dims) for dims in shape.inputs.values())
    names = {"inputs": list(shape.inputs), "outputs": list(shape.outputs)}
    metadata = {**metadata_of(row, family, path, graph), **names}
    content = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's notes on its own exporter
        program = torch.export.export(traced.eval(), examples)
        torch.export.save(program, content, extra_files={METADATA: json.dumps(metadata)})
    return content.getvalue()
