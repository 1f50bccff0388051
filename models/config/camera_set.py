"""What a file of cameras says, once it is read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...pipeline.redaction import redact_address
from .variables import VARIABLE


@dataclass(frozen=True, slots=True)
class CameraConfig:
    """One camera, with the defaults where it says nothing itself. Two that are equal need nothing done.

    Attributes:
        name: of the stream.
        address: as for ``Hub.add``; its secrets are variables, or encoded.
        model: keywords of :func:`vidgraph.live` that make the model; cameras with equal ones share it.
        options: further keywords of ``Hub.add``.
    """

    name: str
    address: str = field(repr=False)
    model: Mapping[str, Any]
    options: Mapping[str, Any]

    def line(self) -> str:
        """All about it but its secrets, on one line."""
        settings = {**self.model, **self.options}
        settings |= {name: list(settings[name]) for name in ("zones",) if name in settings}
        settings |= {name: len(settings[name]) for name in ("privacy_masks",) if name in settings}
        settings |= {name: list(map(redact_address, settings[name])) for name in ("outputs",) if name in settings}
        shown = ", ".join(f"{name} {value}" for name, value in settings.items())
        return f"{self.name}: {redact_address(VARIABLE.sub('***', self.address))}; {shown}"


@dataclass(frozen=True, slots=True)
class CameraSet:
    """What a file of cameras says.

    Attributes:
        file: that it was read from.
        text: of the file.
        cameras: by their names, in the order of the file.
        shared: keywords of :func:`vidgraph.live` for the whole run.
        classes: names of the classes by the settings of a model: of what was loaded for the check.
    """

    file: Path
    text: bytes = field(repr=False)
    cameras: Mapping[str, CameraConfig]
    shared: Mapping[str, Any]
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
