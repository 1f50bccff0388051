"""How a data set is named: ``coco:annotations.json?images=photos``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from ...pipeline.errors import SourceError, UsageError, nearest
from ...pipeline.limits import MAX_PIXELS
from ...pipeline.results.parse_json import parse_json

COMMON_OPTIONS = ("max-pixels", "outside")
"""Options of all kinds of data sets."""


@dataclass(frozen=True, slots=True)
class Address:
    """A data set's files.

    Attributes:
        kind: the format, a name of ``open.FORMATS``.
        path: the file or folder.
        options: what follows the ``?``: folders of images and such.
        document: the JSON of ``path`` where it was read to find out the kind.
    """

    kind: str
    path: Path
    options: Mapping[str, str]
    document: Any = None

    @property
    def name(self) -> str:
        """For reports: ``coco:annotations.json``."""
        return f"{self.kind}:{self.path.name}"

    @property
    def max_pixels(self) -> int:
        """The option ``max-pixels``: larger images are refused.

        Raises:
            UsageError: it is no whole number from 1.
        """
        text = self.options.get("max-pixels", str(MAX_PIXELS))
        if not text.isascii() or not text.isdigit() or len(text) > 18 or int(text) < 1:
            raise UsageError(f"{self.name}: max-pixels must be a whole number from 1, got {text[:40]!r}")
        return int(text)

    @property
    def outside(self) -> bool:
        """The option ``outside``: whether pictures may be named that are not inside of their folder."""
        return self.choice("outside", "no", "yes") == "yes"

    def json(self) -> Any:
        """The JSON of ``path``.

        Raises:
            SourceError: it cannot be read or is no JSON.
        """
        return read_json(self.path) if self.document is None else self.document

    def folder(self, option: str, default: Path) -> Path:
        """The folder that ``option`` names, or ``default``.

        Raises:
            SourceError: there is none.
        """
        folder = Path(self.options[option]) if option in self.options else default
        if not folder.is_dir():
            raise SourceError(f"{self.name}: there is no folder {folder}; ?{option}=FOLDER names another")
        return folder

    def choice(self, option: str, default: str, *known: str) -> str:
        """The value of ``option``, one of ``default`` and ``known``.

        Raises:
            UsageError: it is none of them.
        """
        value = self.options.get(option, default)
        if value not in (default, *known):
            raise UsageError(f"{self.name}: {option} must be {' or '.join((default, *known))}, got {value!r}")
        return value


def split_options(text: str) -> tuple[str, dict[str, str]]:
    """``a.json?images=b`` -> ``a.json`` and its options.

    Raises:
        UsageError: an option without a value.
    """
    path, _, query = text.partition("?")
    options = {}
    for part in filter(None, query.split("&")):
        name, equals, value = part.partition("=")
        if not equals or not value:
            raise UsageError(f"data set {text}: the option {name!r} has no value; write ?{name}=VALUE")
        options[unquote_plus(name)] = unquote_plus(value)
    return path, options


def check_options(kind: str, options: Mapping[str, str], known: tuple[str, ...]) -> None:
    """
    Raises:
        UsageError: an option that data sets of this kind do not have.
    """
    for name in options:
        if name not in known:
            raise UsageError(f"data sets of kind {kind} have no option {name!r}; {nearest(name, known)}")


def read_json(path: Path) -> Any:
    """The JSON of a file.

    Raises:
        SourceError: it cannot be read or is no JSON.
    """
    try:
        return parse_json(path.read_bytes(), constants=True)
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:  # JSON and its text encoding
        raise SourceError(f"{path} is not JSON: {error}") from error
