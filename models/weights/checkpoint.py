"""Reading PyTorch checkpoints safely, and saying what is wrong with one that does not fit.

torch is needed, and nothing in a file is ever run: files are read with ``weights_only=True``.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ...pipeline.errors import CheckpointError, import_extra
from ..registry import implemented
from ..variant import Variant

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..family import Family

Shapes = dict[str, tuple[int, ...]]
Named = TypeVar("Named")

_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_MOST_UNPACKED = 4
"""What a file may hold over its own size: torch packs nothing, and weights packed by others get little smaller."""
_LARGEST_TENSOR = 1 << 26
"""Bytes of a tensor that a small file may stand for, as one value for all places; networks here have smaller ones."""
_NOT_USED = ".num_batches_tracked"
"""A counter of training that older files lack; no network reads it."""


def import_torch(what: str) -> Any:
    """The torch module.

    Raises:
        MissingExtraError: torch is not installed; ``what`` needs it.
    """
    return import_extra("torch", what, "torch")


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


def load_network(row: Variant, path: Path) -> nn.Module:
    """The network of ``row`` with the weights of ``path``, in evaluation mode, on the CPU.

    Raises:
        CheckpointError: the file is damaged, would run code, or belongs to something else.
        MissingExtraError: torch is not installed.
    """
    return load_fitted(row, path)[1]


def load_fitted(row: Variant, path: Path) -> tuple[Family, nn.Module]:
    """:func:`load_network`, and the family of ``row`` for the file (which may have classes of its own).

    Raises:
        CheckpointError, MissingExtraError: as there.
    """
    state = read_state_dict(path)
    shapes = shapes_of(state)
    family = row.family().for_shapes(row.name, renamed(row, shapes))
    expected = network_shapes(row, family)
    differences = compare_shapes_of(row, shapes, family)
    others = fitting_rows(shapes) if differences or family is not row.family() else []
    names = [each.name for each in others if each is not row and (differences or _is_own(each, shapes))]
    if not differences and names:
        differences = compare_shapes_of(row, shapes)  # the number of classes is that of another model
    if differences:
        hint = f"; it fits {' and '.join(names)}: use --model {names[0]}={path}" if names else ""
        raise CheckpointError(f"{path} does not fit {row.name}: {differences}{hint}")
    network = family.network(row.name)
    used = {key: value for key, value in renamed(row, state).items() if key in expected}
    check_values(path, used, network.state_dict())
    network.load_state_dict(used, strict=False)
    return family, network


def check_values(path: Path, tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Refuse tensors that cannot be the weights of a network, whose own tensors are ``own``.

    Raises:
        CheckpointError: one is NaN or infinite somewhere, or has whole numbers where weights are not.
    """
    for key, value in tensors.items():
        if not own[key].is_floating_point():
            continue
        if not value.is_floating_point():
            raise CheckpointError(f"{path}: {key} must be floating point, got {_dtype(value)}")
        wrong = int(value.numel() - value.float().isfinite().sum())
        if wrong:
            raise CheckpointError(
                f"{path}: {key} is NaN or infinite in {wrong} of {value.numel()} places, as after a training "
                "that failed; take an earlier checkpoint"
            )


def _is_own(row: Variant, shapes: Shapes) -> bool:
    """Whether a file with these tensors, its number of classes included, is taken for ``row``."""
    return row.family().identifiable_by_shapes(row.name) and not compare_shapes_of(row, shapes)


def renamed(row: Variant, tensors: Mapping[str, Named]) -> dict[str, Named]:
    """``tensors`` (or their shapes) under the names that the network of ``row`` has for them."""
    family = row.family()
    return {own: value for key, value in tensors.items() if (own := family.rename_key(key)) is not None}


def shapes_of(state: Mapping[str, Tensor]) -> Shapes:
    """Name and shape of every tensor."""
    return {key: tuple(value.shape) for key, value in state.items()}


def fitting_rows(shapes: Shapes) -> list[Variant]:
    """The models that a file with these tensors fits: with their own classes, or if there are none, with others."""
    if any(_is_own(row, shapes) for row in implemented()):
        return [row for row in implemented() if not compare_shapes_of(row, shapes)]
    fitted = ((row, row.family().for_shapes(row.name, renamed(row, shapes))) for row in implemented())
    return [row for row, family in fitted if not compare_shapes_of(row, shapes, family)]


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, without ``state_dict`` wrapper and ``module.`` prefix.

    Raises:
        CheckpointError: the file cannot be read, is damaged, would run code, or holds something else.
        MissingExtraError: torch is not installed.
    """
    torch = import_torch(f"reading the checkpoint {path.name}")
    content = load_plain(path)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    tensor_only = isinstance(content, Mapping) and all(isinstance(value, torch.Tensor) for value in content.values())
    if not tensor_only or not content:
        raise CheckpointError(f"{path} holds no state dict: expected named tensors, got {type(content).__name__}")
    for key, value in content.items():
        _check_tensor(path, str(key), value)
    return {str(key).removeprefix("module."): value for key, value in content.items()}


def load_plain(path: Path) -> Any:
    """What torch reads of a file: tensors and plain values; nothing in it is ever run.

    Raises:
        CheckpointError: the file cannot be read, is damaged, would run code, or unpacks to far more than it is.
        MissingExtraError: torch is not installed.
    """
    sha256_of(path)
    torch = import_torch(f"reading the checkpoint {path.name}")
    with path.open("rb") as file:
        start = file.read(4)
    if not (start == _ZIP or start[:1] == _PICKLE):
        raise CheckpointError(f"{path} is not a PyTorch checkpoint: it starts with {start!r}")
    try:
        if start == _ZIP:
            _check_unpacked(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch thinks of old and rare kinds of tensors
            return torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        raise _unpickling_error(path, str(error)) from error
    except Exception as error:  # torch documents no types here; a damaged file raises nearly anything
        raise CheckpointError(f"{path} is damaged or truncated: {_first_line(error)}") from error


def _check_unpacked(path: Path) -> None:
    """Refuse a zip file that is small only because it is packed.

    Raises:
        CheckpointError: its parts are much larger than it.
        zipfile.BadZipFile: it is damaged.
    """
    with zipfile.ZipFile(path) as parts:
        unpacked = sum(part.file_size for part in parts.infolist())
    size = path.stat().st_size
    if unpacked > _MOST_UNPACKED * size:
        raise CheckpointError(f"{path} has {size} bytes and unpacks to {unpacked}, which no weights do; it is not read")


def _check_tensor(path: Path, key: str, value: Tensor) -> None:
    """
    Raises:
        CheckpointError: it is no plain tensor, or has more values than its file.
    """
    torch = import_torch("checking a checkpoint")
    if value.is_nested or value.layout != torch.strided:
        kind = "nested" if value.is_nested else str(value.layout).removeprefix("torch.")
    elif value.is_meta:
        kind = "meta: it has a shape and no values"
    elif value.is_quantized or value.is_complex():
        kind = _dtype(value)
    elif value.numel() * value.element_size() > max(_MOST_UNPACKED * path.stat().st_size, _LARGEST_TENSOR):
        kind = f"{list(value.shape)}, more values than the file has"
    else:
        return
    raise CheckpointError(f"{path}: tensor {key} must be a plain one, got {kind}; save the weights themselves")


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def network_shapes(row: Variant, family: Family | None = None) -> Shapes:
    """Name and shape of every tensor of the model's state dict; allocates no weights."""
    hashable: Any = family or row.family()  # families are frozen
    return dict(_network_shapes(row, hashable))


@lru_cache(maxsize=64)
def _network_shapes(row: Variant, family: Family) -> Shapes:
    torch = import_torch("checking a checkpoint")
    with torch.device("meta"):
        return shapes_of(family.network(row.name).state_dict())


def compare_shapes_of(row: Variant, got: Shapes, family: Family | None = None) -> str:
    """:func:`compare_shapes` of a file's tensors against the network of ``row`` (of ``family``, where given)."""
    family = family or row.family()
    return compare_shapes(network_shapes(row, family), renamed(row, got), family.unused(row.name))


def compare_shapes(expected: Shapes, got: Shapes, unused: Iterable[str] = ()) -> str:
    """What differs, in words; empty where ``got`` fits. Names that begin with one of ``unused`` may be missing."""
    may_miss = tuple(unused)
    missing = [
        key for key in expected if key not in got and not key.endswith(_NOT_USED) and not key.startswith(may_miss)
    ]
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
