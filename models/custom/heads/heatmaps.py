"""Points as heat maps: a map [1, K, h, w] for each, whose highest place is the point.

The point is moved by a quarter of a place towards the higher neighbour, as in Xiao et al., Simple Baselines for Human
Pose Estimation and Tracking, ECCV 2018. Maps look like those of classes: only ``config.json``, the TOML or ``--head``
say that they are of points. ViTPose as Hugging Face has it places maps so that the outer places lie on the outer pixels
(Huang et al., The Devil Is in the Details: Delving Into Unbiased Data Processing, CVPR 2020).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....engines.spec import TensorSpec
from ....pipeline.types.picture import Size
from ...formats import Arrays, OutputSelector
from ...options import PostprocessOptions
from ..description import Description
from ..head import Head, check_finite
from .choices import refuse_choices
from .points_alone import PointsHead, names_of
from .yolo_rows import shown

UNBIASED_TASK = "pose by heatmaps"
"""Of the description of ViTPose."""


@dataclass(frozen=True, slots=True)
class HeatmapsHead(PointsHead):
    """The highest place of each map; see :class:`.points_alone.PointsHead`.

    Attributes:
        output: its name: float32 [1, K, h, w].
        size: (height, width) of the input.
        unbiased: the outer places lie on the outer pixels.
    """

    output: str = ""
    size: Size = (1, 1)
    unbiased: bool = False
    kind: str = "heatmaps"

    @property
    def reads(self) -> frozenset[str]:
        """The one output."""
        return frozenset({self.output})

    def select_outputs(self, choices: PostprocessOptions) -> OutputSelector:
        """The places, in pixels of the input, and their values.

        Raises:
            UsageError: a choice that means nothing for this network.
        """
        refuse_choices(choices, "gives the points of one person", but=("min_score",))

        def pick(outputs: Mapping[str, NDArray[Any]]) -> Arrays:
            maps = outputs[self.output][0]
            check_finite(self.output, maps)
            places, values = peaks(np.nan_to_num(maps, nan=-np.inf, posinf=np.inf, neginf=-np.inf))
            return {"points": (places * self._stride(maps.shape[1:]))[None], "scores": values[None]}

        return pick

    def _stride(self, shape: Sequence[int]) -> NDArray[np.float32]:
        """Pixels of the input from one place to the next, (x, y)."""
        off = 1 if self.unbiased else 0
        pairs = zip(self.size[::-1], shape[::-1], strict=True)
        return np.array([(length - off) / (cells - off) for length, cells in pairs], np.float32)


def peaks(maps: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The highest place of each map [K, h, w], float32 [K, 2] (x, y) in places, and its value, float32 [K]."""
    count, height, width = maps.shape
    best = maps.reshape(count, -1).argmax(axis=1)
    rows, y, x = np.arange(count), best // width, best % width
    values = maps[rows, y, x]
    moved = []
    for at, length, before, after in (
        (x, width, maps[rows, y, np.maximum(x - 1, 0)], maps[rows, y, np.minimum(x + 1, width - 1)]),
        (y, height, maps[rows, np.maximum(y - 1, 0), x], maps[rows, np.minimum(y + 1, height - 1), x]),
    ):
        inner = (at > 0) & (at < length - 1)
        moved.append(at + np.where(inner, ((after > before) * 1.0 - (after < before)) / 4, 0))
    return np.stack(moved, axis=1).astype(np.float32), values


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """The head for maps that are said to be of points; see :mod:`..head`."""
    if about.head != "heatmaps" and about.task != UNBIASED_TASK:
        return None
    named = about.outputs.get("points")
    chosen = [spec for spec in outputs if spec.name == named or (named is None and len(spec.shape) == 4)]
    if len(chosen) != 1:
        return "one output of heat maps [1, K, h, w] is wanted; say which (`points` of `outputs`)"
    spec = chosen[0]
    if len(spec.shape) != 4 or spec.shape[0] != 1 or spec.dtype.kind != "f" or min(spec.shape[2:]) < 2:
        return f"{shown(spec)} must be floating-point maps [1, K, h, w]"
    names = names_of(spec.shape[1], about)
    if isinstance(names, str):
        return f"{shown(spec)}: {names}"
    return HeatmapsHead(names, output=spec.name, size=size, unbiased=about.task == UNBIASED_TASK)
