"""``vidgraph train``: from a model's name and a data set to a folder with weights."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..models.resolve import resolve_model
from ..models.trainable import TrainableFamily
from ..models.variant import Variant
from ..models.weights.checkpoint import check_values, load_network, read_state_dict
from ..pipeline.claims import alone
from ..pipeline.errors import OutputError
from ..pipeline.types.picture import Size
from .datasets.registry import open_dataset
from .frame_cache import FrameCache
from .loop import Report, Trainer
from .render_frames import frame_cache
from .settings import TrainSettings
from .state import ABOUT, CHECKPOINT, LABELS, WEIGHTS, read_checkpoint
from .tasks import Task, new_network, open_task, part_of_frame, trainable

if TYPE_CHECKING:
    from torch import nn

    from .datasets.dataset import Dataset

LOG = logging.getLogger("vidgraph")
CACHED_OVER_INPUT = 1.25
"""Sides of cached frames over those of the network's input: room to take a part of a frame."""
CACHE_STEP = 8
"""Sides of cached frames are multiples of this."""


@dataclass(frozen=True, slots=True)
class Trained:
    """How a training ended.

    Attributes:
        weights: the averaged weights, for ``--model NAME=FILE``.
        steps: how many were taken in all.
        stopped: it was stopped before its end and can go on.
        losses: means over the last few steps.
    """

    weights: Path
    steps: int
    stopped: bool
    losses: dict[str, float]


def train(
    model: str,
    data: str,
    folder: Path,
    settings: TrainSettings,
    *,
    weights: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    size: Size | None = None,
    cache_size: Size | None = None,
    processes: int = 1,
    dataset: Dataset | None = None,
    rendered: Callable[[int, int], None] = lambda done, total: None,
    begun: Callable[[Trainer], None] = lambda trainer: None,
    tell: Callable[[Report], None] = lambda report: None,
) -> Trained:
    """Train a model.

    Args:
        model: its name; a checkpoint alone is its name and ``weights``.
        data: address of the data set.
        folder: what the training leaves goes here.
        settings: how.
        weights: start from this checkpoint instead of from nothing; those of another number of classes may lack what
            depends on it.
        resume: go on from the checkpoint in ``folder``.
        overwrite: begin again in a folder that holds a training.
        size: (height, width) of the network's input; None: the model's own.
        cache_size: of the frames that are kept, (height, width); None: somewhat more than ``size``.
        processes: that render frames.
        dataset: what ``data`` opens, if it is open.
        rendered: is told frames rendered and frames in all.
        begun: is given the trainer, whose ``stop`` ends the training in order.
        tell: is given a report every few steps.

    Raises:
        UsageError: the model cannot be trained, or the data set has nothing for it.
        OutputError: the folder holds a training, is written by another process, or cannot be written to.
        CheckpointError: ``weights`` or the checkpoint are damaged or do not fit.
    """
    torch.set_num_threads(settings.process_threads)
    resolved = resolve_model(model, weights=weights)
    row = resolved.built_in(f"{resolved.given} is {resolved.title}, which cannot be trained; name a model")
    weights = resolved.weights
    family = trainable(row)
    if not resume:
        _make_folder(folder)
    with alone(folder):
        checkpoint = read_checkpoint(folder) if resume else None
        if checkpoint is not None:
            settings.check_resumed(checkpoint["settings"], str(folder))
        else:
            _check_free(folder, overwrite=overwrite)
        size = size or input_size(row)
        opened = dataset if dataset is not None else open_dataset(data)
        family = family.for_classes(row.name, len(opened.class_names))
        network = new_network(row, family, settings.seed)
        if weights is not None and checkpoint is None:
            start_from_file(network, row, weights)  # before frames are rendered: a wrong file is refused at once
        cache = frame_cache(
            data,
            cache_size or cached_size(size, part_of_frame(row, size, settings)),
            processes=processes,
            dataset=opened,
            progress=rendered,
        )
        task_of = partial(_open_task, row, family, cache.folder, settings, size)
        trainer = Trainer(
            open_task(row, family, cache, settings, size=size, network=network), task_of, settings, folder
        )
        if checkpoint is not None:
            trainer.load(checkpoint)
        _describe(folder, row, cache, settings, data=data, size=size, weights=weights)
        begun(trainer)
        last: list[Report] = []

        def told(report: Report) -> None:
            last[:] = [report]
            tell(report)

        trainer.run(told)
        losses = last[0].losses if last else {}
        return Trained(folder / WEIGHTS, trainer.step, trainer.stopped, losses)


def _open_task(
    row: Variant, family: TrainableFamily, cache: Path, settings: TrainSettings, size: Size, network: nn.Module
) -> Task:
    return open_task(row, family, FrameCache(cache), settings, size=size, network=network)


def input_size(row: Variant) -> Size:
    """(height, width) at which the model is trained unless asked otherwise."""
    form = row.family().input_format(row.name)
    side = form.long_side
    return form.size or ((side, side) if form.stretch else (side * 9 // 16 // 32 * 32, side))


def cached_size(size: Size, part: float = 1.0) -> Size:
    """(height, width) of the frames that are kept for an input of ``size`` that a part of the frame fills."""
    height, width = (-(-int(side * CACHED_OVER_INPUT / part) // CACHE_STEP) * CACHE_STEP for side in size)
    return height, width


def start_from_file(network: nn.Module, row: Variant, path: Path) -> None:
    """Take the weights of ``path``, but for tensors of another shape where the number of classes is another.

    Raises:
        CheckpointError: the file is damaged or is no file of this model.
    """
    own = network.state_dict()
    read: dict[str, Any] = read_state_dict(path)
    fitting = {name: value for name, value in read.items() if name in own and own[name].shape == value.shape}
    others = [name for name in own if name not in fitting and not name.endswith("num_batches_tracked")]
    if len(others) > len(own) // 10:
        load_network(row, path)  # says what is wrong with it
    check_values(path, fitting, own)
    if others:
        LOG.warning("%s: %d of %d tensors start afresh (%s, …)", path, len(others), len(own), others[0])
    network.load_state_dict(fitting, strict=False)


def _check_free(folder: Path, *, overwrite: bool) -> None:
    if (folder / CHECKPOINT).exists() and not overwrite:
        raise OutputError(
            f"{folder} holds a training already; --resume goes on with it, -y begins again, or name another folder"
        )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror or error}") from error


def _describe(
    folder: Path,
    row: Variant,
    cache: FrameCache,
    settings: TrainSettings,
    *,
    data: str,
    size: Size,
    weights: Path | None,
) -> None:
    """What was trained how, for people and for ``training.json``'s readers; names of the classes for ``--labels``."""
    about = {
        "model": row.name,
        "data": data,
        "size": list(size),
        "cache": cache.folder.name,
        "frames": len(cache),
        "class_names": list(cache.class_names),
        "started_from": None if weights is None else str(weights),
        "settings": settings.as_dict(),
        "torch": str(torch.__version__),
        "processes": settings.processes,
        "threads": torch.get_num_threads(),
    }
    (folder / ABOUT).write_text(json.dumps(about, indent=1) + "\n", "utf-8")
    (folder / LABELS).write_text("".join(f"{name}\n" for name in cache.class_names), "utf-8")
