"""The ``metadata.yaml`` that Ultralytics' exporters write beside networks of formats that hold no metadata.

Only what they write is read: mappings and lists indented by spaces, plain or quoted texts, which may go on in further
lines, and empty ``[]`` and ``{}``. Anything else of YAML is refused rather than guessed.
Source: the files as exported, which PyYAML's ``safe_dump`` writes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...pipeline.errors import CheckpointError
from ..text_file import read_text

NAME = "metadata.yaml"
_ITS_OWN = re.compile(r"^author:\s*['\"]?Ultralytics", re.MULTILINE)
_KEY = re.compile(r"""('(?:[^']|'')*'|"[^"\\]*"|[^\s'"#\[\]{}&*!|>%@`,?:-][^#]*?|-?\d+)\s*:(?:\s+(.*)|$)""")
_REFUSED = tuple("&*!|>%@`{[")
_PLAIN = {"null": None, "~": None, "": None, "true": True, "false": False}
_DEEPEST = 8
_LONGEST, _LONGEST_LINE = 1 << 20, 1 << 12  # characters


def metadata_beside(network: Path) -> dict[str, str]:
    """Key -> value as a text of Python, as the metadata of an ONNX file have them; empty where there is no such file.

    Raises:
        CheckpointError: it is Ultralytics' and cannot be read.
    """
    path = network.with_name(NAME)
    try:
        text = read_text(path, _LONGEST)
        found = parsed(text) if _ITS_OWN.search(text) else {}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"cannot read {path}: {reason}; export the network again, or remove it") from error
    return {key: value if isinstance(value, str) else repr(value) for key, value in found.items()}


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    indent: int
    text: str


def parsed(text: str) -> dict[str, Any]:
    """What a text of YAML of this kind is: keys and values are texts, whole numbers, truths, None, mappings, lists.

    Raises:
        ValueError: it is no mapping, or has anything else; the message says in which line.
    """
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip(" ")
        if stripped and not stripped.startswith("#") and stripped != "---":
            if "\t" in line[: len(line) - len(line.lstrip())]:
                raise ValueError(f"line {number} is indented by tabs")
            if len(line) > _LONGEST_LINE:
                raise ValueError(f"line {number} has more than {_LONGEST_LINE} characters")
            lines.append(_Line(number, len(line) - len(line.lstrip(" ")), stripped))
    found, rest = _block(lines, 0, 0)
    if rest < len(lines) or not isinstance(found, dict):
        raise ValueError(f"line {lines[rest].number if rest < len(lines) else 1} is not understood")
    return {str(key): value for key, value in found.items()}


def _block(lines: list[_Line], at: int, depth: int) -> tuple[Any, int]:
    """The mapping or list that begins at line ``at``, and the line after it."""
    if at == len(lines):
        return {}, at
    if depth > _DEEPEST:
        raise ValueError(f"line {lines[at].number} is nested too deeply")
    indent = lines[at].indent
    if _is_item(lines[at]):
        return _items(lines, at, indent)
    found: dict[Any, Any] = {}
    while at < len(lines) and lines[at].indent == indent and not _is_item(lines[at]):
        line = lines[at]
        match = _KEY.fullmatch(line.text)
        if match is None:
            raise ValueError(f"line {line.number} is not understood: {line.text[:40]!r}")
        key = _scalar(match[1], line)
        if key in found:
            raise ValueError(f"line {line.number} gives {match[1][:40]!r} a second time")
        if match[2]:
            found[key], at = _text(lines, at, match[2])
        elif at + 1 < len(lines) and (lines[at + 1].indent > indent or _is_item_of(lines[at + 1], indent)):
            found[key], at = _block(lines, at + 1, depth + 1)
        else:
            found[key], at = None, at + 1
    return found, at


def _items(lines: list[_Line], at: int, indent: int) -> tuple[list[Any], int]:
    """The list, of texts alone, that begins at line ``at``, and the line after it."""
    found = []
    while at < len(lines) and _is_item_of(lines[at], indent):
        line = lines[at]
        value = line.text[1:].strip()
        if not value or value.startswith("- ") or _KEY.fullmatch(value):
            raise ValueError(f"line {line.number} is not understood: {line.text[:40]!r}")
        item, at = _text(lines, at, value)
        found.append(item)
    return found, at


def _is_item(line: _Line) -> bool:
    return line.text == "-" or line.text.startswith("- ")


def _is_item_of(line: _Line, indent: int) -> bool:
    return line.indent == indent and _is_item(line)


def _text(lines: list[_Line], at: int, begun: str) -> tuple[Any, int]:
    """The value that begins as ``begun`` in line ``at`` and goes on in lines that are indented more."""
    first, parts = lines[at], [begun]
    at += 1
    quote = begun[0] if begun[0] in "'\"" else ""
    while at < len(lines) and (not _closed(" ".join(parts), quote) if quote else lines[at].indent > first.indent):
        parts.append(lines[at].text)
        at += 1
    return _scalar(" ".join(parts), first), at


def _closed(text: str, quote: str) -> bool:
    """Whether a quoted text has its end."""
    inner = text[1:].replace("''", "") if quote == "'" else re.sub(r"\\.", "", text[1:])
    return quote in inner


def _scalar(text: str, line: _Line) -> Any:
    """A value in one line."""
    if text in ("[]", "{}"):
        return [] if text == "[]" else {}
    if text[:1] == "'" and re.fullmatch(r"'(?:[^']|'')*'", text):
        return text[1:-1].replace("''", "'")
    if text[:1] == '"' and re.fullmatch(r'"[^"\\]*"', text):
        return text[1:-1]
    if text.startswith((*_REFUSED, "'", '"')) or " #" in text or ": " in text:
        raise ValueError(f"line {line.number} is not understood: {line.text[:40]!r}")
    if re.fullmatch(r"-?\d{1,18}", text):
        return int(text)
    return _PLAIN.get(text.lower(), text)
