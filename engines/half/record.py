"""What was found out about a network in fp16, kept in the cache for whoever opens it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from ...pipeline.errors import EngineError
from ..cache import UNUSABLE, cache_root, discard, find, key_of, replace_entry

VERSION = 1
"""Part of the key: raised whenever the network in fp16 becomes another."""


@dataclass(frozen=True, slots=True)
class HalfRecord:
    """A network that was compared in fp16 with itself in fp32.

    Attributes:
        keep: names of the nodes that stay in fp32 besides those that always do.
        frames: how many frames it was compared on.
        source: of the frames.
        noise: root mean square of the difference over that of the value in fp32, of the worst output.
    """

    keep: tuple[str, ...]
    frames: int
    source: str
    noise: float


def remember(digest: str, record: HalfRecord) -> None:
    """Keep what was found out about the network with that digest (``network_digest``), in place of what was before.

    Raises:
        EngineError: the cache cannot be written.
    """
    replace_entry("precision", _key(digest), json.dumps(asdict(record)).encode())
    if recall(digest) != record:  # whoever builds the engine would leave everything in fp16
        raise EngineError(f"cannot keep what has to stay in fp32: {UNUSABLE.format(cache_root())}")


def forget(digest: str) -> None:
    """What was found out about a network holds no longer."""
    before = find("precision", _key(digest))
    if before is not None:
        discard(before)


def recall(digest: str) -> HalfRecord | None:
    """What was found out about a network; None: nothing."""
    found = find("precision", _key(digest))
    if found is None:
        return None
    held = json.loads(found.read_text())
    return HalfRecord(tuple(held["keep"]), held["frames"], held["source"], held["noise"])


def _key(digest: str) -> str:
    return f"{key_of(digest, str(VERSION))}.json"
