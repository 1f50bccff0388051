"""Detectors of torchvision: boxes [N, 4], labels and scores [N], and masks of Mask R-CNN, without a batch.

Label 0 is the background, so that the first class is 1, unless the names begin with it. Boxes are in pixels of the
input, which the network resizes itself, and masks as large as it.

Source: the layout that torchvision's models return.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ....engines.spec import TensorSpec
from ....pipeline.types.picture import Size
from ..description import Description
from ..head import Head
from .boxes import BoxForm, GivenBoxes, output_of
from .instances import GivenMasks

_BACKGROUNDS = ("background", "bg", "n/a")


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """A head for boxes, labels and scores of N rows, and masks as large as the input; see :mod:`..head`."""
    found = unbatched(outputs, about, kind="torchvision", first_class=0 if _has_background(about) else 1)
    if found is None:
        return None
    known, masks = found
    if masks is not None:
        return GivenMasks(**known, masks=masks.name, pasted=False) if masks.shape[2:] == size else None
    if about.head != "torchvision":
        return (
            f"outputs {known['boxes']!r}, {known['labels']!r} and {known['scores']!r} are of a detector without a "
            'batch; say head = "torchvision" (labels count from 1) or head = "detectron2" (from 0)'
        )
    return GivenBoxes(**known)


def _has_background(about: Description) -> bool:
    """Whether the first of the names is of no class."""
    return about.background == "none" or (about.classes or ("",))[0].strip("_ ").lower() in _BACKGROUNDS


def unbatched(
    outputs: Sequence[TensorSpec], about: Description, *, kind: str, first_class: int
) -> tuple[dict[str, Any], TensorSpec | None] | None:
    """What a head of such outputs needs, and the masks; found by their roles, or each as the only one of its shape."""
    rows = {spec.shape[0] for spec in outputs if spec.shape[1:] == (4,) and spec.dtype.kind == "f"}
    if len(rows) != 1:
        return None
    (count,) = rows
    wanted = {"boxes": ((count, 4), "f"), "labels": ((count,), "i"), "scores": ((count,), "f")}
    known: dict[str, Any] = {"kind": kind, "form": BoxForm(about.boxes or "xyxy", about.boxes_unit or "pixels")}
    for role, (shape, dtype) in wanted.items():
        spec = _only(outputs, about, role, shape, dtype)
        if spec is None:
            return None
        known[role] = spec.name
    known["first_class"] = first_class
    known["class_count"] = None if about.classes is None else len(about.classes)
    maps = [spec for spec in outputs if len(spec.shape) == 4 and spec.shape[:2] == (count, 1)]
    masks = output_of(maps, about, "masks") or (maps[0] if len(maps) == 1 else None)
    return known, masks


def _only(
    outputs: Sequence[TensorSpec], about: Description, role: str, shape: tuple[int, ...], dtype: str
) -> TensorSpec | None:
    """The output of a role, else the only one of a shape and kind of numbers."""
    fitting = [spec for spec in outputs if spec.shape == shape and spec.dtype.kind == dtype]
    return output_of(fitting, about, role) if role in about.outputs else fitting[0] if len(fitting) == 1 else None
