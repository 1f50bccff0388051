"""What RF-DETR's exporter says of a network: in the metadata ``rfdetr_inference``, or in a JSON file beside it.

The same JSON, of schema 1, in both: ``input_shape``, ``means`` and ``stds`` of values 0..1, ``class_id_to_name``,
``num_select``, ``outputs`` (``pred_boxes``, ``pred_logits``, ``pred_masks``, ``pred_keypoints`` -> name of the
output), ``num_keypoints_per_class`` and ``trace_alpha``. A class id is a column of the logits; columns without a name,
such as the last one of checkpoints of one's own, are of no class. Pictures are stretched, RGB.

Source: the keys as RF-DETR documents them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...pipeline.errors import CheckpointError
from ...pipeline.limits import MAX_CLASSES
from ...pipeline.results.parse_json import parse_json, shown
from ..text_file import read_text
from .description import Description, from_one_source

KEY = "rfdetr_inference"
SCHEMA = 1
_ROLES = {"pred_boxes": "boxes", "pred_logits": "logits", "pred_masks": "masks", "pred_keypoints": "points"}


def from_rf_detr(metadata: Mapping[str, str], network: Path) -> Description:
    """What is known of ``network`` from its metadata, else from ``NETWORK.rfdetr.json`` beside it; mostly nothing.

    Raises:
        CheckpointError: it is no JSON, or has values that cannot be.
    """
    text, source = metadata.get(KEY), f"the file's metadata {KEY!r}"
    if text is None:
        beside = [network.with_name(f"{stem}.rfdetr.json") for stem in (network.name, network.stem)]
        path = next((each for each in beside if each.is_file()), None)
        if path is None:
            return Description()
        source = path.name
        try:
            text = read_text(path)
        except (OSError, ValueError) as error:
            raise CheckpointError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    try:
        found = parse_json(text.encode())
        if not isinstance(found, Mapping):
            raise ValueError(f"it must be an object, got {shown(found)}")
        return from_one_source(source, _meaning(found), _notes(found))
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise CheckpointError(f"{network}: {source} is damaged: {' '.join(str(error).split())[:200]}") from error


def _meaning(found: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of a description."""
    known: dict[str, Any] = {"head": "detr", "boxes": "cxcywh", "boxes_unit": "relative", "scores": "sigmoid"}
    known |= {"input.color": "rgb", "input.fit": "stretch"}
    known["input.size"] = _size(found.get("input_shape"))
    for key, name in (("means", "input.mean"), ("stds", "input.std")):
        if found.get(key) is not None:
            known[name] = tuple(255 * value for value in _numbers(found, key, 3))
    slots, names = _classes(found.get("class_id_to_name"))
    known |= {"class_slots": slots or None, "classes": names or None}
    if found.get("num_select") is not None:
        known["most_pairs"] = _whole(found["num_select"], "num_select", least=1)
    if found.get("num_keypoints_per_class"):
        counts = found["num_keypoints_per_class"]
        known["point_counts"] = tuple(_whole(each, "num_keypoints_per_class") for each in _list(counts))
    if found.get("trace_alpha") is not None:
        (known["trace_alpha"],) = _numbers({"trace_alpha": [found["trace_alpha"]]}, "trace_alpha", 1)
    known["outputs"] = _outputs(found.get("outputs")) or None
    return known


def _notes(found: Mapping[str, Any]) -> tuple[str, ...]:
    version = found.get("schema_version", found.get("schema", SCHEMA))
    return () if version == SCHEMA else (f"{KEY} is of schema {shown(version)}, and is read as schema {SCHEMA}",)


def _classes(named: Any) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Columns and names of the classes, by rising column, of a mapping of class ids or a list."""
    if named is None:
        return (), ()
    rows = dict(enumerate(named)) if isinstance(named, list) else named
    if not isinstance(rows, Mapping) or len(rows) > MAX_CLASSES:
        raise ValueError(f"class_id_to_name must map at most {MAX_CLASSES} class ids to names, got {shown(named)}")
    by_id = sorted((int(number), str(name)) for number, name in rows.items())
    if len(dict(by_id)) != len(by_id) or (by_id and not 0 <= by_id[0][0] <= by_id[-1][0] < MAX_CLASSES):
        raise ValueError(f"class_id_to_name must have ids from 0 to {MAX_CLASSES - 1}, each once")
    return tuple(number for number, _ in by_id), tuple(name for _, name in by_id)


def _outputs(named: Any) -> dict[str, str]:
    """Role -> name of the output."""
    if named is None:
        return {}
    if not isinstance(named, Mapping) or not all(isinstance(each, str) for each in named.values()):
        raise ValueError(f"outputs must map what they are to their names, got {shown(named)}")
    return {role: named[key] for key, role in _ROLES.items() if key in named}


def _size(shape: Any) -> tuple[int, int] | None:
    """(height, width), the last two of [1, 3, height, width] or of [height, width]; None where they are open."""
    if shape is None:
        return None
    sides = _list(shape)[-2:]
    if len(sides) != 2:
        raise ValueError(f"input_shape must end with height and width, got {shown(shape)}")
    if not all(isinstance(side, int) and side > 0 for side in sides):
        return None
    return int(sides[0]), int(sides[1])


def _list(value: Any) -> Sequence[Any]:
    if not isinstance(value, list):
        raise ValueError(f"a list was expected, got {shown(value)}")
    return value


def _numbers(found: Mapping[str, Any], key: str, count: int) -> tuple[float, ...]:
    values = _list(found[key])
    if len(values) != count or not all(type(each) in (int, float) and 0 <= each < 1e6 for each in values):
        raise ValueError(f"{key} must be {count} numbers from 0, got {shown(found[key])}")
    return tuple(map(float, values))


def _whole(value: Any, key: str, least: int = 0) -> int:
    if type(value) is not int or not least <= value <= 100_000:
        raise ValueError(f"{key} must be whole numbers from {least}, got {shown(value)}")
    return value
