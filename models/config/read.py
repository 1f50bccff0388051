"""A file of cameras as a :class:`CameraSet`: read, checked, with every mistake it has in one list."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...pipeline.errors import ConfigError, MissingExtraError, SourceError, nearest
from ...pipeline.options import OPTIONS, Number, rows_of
from ...pipeline.redaction import redact
from .camera_set import CameraConfig, CameraSet
from .mistakes import Mistakes
from .positions import Keys, lines_of
from .sense import Checker

SECRET = frozenset({"address", "user", "password"})
"""Keys whose values no message shows."""
LARGEST = 1 << 22  # bytes
_LONGEST_NUMBER = 256  # bits
_AT_LINE = re.compile(r"(?P<said>.*?) \(at (?:line (?P<line>\d+), column \d+|end of document)\)", re.DOTALL)


def read_cameras(file: str | os.PathLike[str]) -> CameraSet:
    """Read a file of cameras. Paths in it start from its folder.

    Raises:
        ConfigError: it has mistakes; with the line and key of each.
        SourceError: it cannot be read.
        MissingExtraError: pydantic is not installed.
    """
    path = Path(file)
    try:
        with path.open("rb") as opened:
            data = opened.read(LARGEST + 1)
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error
    return checked_text(path, data)


def checked_text(path: Path, data: bytes, known: Mapping[str, tuple[str, ...]] | None = None) -> CameraSet:
    """What the text of a file of cameras says; errors as for :func:`read_cameras`.

    Args:
        known: ``classes`` of an earlier set: these models are not loaded again.
    """
    if len(data) > LARGEST:
        raise ConfigError(f"{path}:1: more than {LARGEST >> 20} MB, too many for a list of cameras")
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
        raw = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: not UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        found = _AT_LINE.fullmatch(str(error))
        line = int(found["line"]) if found and found["line"] else text.count("\n") + 1
        said = found["said"] if found else str(error)
        raise ConfigError(f"{path}:{line}: not TOML: {said}") from error
    except ValueError as error:  # of int()
        number = max(re.finditer(r"[0-9_]+", text), key=lambda found: len(found[0]))
        line = text.count("\n", 0, number.start()) + 1
        raise ConfigError(f"{path}:{line}: not TOML: a number of {len(number[0])} digits") from error
    except RecursionError as error:
        raise ConfigError(f"{path}:1: not TOML: lists in lists in lists, too many") from error
    mistakes = Mistakes(path, lines_of(text))
    checker = Checker(path.parent, mistakes, known or {})
    cameras, shared = _check(raw, checker, mistakes)
    mistakes.raise_any()
    return CameraSet(path, data, cameras, shared, checker.classes)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a file of cameras.

    Raises:
        MissingExtraError: pydantic is not installed.
    """
    found: dict[str, Any] = _tables().json_schema()
    return found


def _tables() -> Any:
    try:
        from . import tables
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("pydantic", "pydantic_core"):
            raise
        raise MissingExtraError("a file of cameras", "config") from error
    return tables


def _check(
    raw: Mapping[str, Any], checker: Checker, mistakes: Mistakes
) -> tuple[dict[str, CameraConfig], dict[str, Any]]:
    tables = _tables()
    _validated(tables.File, raw, mistakes)
    ignored = Mistakes(Path(), {})  # of tables that are looked at again, each by itself
    shared = _given(_validated(tables.Shared, raw.get("run", {}), ignored))
    defaults = _given(_validated(tables.Defaults, raw.get("defaults", {}), ignored))
    named = raw.get("cameras", {})
    makes_model = frozenset(model_keys())
    cameras = {}
    for name, table in named.items() if isinstance(named, dict) else ():
        own = _validated(tables.Camera, table, ignored)
        if own is not None:
            cameras[name] = checker.camera(name, _with_defaults(_given(own), defaults), makes_model)
    return cameras, checker.shared(shared, cameras)


def _validated(kind: Any, value: Any, mistakes: Mistakes) -> Any:
    """A table as pydantic reads it, without what is wrong, which is noted; None where nothing is left of it."""
    from pydantic import ValidationError

    try:
        return kind.model_validate(value)
    except ValidationError as error:
        wrong = error.errors(include_url=False)
    for one in wrong:
        keys = tuple(key for key in one["loc"] if key != "[key]")
        mistakes.add(keys, _said(keys, one))
    first = {one["loc"][0] for one in wrong if one["loc"]}
    if not isinstance(value, dict) or not first & value.keys():
        return None
    return _validated(kind, {key: of_it for key, of_it in value.items() if key not in first}, Mistakes(Path(), {}))


def _given(table: Any) -> dict[str, Any]:
    """What a table says itself; nothing where it has mistakes."""
    return {} if table is None else {name: getattr(table, name) for name in table.model_fields_set}


def _with_defaults(own: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """A camera's settings: of ``every`` and ``max_fps``, a default gives way to the other one; a login
    of the defaults is for addresses of networks that have none.
    """
    rates = {"every", "max_fps"}
    taken = {name: value for name, value in defaults.items() if not (name in rates and rates & own.keys())}
    if "user" in own or "@" in own["address"] or "://" not in own["address"]:
        taken = {name: value for name, value in taken.items() if name not in ("user", "password")}
    return {**taken, **own}


def _said(keys: Keys, error: Any) -> str:
    """What is wrong, in our words."""
    from .tables import kind_name

    kind, key = error["type"], str(keys[-1]) if keys else ""
    if kind == "extra_forbidden":
        return _unknown(keys)
    if kind == "missing":
        return "is missing; every camera needs its address" if key == "address" else "is missing"
    if kind == "value_error":
        return str(error["ctx"]["error"])
    if kind == "string_pattern_mismatch":
        return "a name must begin with a letter or digit, and have only these, spaces and _ . - after it"
    if kind == "too_short":
        return "there is no camera; add one: [cameras.door]"
    said = redact(error["msg"]).replace("Input should be", "must be").replace("a valid integer", "a whole number")
    said = re.sub(r"a valid dictionary( or instance of \w+)?", "a table", said).replace("a valid ", "a ")
    row = OPTIONS.get(key)
    if kind in ("greater_than_equal", "less_than_equal") and row is not None and isinstance(row.read, Number):
        said = f"must be {row.read.expected}"
    value = error["input"]
    is_shown = key not in SECRET and isinstance(value, str | float | bool)
    is_shown = is_shown or (isinstance(value, int) and value.bit_length() <= _LONGEST_NUMBER)
    return f"{said}, got {f'{value!r:.80}' if is_shown else kind_name(value)}"


def _unknown(keys: Keys) -> str:
    from .tables import TABLES, File

    key = str(keys[-1])
    known = File.model_fields if len(keys) == 1 else TABLES[str(keys[0])].model_fields
    elsewhere = [name for name, table in TABLES.items() if key in table.model_fields]
    if elsewhere and len(keys) > 1:
        return f"is not a key of [{keys[0]}{'.NAME' if keys[0] == 'cameras' else ''}], but of [{elsewhere[0]}]"
    return f"unknown key; {nearest(key, known)}"


def model_keys() -> Iterator[str]:
    """The keys that make a model. ``classes`` is none of them: each camera chooses among those of the model."""
    yield "model"
    yield from (row.name for row in rows_of("model") if row.name != "classes")
