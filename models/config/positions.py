"""Which line of a TOML file a key or a value of a list is on: what ``tomllib`` does not say."""

from __future__ import annotations

import re
import tomllib

Keys = tuple[str | int, ...]
"""Keys and, within lists, numbers from 0."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}' r"|'''(?:[^']|'{1,2}(?!'))*'{3,5}" r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'",
    re.DOTALL,
)
_OTHER = re.compile(r"[^,\]}\n#]*")


def lines_of(text: str) -> dict[Keys, int]:
    """The line, from 1, on which each key, table and value of a list begins.

    Args:
        text: TOML that ``tomllib`` has read, so that it is known to be right.
    """
    return _Finder(text).found


def line_of(lines: dict[Keys, int], path: Keys) -> int:
    """The line of ``path``, or of the nearest thing around it that is in the file; 1 where there is none."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


class _Finder:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self.found: dict[Keys, int] = {}
        self._lists: dict[Keys, int] = {}  # arrays of tables -> number of the last one
        self._line_at, self._line = 0, 1
        table: Keys = ()
        while self._skip(_BLANK) < len(text):
            if text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _skip(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._at

    def _note(self, path: Keys) -> None:
        self._line += self._text.count("\n", self._line_at, self._at)
        self._line_at = self._at
        self.found.setdefault(path, self._line)

    def _header(self) -> Keys:
        many = self._text.startswith("[[", self._at)
        start, self._at = self._at, self._at + 1 + many
        table: Keys = ()
        keys = self._keys()
        above = []
        for number, key in enumerate(keys):
            table = (*table, key)
            above.append(table)
            if many and number == len(keys) - 1:
                self._lists[table] = self._lists.get(table, -1) + 1
            if table in self._lists:
                table = (*table, self._lists[table])
        end, self._at = self._at + 1 + many, start
        for path in (*above, table):
            self._note(path)
        self._at = end
        return table

    def _keys(self) -> list[str]:
        """A key with dots; the position is then that of what follows."""
        keys = []
        while True:
            self._skip(_SPACE)
            start = self._at
            word = self._text[start : self._skip(_KEY)]
            keys.append(str(tomllib.loads(f"k = {word}")["k"]) if word[:1] in "\"'" else word)
            self._skip(_SPACE)
            if not self._text.startswith(".", self._at):
                return keys
            self._at += 1

    def _pair(self, table: Keys) -> None:
        start = self._at
        keys = self._keys()
        end, self._at = self._at + 1, start
        for count in range(1, len(keys) + 1):
            self._note((*table, *keys[:count]))
        self._at = end
        self._value((*table, *keys))

    def _value(self, path: Keys) -> None:
        self._skip(_SPACE)
        first = self._text[self._at : self._at + 1]
        if first == "[":
            self._within(path, "]")
        elif first == "{":
            self._within(path, "}")
        else:
            self._skip(_STRING if first in "\"'" else _OTHER)

    def _within(self, path: Keys, close: str) -> None:
        """The values of a list, or the pairs of a table in braces."""
        self._at += 1
        number = 0
        while self._text[self._skip(_BLANK)] != close:
            if close == "]":
                self._note((*path, number))
                self._value((*path, number))
            else:
                self._pair(path)
            number += 1
            if self._text[self._skip(_BLANK)] == ",":
                self._at += 1
        self._at += 1
