"""What mmdeploy keeps beside a network: ``deploy.json``, which says what it is for, and ``pipeline.json``, the picture.

Source: the files that mmdeploy's ``--dump-info`` writes, as its documents describe them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...pipeline.errors import CheckpointError
from .description import Description, from_one_source, merged
from .json_file import deviations, read_json, triple

_HEADS = {
    "Detector": "mmdeploy",
    "RotatedDetector": "mmrotate",
    "Classifier": "classify",
    "Segmentor": "semantic",
    "Restorer": "picture",
}
"""Task of a network -> its head; those of other tasks are recognised by their outputs."""
_NO_RESIZE = ("TopDownAffine", "TopDownGetBboxCenterScale")
"""They cut a person out first."""


def from_mmdeploy(path: Path) -> Description:
    """What the two files beside the network ``path`` say of it; nothing where there are none, or of another file.

    Raises:
        CheckpointError: one is no JSON, or has values that cannot be.
    """
    deploy = read_json(path.parent / "deploy.json")
    if deploy is None or not any(each.get("net") == path.name for each in _objects(deploy.get("models"))):
        return Description()
    head = _HEADS.get(str(deploy.get("task")))
    described = from_one_source("deploy.json", {"head": head})
    pipeline = read_json(path.parent / "pipeline.json")
    if pipeline is None:
        return described
    try:
        return merged(described, from_one_source("pipeline.json", *_picture(_transforms(pipeline))))
    except (TypeError, ValueError, KeyError, IndexError, OverflowError) as error:
        raise CheckpointError(f"{path.parent / 'pipeline.json'} is damaged: {str(error)[:200]}") from error


def _objects(found: Any) -> list[Mapping[str, Any]]:
    """Those in a list."""
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _transforms(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Of the first task that changes the picture, in order."""
    pipeline = config.get("pipeline")
    tasks = _objects(pipeline.get("tasks")) if isinstance(pipeline, Mapping) else []
    return next((_objects(task.get("transforms")) for task in tasks if task.get("module") == "Transform"), [])


def _picture(transforms: list[Mapping[str, Any]]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """How the picture is made, and what of it is not followed."""
    known: dict[str, Any] = {"input.color": "bgr", "input.mean": (0.0, 0.0, 0.0), "input.std": (1.0, 1.0, 1.0)}
    notes, normalised = [], False
    for each in transforms:
        kind = each.get("type")
        if kind in ("Resize", "LetterResize"):
            kept = each.get("keep_ratio", kind == "LetterResize")
            known["input.fit"] = "letterbox" if kind == "LetterResize" else ("pad" if kept else "stretch")
        elif kind == "CenterCrop":
            known["input.fit"] = "crop"
        elif kind == "Normalize":
            normalised = True
            known["input.mean"], known["input.std"] = triple(each["mean"]), deviations(each["std"])
            known["input.color"] = "rgb" if each.get("to_rgb", True) else "bgr"
        elif kind in _NO_RESIZE:
            notes = ["pipeline.json cuts a person out of the picture first; the network is shown the whole one"]
        if kind in ("Pad", "LetterResize"):
            known["input.pad"] = _padding(each.get("pad_val", 0), normalised, known)
    return known, tuple(notes)


def _padding(value: Any, normalised: bool, known: Mapping[str, Any]) -> tuple[int, ...]:
    """The colour, red first: of the picture as it is read, blue first, or behind the normalisation."""
    value = value.get("img", 0) if isinstance(value, Mapping) else value
    numbers = list(value) if isinstance(value, list) else [value] * 3
    colors = [float(number) for number in numbers]
    if normalised:
        colors = [
            color * std + mean for color, mean, std in zip(colors, known["input.mean"], known["input.std"], strict=True)
        ]
    if not (normalised and known["input.color"] == "rgb"):
        colors = colors[::-1]
    if len(colors) != 3:
        raise ValueError(f"pad_val must be one number or three, got {value}")
    return tuple(min(255, max(0, round(color))) for color in colors)
