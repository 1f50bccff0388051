"""What the exporters of Ultralytics (YOLOv5, YOLOv8 and later, RT-DETR) write into a file's metadata.

Each value is the text of a Python object: ``names`` a mapping or a list, ``imgsz`` [height, width], ``stride``
a number, ``task``, ``head`` the class of the last layer, ``kpt_shape`` and ``kpt_names`` of points, ``end2end``
and ``args`` (``nms``) whether the graph suppresses by itself. Their frames are letterboxed (grey 114), RGB, 0..1;
those of RT-DETR are stretched.

Source: the keys as found in exported files and as Ultralytics documents them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from .description import Description, from_one_source, merged

_LONGEST = 2**21
"""Characters of a text that is read as an object, for which some hundred times as much memory is needed."""
PAD = (114, 114, 114)
UNIT = {"input.mean": (0.0, 0.0, 0.0), "input.std": (255.0, 255.0, 255.0), "input.color": "rgb"}


def from_metadata(metadata: Mapping[str, str]) -> Description:
    """What is known from the metadata; nothing where it is of another exporter."""
    if "names" not in metadata or not {"stride", "author"} & set(metadata):
        return Description()
    read = {key: _literal(metadata.get(key)) for key in ("names", "imgsz", "kpt_shape", "kpt_names", "end2end", "args")}
    task = metadata.get("task")
    transformer = "rtdetr" in metadata.get("head", metadata.get("description", "")).lower().replace("-", "")
    known = {
        "classes": _names(read["names"]),
        "task": task,
        "points": _pair(read["kpt_shape"]),
        "point_names": _point_names(read["kpt_names"]),
        "end_to_end": _end_to_end(read["end2end"], read["args"]),
        "input.size": _pair(read["imgsz"]),
    }
    described = Description()
    for name, value in known.items():
        described = merged(described, from_one_source(f"the file's metadata {_KEYS[name]!r}", {name: value}))
    return merged(from_one_source("the exporter, Ultralytics", _usual(task, transformer)), described)


_KEYS = {
    "classes": "names", "task": "task", "points": "kpt_shape", "point_names": "kpt_names", "end_to_end": "end2end",
    "input.size": "imgsz",
}  # fmt: skip


def trained_on(metadata: Mapping[str, str]) -> str:
    """The data set that the description names (``… model trained on coco.yaml``), or ""."""
    match = re.search(r"trained on (\S+)", metadata.get("description", ""))
    return match[1].rsplit("/", 1)[-1].removesuffix(".yaml") if match else ""


def _usual(task: str | None, transformer: bool) -> dict[str, Any]:
    """What these exporters always do and do not write."""
    if task == "classify":
        return UNIT | {"head": "classify", "scores": "given", "input.fit": "crop", "input.crop": 1.0}
    if transformer:
        boxes = {"boxes": "cxcywh", "boxes_unit": "relative", "scores": "given"}
        return UNIT | boxes | {"head": "detr", "input.fit": "stretch"}
    return UNIT | {"input.fit": "letterbox", "input.pad": PAD}


def _literal(text: str | None) -> Any:
    """The Python object that a text is, or None."""
    try:
        return None if text is None or len(text) > _LONGEST else ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _names(names: Any) -> tuple[str, ...] | None:
    """Names by class id, of a list or of a mapping whose keys count from 0."""
    if isinstance(names, Mapping):
        if sorted(names) != list(range(len(names))):
            return None
        names = [names[index] for index in range(len(names))]
    return tuple(map(str, names)) if isinstance(names, list | tuple) and names else None


def _point_names(names: Any) -> tuple[str, ...] | None:
    """Of the first class: those of all classes are alike in number."""
    if isinstance(names, Mapping):
        names = next(iter(names.values()), None)
    return tuple(map(str, names)) if isinstance(names, list | tuple) and names else None


def _pair(value: Any) -> tuple[int, int] | None:
    if isinstance(value, int):
        return value, value
    if isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(each, int) for each in value):
        return value[0], value[1]
    return None


def _end_to_end(end2end: Any, arguments: Any) -> bool | None:
    suppressed = isinstance(arguments, Mapping) and bool(arguments.get("nms"))
    return True if suppressed else end2end if isinstance(end2end, bool) else None
