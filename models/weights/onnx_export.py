"""From a checkpoint to a static-shape ONNX file, once; afterwards torch is not needed again.

The graph is exported by torch, then made independent of the input's size except for the shapes and
the named constants of :class:`..formats.GraphShape`. :func:`resized` changes those
for another frame geometry without torch.
"""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..._version import __version__
from ...engines.onnx_file import external_files, read_metadata, read_model, set_shape
from ...pipeline.errors import CheckpointError
from ..family import Family
from ..formats import GraphShape
from ..registry import MODELS
from ..variant import Variant
from .checkpoint import import_torch, load_fitted, sha256_of

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import nn

EXPORT_VERSION = 3
"""Part of the key of cached exports: raised whenever exported graphs change."""

OPSET = 17
TEMPLATE_SIZE = (96, 160)
"""Input size of the cached export from which those of other sizes are made."""


def is_exported(path: Path) -> bool:
    """Whether ``path`` is meant as an ONNX file rather than a checkpoint."""
    return path.suffix.lower() == ".onnx"


def check_exported(row: Variant, path: Path, graph: str = "") -> Family:
    """The family of ``row`` for an exported file of it.

    Raises:
        CheckpointError: the file is of another model, graph or version, or not from this package.
    """
    metadata = read_metadata(path)
    name = metadata.get("vidgraph.model")
    if name is None:
        raise CheckpointError(
            f"{path} was not exported by vidgraph, so its anchors and colours are unknown; "
            f"make it with: vidgraph export {row.name}=CHECKPOINT -o FILE.onnx"
        )
    if name != row.name:
        hint = f"; use --model {name}={path}" if name in MODELS else ""
        raise CheckpointError(f"{path} is {name}, not {row.name}{hint}")
    if metadata.get("vidgraph.graph", "") != graph:
        raise CheckpointError(f"{path} has the graph {metadata.get('vidgraph.graph', '')!r} of {name}, not {graph!r}")
    family = row.family().for_settings(name, json.loads(metadata.get("vidgraph.settings", "{}")))
    settings = json.dumps(family.settings(name), sort_keys=True)
    if metadata.get("vidgraph.settings") != settings or metadata.get("vidgraph.export") != str(EXPORT_VERSION):
        raise CheckpointError(
            f"{path} was exported by vidgraph {metadata.get('vidgraph.version')} with other settings of {name}; "
            f"export the checkpoint again"
        )
    return family


def read_exported(path: Path) -> ModelProto:
    """A file of ``vidgraph export``.

    Raises:
        CheckpointError: it cannot be read, or its weights were moved into another file.
    """
    model = read_model(path)
    for file in external_files(model):
        raise CheckpointError(
            f"{path}: its weights were moved into the file {file!r}, and vidgraph export writes them into the network "
            "itself; export the checkpoint again"
        )
    return model


def resized(path: Path, shape: GraphShape) -> bytes:
    """The exported file ``path`` with other shapes; needs no torch.

    Raises:
        CheckpointError: as :func:`read_exported`, or the file lacks a name of ``shape``.
    """
    import numpy as np
    from onnx import numpy_helper

    model = read_exported(path)
    graph = model.graph
    held = {name: np.array(values, np.int64) for name, values in shape.constants.items()} | dict(shape.tables)
    for values, shapes in ((graph.input, shape.inputs), (graph.output, shape.outputs)):
        for value in values:
            if value.name not in shapes:
                raise CheckpointError(
                    f"{path} has an unknown input or output {value.name!r}; known: {', '.join(shapes)}"
                )
            set_shape(value, shapes[value.name], path)
    for tensor in graph.initializer:
        if tensor.name in held:
            tensor.CopyFrom(numpy_helper.from_array(held[tensor.name], tensor.name))
    there = {each.name for each in (*graph.input, *graph.output, *graph.initializer)}
    missing = {*shape.inputs, *shape.outputs, *held} - there
    if missing:
        raise CheckpointError(f"{path} cannot be resized: it lacks {', '.join(sorted(missing))}")
    del graph.value_info[:]
    content: bytes = model.SerializeToString()
    return content


def export_checkpoint(row: Variant, path: Path, size: tuple[int, int], batch: int = 1, graph: str = "") -> bytes:
    """The ONNX file of one graph of a checkpoint.

    Raises:
        CheckpointError: the checkpoint does not fit.
        MissingExtraError: torch is not installed.
    """
    family, network = load_fitted(row, path)
    metadata = metadata_of(row, family, path, graph)
    return export_graph(family.traced(network, graph), family.graph_shape(row.name, size, batch, graph), metadata)


def metadata_of(row: Variant, family: Family, path: Path, graph: str) -> dict[str, str]:
    """What is written into an export of a graph of the checkpoint ``path``, so that it says what it is."""
    form = family.input_format(row.name)
    layout = {"layout": "NCHW", "colour": "BGR" if form.bgr else "RGB", "mean": form.mean, "std": form.std}
    metadata = {
        "vidgraph.model": row.name,
        "vidgraph.settings": json.dumps(family.settings(row.name), sort_keys=True),
        "vidgraph.export": str(EXPORT_VERSION),
        "vidgraph.version": __version__,
        "vidgraph.weights_sha256": sha256_of(path),
        "vidgraph.input": json.dumps(layout),
        "vidgraph.trained_on": row.trained_on,
        "vidgraph.source": row.source,
        "vidgraph.licence": row.licence,
    }
    if graph:
        metadata["vidgraph.graph"] = graph
    return metadata


def export_graph(network: nn.Module, shape: GraphShape, metadata: dict[str, str]) -> bytes:
    """Export ``network`` at the shapes of ``shape``, with the norms folded into the convolutions.

    Raises:
        MissingExtraError: torch is not installed.
    """
    torch = import_torch("exporting a model")
    import onnx

    examples = tuple(torch.zeros(dims) for dims in shape.inputs.values())
    examples += tuple(torch.from_numpy(table) for table in shape.tables.values())
    buffer = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's notes on its own exporter
        torch.onnx.export(
            network, examples, buffer, input_names=[*shape.inputs, *shape.tables],
            output_names=list(shape.outputs), opset_version=OPSET, dynamo=False,
        )  # fmt: skip
    graph = onnx.load_from_string(buffer.getvalue())
    _blocks_first(graph.graph)
    _free_of_size(graph.graph, shape)
    graph.producer_name, graph.producer_version = "vidgraph", __version__
    onnx.helper.set_model_props(graph, metadata)
    onnx.checker.check_model(graph, full_check=True)
    content: bytes = graph.SerializeToString()
    return content


def _free_of_size(graph: Any, shape: GraphShape) -> None:
    """Replace what the exporter computed from the size: resizes take named constants, reshapes keep the batch.

    Resizes are matched with ``shape.constants`` in the order of the graph; inputs of ``shape.tables`` become constants.
    """
    import numpy as np
    from onnx import numpy_helper

    def initializer(name: str, values: tuple[int, ...]) -> str:
        graph.initializer.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    values = {each.name: tuple(dim.dim_value for dim in each.type.tensor_type.shape.dim) for each in graph.output}
    if values != shape.outputs:
        raise AssertionError(f"the network gives {values}, its family says {shape.outputs}")
    resizes = [node for node in graph.node if node.op_type == "Resize"]
    for node, (name, sizes) in zip(resizes, shape.constants.items(), strict=True):
        node.input[3] = initializer(name, sizes)
    for node in graph.node:
        if node.op_type == "Reshape":
            target = _reshape_target(graph, node)
            kept_batch = (0, -1) if len(target) == 3 else (-1,)
            node.input[1] = initializer(f"{node.name}.shape", (*kept_batch, target[-1]))
    for each in [each for each in graph.input if each.name in shape.tables]:
        graph.initializer.append(numpy_helper.from_array(shape.tables[each.name], each.name))
        graph.input.remove(each)
    del graph.value_info[:]
    _remove_unused(graph)


def _blocks_first(graph: Any) -> None:
    """Have the convolution before each DepthToSpace give the channels of a place in a block side by side.

    torch's pixel shuffle wants them far apart (``CRD``), and engines that keep channels innermost then move numbers one
    by one; with the rows of the convolution in another order (``DCR``) they move vectors, to the same result.
    """
    import numpy as np
    from onnx import helper, numpy_helper

    makers = {name: each for each in graph.node for name in each.output}
    constants = {each.name: each for each in graph.initializer}
    for node in [each for each in graph.node if each.op_type == "DepthToSpace"]:
        block = next(each.i for each in node.attribute if each.name == "blocksize")
        source = makers[node.input[0]]
        while source.op_type == "Relu":
            source = makers[source.input[0]]
        if source.op_type != "Conv":
            raise AssertionError(f"before {node.name} comes {source.op_type}, not a convolution")
        for place, name in enumerate(source.input[1:], 1):  # copies: equal constants may be shared
            rows = numpy_helper.to_array(constants[name])
            moved = rows.reshape(-1, block * block, *rows.shape[1:]).swapaxes(0, 1).reshape(rows.shape)
            source.input[place] = f"{name}.blocks_first"
            graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(moved), source.input[place]))
        del node.attribute[:]
        node.attribute.extend([helper.make_attribute("blocksize", block), helper.make_attribute("mode", "DCR")])


def _reshape_target(graph: Any, node: Any) -> list[int]:
    """The shape that a Reshape asks for: [rows, last] or [batch, rows, last]; what is computed counts as -1."""
    from onnx import numpy_helper

    constants = {each.name: each for each in graph.initializer}
    makers = {name: each for each in graph.node for name in each.output}

    def values(name: str) -> list[int]:
        if name in constants:
            return [int(value) for value in numpy_helper.to_array(constants[name]).reshape(-1)]
        maker = makers[name]
        if maker.op_type == "Constant":
            return [int(value) for value in numpy_helper.to_array(maker.attribute[0].t).reshape(-1)]
        if maker.op_type == "Concat":  # of single numbers
            return [value for part in maker.input for value in values(part)]
        return [-1]

    return values(node.input[1])


def _remove_unused(graph: Any) -> None:
    """Remove nodes and initializers whose values nothing reads any more."""
    used = {each.name for each in graph.output}
    kept = []
    for node in reversed(graph.node):
        if used.intersection(node.output):
            kept.append(node)
            used.update(node.input)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    initializers = [each for each in graph.initializer if each.name in used]
    del graph.initializer[:]
    graph.initializer.extend(initializers)
