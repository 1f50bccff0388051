"""A model by its name or its file."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

from ..engines.network_file import PROGRAM
from ..engines.open import PRECISIONS, choose_device, choose_engine
from ..pipeline.errors import UsageError, nearest
from ..pipeline.execution.threads import available_cores
from ..pipeline.options import COUNT, check_options, filled
from ..pipeline.types.picture import Size
from ..stages.inference.key_frames import PUBLISHED_INTERVAL, FixedInterval, policy_named
from ..stages.inference.preprocess import InputSize
from .family import Family
from .inference import Propagation
from .model import EngineChoice, Model
from .options import RAW, check_head, validate_options
from .resolve import ResolvedModel, resolve_model
from .variant import Variant
from .weights.find import Weights


def load_model(
    name: str | ResolvedModel,
    *,
    weights: str | os.PathLike[str] | None = None,
    size: int | Size | None = None,
    engine: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    min_score: float | None = None,
    nms_iou: float | None = None,
    max_detections: int | None = None,
    classes: Sequence[str | int] | None = None,
    labels: Sequence[str] | str | os.PathLike[str] | None = None,
    requests: int = 1,
    threads: int | None = None,
    deterministic: bool = False,
    batch: int = 1,
    nms: str | None = None,
    keyframes: int | str | None = None,
    batch_non_key: bool = False,
    head: str | None = None,
) -> Model:
    """Load a model.

    Args:
        name: a name or alias of ``vidgraph models``; ``-``, ``_`` and case do not matter; ``NAME=FILE`` names the
            weights too. Or a file: a checkpoint or an exported file, whose content says which model it is, or a
            custom model (``.onnx``, ``.xml``, ``.tflite``), whose outputs are recognised and whose results are named
            by its stem. Or what ``resolve_model`` made of one of these.
        weights: a checkpoint (``.pth``; its first use needs torch) or a file of ``vidgraph export`` (does
            not); by default what ``vidgraph pull`` has fetched. With a ``name`` that no model has, a custom
            model.
        size: of the network's input: the longer side in pixels (the aspect is that of the frame, and smaller
            frames are enlarged), or (height, width) with padding; by default the model's own longer side.
            Models whose input is a square take the side, or (height, width), and frames fill it. A custom
            model takes either where it leaves its size open.
        engine: ``auto``, ``openvino``, ``onnxruntime``, ``tensorrt``, ``tensorrt-rtx``, ``torch`` or
            ``torch-tensorrt``.
        device: ``auto``, ``cpu`` or ``cuda:N``.
        precision: ``auto``, ``fp32``, ``bf16``, ``fp16`` or ``int8``.
        min_score: rows must score more than this, in [0, 1].
        nms_iou: boxes that overlap a better one by more than this are dropped, in [0, 1].
        max_detections: rows kept at most.
        classes: names or numbers of the classes to keep.
        labels: names in place of the model's own: one per class, or a file with one a line, or ``coco80``, ``coco91``
            (at the ids of COCO's files) or ``voc21``.
        requests: pictures that may be in the network at the same time.
        threads: cores for all requests together; by default all there are.
        deterministic: the same bits every time.
        batch: most pictures in one run of the network, from any stream.
        nms: which suppression, where the model has several: ``fast``, ``cross-class``, ``traditional``.
        keyframes: of a video model: every so many frames (5, as published; yolact-edge-tiny 2), ``adaptive``
            or ``all``.
        batch_non_key: of a video model: the frames between two key frames run as one batch.
        head: what is made of the network's outputs: None: what the model is for; ``raw``: nothing, results are
            the tensors themselves (``TENSORS``, ``FrameResult.tensors``). Of a custom model also
            ``yolo``, ``yolo-end2end``, ``detr``, ``ssd``, ``semantic`` or ``classify``.

    Raises:
        UsageError: an unknown name or an impossible value.
        CheckpointError: the weights are missing or damaged, or belong to something else, or to no model, or to several.
        MissingExtraError: an optional package is needed for this.
    """
    given = dict(locals())  # every option by its name
    from .custom.open import open_custom

    check_options(given)
    choose_engine(engine)
    if precision not in PRECISIONS:
        raise UsageError(f"unknown precision {precision!r}; {nearest(precision, PRECISIONS)}")
    for what, value in (("requests", requests), ("batch", batch)):
        if not COUNT.allows(value):
            raise UsageError(f"{what} must be {COUNT.expected}, got {value!r}")
    resolved = resolve_model(name, weights=weights)
    given |= {"device": choose_device(device, engine, resolved.kind), "threads": threads or available_cores()}
    found: Weights
    if resolved.row is not None:
        row = resolved.row
        check_head(row.name, head, given)
        input_size, found = _input_size(row, size), Weights.find(row, resolved.weights)
    else:
        custom, input_size = open_custom(
            resolved.name, resolved.file, size=size, engine=engine, head=head, labels=labels, batch=batch,
            published=resolved.published,
        )  # fmt: skip
        found, head, row = custom, custom.custom.head.kind, custom.row
        check_head(row.name, RAW if head == RAW else None, given)
        given["labels"] = None  # the names of the file's classes are these already
    found.check_precision(precision)
    if choose_engine(engine).network == PROGRAM:
        found.check_program()
    options = validate_options(row.name, found.family.class_names(row.name), given)
    propagation = propagation_of(found.family, row, keyframes=keyframes, batch_non_key=batch_non_key)
    return Model(row, found, input_size, filled(EngineChoice, given), options, propagation=propagation, head=head)


def propagation_of(family: Family, row: Variant, *, keyframes: int | str | None, batch_non_key: bool) -> Propagation:
    """How a model is to propagate: the caller's choice, or the model's own.

    Raises:
        UsageError: the model has no key frames, or ``keyframes`` is none of what is possible.
    """
    if not family.key_frames(row.name):
        if keyframes not in (None, "all", 1, "1") or batch_non_key:
            if family.memory(row.name) is not None:
                raise UsageError(f"{row.name} has no key frames: every frame goes on from the one before it")
            raise UsageError(f"{row.name} is no video model: it looks at every frame by itself, without key frames")
        return Propagation(1)
    chosen = (row.key_interval or PUBLISHED_INTERVAL) if keyframes is None else keyframes
    policy = policy_named(chosen)("")
    interval = policy.interval if isinstance(policy, FixedInterval) else PUBLISHED_INTERVAL
    return Propagation(chosen, max(1, interval - 1) if batch_non_key else 1)


def _input_size(row: Variant, size: int | Size | None) -> InputSize:
    form = row.family().input_format(row.name)
    if size is None:
        size = form.size or form.long_side
    if isinstance(size, Collection):
        height, width = map(int, size)
        return InputSize(stretch=(height, width)) if form.stretch else InputSize(fixed=(height, width))
    side = int(size)  # of NumPy's too
    return InputSize(stretch=(side, side)) if form.stretch else InputSize(side)
