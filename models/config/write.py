"""Writes one value into a file of cameras; its comments and order stay."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...pipeline.errors import MissingExtraError, OutputError, UsageError
from .read import checked_text


def set_value(file: str | os.PathLike[str], camera: str | None, key: str, value: Any) -> None:
    """Set a key of a camera in a TOML file, and leave everything else in it as it is.

    The file is replaced as a whole: who reads it sees the old text or the new one, and a run that follows it applies
    the new one. Nothing is written where the new text would have a mistake.

    Args:
        file: of the cameras.
        camera: its name; one that is not there yet is added. None: the defaults.
        key: of its table.
        value: what TOML has: texts, numbers, truths, lists, tables; None: remove the key.

    Raises:
        ConfigError: the file has mistakes, or would have one then.
        UsageError: there is no file, or the value is none that TOML has.
        OutputError: it cannot be written.
        MissingExtraError: tomlkit is not installed.
    """
    try:
        import tomlkit
        from tomlkit.exceptions import TOMLKitError
    except ModuleNotFoundError as error:
        raise MissingExtraError("writing a file of cameras", "config") from error
    path = Path(file).resolve()
    try:
        before = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    checked_text(path, before)
    document: Any = tomlkit.parse(before.decode("utf-8-sig"))
    table = document
    for name in ("defaults",) if camera is None else ("cameras", camera):
        if name not in table:
            table[name] = tomlkit.table()
        table = table[name]
    try:
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value
        after = tomlkit.dumps(document).encode()
    except (TOMLKitError, ValueError, TypeError) as error:
        raise UsageError(f"{key} cannot be {type(value).__name__}: {error}") from error
    checked_text(path, after)
    _replace(path, after)


def _replace(path: Path, data: bytes) -> None:
    """Put a new file in the place of one, with its rights, in one step."""
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as written:
            temporary = Path(written.name)
            written.write(data)
            written.flush()
            os.fsync(written.fileno())
        temporary.chmod(path.stat().st_mode & 0o7777)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
