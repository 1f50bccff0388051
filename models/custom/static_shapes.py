"""A copy of a network with every axis fixed: one picture size, one batch, inputs besides the picture made constant.

Written through the wire format; the shapes of the outputs are those that an engine infers. Weights in
further files are taken into the copy, because engines read such files only beside the network.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engines.cache import cached_file, key_of
from ...engines.network import network_digest
from ...engines.open import read_ports
from ...pipeline.errors import CheckpointError
from ...stages.inference.preprocess import Size
from ..wire import BYTES, VARINT, Raw, encode, fields, tensor, text, value_info
from .facts import (
    DTYPES,
    GRAPH,
    INITIALIZER,
    INPUT,
    OUTPUT,
    VALUE_INFO,
    NetworkFacts,
    Shape,
    check_beside,
    external_data,
    read_file,
    shape_text,
)
from .image_input import PictureInput, check_batch, constant

VERSION = 2
"""Part of the key of cached copies: raised whenever what is written changes."""

_MOST_BYTES = 2**31 - 1
"""A protobuf message is no larger."""


def fixed_file(
    path: Path, facts: NetworkFacts, picture: PictureInput, size: Size, *, batch: int = 1, engine: str = "auto"
) -> Path:
    """The network for pictures of (height, width) ``size``: the file itself where it is fixed so, else a copy.

    Args:
        engine: the one to ask for the shapes of outputs first.

    Raises:
        UsageError: the file is fixed at another batch.
        CheckpointError: an output has a length that only running tells.
        EngineError: no engine can read the network.
    """
    check_batch(path, picture, batch)
    if facts.fixed and not picture.others:
        return path
    data = read_file(path)
    digest = network_digest(path, data)
    key = key_of(digest, str(VERSION), picture.name, picture.layout)[:24]

    def build(target: Path) -> None:
        shapes = {picture.name: picture.shape(size, batch)}
        constants = {fact.name: constant(path, fact, size, batch) for fact in picture.others}
        target.write_bytes(rewritten(data, path, shapes, constants, outputs={}))
        declared = {fact.name: fact.shape for fact in facts.outputs}
        ports = {
            port.name: _with_declared(port.shape, declared.get(port.name))
            for port in read_ports(target, path.name, engine=engine)
        }
        for name, shape in ports.items():
            if shape is None or None in shape:
                raise CheckpointError(
                    f"{path}: output {name!r} {shape_text(shape)} has a length that depends on what is in the "
                    "picture; export the network with a fixed number of results, or without its own suppression"
                )
        known = {name: tuple(int(length or 0) for length in shape or ()) for name, shape in ports.items()}
        target.write_bytes(rewritten(data, path, shapes, constants, outputs=known))

    return cached_file("models", f"{path.stem}-{key}-{size[1]}x{size[0]}-b{batch}.onnx", build)


def _with_declared(inferred: tuple[int | None, ...] | None, declared: Shape | None) -> tuple[int | None, ...] | None:
    """Lengths as an engine infers them, with the file's own where it leaves them open, as padding to a number does."""
    numbers = tuple(length if isinstance(length, int) else None for length in declared or ())
    if inferred is None:
        return numbers or None
    if len(inferred) != len(numbers):
        return inferred
    return tuple(known if length is None else length for length, known in zip(inferred, numbers, strict=True))


def rewritten(
    data: bytes,
    path: Path,
    inputs: Mapping[str, tuple[int, ...]],
    constants: Mapping[str, NDArray[Any]],
    *,
    outputs: Mapping[str, tuple[int, ...]],
    watched: Collection[str] = (),
) -> bytes:
    """The network with other shapes.

    Args:
        data: the file ``path``.
        inputs: name -> shape.
        constants: inputs that become initial values.
        outputs: name -> shape; those that are not named get none, for an engine to infer.
        watched: names of inner tensors to make outputs too.

    Raises:
        CheckpointError: the file is damaged, a file of weights is missing, or it gets too large.
    """
    written = b"".join(
        encode(number, wire, b"".join(_graph(raw, path, inputs, constants, outputs, watched)))
        if number == GRAPH
        else encode(number, wire, raw)
        for number, wire, raw in fields(memoryview(data), path)
    )
    if len(written) > _MOST_BYTES:
        raise CheckpointError(f"{path} is too large to be copied with fixed shapes; export it with fixed shapes")
    return written


def _graph(
    graph: Raw,
    path: Path,
    inputs: Mapping[str, tuple[int, ...]],
    constants: Mapping[str, NDArray[Any]],
    outputs: Mapping[str, tuple[int, ...]],
    watched: Collection[str],
) -> Iterator[bytes]:
    """The fields of a ``GraphProto``, rewritten."""
    for number, wire, raw in fields(graph, path):
        if number == VALUE_INFO:
            continue
        value: Raw = raw
        if number in (INPUT, OUTPUT):
            name = text(raw, 1, path)
            if name in constants and number == INPUT:
                continue
            if number == OUTPUT:
                value = value_info(raw, outputs.get(name), path)
            elif name in inputs:
                value = value_info(raw, inputs[name], path)
        elif number == INITIALIZER:
            value = _with_values(raw, path)
        yield encode(number, wire, value)
    for name, values in constants.items():
        element = next(number for number, dtype in DTYPES.items() if dtype == values.dtype.name)
        yield encode(INITIALIZER, BYTES, tensor(name, element, values.shape, values.tobytes()))
    for name in watched:
        yield encode(OUTPUT, BYTES, encode(1, BYTES, name.encode()))


def _with_values(initial: Raw, path: Path) -> Raw:
    """A ``TensorProto`` that holds its values itself."""
    external = external_data(initial, path)
    if not external:
        return initial
    file = check_beside(path, external.get("location", ""))
    try:
        offset, size = int(external.get("offset", 0)), file.stat().st_size
        length = int(external.get("length", size - offset))
        if offset < 0 or not 0 <= length <= min(size - offset, _MOST_BYTES):
            raise ValueError(f"{length} bytes from {offset} on, of {size}")
        values = np.memmap(file, np.uint8, "r", offset, (length,)).tobytes() if length else b""
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot read weights in {file.name} ({error}); copy both files again") from error
    kept = b"".join(encode(number, wire, raw) for number, wire, raw in fields(initial, path) if number not in (13, 14))
    return kept + encode(9, BYTES, values) + encode(14, VARINT, b"\x00")
