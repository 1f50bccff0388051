"""The table of models, and the finding of a row by a name a person typed.

What implements a family is imported only when one of its models is used, so that listing costs nothing.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module

from ..pipeline.errors import UsageError
from . import published
from .variant import Variant

FAMILIES = ("retinaface", "yolact_edge")
"""The folders of models: one line each. The models of a folder are the rows in its ``variants``."""


def variants_of(family: str) -> tuple[Variant, ...]:
    """The models of a folder."""
    rows: tuple[Variant, ...] = import_module(f".{family}.variants", __package__).VARIANTS
    return rows


def files_of(family: str) -> str:
    """Which of a folder's files belong to which name, for the page of models, in Markdown; empty where it is plain."""
    return str(getattr(import_module(f".{family}.variants", __package__), "FILES", ""))


MODELS: dict[str, Variant] = {
    row.name: row for rows in (*map(variants_of, FAMILIES), published.read_rows()) for row in rows
}
"""Every model by its name, in the order of ``vidgraph models``: those of the folders, then published networks."""


def implemented() -> list[Variant]:
    """The models that a folder implements."""
    return [row for row in MODELS.values() if row.folder]


def plain_name(name: str) -> str:
    """``name`` as it is compared: ``-``, ``_`` and case do not matter."""
    return name.strip().lower().replace("_", "-")


def find_model(name: str) -> Variant:
    """The row that ``name`` or an alias means.

    Raises:
        UsageError: there is none; the message has the nearest names.
    """
    wanted = plain_name(name)
    known = {plain_name(each): row for row in MODELS.values() for each in (row.name, *row.aliases)}
    if wanted in known:
        return known[wanted]
    near = list(dict.fromkeys(known[each].name for each in get_close_matches(wanted, known, n=3, cutoff=0.5)))
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(MODELS)}"
    raise UsageError(f"unknown model {name!r}; {hint}")


def model_of_file(sha256: str) -> Variant | None:
    """The model whose published weights have this hash, or None."""
    for row in MODELS.values():
        if any(each.sha256 == sha256 for each in row.weights):
            return row
    return None
