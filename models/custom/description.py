"""What is known about a network besides its graph: how its picture is made, and what its outputs mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields as fields_of, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

Triple = tuple[float, float, float]
LAYOUTS = ("nchw", "nhwc")
COLORS = ("rgb", "bgr")
FITS = ("letterbox", "pad", "stretch", "crop")
BOXES = ("cxcywh", "xyxy", "xywh")
UNITS = ("pixels", "relative")
SCORES = ("sigmoid", "softmax", "given")
BACKGROUNDS = ("first", "last", "none")
DEPTHS = ("relative", "metres")


@dataclass(frozen=True, slots=True)
class StateDescription:
    """Where an input that is state gets its values from.

    Attributes:
        output: of the frame before, by its name.
        first: of the first frame: ``zeros``, ``ones``, or a ``.npy`` file.
    """

    output: str
    first: str | Path = "zeros"


@dataclass(frozen=True, slots=True)
class InputDescription:
    """How the network wants its picture; None is unknown.

    Attributes:
        name: of the graph's input that takes the picture.
        size: (height, width).
        layout: ``nchw`` or ``nhwc``.
        dtype: of the tensor: ``float32``, ``uint8``, …
        color: ``rgb`` or ``bgr``.
        mean, std: of values 0..255, in the order of ``color``.
        fit: ``letterbox`` (aspect kept, centred), ``pad`` (aspect kept, top left), ``stretch``, or ``crop``
            (the shorter side is resized, then the centre is cut out).
        pad: RGB colour of what the frame does not cover.
        multiple: of a network that takes frames in their own size: its lengths are multiples of so many pixels.
        crop: with ``crop``: the input's side over that of the resized shorter side, in (0, 1].
        previous: the graph's input that takes the picture of the frame before.
        downsample_ratio: what an input of that name is given: the share of the picture's sides at which a matting
            network works before it refines, in (0, 1].
    """

    name: str | None = None
    size: tuple[int, int] | None = None
    layout: str | None = None
    dtype: str | None = None
    color: str | None = None
    mean: Triple | None = None
    std: Triple | None = None
    fit: str | None = None
    pad: tuple[int, int, int] | None = None
    crop: float | None = None
    previous: str | None = None
    downsample_ratio: float | None = None
    multiple: int | None = None


@dataclass(frozen=True, slots=True)
class OutputEnd:
    """What a graph does last to an output.

    Attributes:
        columns: what the columns of a row are, (activation, how many) in order, where they are results of
            convolutions, as they are (``""``) or behind a ``sigmoid``; empty where they are anything else.
        operators: between the output and the last layers that have weights.
    """

    columns: tuple[tuple[str, int], ...] = ()
    operators: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Description:
    """What the file's metadata, a configuration beside it, or the TOML of the same stem say; None is unknown.

    Attributes:
        head: a name of ``HEADS``.
        classes: names by class id, without background.
        names_problem: why names that there are cannot be used, a line.
        task: as Ultralytics names it: ``detect``, ``segment``, ``pose``, ``obb``, ``classify``.
        input: how the picture is made.
        outputs: role -> name of an output. Roles are ``predictions``, ``prototypes``, ``boxes``, ``scores``,
            ``labels``, ``logits``, ``masks``, ``points``, ``priors``, ``depth``, ``matte``, ``picture``,
            ``embedding``, ``offsets``.
        boxes: order of the four numbers: ``cxcywh``, ``xyxy`` or ``xywh`` (corner and size).
        boxes_unit: ``pixels`` of the input, or ``relative`` to it.
        scores: ``sigmoid`` or ``softmax`` is still to be applied, or they are ``given`` as probabilities.
        objectness: a column before the class scores multiplies them.
        points: number of points and of values for each (2: x y; 3: and a score).
        point_names: names of the points.
        variances: of an SSD's decode, (centre, size).
        priors: a ``.npy`` file, float32 [A, 4] (cx, cy, w, h) relative to the input.
        prior_strides, prior_sizes: or the grid they lie on: strides, and for each the box sides in pixels.
        background: which of the columns of scores is no class: ``first``, ``last`` or ``none``.
        end_to_end: the graph has done its own suppression.
        ignore: names of outputs that are not needed.
        class_slots: the column of scores of each class, where some columns are of none.
        most_pairs: pairs of query and class at most.
        point_counts: how many points the class of each column of scores has.
        trace_alpha: how much the score of an object depends on how sure its points are; 0: not at all.
        stuff: names of the classes that are stuff, whose segments are joined.
        masks_weighted: whether masks of queries count times their score.
        state: name of an input -> which output of the frame before it is given.
        ends: name of an output -> what the last steps of the graph are.
        depth: what numbers of depth are: ``relative``, the larger the nearer, or ``metres``.
        range: numbers of a picture that are black and white.
        sources: name of a field (``input.size`` for those of ``input``) -> where it is known from.
        notes: what was read and is not followed, a line each.
    """

    head: str | None = None
    classes: tuple[str, ...] | None = None
    names_problem: str | None = None
    task: str | None = None
    input: InputDescription = InputDescription()
    outputs: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    boxes: str | None = None
    boxes_unit: str | None = None
    scores: str | None = None
    objectness: bool | None = None
    points: tuple[int, int] | None = None
    point_names: tuple[str, ...] | None = None
    variances: tuple[float, float] | None = None
    priors: Path | None = None
    prior_strides: tuple[int, ...] | None = None
    prior_sizes: tuple[tuple[float, ...], ...] | None = None
    background: str | None = None
    end_to_end: bool | None = None
    ignore: tuple[str, ...] | None = None
    class_slots: tuple[int, ...] | None = None
    most_pairs: int | None = None
    point_counts: tuple[int, ...] | None = None
    trace_alpha: float | None = None
    stuff: tuple[str, ...] | None = None
    masks_weighted: bool | None = None
    state: Mapping[str, StateDescription] | None = None
    ends: Mapping[str, OutputEnd] | None = None
    depth: str | None = None
    range: tuple[float, float] | None = None
    sources: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()


def merged(base: Description, over: Description) -> Description:
    """``base`` with everything that ``over`` knows in its place; ``outputs`` are taken role by role."""
    known = {name: value for name in _FIELDS if (value := getattr(over, name)) is not None}
    parts = {name: value for name in _INPUT_FIELDS if (value := getattr(over.input, name)) is not None}
    return replace(
        base,
        **known,
        input=replace(base.input, **parts),
        outputs=MappingProxyType({**base.outputs, **over.outputs}),
        sources=MappingProxyType({**base.sources, **over.sources}),
        notes=(*base.notes, *over.notes),
    )


def from_one_source(source: str, known: Mapping[str, Any], notes: tuple[str, ...] = ()) -> Description:
    """A description of which everything is known from ``source``.

    Args:
        source: for people: ``metadata 'imgsz'``, ``config.json``.
        known: name of a field -> value, those of ``input`` as ``input.size``; None is left out.
        notes: what was read and is not followed.
    """
    given = {name: value for name, value in known.items() if value is not None}
    parts = {name.removeprefix("input."): value for name, value in given.items() if name.startswith("input.")}
    fields = {name: value for name, value in given.items() if not name.startswith("input.")}
    if "outputs" in fields:
        fields["outputs"] = MappingProxyType(dict(fields["outputs"]))
    return Description(
        **fields,
        input=InputDescription(**parts),
        sources=MappingProxyType(dict.fromkeys(given, source)),
        notes=notes,
    )


_SPECIAL = ("input", "outputs", "sources", "notes")
_FIELDS = tuple(each.name for each in fields_of(Description) if each.name not in _SPECIAL)
_INPUT_FIELDS = tuple(each.name for each in fields_of(InputDescription))
