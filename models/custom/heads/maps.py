"""What the heads of one number for every pixel share: which output is the map, and its values at a frame's pixels."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from ....engines.spec import TensorSpec
from ....pipeline.types.picture import Size
from ....stages.inference.infer import RawOutputs
from ..description import Description
from .semantic import covered
from .yolo_rows import shown

Floats = NDArray[np.float32]


def map_among(
    outputs: Sequence[TensorSpec],
    about: Description,
    role: str,
    names: Collection[str],
    *,
    also: Collection[str] = (),
    said: bool,
) -> TensorSpec | str | None:
    """The output that is the map: [1, h, w], [1, 1, h, w] or [1, h, w, 1], floating-point.

    Args:
        role: of the output in the description.
        names: of outputs that are such a map and nothing else.
        also: names of outputs that may be beside it and are not read.
        said: the description says that there is such a map, whatever it is called.

    Returns:
        it, or in one line why it is none, or None.
    """
    named = about.outputs.get(role)
    candidates = [spec for spec in outputs if spec.name not in also]
    chosen = [spec for spec in candidates if spec.name == named or (named is None and spec.name in names)]
    if not chosen and said and named is None:
        chosen = candidates
    if not chosen or (len(chosen) != len(candidates) and not said):
        return None
    if len(chosen) > 1:
        several = ", ".join(map(shown, chosen))
        return f"{several} may each be the map; say which (`{role}` of `outputs`)"
    spec = chosen[0]
    if spec.dtype.kind != "f" or not is_map(spec):
        return f"{shown(spec)} must be one floating-point map [1, h, w], [1, 1, h, w] or [1, h, w, 1]"
    return spec


def is_map(spec: TensorSpec) -> bool:
    """Whether an output has one number for each place."""
    rest = spec.shape[1:]
    inner = rest if len(rest) == 2 else rest[1:] if len(rest) == 3 and rest[0] == 1 else rest[:2]
    one = len(rest) == 2 or (len(rest) == 3 and 1 in (rest[0], rest[2]))
    return spec.shape[:1] == (1,) and one and min(inner, default=0) > 1


def values_of(output: Floats) -> Floats:
    """The map [h, w] of an output that is one, an array of its own."""
    lengths = output.shape[1:] if output.ndim == 3 else output.shape[2:] if output.shape[1] == 1 else output.shape[1:3]
    return np.array(output, np.float32).reshape(lengths)


def in_frame(values: Floats, raw: RawOutputs, frame: Size) -> Floats:
    """A map [h, w] that covers the input at the centres of a frame's pixels, bilinearly: float32 [H, W].

    Beyond the centres of its outer places the map goes on as it ends.
    """
    x1, y1, x2, y2 = covered(raw.affine, frame, raw.size)
    rows, down = _places(frame[0], y1, y2, values.shape[0])
    columns, right = _places(frame[1], x1, x2, values.shape[1])
    upper, lower = values.take(rows, axis=0), values.take(rows + 1, axis=0, mode="clip")
    upper += (lower - upper) * down[:, None]
    whole = upper.take(columns, axis=1)
    other = upper.take(columns + 1, axis=1, mode="clip")
    other -= whole
    other *= right
    whole += other
    return whole


def _places(length: int, first: float, last: float, cells: int) -> tuple[NDArray[np.int64], Floats]:
    """For the centre of each of ``length`` pixels: the place of the map before it, and how far on it is, in 0..1."""
    at = (first + (np.arange(length) + 0.5) / length * (last - first)) * cells - 0.5
    at = at.clip(0, cells - 1)
    before = np.floor(at)
    return before.astype(np.int64), (at - before).astype(np.float32)
