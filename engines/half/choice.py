"""Which precision a network runs in on a card: fp16 by itself only where it was checked."""

from __future__ import annotations

import logging
from functools import lru_cache

from .record import recall

LOG = logging.getLogger("vidgraph")


def choose_half(name: str, digest: str, asked: str) -> tuple[str, tuple[str, ...]]:
    """The precision of a network of fp32, and names of the nodes that stay in fp32; logs what was not checked.

    Args:
        name: what messages call it.
        digest: of the network (``network_digest``).
        asked: ``auto``, ``fp32`` or ``fp16``.
    """
    record = recall(digest) if asked in ("auto", "fp16") else None
    if record is not None:
        return "fp16", record.keep
    if asked != "fp32":
        say_unchecked(name, asked)
    return ("fp16" if asked == "fp16" else "fp32"), ()


@lru_cache(maxsize=256)
def say_unchecked(name: str, asked: str) -> None:
    """However often a process opens the network."""
    consequence = "it runs in fp32" if asked == "auto" else "results may be wrong"
    LOG.warning(
        "%s was not checked in fp16, so %s; vidgraph build MODEL --precision fp16 --source VIDEO checks it",
        name, consequence,
    )  # fmt: skip
