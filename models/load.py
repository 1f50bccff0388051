"""A model by its name or its file."""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..engines.open import PRECISIONS, choose_device, choose_engine
from ..pipeline.errors import UsageError
from ..pipeline.execution.threads import available_cores
from ..stages.inference.preprocess import InputSize, Size
from .inference import Propagation
from .model import EngineChoice, Model
from .options import RAW, check_head, check_numbers, checked_choices
from .registry import find_model, nearest
from .variant import ModelRow
from .weights.find import Weights
from .weights.identify import name_and_weights

if TYPE_CHECKING:
    pass


def load_model(
    name: str,
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
    throughput: bool = False,
    head: str | None = None,
) -> Model:
    """Load a model.

    Args:
        name: a name or alias of ``vidgraph models``; ``-``, ``_`` and case do not matter. Or a file: a checkpoint or
            an exported file, whose content says which model it is, or an ONNX file of your own, whose outputs are
            recognised and whose results are named by its stem.
        weights: a checkpoint (``.pth``; its first use needs torch) or a file of ``vidgraph export`` (does
            not); by default what ``vidgraph pull`` has fetched. With a ``name`` that no model has, an ONNX file
            of your own.
        size: of the network's input: the longer side in pixels (the aspect is that of the frame, and smaller
            frames are enlarged), or (height, width) with padding; by default the model's own longer side.
            Models whose input is a square take the side, or (height, width), and frames fill it. An ONNX file
            of your own takes either where it leaves its size open.
        engine: ``auto``, ``openvino`` or ``onnxruntime``.
        device: ``auto``, ``cpu`` or ``cuda:N``.
        precision: ``auto``, ``fp32``, ``bf16``, ``fp16`` or ``int8``.
        min_score: rows must score more than this, in [0, 1].
        nms_iou: boxes that overlap a better one by more than this are dropped, in [0, 1].
        max_detections: rows kept at most.
        classes: names or numbers of the classes to keep.
        labels: names in place of the model's own: one per class, or a file with one a line.
        requests: pictures that may be in the network at the same time.
        threads: cores for all requests together; by default all there are.
        deterministic: the same bits every time.
        batch: most pictures in one run of the network, from any stream.
        nms: which suppression, where the model has several: ``fast``, ``cross-class``, ``traditional``.
        keyframes: of a video model: every so many frames (5, as published; yolact-edge-tiny 2), ``adaptive``
            or ``all``.
        throughput: of a video model: the frames between two key frames run as one batch.
        head: what is made of the network's outputs: None: what the model is for; ``raw``: nothing, results are
            the tensors themselves (``TENSORS``, ``FrameResult.tensors``). Of an ONNX file of your own also
            ``yolo``, ``yolo-end2end``, ``detr``, ``ssd``, ``semantic`` or ``classify``.

    Raises:
        UsageError: an unknown name or an impossible value.
        CheckpointError: the weights are missing or damaged, or belong to something else, or to no model, or to several.
        MissingExtraError: an optional package is needed for this.
    """
    from .custom.open import open_own, own_file

    check_numbers(min_score, nms_iou, max_detections)
    about_detections: dict[str, object] = {"min_score": min_score, "nms_iou": nms_iou}
    about_detections |= {"max_detections": max_detections, "classes": classes, "labels": labels, "nms": nms}
    choose_engine(engine)
    if precision not in PRECISIONS:
        raise UsageError(f"unknown precision {precision!r}; {nearest(precision, PRECISIONS)}")
    for what, value in (("requests", requests), ("threads", threads), ("batch", batch)):
        if value is not None and value < 1:
            raise UsageError(f"{what} must be at least 1, got {value}")
    chosen = EngineChoice(
        engine, choose_device(device), precision, requests, threads or available_cores(), deterministic, batch
    )
    own = own_file(name, weights)
    found: Weights
    if own is None:
        if weights is None:
            name, weights = name_and_weights(name)
        row = find_model(name)
        check_head(row.name, head, about_detections)
        input_size, found = _input_size(row, size), Weights.find(row, weights)
    else:
        opened = open_own(*own, size=size, engine=engine, head=head, labels=labels, batch=batch)
        found, input_size, head = opened.weights, opened.size, opened.own.head.kind
        row, labels = found.row, None
        check_head(row.name, RAW if head == RAW else None, about_detections)
    found.check_precision(precision)
    names = found.family.class_names(row.name)
    choices = checked_choices(row, names, min_score, nms_iou, max_detections, classes=classes, labels=labels)
    if nms is not None:
        choices = replace(choices, nms=nms)
    propagation = Propagation.of(found.family, row, keyframes=keyframes, throughput=throughput)
    return Model(row, found, input_size, chosen, choices, propagation=propagation, head=head)


def _input_size(row: ModelRow, size: int | Size | None) -> InputSize:
    form = row.family().input_format(row.name)
    if size is None:
        size = form.size or form.long_side
    try:
        if isinstance(size, int):
            return InputSize(stretch=(size, size)) if form.stretch else InputSize(size)
        height, width = (operator.index(length) for length in size)
        return InputSize(stretch=(height, width)) if form.stretch else InputSize(fixed=(height, width))
    except (ValueError, TypeError):
        raise UsageError(f"size must be a longer side like 640 or a (height, width) of pixels, got {size!r}") from None
