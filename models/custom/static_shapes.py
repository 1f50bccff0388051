"""A copy of a network with every axis fixed: one picture size, one batch, inputs besides the picture made constant.

The shapes of the outputs are those that an engine infers. Weights in further files are taken into the copy, because
engines read such files only beside the network.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...engines.cache import cached_file, key_of
from ...engines.network_file import ONNX, NetworkInfo, Shape, kind_of, shape_text
from ...engines.onnx_file import MAX_BYTES, check_beside, external_data, read_model, set_shape
from ...engines.open import read_ports
from ...engines.spec import Port
from ...pipeline.errors import CheckpointError, EngineError
from ...pipeline.types.picture import Size
from .image_input import ImageInput, check_batch, constant
from .memory import Lengths, fixed_shapes
from .network import digest_of, fixed_by_openvino, read_info
from .open_rows import hold_detections, hold_rows

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

_NOT_PLAIN = re.compile(r"^[^A-Za-z0-9_]|[^A-Za-z0-9._-]")
"""What a name in the cache has not."""
VERSION = 3
"""Part of the key of cached copies: raised whenever what is written changes."""
_STRIDE = 32
"""Of the coarsest map of most networks."""


def with_static_shapes(
    path: Path, info: NetworkInfo, image: ImageInput, size: Size, *, batch: int = 1, engine: str = "auto"
) -> Path:
    """The network for pictures of (height, width) ``size``: the file itself where it is fixed so, else a copy.

    Args:
        engine: the one to ask for the shapes of outputs first.

    Raises:
        UsageError: the file is fixed at another batch.
        CheckpointError: an output has a length that only running tells.
        EngineError: no engine can read the network.
    """
    check_batch(path, image, batch)
    memory = image.memory
    if info.fixed and not image.others and memory.ratio is None:
        return path
    pictures = [image.name] if memory.previous is None else [image.name, memory.previous.name]
    state = [f"{pair.input.name} = {pair.output.name}" for pair in memory.pairs]
    parts = [image.name, image.layout, *pictures[1:], *state, *([f"{memory.share}"] if memory.ratio else [])]
    key = key_of(digest_of(path, info), str(VERSION), *parts)[:24]
    name = f"{re.sub(_NOT_PLAIN, '_', path.stem)}-{key}-{size[1]}x{size[0]}-b{batch}"
    shapes = dict.fromkeys(pictures, image.shape(size, batch))
    constants = {each.name: constant(path, each, size, batch) for each in image.others} | memory.constants(path)
    if kind_of(path) != ONNX:
        if memory.pairs:
            raise CheckpointError(f"{path}: has state and shapes that are open; export it with fixed ones, or as ONNX")
        file = fixed_by_openvino(path, name, shapes, constants)
        _check_known(path, {each.name: each.shape for each in read_info(file).outputs})
        return file

    def build(target: Path) -> None:
        declared = {each.name: each.shape for each in info.outputs}
        model = read_model(path)
        set_inputs(model.graph, path, shapes, constants)
        hold_weights(model.graph, path)
        if "scale_factor" in constants:
            hold_detections(model.graph)
        set_outputs(model.graph, path, {})

        def ports_with(shapes: Mapping[str, Lengths]) -> dict[str, Lengths | None]:
            set_inputs(model.graph, path, shapes, {})
            target.write_bytes(serialised(model, path))
            found = _ports(target, path, image, size, engine)
            return {port.name: _with_declared(port.shape, declared.get(port.name)) for port in found}

        state_shapes = fixed_shapes(path, memory, ports_with, batch) if memory.pairs else {}
        ports = ports_with(state_shapes)
        if hold_rows(model, ports, size, batch):
            ports = ports_with(state_shapes)
        _check_known(path, ports)
        known = {name: tuple(int(length or 0) for length in shape or ()) for name, shape in ports.items()}
        set_outputs(model.graph, path, known)
        target.write_bytes(serialised(model, path))

    return cached_file("models", name + ONNX, build)


def _check_known(path: Path, shapes: Mapping[str, Shape | None]) -> None:
    """Raise CheckpointError where the length of an output is open."""
    for name, shape in shapes.items():
        if shape is None or None in shape:
            raise CheckpointError(
                f"{path}: output {name!r} {shape_text(shape)} has a length that depends on what is in the "
                "picture; export the network with a fixed number of results, or without its own suppression"
            )


def _ports(target: Path, path: Path, image: ImageInput, size: Size, engine: str) -> tuple[Port, ...]:
    """The outputs as an engine infers them.

    Raises:
        EngineError: none can, perhaps because the size is none that the network takes.
    """
    try:
        return read_ports(target, path.name, engine=engine)
    except EngineError as error:
        if None not in image.size or not any(side % _STRIDE for side in size):
            raise
        near = [_STRIDE * -(-side // _STRIDE) for side in size]
        raise EngineError(
            f"{error}; at {size[1]}x{size[0]}: many networks take multiples of {_STRIDE} only, such as "
            f"--size {near[1]}x{near[0]}"
        ) from error


def _with_declared(inferred: tuple[int | None, ...] | None, declared: Shape | None) -> tuple[int | None, ...] | None:
    """Lengths as an engine infers them, with the file's own where it leaves them open, as padding to a number does."""
    numbers = tuple(length if isinstance(length, int) else None for length in declared or ())
    if inferred is None:
        return numbers or None
    if len(inferred) != len(numbers):
        return inferred
    return tuple(known if length is None else length for length, known in zip(inferred, numbers, strict=True))


def set_inputs(
    graph: GraphProto, path: Path, shapes: Mapping[str, Lengths], constants: Mapping[str, NDArray[Any]]
) -> None:
    """Give inputs other shapes (None in one is open), and make those that ``constants`` names initial values.

    Raises:
        CheckpointError: an input, of the file ``path``, is no tensor.
    """
    from onnx import numpy_helper

    kept = [each for each in graph.input if each.name not in constants]
    for value in kept:
        if value.name in shapes:
            set_shape(value, shapes[value.name], path)
    del graph.input[:]
    graph.input.extend(kept)
    graph.initializer.extend(numpy_helper.from_array(values, name) for name, values in constants.items())


def set_outputs(
    graph: GraphProto, path: Path, shapes: Mapping[str, tuple[int, ...]], watched: Collection[str] = ()
) -> None:
    """Give outputs other shapes; those that are not named, and all inner tensors, get none, for an engine to infer.

    Args:
        watched: names of inner tensors to make outputs too.

    Raises:
        CheckpointError: an output, of the file ``path``, is no tensor.
    """
    del graph.value_info[:]
    for value in graph.output:
        set_shape(value, shapes.get(value.name), path)
    for name in watched:
        graph.output.add().name = name


def hold_weights(graph: GraphProto, path: Path) -> None:
    """Take weights that are in further files into the graph.

    Raises:
        CheckpointError: a file of weights is missing, outside of the folder, or too short; or they are too many.
    """
    held = 0
    for tensor in graph.initializer:
        external = external_data(tensor)
        if not external:
            continue
        file = check_beside(path, external.get("location", ""))
        try:
            offset, size = int(external.get("offset", 0)), file.stat().st_size
            length = int(external.get("length", size - offset))
            if offset < 0 or not 0 <= length <= size - offset:
                raise ValueError(f"{length} bytes from {offset} on, of {size}")
            held += length
            if held > MAX_BYTES:
                raise _too_large(path)
            tensor.raw_data = np.memmap(file, np.uint8, "r", offset, (length,)).tobytes() if length else b""
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{path}: cannot read weights in {file.name} ({error}); copy both files again"
            ) from error
        del tensor.external_data[:]
        tensor.data_location = 0


def serialised(model: ModelProto, path: Path) -> bytes:
    """The bytes of a file made of ``path``.

    Raises:
        CheckpointError: they are more than such a file can have.
    """
    try:
        written: bytes = model.SerializeToString()
    except Exception as error:  # protobuf's own, of a message that is too large
        raise _too_large(path) from error
    if len(written) > MAX_BYTES:
        raise _too_large(path)
    return written


def _too_large(path: Path) -> CheckpointError:
    return CheckpointError(f"{path} is too large to be copied with fixed shapes; export it with fixed shapes")
