"""The mistakes of a file of cameras, each with its line and key."""

from __future__ import annotations

from pathlib import Path

from ...pipeline.errors import ConfigError
from .positions import Keys, line_of


class Mistakes:
    """What is wrong with a file, in its order: the line, the key, and what to do."""

    def __init__(self, path: Path, lines: dict[Keys, int]) -> None:
        self._path, self._lines = path, lines
        self._found: dict[tuple[int, str], None] = {}

    def add(self, keys: Keys, message: str) -> None:
        """Note one, at the line of ``keys``."""
        name = ".".join(str(key) for key in keys)
        line = line_of(self._lines, keys)
        self._found[line, f"{self._path}:{line}: {name + ': ' if name else ''}{message}"] = None

    def add_of_camera(self, name: str, key: str, message: str) -> None:
        """Note one of a camera's key, where it stands: with the camera, or in the defaults."""
        own: Keys = ("cameras", name, key)
        self.add(own if own in self._lines or ("defaults", key) not in self._lines else ("defaults", key), message)

    def raise_any(self) -> None:
        """Raise all as one error, if there are any."""
        if self._found:
            raise ConfigError(*(text for _, text in sorted(self._found)))
