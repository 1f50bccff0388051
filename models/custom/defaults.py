"""What is assumed of a network's picture where nothing says it, by head."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from ...pipeline.errors import UsageError
from .description import Description, from_one_source, merged
from .head import Head
from .image_input import ImageInput
from .toml_file import KEYS
from .ultralytics import EXPORTER

ASSUMED = "assumed, as is usual for {}"
"""Source of a field that nothing says; ``{}`` is the head's name."""

_UNIT: dict[str, Any] = {"mean": (0.0, 0.0, 0.0), "std": (255.0, 255.0, 255.0)}
_IMAGENET: dict[str, Any] = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}
_BYTES: dict[str, Any] = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
_IMAGENET_BGR: dict[str, Any] = {key: value[::-1] for key, value in _IMAGENET.items()}
_TOP_LEFT: dict[str, Any] = {"color": "bgr", "fit": "pad", "pad": (114, 114, 114)}
_LETTERBOX: dict[str, Any] = {"fit": "letterbox", "pad": (114, 114, 114)}
_BGR_BYTES: dict[str, Any] = _BYTES | {"color": "bgr"}
_FACE: dict[str, Any] = {"classes": ("face",)}
_USUAL = MappingProxyType({
    "yolo": _UNIT | _LETTERBOX,
    "yolo-end2end": _UNIT | _LETTERBOX,
    "detr": _UNIT | {"fit": "stretch"},
    "semantic": _IMAGENET | {"fit": "stretch"},
    "classify": _IMAGENET | {"fit": "crop", "crop": 0.875},
    "raw": _UNIT | {"fit": "stretch"},
    "mask-queries": _IMAGENET | {"fit": "stretch"},
    "mmdeploy": _IMAGENET_BGR | _TOP_LEFT,
    "rtmo": _BYTES | _TOP_LEFT,
    "torchvision": _UNIT | {"fit": "pad"},
    "detectron2": _BYTES | {"color": "bgr", "fit": "pad"},
    "yolox": _BGR_BYTES | {"fit": "pad", "pad": (114, 114, 114)},
    "nanodet": {"mean": (103.53, 116.28, 123.675), "std": (57.375, 57.12, 58.395), "color": "bgr", "fit": "stretch"},
    "picodet": _IMAGENET | {"fit": "stretch"},
    "scrfd": _FACE | {"mean": (127.5,) * 3, "std": (128.0,) * 3, "fit": "pad"},
    "yunet": _FACE | _BGR_BYTES | {"fit": "pad"},
    "mediapipe-face": _FACE | {"mean": (127.5,) * 3, "std": (127.5,) * 3, "fit": "letterbox"},
    "ultraface": _FACE | {"mean": (127.0,) * 3, "std": (128.0,) * 3, "fit": "stretch"},
    "efficient-nms": _UNIT | _LETTERBOX,
    "damo-yolo": _BYTES | {"fit": "pad"},
    "paddle": {"fit": "stretch"},
    "obb": _UNIT | _LETTERBOX,
    "mmrotate": _IMAGENET | {"fit": "pad"},
    "depth": _IMAGENET | {"fit": "stretch"},
    "matte": _UNIT | {"fit": "stretch"},
    "picture": _UNIT | {"fit": "stretch"},
    "embedding": _IMAGENET | {"fit": "stretch"},
    "movenet": _BYTES | {"fit": "letterbox"},
    "heatmaps": _IMAGENET | {"fit": "letterbox"},
    "simcc": _IMAGENET | {"fit": "letterbox"},
    "centernet": {
        "mean": (104.01362, 114.03422, 119.91659), "std": (73.60277, 69.89082, 70.91508), "color": "bgr",
        "fit": "letterbox",
    },
    "mesh": _UNIT | {"fit": "letterbox"},
})  # fmt: skip
_ALWAYS: dict[str, Any] = {"color": "rgb", "pad": (0, 0, 0), "crop": 1.0}
"""Of less weight than what is usual; ``pad`` and ``crop`` count with some fits only, and are not spoken of."""
_FEWEST_LEVELS = 16
"""Of an input of whole numbers: fewer values are no picture, but the mean and deviation of a floating-point one."""
_NEEDED = ("fit", "mean", "std")


def completed(about: Description, head: Head, image: ImageInput, name: str) -> Description:
    """``about`` with every field of its input known.

    Args:
        name: of the file, for messages.

    Raises:
        UsageError: the head's networks differ too much for anything to be assumed (``ssd``), or the TOML has a
            deviation that leaves nothing of bytes.
    """
    usual = dict(_USUAL.get(head.kind, {}))
    if head.kind == "detr" and (getattr(head, "scores", None) == "softmax" or getattr(head, "boxes", None) == "dets"):
        usual |= _IMAGENET  # DETR, RF-DETR
    if image.whole:
        usual |= _BYTES
        about = _as_they_are(about, name, image.dtype)
    usual = _ALWAYS | usual
    classes = usual.pop("classes", None)
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
    known = {f"input.{key}": value for key, value in missing.items()} | {"classes": classes}
    return merged(from_one_source(ASSUMED.format(head.kind), known), about)


def _as_they_are(about: Description, name: str, dtype: str) -> Description:
    """``about`` of an input of whole numbers: they are the picture's, whatever an exporter does with others.

    Raises:
        UsageError: the TOML divides them by so much that hardly any are told apart.
    """
    made, toml = about.input, f"{name.rpartition('.')[0]}.toml"
    said = {key: getattr(made, key) for key in _BYTES if about.sources.get(f"input.{key}") == toml}
    if said.get("std") is not None and 255 / max(said["std"]) < _FEWEST_LEVELS:
        raise UsageError(
            f"{toml} says std {numbers_text(said['std'])}, but the input is {dtype}: of 0 to 255 only "
            f"{1 + int(255 / max(said['std']))} values would be left; leave mean and std out, or give 0 and 1"
        )
    if said and any(value not in (None, _BYTES[key]) for key, value in said.items()):
        article = "an" if dtype[0] == "i" else "a"
        note = f"{toml} says mean and std of {article} {dtype} input: values are rounded, and cut to 0 to 255"
        return merged(about, from_one_source(toml, {}, (note,)))
    if made.mean is None and made.std is None:
        return about
    as_they_are = {f"input.{key}": value for key, value in _BYTES.items()}
    return merged(about, from_one_source(f"the input is {dtype}", as_they_are))


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


def assumed_rows(about: Description, head: Head) -> str | None:
    """What was assumed of rows of six numbers, which several kinds of networks give, if nothing tells them apart."""
    said = {"head", "task", "end_to_end", "boxes", "boxes_unit"} & set(about.sources)
    if said or EXPORTER in about.sources.values() or (head.kind, head.task) != ("yolo-end2end", "boxes"):
        return None
    return (
        "does not say what its rows of six numbers are; assumed: x1, y1, x2, y2 in pixels, score, class (if they are "
        'an RT-DETR\'s, its TOML says head = "detr" and end_to_end = true)'
    )


def numbers_text(values: tuple[float, ...] | None) -> str:
    """``[123.675, 116.28, 103.53]``, as TOML writes it."""
    return "[" + ", ".join(f"{value:.6g}" for value in values or ()) + "]"
