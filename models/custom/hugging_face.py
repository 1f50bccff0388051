"""What Hugging Face's exporters keep beside a network: ``config.json`` and ``preprocessor_config.json``.

Source: the keys as huggingface.co/docs/transformers describes them (configuration, image processors).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...pipeline.errors import CheckpointError
from ...pipeline.limits import MAX_CLASSES
from .description import Description, from_one_source, merged
from .json_file import deviations, read_json, triple

_BILINEAR = 2  # PIL's number
_SOFTMAX = ("detr", "yolos", "table-transformer")  # with a last class "no object"; the others know only sigmoids
_HEADS = {
    "ForObjectDetection": "detr",
    "ForSemanticSegmentation": "semantic",
    "ForImageClassification": "classify",
    "ForUniversalSegmentation": "mask-queries",
    "ForInstanceSegmentation": "mask-queries",
    "DetrForSegmentation": "mask-queries",
}
_MASKED = ("eomt", "videomt")
"""Types whose masks are compared with 0.5 as they are; those of others times their score."""

_TASKS = {
    "ForDepthEstimation": "depth",
    "ForImageMatting": "matting",
    "ForKeypointDetection": "keypoints",
    "ForPoseEstimation": "pose by heatmaps",
}
"""Of architectures whose outputs may look like those of others; not all are read."""


def from_folder(folder: Path) -> Description:
    """What the two files in ``folder`` say; nothing where there are none.

    Raises:
        CheckpointError: one is no JSON, or has values that cannot be.
    """
    described = Description()
    config, preprocessor = read_json(folder / "config.json"), read_json(folder / "preprocessor_config.json")
    name = "config.json"
    try:
        if config is not None:
            described = from_one_source(name, _meaning(config))
        name = "preprocessor_config.json"
        if preprocessor is not None:
            known, notes = _picture(preprocessor)
            described = merged(described, from_one_source(name, known, notes))
    except (TypeError, ValueError, KeyError, IndexError, OverflowError, ZeroDivisionError) as error:
        raise CheckpointError(f"{folder / name} is damaged: {str(error)[:200]}") from error
    return described


def _meaning(config: Mapping[str, Any]) -> dict[str, Any]:
    """Classes and head. The keys of ``id2label`` are class ids as texts."""
    labels = config.get("id2label")
    known: dict[str, Any] = {}
    if isinstance(labels, Mapping) and all(str(index) in labels for index in range(len(labels))):
        known["classes"] = tuple(str(labels[str(index)]) for index in range(len(labels)))
    elif isinstance(config.get("num_labels"), int):
        if config["num_labels"] > MAX_CLASSES:
            raise ValueError(f"num_labels must be at most {MAX_CLASSES}, got {config['num_labels']}")
        known["classes"] = tuple(f"class {index}" for index in range(config["num_labels"]))
    architecture = str((config.get("architectures") or [""])[0])
    known["head"] = next((head for end, head in _HEADS.items() if architecture.endswith(end)), None)
    known["task"] = next((task for end, task in _TASKS.items() if architecture.endswith(end)), None)
    if known["task"] == "depth":
        metric = config.get("depth_estimation_type") == "metric" or config.get("model_type") == "zoedepth"
        known["depth"] = "metres" if metric else "relative"
    if known["task"] is not None:  # labels of such a network are what every configuration has
        known.pop("classes", None)
    if known["head"] == "detr":
        softmax = config.get("model_type") in _SOFTMAX
        known |= {"boxes": "cxcywh", "boxes_unit": "relative", "scores": "softmax" if softmax else "sigmoid"}
        known["background"] = "last" if softmax else "none"
    if known["head"] == "mask-queries":
        known["masks_weighted"] = not str(config.get("model_type", "")).startswith(_MASKED)
    return known


def _picture(config: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """How the picture is made, and what of it is not followed."""
    rescale = float(config.get("rescale_factor", 1 / 255)) if config.get("do_rescale", True) else 1.0
    normalise = config.get("do_normalize", "image_mean" in config)
    mean, std = (
        read(config[key]) if normalise and config.get(key) is not None else usual
        for key, read, usual in (("image_mean", triple, (0.0, 0.0, 0.0)), ("image_std", deviations, (1.0, 1.0, 1.0)))
    )
    known: dict[str, Any] = {
        "input.color": "rgb",
        "input.mean": tuple(value / rescale for value in mean),
        "input.std": tuple(value / rescale for value in std),
    }
    notes = []
    if config.get("do_resize", True):
        known |= _fit(config)
        if config.get("resample", _BILINEAR) != _BILINEAR:
            notes.append(
                "preprocessor_config.json asks for another resampling than bilinear, which frames are resized with"
            )
    if known.get("input.fit") == "pad":  # what is padded is padded with zeros, after the normalisation
        known["input.pad"] = tuple(min(255, max(0, round(value))) for value in known["input.mean"])
    return known, tuple(notes)


def _fit(config: Mapping[str, Any]) -> dict[str, Any]:
    """Stretch, crop or pad, and the size where it is one for all frames."""
    size = config.get("size")
    crop = _sides(config.get("crop_size")) if config.get("do_center_crop") else None
    shortest = size.get("shortest_edge") if isinstance(size, Mapping) else None
    if shortest is not None and "crop_pct" in config and not crop:
        return {"input.fit": "crop", "input.size": (shortest, shortest), "input.crop": float(config["crop_pct"])}
    if crop is not None:
        short = shortest or min(_sides(size) or crop)
        return {"input.fit": "crop", "input.size": crop, "input.crop": min(1.0, min(crop) / short)}
    if shortest is not None:
        return {"input.fit": "pad", "input.size": _sides(config.get("pad_size")) if config.get("do_pad") else None}
    sides = _sides(size)
    return {} if sides is None else {"input.fit": "stretch", "input.size": sides}


def _sides(size: Any) -> tuple[int, int] | None:
    """(height, width) of ``{"height", "width"}`` or of one number."""
    if isinstance(size, int):
        return size, size
    if isinstance(size, Mapping) and isinstance(size.get("height"), int) and isinstance(size.get("width"), int):
        return size["height"], size["width"]
    return None
