"""Outputs named after the pictures that they are made of: ``out/{name}.png``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from ...pipeline.errors import UsageError

NAME = "{name}"
"""What stands for the picture's name, without its suffix, in the name of an output."""

Names = Mapping[str, Sequence[str]]
"""By stream: what ``{name}`` is of each of its pictures, by frame number."""


def is_named(pattern: Path) -> bool:
    """Whether the file names of an output are made of those of pictures."""
    return NAME in pattern.name


def named(pattern: Path, name: str) -> Path:
    """``out/{name}.png`` -> ``out/street.png``; a name may have folders of its own."""
    return pattern.parent / pattern.name.replace(NAME, name)


def picture_names(address: str, files: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """What ``{name}`` is of each picture: its file without the suffix, or with it where two would be the same.

    Args:
        address: of the output, for the message.
        files: the pictures of each stream that the output is for.

    Raises:
        UsageError: two pictures have the same name, of different streams.
    """
    stems = {file: str(PurePosixPath(file).with_suffix("")) for own in files.values() for file in own}
    # Some file systems do not tell IMG.png from img.png.
    count = Counter(stems[file].casefold() for own in files.values() for file in own)
    names = {
        stream: [stems[file] if count[stems[file].casefold()] == 1 else file for file in own]
        for stream, own in files.items()
    }
    if _first_twice(names) is not None:  # as of q.jpg, q.png and q.jpg.png
        names = {stream: list(own) for stream, own in files.items()}
    twice = _first_twice(names)
    if twice is not None:
        raise UsageError(
            f"output {address!r} would write {twice} twice, of two streams; put {{stream}} into it,"
            f" as in {Path(address).with_name('{stream}-' + Path(address).name)}"
        )
    return names


def _first_twice(names: Names) -> str | None:
    taken: set[str] = set()
    for name in (name for own in names.values() for name in own):
        if name in taken:
            return name
        taken.add(name)
    return None
