"""Results that go on in further files: when one is full, how they are named, and which are removed."""

from __future__ import annotations

import re
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...pipeline.errors import UsageError

_SIZES = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_TIMES = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")
_FILES_KEPT = 4
"""Into so many files, at least, what is kept is divided: one that is removed is not most of it."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a file is full, and how much is kept.

    Attributes:
        bytes: a file's most; None: any number.
        seconds: for so long one is written; None: for ever.
        keep: bytes of all files of an output together; None: all are kept.
    """

    bytes: int | None = None
    seconds: float | None = None
    keep: int | None = None

    @classmethod
    def of(cls, rotate: str | None, keep: str | None) -> Rotation | None:
        """What ``100MB`` or ``1h``, and ``10GB``, say; None where nothing was asked for.

        Raises:
            UsageError: they cannot be read, or do not fit together.
        """
        if rotate is None:
            if keep is not None:
                raise UsageError("keep needs rotate: results that are one file have no oldest; add --rotate 100MB")
            return None
        size, seconds = _amount(rotate, _SIZES), _amount(rotate, _TIMES)
        if size is None and seconds is None:
            raise UsageError(f"rotate must be a size or a time, such as 100MB or 1h, got {rotate!r}")
        if keep is None:
            return cls(None if size is None else int(size), seconds)
        most = _amount(keep, _SIZES)
        if most is None:
            raise UsageError(f"keep must be a size such as 10GB, got {keep!r}")
        if size is not None and size * _FILES_KEPT > most:
            raise UsageError(f"keep {keep} must be at least {_FILES_KEPT} times rotate {rotate}")
        return cls(int(most / _FILES_KEPT if size is None else size), seconds, int(most))


def _amount(text: str, units: dict[str, int]) -> float | None:
    found = _AMOUNT.fullmatch(text.strip())
    unit = None if found is None else units.get(found[2].lower())
    amount = 0.0 if found is None or unit is None else float(found[1]) * unit
    return amount if amount >= 1 else None


def rotated_files(path: Path) -> list[tuple[int, Path]]:
    """Number and name of the files that are there: for ``out.jsonl``, ``out-00001.jsonl`` and so on, in order."""
    fits = re.compile(re.escape(path.stem) + r"-(\d{5,})" + re.escape(path.suffix))
    with suppress(OSError):
        found = [(fits.fullmatch(other.name), other) for other in path.parent.iterdir()]
        return sorted((int(match[1]), other) for match, other in found if match)
    return []


class RotatedFiles:
    """The files of one output: the name of the next, and the removal of the oldest.

    Args:
        path: as the output names it.
        keep: bytes of all files together; None: none is removed.
    """

    def __init__(self, path: Path, keep: int | None) -> None:
        self._path, self._keep = path, keep
        self._older: deque[tuple[Path, int]] = deque()
        self._older_bytes = self._number = 0
        for number, other in rotated_files(path):
            with suppress(OSError):
                self._add(other, other.stat().st_size)
                self._number = number

    def _add(self, path: Path, size: int) -> None:
        self._older.append((path, size))
        self._older_bytes += size

    def next(self) -> Path:
        """The name of the next file."""
        self._number += 1
        return self._path.with_name(f"{self._path.stem}-{self._number:05}{self._path.suffix}")

    def finished(self, path: Path, size: int) -> None:
        """A file is full."""
        self._add(path, size)

    def make_room(self, current_bytes: int) -> None:
        """Remove the oldest files until all, with the one that is being written, are within what is kept."""
        while self._keep is not None and self._older and self._older_bytes + current_bytes > self._keep:
            path, size = self._older.popleft()
            self._older_bytes -= size
            with suppress(OSError):  # somebody has removed it already
                path.unlink()
