"""Files beside results that hold what is too large for a line: ``out.depth/000012.npy`` beside ``out.jsonl``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...pipeline.claims import CHECKED_EVERY_S, Claims, NameClaim, exists_already, hidden, output_error
from ...pipeline.errors import OutputError, UsageError
from ...pipeline.packet import HELD_FROM, Packet
from ...pipeline.results.format import ResultKeys
from ...pipeline.results.result_types import RESULT_TYPES
from ...pipeline.results.result_types.base import ResultType
from .addresses import numbered, pattern_files

_NUMBER = "%06d"


def has_files(keys: Sequence[ResultKeys]) -> bool:
    """Whether a model of which it is known what it gives has results with files of their own."""
    kinds = [kind for kind, row in RESULT_TYPES.items() if row.suffix]
    return any(one.keys is not None and one.get(kind) is not None for one in keys for kind in kinds)


class FilesBeside:
    """The files beside one file of results, each named after its frame.

    They are in a folder for each type, with folders in it for the streams and the models where there are several. A
    file appears under its name when it is whole. A frame that has the result of an earlier one has its file.

    Args:
        path: of the results.
        streams: the names of the streams of the file; ``""``: any.
        several_models: the run has several.
        overwrite: files of an earlier run are removed.
        resume: they stay, and those of frames that come again are replaced.
        claims: of the run.
    """

    def __init__(
        self,
        path: Path,
        streams: Sequence[str],
        *,
        several_models: bool,
        overwrite: bool,
        resume: bool,
        claims: Claims,
    ) -> None:
        self._path, self._claims = path, claims
        self._by_stream, self._by_model = len(streams) > 1 or "" in streams, several_models
        self._overwrite, self._resume = overwrite, resume
        self._names: dict[Path, NameClaim] = {}

    def keep(self, packet: Packet, model: str, kind: ResultType[Any], value: Any) -> str:
        """Write what belongs to a packet.

        Returns:
            the file's name, relative to the folder of the results, with ``/``.

        Raises:
            OutputError: it cannot be written, files of another run are there, or another output writes such files.
            UsageError: a stream or a model has a name that cannot be a folder's.
        """
        inner = ([packet.frame.stream_id] if self._by_stream else []) + ([model] if self._by_model else [])
        folder = self._path.with_name(f"{self._path.stem}.{kind.field}").joinpath(*map(_folder_name, inner))
        pattern = folder / f"{_NUMBER}{kind.suffix}"
        self._claim(pattern).check(every_s=CHECKED_EVERY_S)
        index = packet.get(HELD_FROM)
        path = numbered(pattern, packet.frame.index if index is None else index)
        if index is None or not path.exists():
            self._save(path, kind, value)
        return path.relative_to(self._path.parent).as_posix()

    def _claim(self, pattern: Path) -> NameClaim:
        """The claim on the files of a pattern; at first their folder is made, and what is in the way removed."""
        if pattern not in self._names:
            if self._claims.names(pattern):
                raise OutputError(
                    f"output {pattern} would write the files beside {self._path}; name another folder for it"
                )
            try:
                pattern.parent.mkdir(parents=True, exist_ok=True)
                self._names[pattern] = self._claims.name(pattern)
                existing = [] if self._resume else pattern_files(pattern)
                if existing and not self._overwrite:
                    raise OutputError(exists_already(existing[0]))
                for path in existing:
                    path.unlink()
            except (OSError, ValueError) as error:
                raise output_error(pattern, error) from error
        return self._names[pattern]

    def _save(self, path: Path, kind: ResultType[Any], value: Any) -> None:
        unfinished = hidden(path, ".part")
        try:
            kind.save(unfinished, value)
            unfinished.replace(path)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise output_error(path, error, kept="the lines written before are whole") from error

    def close(self) -> None:
        """Let others write such files."""
        for pattern in self._names:
            self._claims.free(pattern)
        self._names.clear()


def _folder_name(name: str) -> str:
    if not name or name in (".", "..") or any(char in name for char in "/\\\0%"):
        raise UsageError(
            f"{name!r} cannot be the name of a folder, which files beside results need; give the source or the model "
            "another: NAME=ADDRESS"
        )
    return name
