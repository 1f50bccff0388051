"""Depth maps in results: their limits in the line, the values in a NumPy file beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...drawing.canvas import Layer, Stroke
from ...drawing.colormap import STEPS, warm_colors
from ...drawing.style import DrawStyle
from ...packet import DEPTH
from ...types.maps import DepthMap
from ..check import numbers
from ..map_files import load_floats, save_floats
from ..masks import ReadFrame
from ..parse_json import shown
from ..record import Record
from .base import ResultType, file_of, whole_frame

_UNITS = {False: "relative", True: "metres"}


class DepthResults(ResultType[DepthMap]):
    """See :class:`.base.ResultType`."""

    key = DEPTH
    field = "depth"
    creator = "a model of depth"
    suffix = ".npy"
    schema = {
        "required": ["min", "max", "unit"],
        "properties": {
            "min": {"type": "number"},
            "max": {"type": "number"},
            "unit": {"enum": list(_UNITS.values()), "description": "Of relative values, a larger one is nearer."},
            "file": {"type": "string", "minLength": 1, "description": "NumPy file, float32 [height, width]."},
        },
    }

    def write(self, items: list[Record], value: DepthMap) -> None:
        """The limits and the unit."""
        least, most = value.limits
        items.append({"min": _short(least), "max": _short(most), "unit": _UNITS[value.metric]})

    def save(self, path: Path, value: DepthMap) -> None:
        """The values."""
        save_floats(path, value.values)

    def read(self, items: list[Record] | None, model: Record, size: tuple[int, int]) -> DepthMap | None:
        """The map, of its file."""
        path = file_of(items, self.suffix)
        if items is None or path is None:
            return None
        if items[0]["unit"] not in _UNITS.values():
            raise ValueError(f"unit cannot be {shown(items[0]['unit'])}")
        return DepthMap(load_floats(path, size), metric=items[0]["unit"] == _UNITS[True])

    def rows(self, record: ReadFrame, items: list[Record]) -> Iterable[Record]:
        """The whole frame, with the limits and the file."""
        numbers("a depth", [item[end] for item in items for end in ("min", "max")])
        return whole_frame(record, items, {"min": "depth_min", "max": "depth_max", "unit": "depth_unit"}, "depth_file")

    def draw(self, value: DepthMap, style: DrawStyle) -> Iterator[Stroke]:
        """In colours in place of the picture: what is near is light. What is not finite stays as it is."""
        yield Layer.SURFACE, lambda canvas: canvas.segments(*_colored(value), 1.0)

    def summary(self, value: DepthMap) -> list[str]:
        """The limits."""
        least, most = value.limits
        return [f"depth {least:.3g} to {most:.3g}{' m' if value.metric else ''}"]


def _short(value: float) -> float:
    """With as many digits as tell it from other values of float32."""
    return float(str(np.float32(value)))


def _colored(value: DepthMap) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Ids int32 [H, W] from 1, 0 where there is no number, and colours by id."""
    least, most = value.limits
    with np.errstate(invalid="ignore", over="ignore"):
        steps = value.values - np.float32(least)
        steps *= np.float32((STEPS - 1) / (most - least) if most > least else 0)
        unknown = ~np.isfinite(steps)
        steps += 1
        steps[unknown] = 0
    ids = steps.astype(np.int32)
    colors = warm_colors()[::-1] if value.metric else warm_colors()
    return ids, np.concatenate([colors[:1], colors])
