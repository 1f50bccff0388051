"""A class for every pixel: logits (or their best class) as a panoptic map of stuff.

Source: definition; the logits are resized, bilinearly, and then the best class is taken, as Hugging Face's and
torchvision's code do it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....engines.spec import TensorSpec
from ....kernels import label_map, label_runs
from ....pipeline.errors import EngineError, UsageError
from ....pipeline.packet import PANOPTIC
from ....pipeline.types.affine import Affine
from ....pipeline.types.panoptic import PanopticMap, Segment
from ....pipeline.types.picture import Size
from ....stages.inference.infer import RawOutputs
from ...formats import Arrays, OutputSelector
from ...options import PostprocessOptions
from ..description import Description
from ..head import Found, Head, check_finite
from .boxes import logit, wrong_count

NAMES = ("logits", "out", "output", "segmentation")
COLORS = 3
IGNORED = 255
"""The label that data sets give to pixels of no class; a network that gives labels may give it too."""
Window = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Segmented:
    """A map of logits or of labels that covers the input.

    Attributes:
        output: its name: float32 [1, C, h, w] ([1, h, w, C] where ``last``), or int64 [1, h, w] or [1, 1, h, w].
        labels: it holds labels, 255 and negative ones for no class.
        class_count: how many classes there are; None: they are not named. Two for a single map of logits.
        single: the one map is of class 1 where its logit is above 0 (its probability above ``min_score``); or it holds
            labels, of which 1 is the one class, as Ultralytics writes them, and 0 is no class.
        given: it holds probabilities.
        last: channels are last.
        hidden: class 0 of a single map has no name, and is void.
    """

    output: str
    labels: bool = False
    class_count: int | None = None
    single: bool = False
    given: bool = False
    last: bool = False
    hidden: bool = False
    kind: str = "semantic"
    task: str = "a class for every pixel"

    point_names = ()
    gives = (PANOPTIC,)
    device_outputs = ()

    @property
    def reads(self) -> frozenset[str]:
        """The map."""
        return frozenset({self.output})

    def select_outputs(self, choices: PostprocessOptions) -> OutputSelector:
        """The map as it is; of labels their ids.

        Raises:
            UsageError: a choice that means nothing for this network.
        """
        given = {"nms_iou": choices.nms_iou, "max_detections": choices.max_detections}
        given |= {} if self.single else {"min_score": choices.min_score}
        wrong = [name for name, value in given.items() if value is not None]
        if wrong:
            raise UsageError(
                f"{', '.join(wrong)} cannot be given for a network that gives every pixel its best class; leave it out"
            )

        def pick(outputs: Mapping[str, NDArray[Any]]) -> Arrays:
            whole = outputs[self.output]
            check_finite(self.output, whole)
            if self.labels:
                return {"labels": segment_ids(whole.reshape(whole.shape[-2:]) - self.single)}
            return {"logits": (np.moveaxis(whole[0], -1, 0) if self.last else whole[0]).copy(order="K")}

        return pick

    def decode(self, raw: RawOutputs, frame: Size, choices: PostprocessOptions, names: tuple[str, ...]) -> Found:
        """The map in frame pixels: segment ``class id + 1`` for each class that is there, the others are void.

        Raises:
            EngineError: a label beyond the classes that are named.
        """
        window = covered(raw.affine, frame, raw.size)
        if self.labels:
            ids = nearest(raw.arrays["labels"], frame, window)
            counted = _counted(ids)
        else:
            first = 0 if self.hidden else 1
            ids, counts = label_map(
                self._channels(raw.arrays["logits"], choices), size=frame, window=window, first=first
            )
            counted = {
                first + number: count for number, count in enumerate(counts.tolist()) if count and first + number
            }
        if choices.classes is not None:
            wanted = {number + 1 for number in choices.classes}
            ids[~np.isin(ids, list(wanted))] = 0
            counted = {number: count for number, count in counted.items() if number in wanted}
        return {PANOPTIC: PanopticMap(ids, self._segments(counted, names))}

    def _channels(self, logits: NDArray[np.float32], choices: PostprocessOptions) -> NDArray[np.float32]:
        """Logits of all classes, [C, h, w]; those of class 0 of a single map are its threshold."""
        if not self.single:
            return logits
        least = 0.5 if choices.min_score is None else choices.min_score
        bound = least if self.given else logit(least)
        return np.concatenate([np.full_like(logits, np.clip(bound, -1e30, 1e30)), logits])

    def _segments(self, counted: Mapping[int, int], names: tuple[str, ...]) -> tuple[Segment, ...]:
        """The segments of ``counted``: id, which is the class id + 1 -> pixels."""
        highest = max(counted, default=0)
        if highest > len(names):
            raise EngineError(
                f"output {self.output!r} has label {highest - 1}, but {len(names)} classes are named; correct `classes`"
            )
        return tuple(
            Segment(number, number - 1, names[number - 1], is_thing=False, score=None, area_px=area)
            for number, area in sorted(counted.items())
        )


def _counted(ids: NDArray[np.int32]) -> dict[int, int]:
    """Pixels of each id that is there but 0."""
    values, lengths = label_runs(ids)
    present, where = np.unique(values, return_inverse=True)
    areas = np.bincount(where, weights=lengths, minlength=len(present))
    return {number: int(area) for number, area in zip(present.tolist(), areas.tolist(), strict=True) if number}


def covered(affine: Affine, frame: Size, size: Size) -> Window:
    """The part of the input that a frame of (height, width) covers: (x1, y1, x2, y2) relative to the input."""
    ends = ((0.0, 0.0), (frame[1], frame[0]))
    corners = [
        (end[axis] - affine.offset[axis]) / (affine.scale[axis] * size[1 - axis]) for end in ends for axis in (0, 1)
    ]
    return corners[0], corners[1], corners[2], corners[3]


def segment_ids(labels: NDArray[np.int64]) -> NDArray[np.int32]:
    """The label + 1, int32; 0 for the label of pixels of no class and for negative ones."""
    void = (labels < 0) | (labels == IGNORED)
    ids: NDArray[np.int32] = np.where(void, 0, np.minimum(labels, np.iinfo(np.int32).max - 1) + 1).astype(np.int32)
    return ids


def nearest(labels: NDArray[np.int32], frame: Size, window: Window) -> NDArray[np.int32]:
    """The label at the centre of each pixel of a frame, int32 [H, W]; ``window`` as of :func:`covered`."""
    height, width = labels.shape

    def places(length: int, first: float, last: float, cells: int) -> NDArray[np.int64]:
        centres = (np.arange(length) + 0.5) / length
        return np.clip(np.floor((first + centres * (last - first)) * cells), 0, cells - 1).astype(np.int64)

    columns = places(frame[1], window[0], window[2], width)
    return labels.take(columns, axis=1).take(places(frame[0], window[1], window[3], height), axis=0)


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """A head for the one output that is a map; see :mod:`..head`."""
    maps = [spec for spec in outputs if _is_map(spec)]
    named = about.outputs.get("logits")
    chosen = [spec for spec in maps if spec.name == named]
    if named is None:
        if len(maps) != len(outputs) and about.head != "semantic":
            return None
        chosen = maps if len(maps) == 1 else [spec for spec in maps if spec.name in NAMES]
    if not maps:
        return None
    if len(chosen) != 1:
        shown = ", ".join(f"{spec.name!r} {spec}" for spec in maps)
        return f"outputs {shown} may be maps of classes; say which (`logits` of `outputs`)"
    return _guessed(chosen[0], about, size) or _segmented(chosen[0], about)


_BODY_POINTS = (16, 17)
"""Of MPII and COCO; networks of a person's points give a map of each, a quarter as large as their input."""
_FLOW = 2
"""Maps of optical flow: of x and of y."""


def _guessed(spec: TensorSpec, about: Description, size: Size) -> str | None:
    """Why a map may be of something else than classes, where nothing says that it is of them."""
    said = about.classes is not None or "semantic" in (about.head, about.task) or "logits" in about.outputs
    if said or spec.dtype.kind != "f":
        return None
    what = f"output {spec.name!r} {spec}"
    channels, height, width = spec.shape[1:]
    if 1 in (channels, width):
        return (
            f"{what} is one map: of one class, if `classes` or `head` say so; else of depth, of text, or an alpha "
            "matte (--head depth and --head matte read those)"
        )
    if _has_aspect(size, (channels, height)) and not _has_aspect(size, (height, width)):
        return f"{what} may have its classes last; name them (--labels, or `classes`)"
    named = 'name the classes (--labels, or `classes`), or say head = "semantic"'
    if channels == _FLOW and (about.input.previous is not None or "flow" in spec.name.lower()):
        return f"{what} may be optical flow, or maps of 2 classes; if so, {named}; --head raw gives flow as it is"
    if about.scores is not None:
        return None
    if channels == COLORS and height >= size[0]:
        return f"{what} may be a picture, or maps of {channels} classes; if so, {named}"
    quarter = (channels, 4 * height, 4 * width) in [(count, *size) for count in _BODY_POINTS]
    if size[0] > size[1] or quarter:
        return (
            f"{what} may be heat maps of {channels} points, as of a person's, or maps of classes; if so, {named}; "
            'of points, say head = "heatmaps"'
        )
    return None


def _has_aspect(size: Size, shape: tuple[int, int]) -> bool:
    """Whether a map of (height, width) ``shape`` covers an input of ``size``, within a cell."""
    return abs(shape[0] * size[1] - shape[1] * size[0]) < max(size)


def _is_map(spec: TensorSpec) -> bool:
    """Logits [1, C, h, w], or labels [1, h, w] or [1, 1, h, w], of more than a pixel; [1, 1, N, 7] are detections."""
    if spec.shape[:1] != (1,) or max(spec.shape[-2:]) == 1 or (len(spec.shape) == 4 and spec.shape[1::2] == (1, 7)):
        return False
    if spec.dtype.kind == "f":
        return len(spec.shape) == 4
    return len(spec.shape) == 3 or (len(spec.shape) == 4 and spec.shape[1] == 1)


def _segmented(spec: TensorSpec, about: Description) -> Head | str:
    named = None if about.classes is None else len(about.classes)
    if spec.dtype.kind != "f":
        return Segmented(spec.name, labels=True, class_count=named, single=about.task == "semantic" and named == 1)
    given = about.scores == "given"
    last = spec.shape[1] != spec.shape[3] == 1 or (named not in (None, 1, spec.shape[1]) and spec.shape[3] == named)
    channels = spec.shape[3] if last else spec.shape[1]
    if channels > 1:
        return wrong_count(spec, channels, about) or Segmented(spec.name, class_count=channels, given=given, last=last)
    if named not in (None, 1, 2):
        return f"output {spec.name!r} {spec} is one class or two, but {named} are named (`classes`)"
    hidden = named != 2
    return Segmented(spec.name, class_count=1 if hidden else 2, single=True, given=given, last=last, hidden=hidden)
