"""What a part has found so far. Every line is printed and written at once, as the part may be ended at any time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Absent(Exception):
    """What a part needs is not on this machine; the message says what."""


class Report:
    """Figures of one part.

    Attributes:
        facts: what is said once.
        rows: what is measured, one thing each.
        skipped: what is left out, each with its reason.
        wrong: results that are not what they must be, one line each.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self.facts: dict[str, Any] = {}
        self.rows: list[dict[str, Any]] = []
        self.skipped: list[dict[str, str]] = []
        self.wrong: list[str] = []

    def note(self, **facts: Any) -> None:
        """Say something once."""
        self.facts |= facts
        self._tell(_line(facts))

    def row(self, **figures: Any) -> None:
        """Add what was measured of one thing."""
        self.rows.append(figures)
        self._tell(_line(figures))

    def skip(self, what: str, reason: object) -> None:
        """Leave something out."""
        self.skipped.append({"what": what, "reason": str(reason)})
        self._tell(f"left out: {what}: {reason}")

    def fault(self, text: str) -> None:
        """A result is not what it must be; the part goes on."""
        self.wrong.append(text)
        self._tell(f"WRONG: {text}")

    @contextmanager
    def going_on(self, what: str) -> Iterator[None]:
        """Whatever ``what`` fails with is a fault, and the part goes on."""
        try:
            yield
        except Exception as error:  # of any library
            self.fault(f"{what} failed: {type(error).__name__}: {error}")

    def figures(self) -> dict[str, Any]:
        """Everything, JSON-able."""
        return {**self.facts, "rows": self.rows, "skipped": self.skipped, "wrong": self.wrong}

    def _tell(self, line: str) -> None:
        print(f"  {line}", flush=True)
        if self._path is not None:
            part = self._path.with_suffix(".part")
            part.write_text(json.dumps(self.figures()))
            part.replace(self._path)


def _line(figures: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in figures.items())
