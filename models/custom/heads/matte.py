"""An alpha matte: how much of every pixel is foreground.

Nothing in the shape of a map says that it is one; the names of RVM's outputs do (``pha``), else the TOML or ``--head``.
RVM's colours of the foreground (``fgr``) are not needed: the frame's own are shown.

Source: the outputs that RVM and MODNet are exported with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....engines.spec import TensorSpec
from ....pipeline.packet import MATTE
from ....pipeline.types.maps import AlphaMatte
from ....pipeline.types.picture import Size
from ....stages.inference.infer import RawOutputs
from ...formats import Arrays, OutputSelector
from ...options import PostprocessOptions
from ..description import Description
from ..head import Found, Head, check_finite
from .boxes import sigmoid
from .choices import refuse_choices
from .maps import in_frame, map_among, values_of

NAMES = ("pha", "alpha", "matte", "alphas")
UNREAD = ("fgr",)


@dataclass(frozen=True, slots=True)
class MatteHead:
    """The map, in the frame's pixels.

    Attributes:
        output: its name: float32 in 0..1, or logits.
        unread: names of the outputs beside it that are not needed.
        logits: a sigmoid is still to be applied.
    """

    output: str
    unread: frozenset[str] = frozenset()
    logits: bool = False
    kind: str = "matte"
    task: str = "an alpha matte"

    class_count = 0
    point_names = ()
    gives = (MATTE,)
    device_outputs = ()
    own_size = True

    @property
    def reads(self) -> frozenset[str]:
        """The map, and what belongs to it."""
        return self.unread | {self.output}

    def select_outputs(self, choices: PostprocessOptions) -> OutputSelector:
        """The map as it is, of what is no number nothing.

        Raises:
            UsageError: a choice that means nothing for this network.
        """
        refuse_choices(choices, "gives an alpha matte")

        def pick(outputs: Mapping[str, NDArray[Any]]) -> Arrays:
            check_finite(self.output, outputs[self.output])
            values = values_of(outputs[self.output])
            alpha = sigmoid(values) if self.logits else values
            return {"alpha": np.nan_to_num(alpha, copy=False, nan=0.0).clip(0, 1)}

        return pick

    def decode(self, raw: RawOutputs, frame: Size, choices: PostprocessOptions, names: tuple[str, ...]) -> Found:
        """The map at the frame's pixels."""
        whole = in_frame(raw.arrays["alpha"], raw, frame)
        whole *= 255
        return {MATTE: AlphaMatte(np.rint(whole, out=whole).astype(np.uint8))}


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """The head for a map by one of the names, or where it is said to be a matte; see :mod:`..head`."""
    said = "matte" in (about.head, about.task) or about.task == "matting"
    if about.scores == "softmax":
        return "a matte has no softmax (`scores`)" if said else None
    found = map_among(outputs, about, "matte", NAMES, also=UNREAD, said=said)
    if found is None or isinstance(found, str):
        return found
    unread = frozenset(spec.name for spec in outputs if spec.name in UNREAD)
    return MatteHead(found.name, unread, about.scores == "sigmoid")
