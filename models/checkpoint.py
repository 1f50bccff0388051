"""Reading PyTorch checkpoints safely, and saying what is wrong with one that does not fit.

torch is needed, and nothing in a file is ever run: files are read with ``weights_only=True``.
"""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..pipeline.errors import CheckpointError, MissingExtraError
from .registry import MODELS, ModelRow

if TYPE_CHECKING:
    from torch import Tensor, nn

Shapes = dict[str, tuple[int, ...]]

_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_NOT_USED = ".num_batches_tracked"
"""A counter of training that older files lack; no network reads it."""


def import_torch(what: str) -> Any:
    """The torch module.

    Raises:
        MissingExtraError: torch is not installed; ``what`` needs it.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError(what, "torch") from error
    return torch


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal.

    Raises:
        CheckpointError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise CheckpointError(f"no such weights file: {path}") from error
    except OSError as error:
        raise CheckpointError(f"cannot read weights {path}: {error.strerror}") from error


def load_network(row: ModelRow, path: Path) -> nn.Module:
    """The network of ``row`` with the weights of ``path``, in evaluation mode, on the CPU.

    Raises:
        CheckpointError: the file is damaged, would run code, or belongs to something else.
        MissingExtraError: torch is not installed.
    """
    state = read_state_dict(path)
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    expected = network_shapes(row)
    differences = compare_shapes(expected, shapes)
    if differences:
        others = [each.name for each in MODELS.values() if each is not row and not compare_shapes_of(each, shapes)]
        hint = f"; it fits {' and '.join(others)}: use --model {others[0]}={path}" if others else ""
        raise CheckpointError(f"{path} does not fit {row.name}: {differences}{hint}")
    network = row.family().network(row.name)
    network.load_state_dict({key: value for key, value in state.items() if key in expected}, strict=False)
    return network


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, without ``state_dict`` wrapper and ``module.`` prefix.

    Raises:
        CheckpointError: the file cannot be read, is damaged, would run code, or holds something else.
        MissingExtraError: torch is not installed.
    """
    sha256_of(path)
    torch = import_torch(f"reading the checkpoint {path.name}")
    with path.open("rb") as file:
        start = file.read(4)
    if not (start == _ZIP or start[:1] == _PICKLE):
        raise CheckpointError(f"{path} is not a PyTorch checkpoint: it starts with {start!r}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _unpickling_error(path, str(error)) from error
    except Exception as error:  # torch documents no types here; a damaged file raises nearly anything
        raise CheckpointError(f"{path} is damaged or truncated: {_first_line(error)}") from error
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    tensor_only = isinstance(content, Mapping) and all(isinstance(value, torch.Tensor) for value in content.values())
    if not tensor_only or not content:
        raise CheckpointError(f"{path} holds no state dict: expected named tensors, got {type(content).__name__}")
    return {str(key).removeprefix("module."): value for key, value in content.items()}


def network_shapes(row: ModelRow) -> Shapes:
    """Name and shape of every tensor of the model's state dict; allocates no weights."""
    torch = import_torch("checking a checkpoint")
    with torch.device("meta"):
        network = row.family().network(row.name)
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def compare_shapes_of(row: ModelRow, got: Shapes) -> str:
    """:func:`compare_shapes` against the network of ``row``."""
    return compare_shapes(network_shapes(row), got)


def compare_shapes(expected: Shapes, got: Shapes) -> str:
    """What differs, in words; empty where ``got`` fits."""
    missing = [key for key in expected if key not in got and not key.endswith(_NOT_USED)]
    extra = [key for key in got if key not in expected]
    wrong = [key for key in expected if key in got and got[key] != expected[key]]
    parts = []
    if missing:
        parts.append(f"{len(missing)} of {len(expected)} tensors are missing ({missing[0]}{_more(missing)})")
    if extra:
        parts.append(f"{len(extra)} are unknown ({extra[0]}{_more(extra)})")
    if wrong:
        first = wrong[0]
        shapes = f"{first} must be {list(expected[first])}, got {list(got[first])}{_more(wrong)}"
        parts.append(f"{len(wrong)} have another shape ({shapes})")
    return ", ".join(parts)


def _more(names: list[str]) -> str:
    return ", …" if len(names) > 1 else ""


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def _unpickling_error(path: Path, message: str) -> CheckpointError:
    """Tell a file that asks for code to be run from one that is only damaged."""
    asked = re.search(
        r"(?:Unsupported global: GLOBAL|Unsupported class|Trying to call reduce for|unsupported GLOBAL)"
        r"[:\s]+([\w.]+)",
        message,
    )
    if asked:
        advice = "if you trust its author, save the tensors alone: torch.save(model.state_dict(), …)"
        return CheckpointError(f"{path} was not loaded: it would run code ({asked[1]}); {advice}")
    return CheckpointError(f"{path} is damaged or no PyTorch checkpoint: {_first_line(Exception(message))}")
