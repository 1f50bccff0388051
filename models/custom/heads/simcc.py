"""Points as two rows of bins: ``simcc_x`` [1, K, W * r] and ``simcc_y`` [1, K, H * r], r bins a pixel.

Source: Li et al., SimCC: a Simple Coordinate Classification Perspective for Human Pose Estimation, ECCV 2022; the
layout is that of mmdeploy's RTMPose, whose score of a point is the smaller of the two maxima.
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

NAMES = ("simcc_x", "simcc_y")


@dataclass(frozen=True, slots=True)
class SimccHead(PointsHead):
    """The highest bin of each row; see :class:`.points_alone.PointsHead`.

    Attributes:
        bins: of a pixel of the input, (x, y).
    """

    bins: tuple[float, float] = (2.0, 2.0)
    kind: str = "simcc"

    @property
    def reads(self) -> frozenset[str]:
        """Both outputs."""
        return frozenset(NAMES)

    def select_outputs(self, choices: PostprocessOptions) -> OutputSelector:
        """The bins, in pixels of the input, and their values.

        Raises:
            UsageError: a choice that means nothing for this network.
        """
        refuse_choices(choices, "gives the points of one person", but=("min_score",))

        def pick(outputs: Mapping[str, NDArray[Any]]) -> Arrays:
            places, values = [], []
            for name, bins in zip(NAMES, self.bins, strict=True):
                rows = outputs[name][0]
                check_finite(name, rows)
                rows = np.nan_to_num(rows, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
                places.append(rows.argmax(axis=1) / bins)
                values.append(rows.max(axis=1))
            points = np.stack(places, axis=1).astype(np.float32)
            return {"points": points[None], "scores": np.minimum(*values)[None]}

        return pick


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """The head for two outputs of these names; see :mod:`..head`."""
    by_name = {spec.name: spec for spec in outputs}
    if not set(NAMES) <= set(by_name):
        return None
    x, y = (by_name[name] for name in NAMES)
    for spec in (x, y):
        if len(spec.shape) != 3 or spec.shape[:2] != (1, x.shape[1]) or spec.dtype.kind != "f":
            return f"{shown(spec)} must be floating-point rows [1, {x.shape[1]}, bins]"
    bins = x.shape[2] / size[1], y.shape[2] / size[0]
    if bins[0] != bins[1]:
        return f"{shown(x)} and {shown(y)} must have as many bins for each pixel of an input of {size[1]}x{size[0]}"
    names = names_of(x.shape[1], about)
    return names if isinstance(names, str) else SimccHead(names, bins=bins)
