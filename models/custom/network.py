"""The file of a custom model, whichever format it has: what it says, and its copy with other shapes."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from ...engines.cache import cached_file, key_of
from ...engines.network_file import IR, ONNX, WEIGHTS, NetworkInfo, kind_of
from ...engines.onnx_file import info_of, network_digest, read_info as read_onnx_info, read_model
from ...engines.open import ENGINES
from .inside import MOST_VALUES, made_for_bytes, takes_bytes
from .metadata_yaml import metadata_beside

if TYPE_CHECKING:
    from onnx import GraphProto


@dataclass(frozen=True, slots=True)
class ReadNetwork:
    """A network as its file has it.

    Attributes:
        info: what the file says of itself.
        normalised: names of the inputs whose values of 0 to 255 the graph normalises itself.
        graph: of an ONNX file, with all its weights; None of other files.
    """

    info: NetworkInfo
    normalised: frozenset[str]
    graph: GraphProto | None


def read_network(path: Path) -> ReadNetwork:
    """Read a file of any format.

    Raises:
        CheckpointError: it is missing, damaged, cut short, no network, or a file of its weights is missing.
        MissingExtraError: it is no ONNX file, and OpenVINO is not installed.
    """
    if kind_of(path) == ONNX:
        model = read_model(path)
        info = info_of(model, path)
        normalised = frozenset(name for name in _pictures(info) if takes_bytes(model.graph, name))
        return ReadNetwork(info, normalised, model.graph)
    reader = openvino_file()
    model = reader.read_model(path)
    info = _described(path, reader.info_of(model, path))
    few = {1, MOST_VALUES}
    normalised = frozenset(
        name
        for name in _pictures(info)
        if made_for_bytes(reader.first_steps(model), lambda: reader.small_constants(model, few), name)
    )
    return ReadNetwork(info, normalised, None)


def read_info(path: Path) -> NetworkInfo:
    """What a file says of itself; raises as :func:`read_network`."""
    if kind_of(path) == ONNX:
        return read_onnx_info(path)
    reader = openvino_file()
    return _described(path, reader.info_of(reader.read_model(path), path))


def digest_of(path: Path, info: NetworkInfo) -> str:
    """SHA-256 (hex) of the file and of those that hold its weights.

    Raises:
        EngineError: one cannot be read.
    """
    return network_digest(path, info.external_files)


def fixed_by_openvino(
    path: Path, name: str, shapes: Mapping[str, tuple[int, ...]], constants: Mapping[str, NDArray[Any]]
) -> Path:
    """A copy, an IR, of a network that OpenVINO reads, with other shapes; in the cache.

    Args:
        path: of the network.
        name: of the copy, without suffix; it must say everything that the copy depends on.
        shapes: of inputs, by name.
        constants: what inputs, by name, always are.

    Raises:
        CheckpointError: as :func:`...engines.openvino_file.write_fixed`.
    """
    reader = openvino_file()
    written: dict[str, bytes] = {}

    def build(target: Path) -> None:
        if not written:
            with tempfile.TemporaryDirectory(prefix="vidgraph-fixed-") as folder:
                whole = Path(folder, f"fixed{IR}")
                reader.write_fixed(path, whole, shapes, constants)
                written.update({each.suffix: each.read_bytes() for each in (whole, whole.with_suffix(WEIGHTS))})
        target.write_bytes(written[target.suffix])

    key = f"{name}-{key_of(str(reader.ov.__version__))[:8]}"  # two files are of one version
    weights, network = (cached_file("models", key + suffix, build) for suffix in (WEIGHTS, IR))
    beside = network.with_suffix(WEIGHTS)
    if weights != beside and not beside.exists():  # without a cache each is in a folder of its own
        beside.write_bytes(weights.read_bytes())
    return network


def openvino_file() -> ModuleType:
    """The reader of networks in formats of OpenVINO.

    Raises:
        MissingExtraError: OpenVINO is not installed.
    """
    ENGINES["openvino"].load()
    from ...engines import openvino_file as reader

    return reader


def _described(path: Path, info: NetworkInfo) -> NetworkInfo:
    return replace(info, metadata=metadata_beside(path))


def _pictures(info: NetworkInfo) -> list[str]:
    return [each.name for each in info.inputs if each.shape is not None and len(each.shape) == 4]
