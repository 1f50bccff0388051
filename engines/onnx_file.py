"""The one reader of ONNX files, through the package ``onnx``, which is imported when the first file is read.

An ONNX file is one protobuf message (``ModelProto``); weights may lie in further files that it names. Those are not
read here: what counts is which they are, and that they lie beside the file.
Source: onnx.proto (fields, element types).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

from ..pipeline.beside import beside
from ..pipeline.errors import CheckpointError, EngineError
from .network_file import NetworkInfo, TensorInfo

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, ValueInfoProto

MAX_BYTES = 2**31 - 1
"""A protobuf message is no larger."""

DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16",
}  # fmt: skip
"""TensorProto.DataType -> name."""

_QUANTISED = frozenset({"QuantizeLinear", "QLinearConv", "QLinearMatMul"})
_NEWEST_OPSET = 1000  # versions count up by about two a year, and are below 30 in 2026
_EXTERNAL = 1  # TensorProto.data_location
_MOST_A_BYTE = 4  # elements of a tensor that a byte holds, those of two bits
_FIRST_BYTE = b"\x08"  # the tag of ir_version, with which every exporter begins


def read_network(path: Path) -> ModelProto:
    """An ONNX file, for an engine.

    Raises:
        EngineError: the file cannot be read, is not an ONNX network, or is cut short; or its nodes need one another.
    """
    try:
        model = _parsed(_read(path))
        if not model.HasField("graph"):
            raise ValueError("it is not an ONNX network")
        for opset in model.opset_import:  # OpenVINO looks through all versions below it, one by one
            version = opset.version % 2**64
            if version > _NEWEST_OPSET:
                raise ValueError(f"it asks for version {version} of the operators, and there are not so many")
    except OSError as error:
        raise _unreadable(path, error) from error
    except ValueError as error:
        raise EngineError(f"cannot open {path.name}: {error}; export the network again") from error
    return model


def network_digest(path: Path, files: Iterable[str]) -> str:
    """SHA-256 (hex) over an ONNX file and the :func:`external_files` of it.

    Raises:
        EngineError: one cannot be read, or a file of weights lies outside of the folder.
    """
    try:
        digest = _digest_of(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    for file in files:
        try:
            digest.update(_digest_of(beside(path, file)).digest())
        except ValueError as error:
            raise EngineError(f"cannot open {path.name}: its weights file {error}; export the network again") from error
        except OSError as error:
            raise EngineError(
                f"cannot open {path.name}: its weights are in {file!r}, which cannot be read "
                f"({error.strerror or error}); keep both files in one folder"
            ) from error
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """As :func:`network_digest`, of a file that is not read yet.

    Raises:
        EngineError: as :func:`read_network` and :func:`network_digest`.
    """
    return network_digest(path, external_files(read_network(path)))


def is_quantised(model: ModelProto) -> bool:
    """Whether a network has quantised operators: it computes in int8."""
    return any(node.op_type in _QUANTISED for node in model.graph.node)


def read_model(path: Path) -> ModelProto:
    """What an ONNX file holds, as a message that may be changed; weights in further files are not in it.

    Raises:
        CheckpointError: it is missing, cannot be read, is damaged or cut short; or its nodes need one another.
    """
    try:
        return _parsed(_read(path))
    except FileNotFoundError as error:
        raise CheckpointError(f"no such weights file: {path}") from error
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged or no ONNX file ({error})") from error


def read_metadata(path: Path) -> dict[str, str]:
    """The ``metadata_props`` of an ONNX file; empty where it has none.

    Raises:
        CheckpointError: the file cannot be read or is no ONNX file.
    """
    return _metadata(read_model(path), path)


def read_info(path: Path) -> NetworkInfo:
    """Read what an ONNX file says.

    Raises:
        CheckpointError: it is missing, damaged, cut short, no network, or says no opset, or a file of its
            weights is missing.
    """
    return info_of(read_model(path), path)


def info_of(model: ModelProto, path: Path) -> NetworkInfo:
    """As :func:`read_info`, of a file that is read; ``path`` is for messages and for the files beside it."""
    if not model.HasField("graph"):
        raise CheckpointError(f"{path} has no graph: it is damaged or no ONNX file; export the network again")
    opset = next((each.version for each in reversed(model.opset_import) if each.domain in ("", "ai.onnx")), 0)
    if not opset:
        raise CheckpointError(f"{path} does not say its opset (the version of its operators); export the network again")
    files = external_files(model)
    for file in files:
        check_beside(path, file)
    graph = model.graph
    parameters = sum(_elements(tensor, path) for tensor in graph.initializer)
    weights = {tensor.name for tensor in graph.initializer}
    inputs = tuple(_tensor_info(each, path) for each in graph.input if each.name not in weights)
    outputs = tuple(_tensor_info(each, path) for each in graph.output)
    if not inputs or not outputs:
        raise CheckpointError(f"{path} has no {'input' if not inputs else 'output'}; export the network again")
    producer = " ".join(filter(None, map(lenient_text, (model.producer_name, model.producer_version))))
    return NetworkInfo(inputs, outputs, _metadata(model, path), f"opset {opset}", files, producer, parameters)


def external_files(model: ModelProto) -> tuple[str, ...]:
    """Names (relative to the file) of the further files an ONNX file keeps weights in; mostly none."""
    nodes = (node for function in model.functions for node in function.node)
    tensors = (*_tensors(model.graph), *_tensors_of(nodes))
    return tuple(
        dict.fromkeys(
            lenient_text(entry.value) for tensor in tensors for entry in tensor.external_data if entry.key == "location"
        )
    )


def check_beside(path: Path, file: str) -> Path:
    """The path of a file of weights that ``path`` names.

    Raises:
        CheckpointError: it is not there, or not in the folder of ``path`` (or below).
    """
    try:
        found = beside(path, file)
    except ValueError as error:
        raise CheckpointError(f"{path}: its weights file {error}; export the network again") from error
    if not found.is_file():
        raise CheckpointError(
            f"{path} keeps weights in {file[:200]!r}, which is not beside it; keep both in one folder"
        )
    return found


def external_data(tensor: TensorProto) -> dict[str, str]:
    """Where a tensor's values are if not in the tensor: ``location``, ``offset``, ``length``; else empty."""
    if tensor.data_location != _EXTERNAL:
        return {}
    return {lenient_text(each.key): lenient_text(each.value) for each in tensor.external_data}


def set_shape(value: ValueInfoProto, shape: Sequence[int | None] | None, path: Path) -> None:
    """Give an input or output other lengths (None: an open one), or (None) none for an engine to infer; its
    element type stays.

    Raises:
        CheckpointError: it is no tensor.
    """
    from onnx import helper

    if not value.type.tensor_type.HasField("elem_type"):
        raise CheckpointError(f"{path} is damaged or no ONNX file ({value.name!r} is no tensor)")
    value.CopyFrom(helper.make_tensor_value_info(value.name, value.type.tensor_type.elem_type, shape))


def lenient_text(value: str | bytes) -> str:
    """A text of a message; protobuf gives bytes where it is not UTF-8."""
    return value if isinstance(value, str) else value.decode(errors="replace")


def _unreadable(path: Path, error: OSError) -> EngineError:
    return EngineError(f"cannot read network {path}: {error.strerror or error}")


def _digest_of(path: Path) -> hashlib._Hash:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256")


def _read(path: Path) -> bytes:
    if path.stat().st_size > MAX_BYTES:
        raise ValueError("it is larger than 2 GiB, which no ONNX file can be: weights go into a file beside it")
    return path.read_bytes()


def _parsed(data: bytes) -> ModelProto:
    """The message in ``data``; ValueError where there is none, or none that can be run."""
    from onnx import ModelProto

    try:
        model = ModelProto.FromString(data)
    except Exception as error:  # protobuf's own, and whatever else damaged bytes come to
        whole = "the file is cut short or damaged" if data[:1] == _FIRST_BYTE else "it is not an ONNX network"
        raise ValueError(whole) from error
    _check_acyclic(model.graph)
    return model


def _check_acyclic(graph: GraphProto) -> None:
    """Raise ValueError where nodes need one another: OpenVINO runs some of these, and TensorRT prints its complaint."""
    maker = {name: number for number, node in enumerate(graph.node) for name in node.output if name}
    needs = {number: {maker[name] for name in _taken(node) if name in maker} for number, node in enumerate(graph.node)}
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        nodes = [graph.node[number] for number in error.args[1][1:]]
        names = ", ".join(f"{lenient_text(node.op_type)} {lenient_text(node.output[0])}"[:80] for node in nodes[:4])
        raise ValueError(f"its nodes need one another: {names}{', …' if len(nodes) > 4 else ''}") from error
    for node in graph.node:
        for inner in _graphs_in(node):
            _check_acyclic(inner)


def _taken(node: NodeProto) -> Iterator[str]:
    """Names of what a node takes, and of what the graphs inside it take from outside."""
    yield from node.input
    for inner in _graphs_in(node):
        own = {name for other in inner.node for name in other.output}
        own.update(each.name for each in (*inner.input, *inner.initializer))
        yield from (name for other in inner.node for name in _taken(other) if name not in own)


def _graphs_in(node: NodeProto) -> Iterator[GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _metadata(model: ModelProto, path: Path) -> dict[str, str]:
    return {_text(entry.key, path): _text(entry.value, path) for entry in model.metadata_props}


def _text(value: str | bytes, path: Path) -> str:
    if isinstance(value, bytes):
        raise CheckpointError(f"{path} is damaged or no ONNX file (a name that is no text)")
    return value


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    """All tensors of a graph and of those inside, in the order of the file."""
    yield from _tensors_of(graph.node)
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)


def _tensors_of(nodes: Iterable[NodeProto]) -> Iterator[TensorProto]:
    for attribute in (attribute for node in nodes for attribute in node.attribute):
        if attribute.HasField("t"):
            yield attribute.t
        if attribute.HasField("g"):
            yield from _tensors(attribute.g)
        if attribute.HasField("sparse_tensor"):
            yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)
        yield from attribute.tensors
        for graph in attribute.graphs:
            yield from _tensors(graph)


def _elements(tensor: TensorProto, path: Path) -> int:
    """How many values a tensor has, which what holds it must be large enough for."""
    external = external_data(tensor)
    count: int = math.prod(tensor.dims)
    held = check_beside(path, external.get("location", "")).stat().st_size if external else tensor.ByteSize()
    if not 0 <= count <= _MOST_A_BYTE * held:
        name = _text(tensor.name, path)
        raise CheckpointError(f"{path} is damaged: its tensor {name[:80]!r} is larger than what holds it")
    return count


def _tensor_info(value: ValueInfoProto, path: Path) -> TensorInfo:
    name = _text(value.name, path)
    if not value.type.HasField("tensor_type"):
        return TensorInfo(name, "no tensor", None)
    tensor = value.type.tensor_type
    dtype = DTYPES.get(tensor.elem_type, f"element type {tensor.elem_type}")
    if not tensor.HasField("shape"):
        return TensorInfo(name, dtype, None)
    return TensorInfo(name, dtype, tuple(map(_length, tensor.shape.dim)))


def _length(dimension: TensorShapeProto.Dimension) -> int | str | None:
    """A length from 1, its name, or None; exporters write 0 and -1 too for what is open."""
    if dimension.HasField("dim_value"):
        return dimension.dim_value if 0 < dimension.dim_value < 2**31 else None
    return lenient_text(dimension.dim_param) or None
