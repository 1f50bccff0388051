"""Reading exported programs of torch (``.pt2``) without running anything that is in them.

``torch.export.load`` unpickles whatever a file asks for: weights of odd kinds, constants, examples of inputs. It
evaluates symbolic shapes as Python, looks functions up by name, and pastes names into code that it runs. Here only the
graph, as JSON, and plain numbers are taken from a file, and the graph may have nothing but operators of torch, fixed
shapes and plain names. Source: ``torch/export/pt2_archive/_package.py`` and ``torch/_export/serde`` of torch 2.13.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...pipeline.errors import EngineError
from ..spec import NetworkRefused, shortened

METADATA = "vidgraph.json"
"""The extra file in which ``vidgraph export`` writes what a program is."""

_PROGRAM = "models/model.json"
_NAME = re.compile(r"-?[\w.]*", re.ASCII)  # also numbers such as -Infinity
_OPERATOR = re.compile(r"torch\.ops\.(aten|prims)\.\w+\.\w+", re.ASCII)
_BEYOND = frozenset({"from_file"})  # operators that reach beyond the graph
_FREE = frozenset({"as_string", "as_strings", "in_spec", "out_spec", "torch_version"})  # quoted, or checked otherwise
_CODE = {  # what is no number -> what it is
    "as_graph": "a graph in the graph",
    "as_custom_obj": "an object",
    "custom_obj": "an object",
    "as_operator": "an operator as an argument",
    "as_string_to_argument": "named arguments",
}
_CONTAINERS = frozenset({None, "builtins.tuple", "builtins.list", "builtins.dict"})


def read_program(path: Path) -> tuple[Any, dict[str, Any]]:
    """A program, and what ``vidgraph export`` wrote about it (nothing, of a file of others).

    Args:
        path: a file of ``torch.export.save`` of torch 2.9 or later.

    Returns:
        a ``torch.export.ExportedProgram`` of fixed shapes, on the CPU, and the metadata.

    Raises:
        EngineError: the file cannot be read, is no such file, or would run code when it is loaded.
        NetworkRefused: its shapes are open, or it has operators that are not torch's own.
    """
    from torch.export.pt2_archive import PT2ArchiveReader

    try:
        content = path.read_bytes()
    except OSError as error:
        raise EngineError(f"cannot open {path.name}: {error.strerror or error}") from error
    try:
        archive = PT2ArchiveReader(io.BytesIO(content))
        return _program(path.name, archive), _metadata(archive)
    except EngineError:
        raise
    except Exception as error:  # torch documents no types here; a damaged file raises nearly anything
        raise EngineError(
            f"cannot open {path.name}: it is no exported program that torch {_version()} reads, or damaged "
            f"({shortened(str(error), 120) or type(error).__name__})"
        ) from error


def _version() -> str:
    import torch

    return str(torch.__version__)


def _program(name: str, archive: Any) -> Any:
    from torch._export.serde import schema, serialize
    from torch.export.pt2_archive import _package

    held = set(archive.get_file_names())
    if _PROGRAM not in held:
        raise EngineError(f"cannot open {name}: it has no exported program; torch.export.save writes one")
    if any(each.startswith(("data/aotinductor/", "data/executorch/")) for each in held):
        raise EngineError(f"cannot open {name}: it has compiled code, which is not run; save the program alone")
    text = json.loads(archive.read_bytes(_PROGRAM))
    for payload in ("weights", "constants"):
        _check_payload(name, archive, held, payload)
    _check_graph(name, text)
    program = serialize._bytes_to_dataclass(schema.ExportedProgram, json.dumps(text).encode())
    weights, constants = _package._load_state_dict(archive, "model"), _package._load_constants(archive, "model")
    return serialize.ExportedProgramDeserializer().deserialize(program, weights, constants)


def _metadata(archive: Any) -> dict[str, Any]:
    if f"extra/{METADATA}" not in archive.get_file_names():
        return {}
    given = json.loads(archive.read_bytes(f"extra/{METADATA}"))
    return given if isinstance(given, dict) else {}


def _check_payload(name: str, archive: Any, held: set[str], kind: str) -> None:
    """Refuse weights or constants that are anything but numbers.

    Raises:
        EngineError: one is pickled.
    """
    config = f"data/{kind}/model_{kind}_config.json"
    if config not in held or f"data/{kind}/model.pt" in held:  # where both are there, torch reads the latter
        raise EngineError(f"cannot open {name}: its {kind} are pickled, as torch before 2.9 wrote them; save it again")
    for tensor, about in json.loads(archive.read_bytes(config))["config"].items():
        plain = about["path_name"].startswith(("weight_", "tensor_"))
        if about["use_pickle"] or not plain or not _NAME.fullmatch(tensor) or not _NAME.fullmatch(about["path_name"]):
            raise EngineError(f"cannot open {name}: {tensor!r} is pickled, and could run code when it is loaded")


def _check_graph(name: str, program: dict[str, Any]) -> None:
    """Refuse what could become code, and drop what is for people only.

    Raises:
        EngineError, NetworkRefused: see :func:`read_program`.
    """
    module = program["graph_module"]
    if program["range_constraints"] or "as_expr" in _keys(program):
        raise NetworkRefused(f"cannot open {name}", "its shapes are open; export it without dynamic_shapes")
    program["guards_code"], module["metadata"] = [], {}
    for node in module["graph"]["nodes"]:
        node["metadata"] = {}
        operator = node["target"]
        if not _OPERATOR.fullmatch(operator) or operator.split(".")[3] in _BEYOND:
            raise NetworkRefused(
                f"cannot open {name}", f"it has {shortened(operator, 80)!r}, no operator of torch's own"
            )
    if found := _keys(program) & _CODE.keys():
        raise NetworkRefused(f"cannot open {name}", f"it has {_CODE[min(found)]}, which is not taken from a file")
    elsewhere = {str(meta["device"]["type"]) for meta in module["graph"]["tensor_values"].values()} - {"cpu"}
    if elsewhere:
        raise NetworkRefused(f"cannot open {name}", f"it was exported on {min(elsewhere)}; export it on the CPU")
    signatures = [each["signature"] for each in module["module_call_graph"] if each.get("signature")]
    for tree in (json.loads(each[spec])[1] for each in signatures for spec in ("in_spec", "out_spec")):
        _check_tree(name, tree)
    for text in _texts(program):
        if not _NAME.fullmatch(text):
            raise EngineError(f"cannot open {name}: {shortened(text, 40)!r} in it is no name that torch gives")


def _check_tree(name: str, tree: dict[str, Any]) -> None:
    """Refuse inputs and outputs in anything but tuples, lists and dictionaries.

    Raises:
        NetworkRefused: there are others.
    """
    names = json.loads(tree["context"] or "null")
    plain = names is None or (isinstance(names, list) and all(map(_is_name, names)))
    if tree["type"] not in _CONTAINERS or not plain:
        raise NetworkRefused(
            f"cannot open {name}", f"its inputs or outputs are in a {shortened(str(tree['type']), 40)}"
        )
    for part in tree["children_spec"]:
        _check_tree(name, part)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _keys(value: Any) -> set[str]:
    """Of all dictionaries in JSON."""
    if isinstance(value, dict):
        return value.keys() | set().union(*map(_keys, value.values()))
    return set().union(*map(_keys, value)) if isinstance(value, list) else set()


def _texts(value: Any) -> Iterator[str]:
    """All keys and strings in JSON but those of ``_FREE``."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, dict):
        for key, part in value.items():
            yield key
            if key not in _FREE:
                yield from _texts(part)
