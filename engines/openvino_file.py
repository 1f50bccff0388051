"""Networks in OpenVINO's own format (an ``.xml`` with the weights in a ``.bin`` beside it) and of TensorFlow Lite.

Both are read by OpenVINO. What it does not say clearly, or not at all, is looked for before: what kind of file it is,
and whether the weights are those of the network.
Source: OpenVINO's documents of its IR (``Const`` layers have ``offset`` and ``size`` in the ``.bin``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..pipeline.errors import CheckpointError, EngineError
from .interface import DeclaredInput, Interface
from .network_file import IR, TITLES, WEIGHTS, NetworkInfo, TensorInfo, kind_of
from .onnx_file import DTYPES, network_digest
from .openvino_core import core, ov
from .openvino_errors import one_line

_NAMES = {
    "f16": "float16", "f32": "float32", "f64": "float64", "i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64",
    "u8": "uint8", "u16": "uint16", "u32": "uint32", "u64": "uint64", "boolean": "bool", "bf16": "bfloat16",
}  # fmt: skip
"""OpenVINO's name of an element type -> the name that it has elsewhere."""

_IR_BEGINS, _TFLITE_MARK = re.compile(rb"\s*(<\?xml[^>]*>)?(\s|<!--.*?-->)*<net[\s>]", re.DOTALL), b"TFL3"
_VERSION = re.compile(r'<net\b[^>]*\bversion="(\d+)"')
_CONSTANT = re.compile(r'<data\b[^>]*\boffset="(\d{1,19})"[^>]*\bsize="(\d{1,19})"')
_LARGEST_XML = 1 << 28
"""Bytes; the largest networks have some ten thousand layers, a kilobyte each."""
_QUANTISED = "FakeQuantize"
_MULTIPLY = ("Convolution", "GroupConvolution", "ConvolutionBackpropData", "GroupConvolutionBackpropData", "MatMul")


def read_file(path: Path) -> Any:
    """The ``openvino.Model`` of a file, every input and output of which has a name.

    Raises:
        EngineError: it cannot be read, is damaged, or is none of these; or its weights are missing or of another file.
    """
    try:
        return _read(path)
    except OSError as error:
        raise EngineError(f"cannot read network {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise EngineError(f"cannot open {path.name}: {error}") from error


def read_model(path: Path) -> Any:
    """As :func:`read_file`, for a file that a user gives.

    Raises:
        CheckpointError: as the error of :func:`read_file`.
    """
    try:
        return _read(path)
    except FileNotFoundError as error:
        raise CheckpointError(f"no such weights file: {path}") from error
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error


def info_of(model: Any, path: Path) -> NetworkInfo:
    """What a network says of itself, which :func:`read_model` gave for ``path``.

    Raises:
        CheckpointError: it has no input or no output, or two of one name.
    """
    inputs, outputs = (tuple(map(_tensor_info, ports)) for ports in (model.inputs, model.outputs))
    if not inputs or not outputs:
        raise CheckpointError(f"{path} has no {'input' if not inputs else 'output'}; export the network again")
    for tensors in (inputs, outputs):
        names = [each.name for each in tensors]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise CheckpointError(f"{path} has two inputs or outputs of the name {twice!r}; export the network again")
    held = sum(math.prod(node.get_output_shape(0)) for node in model.get_ops() if node.get_type_name() == "Constant")
    return NetworkInfo(inputs, outputs, {}, _version(path), external_files(path), "", held)


def facts_of(path: Path) -> tuple[bool, str, Interface]:
    """Whether the network of a file is quantised, the hash of its files, and what it calls its inputs and outputs.

    Raises:
        EngineError: as :func:`read_file`.
    """
    model = read_file(path)
    quantised = any(node.get_type_name() == _QUANTISED for node in model.get_ops())
    elements = {name: number for number, name in DTYPES.items()}
    inputs = tuple(
        DeclaredInput(each.name, elements.get(each.dtype, 0), each.shape) for each in map(_tensor_info, model.inputs)
    )
    outputs = tuple(name_of(port) for port in model.outputs)
    return quantised, network_digest(path, external_files(path)), Interface(inputs, outputs, {})


def external_files(path: Path) -> tuple[str, ...]:
    """Names of the further files with weights."""
    weights = path.with_suffix(WEIGHTS)
    return (weights.name,) if kind_of(path) == IR and weights.exists() else ()


def write_fixed(
    path: Path, target: Path, shapes: Mapping[str, tuple[int, ...]], constants: Mapping[str, NDArray[Any]]
) -> None:
    """Write a network as an IR in which inputs have other shapes, and those that ``constants`` names are none any more.

    Args:
        path: of the network.
        target: the ``.xml`` to write; the ``.bin`` lies beside it.
        shapes: name of an input -> its shape.
        constants: name of an input -> what it always is.

    Raises:
        CheckpointError: as :func:`read_model`; or the network cannot be run with these shapes.
        OSError: it cannot be written.
    """
    model = read_model(path)
    try:
        model.reshape({port: list(shapes[name_of(port)]) for port in model.inputs if name_of(port) in shapes})
        for port in [port for port in model.inputs if name_of(port) in constants]:
            constant = ov.opset13.constant(constants[name_of(port)])
            for taker in port.get_target_inputs():
                taker.replace_source_output(constant.output(0))
            model.remove_parameter(port.get_node())
        model.validate_nodes_and_infer_types()
    except RuntimeError as error:
        sizes = ", ".join(f"{name!r} {list(shape)}" for name, shape in shapes.items())
        raise CheckpointError(f"{path} cannot be run with the input {sizes}: {one_line(error)}") from error
    try:
        ov.save_model(model, str(target), compress_to_fp16=False)
    except RuntimeError as error:
        raise OSError(f"openvino cannot write {target.name}: {one_line(error)}") from error


def name_of(port: Any) -> str:
    """What an input or output is called: as its node, else the shortest of its names."""
    node = port.get_node()
    own = node.get_friendly_name() if node.get_type_name() != "Result" else ""
    names: set[str] = port.get_names()
    return own if own in names else min(names, key=lambda name: (len(name), name))


def first_steps(model: Any) -> Iterator[tuple[str, list[str], list[str]]]:
    """Operator, inputs and outputs of the nodes of a network, in order, named as ONNX names them."""
    for node in model.get_ordered_ops():
        operator = _AS_ONNX.get(node.get_type_name(), node.get_type_name())
        taken = [_tensor(node.input_value(index)) for index in range(node.get_input_size())]
        yield operator, taken, [_tensor(node.output(index)) for index in range(node.get_output_size())]


def small_constants(model: Any, counts: Collection[int]) -> dict[str, NDArray[np.float64]]:
    """Name -> values, flat, of the constants of floating-point numbers that have one of these counts of them."""
    found = {}
    for node in model.get_ops():
        if node.get_type_name() == "Constant" and math.prod(node.get_output_shape(0)) in counts:
            values = node.get_data()
            if values.dtype.kind == "f":
                found[_tensor(node.output(0))] = np.asarray(values, np.float64).reshape(-1)
    return found


def multiplications(model: Any) -> int | None:
    """Multiplications of the convolutions and matrix products of a network; None where a shape is open."""
    count = 0
    for node in model.get_ops():
        kind = node.get_type_name()
        if kind not in _MULTIPLY:
            continue
        ports = (node.input(0), node.input(1), node.output(0))
        if any(port.get_partial_shape().is_dynamic for port in ports):
            return None
        left, right, result = (tuple(port.get_shape()) for port in ports)
        if kind == "MatMul":
            count += math.prod(result) * left[-2 if node.get_attributes()["transpose_a"] and len(left) > 1 else -1]
        elif "Backprop" in kind:
            count += math.prod(left) * math.prod(right[2 if "Group" in kind else 1 :])
        else:
            count += math.prod(result) * math.prod(right[2 if "Group" in kind else 1 :])
    return int(count)


_AS_ONNX = {"Subtract": "Sub", "Multiply": "Mul", "Divide": "Div", "Convert": "Cast", "ShapeOf": "Shape"}


def _tensor(port: Any) -> str:
    """A name for what an output of a node gives, unlike all others; of an input of the network its own."""
    node = port.get_node()
    if node.get_type_name() == "Parameter":
        return name_of(port)
    return f"{node.get_name()}/{port.get_index()}"


def _read(path: Path) -> Any:
    """The network of a file; ValueError, with what to do, where it is none."""
    with path.open("rb") as stream:
        begin = stream.read(1 << 12)
    title = TITLES[kind_of(path)]
    if not (_IR_BEGINS.match(begin) if kind_of(path) == IR else begin[4:8] == _TFLITE_MARK):
        raise ValueError(f"it is not {title}, though its name says so; export the network again")
    if kind_of(path) == IR:
        _check_weights(path)
    try:
        model = core().read_model(str(path))
    except (RuntimeError, UnicodeDecodeError) as error:
        raise ValueError(f"it is damaged or not {title} ({one_line(error)}); export the network again") from error
    for port in (*model.inputs, *model.outputs):
        if not port.get_names():
            port.get_tensor().set_names({port.get_node().get_friendly_name()})
    return model


def _check_weights(path: Path) -> None:
    """Raise ValueError where an IR is cut short, or its weights are missing or of another one."""
    if path.stat().st_size > _LARGEST_XML:
        raise ValueError(f"it is larger than {_LARGEST_XML >> 20} MiB, which no network is; export it again")
    text = path.read_text("utf-8", errors="replace")
    if "</net>" not in text:
        raise ValueError("it is cut short or damaged; copy it again")
    ends = [int(offset) + int(size) for offset, size in _CONSTANT.findall(text)]
    weights = path.with_suffix(WEIGHTS)
    if not ends:
        return
    if not weights.is_file():
        raise ValueError(f"its weights, {weights.name}, are not beside it; keep both files in one folder")
    if (size := weights.stat().st_size) != max(ends):
        raise ValueError(
            f"its weights, {weights.name}, have {size} bytes, and those of the network {max(ends)}: they are cut short "
            "or of another network; copy both files again"
        )


def _version(path: Path) -> str:
    if kind_of(path) != IR:
        return "TensorFlow Lite"
    with path.open(encoding="utf-8", errors="replace") as stream:
        found = _VERSION.search(stream.read(1 << 12))
    return f"OpenVINO IR {found[1]}" if found else "OpenVINO IR"


def _tensor_info(port: Any) -> TensorInfo:
    kind = port.get_element_type().get_type_name()
    return TensorInfo(name_of(port), _NAMES.get(kind, kind), lengths_of(port))


def lengths_of(port: Any) -> tuple[int | None, ...] | None:
    """The shape of an input or output, None for a length that is open; None of which not even the rank is known."""
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic:
        return None
    return tuple(None if length.is_dynamic else length.get_length() for length in shape)
