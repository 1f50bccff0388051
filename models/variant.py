"""What is known of a model, or of its published weights, without loading it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .family import Family


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A published file of weights.

    Attributes:
        file: its name.
        sha256: its hash in hexadecimal, or None where none is known.
        address: where it is downloaded from, or None where only a person can fetch it.
        pretrained: it comes with the package, in the folder ``pretrained`` beside the model's code.
        largest_bytes: no more than this is downloaded.
    """

    file: str
    sha256: str | None
    address: str | None
    pretrained: bool = False
    largest_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class Published:
    """A published figure, in [0, 1], to stand beside ours.

    Attributes:
        figure: as reports name it.
        value: what was published.
        data: of which data, and how.
        source: where it stands.
    """

    figure: str
    value: float
    data: str
    source: str


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a model's authors evaluate it, for ``vidgraph eval --protocol official``.

    Attributes:
        note: what a reader of the figures must know.
        settings: what the model is loaded with, as for ``load_model``.
        key_interval: of models with key frames: as many passes over every clip, with a key frame every so many
            frames, so that each frame is seen at each distance from its key frame.
    """

    note: str
    settings: Mapping[str, Any] = field(hash=False)  # rows are keys of caches
    key_interval: int | None = None


@dataclass(frozen=True, slots=True)
class Variant:
    """What is known about a model without loading it.

    Attributes:
        name: the name in commands and results.
        aliases: other names it answers to.
        folder: the sub-package that implements it; empty for a custom model, and for one that runs as such.
        task: what it finds.
        source: the official code, with the commit that was followed.
        licence: of code and weights, as the source states it.
        trained_on: the data set, and what is known about the training.
        weights: published files; the first is the one that ``pull`` takes.
        verified: its outputs are held against recorded outputs of the official code.
        verification: how, or why not.
        key_interval: of a video model: a key frame every so many frames, unless asked otherwise; None: 5, as published.
        published: figures.
        protocol: how its authors evaluate it; None: not known.
        settings: the TOML of a network that others have published, by which it runs as a custom model; else None.
        training: how it is trained, a name of ``TASKS`` in ``training/tasks.py``; None: it cannot be trained here.
    """

    name: str
    aliases: tuple[str, ...]
    folder: str
    task: str
    source: str
    licence: str
    trained_on: str
    weights: tuple[WeightsFile, ...]
    verified: bool
    verification: str
    key_interval: int | None = None
    published: tuple[Published, ...] = ()
    protocol: Protocol | None = None
    training: str | None = None
    settings: Path | None = None

    @property
    def status(self) -> str:
        """``verified against golden outputs`` or ``unverified``; ``as published`` of a published network."""
        if self.settings is not None:
            return "as published"
        return "verified against golden outputs" if self.verified else "unverified"

    def family(self) -> Family:
        """The implementation; imports the row's folder, which there must be."""
        family: Family = import_module(f".{self.folder}.family", __package__).FAMILY
        return family


OWN, OWN_LICENCE = "vidgraph", "Apache-2.0"
SYNTHETIC = "synth:street, synthetic scenes"
NOT_PUBLISHED = "no published network to hold it against"
RAW_OUTPUTS = "raw outputs, with random weights"


def pretrained(file: str) -> tuple[WeightsFile, ...]:
    """Weights that come with the package."""
    return (WeightsFile(file, None, None, pretrained=True),)
