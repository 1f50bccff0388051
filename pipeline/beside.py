"""Files that another file names: only those beside it."""

from __future__ import annotations

from pathlib import Path


def beside(path: Path, name: str) -> Path:
    """The path of the file ``name`` in the folder of ``path``, or below it.

    A link is followed as far as it stays there: in the folder in which ``path`` is named, or in the one in which it
    really lies, as downloads are kept that are links to files of a store.

    Raises:
        ValueError: it is somewhere else.
    """
    found = path.parent / name
    try:
        lies, folders = found.resolve(), (path.parent.resolve(), path.resolve().parent)
    except (OSError, RuntimeError) as error:  # links that go round in circles
        raise ValueError(f"{name[:200]!r} is no file that can be read") from error
    leads_out = Path(name).is_absolute() or ".." in Path(name).parts
    if leads_out or not any(lies.is_relative_to(folder) for folder in folders):
        raise ValueError(f"{name[:200]!r} is outside of its folder")
    return found
