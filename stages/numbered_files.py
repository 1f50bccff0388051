"""One file for each frame, named after its number in the stream, or after its picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ..pipeline.errors import OutputError
from ..pipeline.packet import Frame
from .named_files import Names, is_named, named
from .outputs import has_number, numbered, output_error, pattern_files


class NumberedFiles:
    """Files that appear under their names when they are whole, so that a kill leaves no half one.

    Args:
        patterns: the file names of each stream (``""``: of any), with one ``%d`` or ``%06d``; a name without one
            holds one frame.
        overwrite: :meth:`open` removes the files of an earlier run that fit the pattern.
        what: is in the files, for messages.
        names: what ``{name}`` in a pattern is of each frame.
    """

    def __init__(self, patterns: Mapping[str, Path], *, overwrite: bool, what: str, names: Names | None = None) -> None:
        self.patterns, self._names = dict(patterns), names or {}
        self._overwrite, self._what = overwrite, what
        self._single: set[Path] = set()

    def open(self) -> None:
        """Make the folders, and room in them.

        Raises:
            OutputError: a folder cannot be written.
        """
        self._single.clear()
        for stream, pattern in self.patterns.items():
            try:
                pattern.parent.mkdir(parents=True, exist_ok=True)
                probe = _unfinished(numbered(pattern, 0))
                probe.touch()
                probe.unlink()
                for path in pattern_files(pattern, self._names.get(stream, ())) if self._overwrite else ():
                    path.unlink()
            except OSError as error:
                raise output_error(pattern, error) from error

    def pattern(self, frame: Frame) -> Path:
        """What the names of the frame's stream are made from."""
        return self.patterns.get(frame.stream_id) or self.patterns[""]

    def write(self, frame: Frame, save: Callable[[Path], None]) -> None:
        """Have ``save`` write the file of ``frame``, under the name that it is given.

        Raises:
            OutputError: the disk is full, …; or there is room for one frame only.
        """
        pattern = self.pattern(frame)
        path = numbered(pattern, frame.index)
        if is_named(path):
            path = named(path, self._names[frame.stream_id][frame.index])
        if not has_number(pattern):
            self._take_single(pattern)
        unfinished = _unfinished(path)
        try:
            if path.parent != pattern.parent:  # the name has folders of its own
                path.parent.mkdir(parents=True, exist_ok=True)
            save(unfinished)
            unfinished.replace(path)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise output_error(path, error, kept=f"the {self._what} written before are whole") from error

    def _take_single(self, path: Path) -> None:
        if path in self._single:
            example = path.with_name(f"{path.stem}-%06d{path.suffix}")
            raise OutputError(
                f"{path} holds one frame, and there are more; put a number into its name, as in {example}"
            )
        self._single.add(path)


def _unfinished(path: Path) -> Path:
    return path.with_name(f".{path.name[:50]}.part")  # the whole name may be as long as a name can be
