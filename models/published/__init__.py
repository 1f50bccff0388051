"""Networks that others have published with trained weights: a TOML file each in this folder, and no code.

A file has the name of its network and the keys of :class:`NetworkFile`; its table ``[network]`` has those of the TOML
beside a custom model (docs/custom-models.md), which it is in place of.
"""

from __future__ import annotations

import tomllib
from dataclasses import MISSING, dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any

from ..variant import Published, Variant, WeightsFile

FOLDER = Path(__file__).parent
SETTINGS = "network"
"""The table with the keys of the TOML beside a network."""


@dataclass(frozen=True, slots=True)
class NetworkFile:
    """What such a file says.

    Attributes:
        finds: as ``vidgraph models`` says it.
        source: the repository and the commit.
        licence: of the weights, as the source states it.
        trained_on: the data set.
        address: of the file of the network, raw, at the commit.
        sha256: its hash in hexadecimal.
        bytes: its size.
        network: how its picture is made and what its outputs are.
        accuracy: published figures: ``figure``, ``value`` in [0, 1], ``data``.
        aliases: other names it answers to.
    """

    finds: str
    source: str
    licence: str
    trained_on: str
    address: str
    sha256: str
    bytes: int
    network: dict[str, Any]
    accuracy: tuple[dict[str, Any], ...] = ()
    aliases: tuple[str, ...] = ()


def read_row(path: Path) -> Variant:
    """The row of one file.

    Raises:
        ValueError: it is no TOML, or lacks a key, or has one too many.
    """
    found = tomllib.loads(path.read_text("utf-8"))
    rows = {each.name: each for each in fields(NetworkFile)}
    wrong = [f"unknown key {key!r}" for key in found if key not in rows]
    wrong += [f"no key {key!r}" for key, row in rows.items() if key not in found and row.default is MISSING]
    if wrong:
        raise ValueError(f"{path}: {', '.join(wrong)}")
    given: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in found.items()}
    said = NetworkFile(**given)
    return Variant(
        name=path.stem,
        aliases=said.aliases,
        folder="",
        task=said.finds,
        source=said.source,
        licence=said.licence,
        trained_on=said.trained_on,
        weights=(WeightsFile(PurePosixPath(said.address).name, said.sha256, said.address, largest_bytes=said.bytes),),
        verified=False,
        verification="runs from its published file; the figures of docs/models.md are of these weights",
        published=tuple(Published(**each, source=said.source) for each in said.accuracy),
        settings=path,
    )


def read_rows(folder: Path = FOLDER) -> tuple[Variant, ...]:
    """The rows of all files of a folder, by name.

    Raises:
        ValueError: as :func:`read_row`.
    """
    return tuple(read_row(path) for path in sorted(folder.glob("*.toml")))
