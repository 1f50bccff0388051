"""What the exporters of Ultralytics (YOLOv5, YOLOv8 and later, RT-DETR) write into a file's metadata.

Each value is the text of a Python object: ``names`` a mapping or a list, ``imgsz`` [height, width], ``stride``
a number, ``task``, ``head`` the class of the last layer, ``kpt_shape`` and ``kpt_names`` of points, ``end2end``
and ``args`` (``nms``) whether the graph suppresses by itself. Their frames are letterboxed (grey 114), RGB, 0..1;
those of RT-DETR are stretched. Since version 8.4.47 an RT-DETR gives finished rows (box, score, class) and no
scores of classes; its ``end2end`` is about YOLO and says nothing of it.

Source: the keys as found in exported files and as Ultralytics documents them.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import Any

from ..class_names import names_by_id
from .description import Description, from_one_source, merged

_LONGEST = 2**21
"""Characters of a text that is read as an object, for which some hundred times as much memory is needed."""
PAD = (114, 114, 114)
FINISHED_SINCE = (8, 4, 47)
"""The version from which on an RT-DETR's graph picks the best pairs of query and class itself."""
EXPORTER = "the exporter, Ultralytics"
"""Source of what these exporters always do."""
OF_YOLO = "the file's metadata 'end2end'"
"""Source of ``end_to_end`` that says nothing of an RT-DETR."""
UNIT = {"input.mean": (0.0, 0.0, 0.0), "input.std": (255.0, 255.0, 255.0), "input.color": "rgb"}


def from_metadata(metadata: Mapping[str, str]) -> Description:
    """What is known from the metadata; nothing where it is of another exporter."""
    if "names" not in metadata or not {"stride", "author"} & set(metadata):
        return Description()
    read = {key: _literal(metadata.get(key)) for key in ("imgsz", "kpt_shape", "kpt_names", "end2end", "args")}
    task = metadata.get("task", "").strip().lower() or None
    transformer = is_transformer(metadata)
    named = from_names(metadata)
    if transformer:
        end_to_end = _finishes(metadata.get("version", ""), named.classes)
    else:
        end_to_end = _end_to_end(read["end2end"], read["args"])
    known = {
        "task": task,
        "points": _pair(read["kpt_shape"]),
        "point_names": _point_names(read["kpt_names"]),
        "end_to_end": end_to_end,
        "input.size": _pair(read["imgsz"]),
    }
    described = Description()
    keys = _KEYS | ({"end_to_end": "version"} if transformer else {})
    for name, value in known.items():
        described = merged(described, from_one_source(f"the file's metadata {keys[name]!r}", {name: value}))
    return merged(from_one_source(EXPORTER, _usual(task, transformer)), merged(named, described))


_KEYS = {
    "task": "task", "points": "kpt_shape", "point_names": "kpt_names", "end_to_end": "end2end", "input.size": "imgsz",
}  # fmt: skip


def from_names(metadata: Mapping[str, str]) -> Description:
    """The classes that ``names`` names, or why it does not; other exporters write this key too."""
    text = metadata.get("names")
    if text is None:
        return Description()
    source = "the file's metadata 'names'"
    try:
        return from_one_source(source, {"classes": names_by_id(_parsed(text))})
    except ValueError as error:
        return from_one_source(source, {"names_problem": f"{source} cannot be used: {error}"})


def is_transformer(metadata: Mapping[str, str]) -> bool:
    """Whether it is an RT-DETR; files of before 2026 say so in their description only, which ends with the data set."""
    described = metadata.get("head", metadata.get("description", "").partition(" trained on ")[0])
    return "rtdetr" in described.lower().replace("-", "")


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


def _parsed(text: str) -> Any:
    """What a text of JSON or of a Python literal is.

    Raises:
        ValueError: it is neither.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        found = _literal(text)
    if found is None:
        raise ValueError(f"{text.strip()[:40]!r} is neither a Python literal nor JSON")
    return found


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


def _finishes(version: str, classes: tuple[str, ...] | None) -> bool | None:
    """Whether an RT-DETR of two classes gives finished rows; of other numbers the length of a row says it."""
    numbers = re.match(r"(\d{1,4})\.(\d{1,4})\.(\d{1,6})", version)
    if numbers is None or (classes is not None and len(classes) != 2):
        return None
    return tuple(map(int, numbers.groups())) >= FINISHED_SINCE


def _end_to_end(end2end: Any, arguments: Any) -> bool | None:
    suppressed = isinstance(arguments, Mapping) and bool(arguments.get("nms"))
    return True if suppressed else end2end if isinstance(end2end, bool) else None
