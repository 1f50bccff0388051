"""One file for each frame, named after its number in the stream, or after its picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ...pipeline.claims import CHECKED_EVERY_S, Claims, NameClaim, hidden, output_error
from ...pipeline.errors import OutputError
from ...pipeline.packet import Frame
from ...pipeline.stage import EndReason, Sink
from .addresses import has_number, numbered, pattern_files
from .named_files import Names, is_named, named


class NumberedSink(Sink):
    """What sinks have in common that write one file for each frame; ``write`` of a subclass calls ``_save``.

    Files appear under their names when they are whole, so that a kill leaves no half one.

    Args:
        patterns: the file names of each stream (``""``: of any), with one ``%d`` or ``%06d``; a name without one
            holds one frame.
        overwrite: :meth:`open` removes the files of an earlier run that fit the pattern.
        names: what ``{name}`` in a pattern is of each frame.
        claims: of the run; None: its own.

    Attributes:
        what: is in the files, for messages.
    """

    what: str

    def __init__(
        self,
        patterns: Mapping[str, Path],
        *,
        overwrite: bool = False,
        names: Names | None = None,
        claims: Claims | None = None,
    ) -> None:
        self.patterns, self._of_pictures = dict(patterns), names or {}
        self._overwrite = overwrite
        self._claims = Claims() if claims is None else claims
        self._names: dict[Path, NameClaim] = {}
        self._single: set[Path] = set()

    def open(self) -> None:
        """Make the folders, and room in them.

        Raises:
            OutputError: a folder cannot be written, or another process writes such files into it.
        """
        self._single.clear()
        for stream, pattern in self.patterns.items():
            try:
                pattern.parent.mkdir(parents=True, exist_ok=True)
                self._names[pattern] = self._claims.name(pattern)
                probe = _unfinished(numbered(pattern, 0))
                probe.touch()
                probe.unlink()
                for path in pattern_files(pattern, self._of_pictures.get(stream, ())) if self._overwrite else ():
                    path.unlink()
            except (OSError, ValueError) as error:
                raise output_error(pattern, error) from error

    def close(self) -> None:
        """Let others write such files."""
        for pattern in self.patterns.values():
            self._claims.free(pattern)

    def end_stream(self, stream_id: str, reason: EndReason) -> None:
        """Make sure that the stream's files can be found.

        Raises:
            OutputError: the folder was removed or replaced.
        """
        name = self._names.get(self.patterns.get(stream_id) or self.patterns.get("") or Path())
        if name is not None:
            name.check()

    def _pattern(self, frame: Frame) -> Path:
        """What the names of the frame's stream are made from."""
        return self.patterns.get(frame.stream_id) or self.patterns[""]

    def _save(self, frame: Frame, write: Callable[[Path], None]) -> None:
        """Have ``write`` write the file of ``frame``, under the name that it is given.

        Raises:
            OutputError: the disk is full, …; the folder was removed or replaced; there is room for one frame only.
        """
        pattern = self._pattern(frame)
        self._names[pattern].check(every_s=CHECKED_EVERY_S)
        path = numbered(pattern, frame.index)
        if is_named(path):
            path = named(path, self._of_pictures[frame.stream_id][frame.index])
        if not has_number(pattern):
            self._take_single(pattern)
        unfinished = _unfinished(path)
        try:
            if path.parent != pattern.parent:  # the name has folders of its own
                path.parent.mkdir(parents=True, exist_ok=True)
            write(unfinished)
            unfinished.replace(path)
        except OSError as error:
            self._names[pattern].check()
            unfinished.unlink(missing_ok=True)
            raise output_error(path, error, kept=f"the {self.what} written before are whole") from error

    def _take_single(self, path: Path) -> None:
        if path in self._single:
            example = path.with_name(f"{path.stem}-%06d{path.suffix}")
            raise OutputError(
                f"{path} holds one frame, and there are more; put a number into its name, as in {example}"
            )
        self._single.add(path)


def _unfinished(path: Path) -> Path:
    return hidden(path, ".part")
