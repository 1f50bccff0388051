"""Names of classes as people and exporters keep them: lists, mappings from ids, text files with one a line."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .text_file import read_text

_NUMBERED = re.compile(r"(\d{1,9})(\s*[:=,\t]\s*|\s+)(\S.*)")
_YAML = re.compile(r"---$|- |(names|nc|path|train|val)\s*:")


def names_by_id(found: Any) -> tuple[str, ...]:
    """The names of a list, or of a mapping whose keys, numbers or texts of numbers, count from 0.

    Raises:
        ValueError: it is something else; the message says what, in a few words.
    """
    if isinstance(found, Mapping):
        found = _in_order(found)
    if not isinstance(found, list | tuple):
        raise ValueError("it is neither a list of names nor a mapping from class ids to names")
    if not found:
        raise ValueError("it names nothing")
    for number, name in enumerate(found):
        if not isinstance(name, str | int | float):
            raise ValueError(f"the name of class {number} is no text, but {name!r:.40}")
        if isinstance(name, str) and not _is_text(name):
            raise ValueError(f"the name of class {number} has characters that cannot be written, {name!r:.40}")
    return tuple(map(str, found))


def names_from_file(path: Path) -> tuple[str, ...]:
    """The names of a text file: one a line, blank lines left out, or a list or mapping of JSON.

    The lines may begin with the numbers of their classes, from 0.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such file; the message says why.
    """
    text = read_text(path).strip()
    if (text[:1], text[-1:]) in (("[", "]"), ("{", "}")):
        try:
            return names_by_id(json.loads(text))
        except (json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"it is no JSON, though it begins with {text[0]!r}; give one name a line") from error
    lines = [(number, line.strip()) for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1) if line.strip()]
    for number, line in lines:
        if line.startswith("#"):
            raise ValueError(f"line {number} is a comment, {line[:40]!r}; leave nothing but one name a line")
        if _YAML.match(line):
            raise ValueError(f"line {number}, {line[:40]!r}, is of YAML; give one name a line, or a list of JSON")
    names = _without_numbers([line for _, line in lines])
    if not names:
        raise ValueError("it names nothing")
    return names


def _in_order(names: Mapping[Any, Any]) -> list[Any]:
    """The values of a mapping from class ids, in their order."""
    by_id: dict[int, Any] = {}
    for key, name in names.items():
        number = int(key) if isinstance(key, str) and re.fullmatch(r"\s*\d{1,9}\s*", key) else key
        if not isinstance(number, int) or isinstance(number, bool):
            raise ValueError(f"{key!r:.40} is no class id")
        if number in by_id:
            raise ValueError(f"class {number} has two names")
        by_id[number] = name
    _check_ids(sorted(by_id))
    return [by_id[number] for number in range(len(by_id))]


def _check_ids(ids: Sequence[int]) -> None:
    """Raise ValueError where ascending class ids are not 0, 1, 2, …"""
    if list(ids) == list(range(len(ids))):
        return
    if ids[0] != 0:
        raise ValueError(f"it counts the classes from {ids[0]}, the outputs from 0")
    missing = next(number for number, known in enumerate(ids) if number != known)
    raise ValueError(f"class {missing} has no name")


def _without_numbers(lines: list[str]) -> tuple[str, ...]:
    """The lines without the class ids that all of them begin with, where they do."""
    parts = [_NUMBERED.fullmatch(line) for line in lines]
    matches = [part for part in parts if part is not None]
    if not matches or len(matches) != len(lines):
        return tuple(lines)
    ids = [int(part[1]) for part in matches]
    counted = ids == list(range(len(ids))) or (len(ids) > 1 and ids == list(range(1, len(ids) + 1)))
    if not counted and any(part[2].isspace() for part in matches):  # names like "3 series"
        return tuple(lines)
    _check_ids(sorted(ids))
    names = dict(zip(ids, (part[3] for part in matches), strict=True))
    if len(names) != len(ids):
        raise ValueError("a class has two names")
    return tuple(names[number] for number in range(len(names)))


def _is_text(name: str) -> bool:
    """Whether it can be written as UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
