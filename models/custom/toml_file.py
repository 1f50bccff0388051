"""The TOML beside a network, which says what neither the graph nor its metadata do.

``KEYS`` is the one table of its keys: reading, and the template of :mod:`.template`, are made from it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...pipeline.beside import beside
from ...pipeline.errors import UsageError, nearest
from ...pipeline.limits import MAX_PIXELS
from ..class_names import names_from_file
from ..known_classes import NAMED
from ..text_file import read_text
from .description import (
    BACKGROUNDS,
    BOXES,
    COLORS,
    DEPTHS,
    FITS,
    LAYOUTS,
    SCORES,
    UNITS,
    Description,
    StateDescription,
    from_one_source,
)
from .heads import HEADS, OF_TASK

FIRST_VALUES = ("zeros", "ones")
"""Of state, the default first."""
ROLES = (
    "predictions",
    "prototypes",
    "boxes",
    "scores",
    "labels",
    "logits",
    "masks",
    "points",
    "priors",
    "depth",
    "matte",
    "picture",
    "embedding",
    "offsets",
)

Reader = Callable[[Any, Path], Any]
"""Takes a value and the file that it is of; raises ValueError where it is something else than wanted."""

_LONGEST = 2**20
"""Bytes of a TOML."""
_DEEPEST = 4
"""Of dotted keys, which take the square of their depth."""
_TEXT = re.compile(r'"""(?:[^\\]|\\.)*?"""|\'\'\'.*?\'\'\'|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|#[^\n]*', re.DOTALL)
_DEEP = re.compile(rf"(?<![^\s.=\[\]{{}},])(?:[^\s.=\[\]{{}},]*\.){{{_DEEPEST}}}")


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key, the name of a field of the description too: what it may be (for people), how it is read."""

    key: str
    wanted: str
    read: Reader


def _reader(fits: Callable[[Any], bool], made: Callable[[Any], Any] = lambda value: value) -> Reader:
    """Reads values that ``fits`` takes, as ``made`` makes them."""

    def read(value: Any, toml: Path) -> Any:
        if not fits(value):
            raise ValueError
        return made(value)

    return read


def _list_of(fits: Callable[[Any], bool], made: Callable[[Any], Any] = tuple, count: int | None = None) -> Reader:
    """Reads lists of ``count`` values (None: one or more) that ``fits`` takes, as ``made`` makes them."""

    def fitting(value: Any) -> bool:
        if not isinstance(value, list) or len(value) < 1 or count not in (None, len(value)):
            return False
        return all(map(fits, value))

    return _reader(fitting, made)


def _one_of(*choices: str) -> tuple[str, Reader]:
    return " or ".join(f'"{each}"' for each in choices), _reader(lambda value: value in choices)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


_truth = _reader(lambda value: isinstance(value, bool))
_string = _reader(lambda value: isinstance(value, str) and value != "")
_strings = _list_of(lambda each: isinstance(each, str))
_share = _reader(lambda value: _is_number(value) and 0 < value <= 1, float)
_whole_numbers = _list_of(lambda each: type(each) is int and each > 0)
_lists = _list_of(
    lambda row: isinstance(row, list) and row != [] and all(_is_number(each) and 0 < each < 1e6 for each in row),
    made=lambda rows: tuple(tuple(map(float, row)) for row in rows),
)


def _names(value: Any, toml: Path) -> Any:
    """A list, one by its name, or a file of names."""
    if not isinstance(value, str):
        return _strings(value, toml)
    if value in NAMED:
        return NAMED[value]
    path = _beside(value, toml)
    try:
        return names_from_file(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def _beside(name: str, toml: Path) -> Path:
    """
    Raises:
        UsageError: ``name`` leads out of the folder of the file that names it.
    """
    try:
        return beside(toml, name)
    except ValueError as error:
        raise UsageError(f"{toml} names a file that is not beside it: {error}; copy it there") from error


def _size(value: Any, toml: Path) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)x(\d+)", value) if isinstance(value, str) else None
    if match is None or not 0 < int(match[1]) * int(match[2]) <= MAX_PIXELS:
        raise ValueError
    return int(match[2]), int(match[1])


def _numbers(count: int, low: float, high: float, kind: type = float) -> Reader:
    wanted = (int,) if kind is int else (int, float)
    return _list_of(
        lambda each: type(each) in wanted and low <= each <= high, lambda values: tuple(map(kind, values)), count
    )


_multiple = _reader(lambda value: type(value) is int and 1 <= value <= 1024)
_levels = _list_of(
    lambda each: _is_number(each) and abs(each) <= 1e6,
    lambda values: _differing(float(values[0]), float(values[1])),
    count=2,
)


def _differing(black: float, white: float) -> tuple[float, float]:
    if black == white:
        raise ValueError
    return black, white


def _file(value: Any, toml: Path) -> Path:
    path = _beside(_string(value, toml), toml)
    if not path.is_file():
        raise UsageError(f"no such file: {path}")
    return path


def _state(value: Any, toml: Path) -> StateDescription:
    """The name of an output, or a table of that and the first value."""
    table = value if isinstance(value, Mapping) else {"output": value}
    if not {"output"} <= table.keys() <= {"output", "first"}:
        raise ValueError
    first = table.get("first", FIRST_VALUES[0])
    if first not in FIRST_VALUES:
        first = _file(first, toml)
    return StateDescription(_string(table["output"], toml), first)


KEYS: tuple[KeyRow, ...] = (
    KeyRow("head", *_one_of(*HEADS)),
    KeyRow("classes", 'a list of names, "coco80", "coco91" or "voc21", or a file such as "names.txt"', _names),
    KeyRow("task", *_one_of(*OF_TASK)),
    KeyRow("boxes", *_one_of(*BOXES)),
    KeyRow("boxes_unit", *_one_of(*UNITS)),
    KeyRow("scores", *_one_of(*SCORES)),
    KeyRow("objectness", "true or false", _truth),
    KeyRow("background", *_one_of(*BACKGROUNDS)),
    KeyRow("end_to_end", "true or false", _truth),
    KeyRow("depth", *_one_of(*DEPTHS)),
    KeyRow("range", "[black, white]: two numbers of a picture that differ such as [0, 255]", _levels),
    KeyRow("points", "[points, values of each] such as [17, 3]", _numbers(2, 1, 10000, int)),
    KeyRow("point_names", "a list of names", _strings),
    KeyRow("variances", "[of centres, of sizes] such as [0.1, 0.2]", _numbers(2, 1e-6, 1e6)),
    KeyRow("priors", 'a file such as "priors.npy": float32 [A, 4], cx cy w h from 0 to 1', _file),
    KeyRow("prior_strides", "a list such as [8, 16, 32]", _whole_numbers),
    KeyRow("prior_sizes", "for each stride the sides in pixels such as [[16, 32], [64, 128]]", _lists),
    KeyRow("stuff", "a list of names of classes that are no things", _strings),
    KeyRow("ignore", "a list of names of outputs that are not needed", _strings),
    KeyRow("input.name", "the name of the input that takes the picture", _string),
    KeyRow("input.size", '"WIDTHxHEIGHT" such as "640x384"', _size),
    KeyRow("input.layout", *_one_of(*LAYOUTS)),
    KeyRow("input.color", *_one_of(*COLORS)),
    KeyRow("input.mean", "three numbers from 0 to 255, in the order of color", _numbers(3, -1e6, 1e6)),
    KeyRow("input.std", "three numbers from 0 to 255, in the order of color", _numbers(3, 1e-6, 1e6)),
    KeyRow("input.fit", *_one_of(*FITS)),
    KeyRow("input.pad", "red, green, blue from 0 to 255", _numbers(3, 0, 255, int)),
    KeyRow("input.multiple", "a whole number from 1 to 1024", _multiple),
    KeyRow("input.crop", "a share above 0, at most 1", _share),
    KeyRow("input.previous", "the name of the input that takes the frame before", _string),
    KeyRow("input.downsample_ratio", "a share above 0, at most 1", _share),
    *(KeyRow(f"outputs.{role}", "the name of an output", _string) for role in ROLES),
)
"""Every key, in the order of the template; ``input.size`` is ``size`` in the table ``[input]``. Those of ``[state]``
are names of inputs, which are read as :data:`STATE`."""
STATE = KeyRow(
    "state",
    'the name of an output such as "h_out", or { output = "h_out", first = "zeros" } '
    '(or "ones", or a file such as "first.npy")',
    _state,
)


def toml_path(network: Path) -> Path:
    """Where the TOML of a network is: beside it, with the same stem."""
    return network.with_suffix(".toml")


def from_toml(path: Path, table: str | None = None) -> Description:
    """What a file of these keys says; nothing where there is none.

    Args:
        path: the file.
        table: the one that has the keys; None: they are not in a table.

    Raises:
        UsageError: it is no TOML, or has an unknown key (the nearest is named), or a value that does not fit.
    """
    try:
        found = _parsed(read_text(path, _LONGEST))
        found = found if table is None else found[table]
    except FileNotFoundError:
        return Description()
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {' '.join(str(error)[:200].split())}") from error
    rows = {row.key: row for row in KEYS}
    known: dict[str, Any] = {}
    outputs: dict[str, str] = {}
    state: dict[str, StateDescription] = {}
    for key, value in _flat(found):
        row = STATE if key.startswith("state.") else rows.get(key)
        if row is None:
            raise UsageError(f"{path} has an unknown key {key[:80]!r}; {nearest(key[:80], rows)}")
        try:
            read = row.read(value, path)
        except ValueError:
            raise UsageError(f"{path}: {key} must be {row.wanted}, got {_shown(value)}") from None
        if key.startswith("outputs."):
            outputs[key.removeprefix("outputs.")] = read
        elif row is STATE:
            state[key.removeprefix("state.")] = read
        else:
            known[key] = read
    return from_one_source(path.name, known | {"outputs": outputs or None, "state": state or None})


def _parsed(text: str) -> dict[str, Any]:
    """
    Raises:
        ValueError: it is no TOML, or nested too deeply.
    """
    deep = ValueError("tables or lists are nested too deeply")
    if _DEEP.search(_TEXT.sub("", text).replace(" ", "").replace("\t", "")):
        raise deep
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise deep from None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]} …"


def _flat(tables: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Keys of tables as ``table.key``."""
    flat = []
    for name, value in tables.items():
        if isinstance(value, Mapping):
            flat += [(f"{name}.{key}", each) for key, each in value.items()]
        else:
            flat.append((name, value))
    return flat
