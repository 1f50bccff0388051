"""What is assumed of a network's picture where nothing says it, by head."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from ...pipeline.errors import UsageError
from .description import Description, from_one_source, merged
from .head import Head
from .picture import PictureInput
from .toml_file import KEYS

ASSUMED = "assumed, as is usual for {}"
"""Source of a field that nothing says; ``{}`` is the head's name."""

_UNIT: dict[str, Any] = {"mean": (0.0, 0.0, 0.0), "std": (255.0, 255.0, 255.0)}
_IMAGENET: dict[str, Any] = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}
_BYTES: dict[str, Any] = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
_LETTERBOX: dict[str, Any] = {"fit": "letterbox", "pad": (114, 114, 114)}
_USUAL = MappingProxyType({
    "yolo": _UNIT | _LETTERBOX,
    "yolo-end2end": _UNIT | _LETTERBOX,
    "detr": _UNIT | {"fit": "stretch"},
    "semantic": _IMAGENET | {"fit": "stretch"},
    "classify": _IMAGENET | {"fit": "crop", "crop": 0.875},
    "raw": _UNIT | {"fit": "stretch"},
})  # fmt: skip
_ALWAYS: dict[str, Any] = {"color": "rgb", "pad": (0, 0, 0), "crop": 1.0}
"""Of less weight than what is usual; ``pad`` and ``crop`` count with some fits only, and are not spoken of."""
_NEEDED = ("fit", "mean", "std")


def completed(about: Description, head: Head, picture: PictureInput, name: str) -> Description:
    """``about`` with every field of its input known.

    Args:
        name: of the file, for messages.

    Raises:
        UsageError: the head's networks differ too much for anything to be assumed (``ssd``).
    """
    usual = dict(_USUAL.get(head.kind, {}))
    if getattr(head, "scores", None) == "softmax" or getattr(head, "boxes", None) == "dets":  # DETR, RF-DETR
        usual |= _IMAGENET
    if picture.dtype == "uint8":
        usual |= _BYTES
    usual = _ALWAYS | usual
    missing = {key: value for key, value in usual.items() if getattr(about.input, key) is None}
    if "mean" in missing and about.input.std is not None:
        missing["mean"] = (0.0, 0.0, 0.0)
    if "std" in missing and about.input.mean is not None:
        missing["std"] = (1.0, 1.0, 1.0)
    unknown = [key for key in _NEEDED if getattr(about.input, key) is None and key not in missing]
    if unknown:
        rows = {row.key: row for row in KEYS}
        wanted = ", ".join(f"{key} ({rows[f'input.{key}'].wanted})" for key in unknown)
        raise UsageError(
            f"{name}: how a picture is made for it is not known, and {head.kind} networks differ: "
            f"say {wanted} under [input] in {name.rpartition('.')[0]}.toml"
        )
    known = {f"input.{key}": value for key, value in missing.items()}
    return merged(from_one_source(ASSUMED.format(head.kind), known), about)


def assumptions(about: Description, head: Head) -> tuple[str, ...]:
    """What was assumed and matters, a few words each: ``letterbox``, ``values 0..1``, ``rgb``."""
    guessed = {key for key, source in about.sources.items() if source == ASSUMED.format(head.kind)}
    made = about.input
    said = []
    if "input.fit" in guessed:
        said.append(f"fit {made.fit}")
    if "input.color" in guessed:
        said.append(f"color {made.color}")
    if {"input.mean", "input.std"} & guessed:
        said.append(f"mean {numbers_text(made.mean)}, std {numbers_text(made.std)}")
    return tuple(said)


def numbers_text(values: tuple[float, ...] | None) -> str:
    """``[123.675, 116.28, 103.53]``, as TOML writes it."""
    return "[" + ", ".join(f"{value:.6g}" for value in values or ()) + "]"
