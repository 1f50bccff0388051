"""What is trained: the network of a model, its batches from a cache, and the losses of a batch."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..models.registry import MODELS
from ..models.trainable import TrainableFamily
from ..models.variant import Variant
from ..pipeline.errors import UsageError
from ..pipeline.types.picture import Size
from .augment import Augmentation
from .batches import Layout
from .frame_cache import FrameCache
from .losses import Losses
from .settings import TrainSettings

Batch = Any

TASKS = {"instances": ".instances:InstanceTask", "faces": ".faces:FaceTask"}
"""Kinds of training, as the rows of models name them: module and class."""


class Task(Protocol):
    """One kind of training.

    Attributes:
        network: what is trained, on its device.
        layout: of its inputs and outputs.
        numbers: int64, the frames of the cache that are trained on.
    """

    network: nn.Module
    layout: Layout
    numbers: NDArray[np.int64]

    def batch(self, numbers: NDArray[np.int64], random: np.random.Generator) -> Batch:
        """What is learnt from these frames."""

    def losses(self, batch: Batch) -> Losses:
        """The parts of the loss, weighted; keeps what the backward pass needs."""


def open_task(
    row: Variant,
    family: TrainableFamily,
    cache: FrameCache,
    settings: TrainSettings,
    *,
    size: Size,
    network: nn.Module,
) -> Task:
    """The training of the model ``row`` on the frames of ``cache``.

    Raises:
        UsageError: the data set has nothing for it.
    """
    module, _, name = TASKS[row.training or ""].partition(":")
    task: Task = getattr(import_module(module, __package__), name)(
        row, family, cache, settings, size=size, network=network
    )
    return task


def trainable(row: Variant) -> TrainableFamily:
    """The family of a model that can be trained.

    Raises:
        UsageError: there is no training for it.
    """
    if row.training is None:
        known = ", ".join(each.name for each in MODELS.values() if each.training is not None)
        raise UsageError(f"{row.name} cannot be trained here; models that can: {known}")
    return cast(TrainableFamily, row.family())


def augmentation_of(row: Variant, size: Size, settings: TrainSettings) -> Augmentation:
    """What is done to the frames, for an input of ``size``."""
    return replace(settings.augmentation.at(settings.augment), part=part_of_frame(row, size, settings))


def part_of_frame(row: Variant, size: Size, settings: TrainSettings) -> float:
    """See :attr:`.settings.TrainSettings.input_crop`, for an input of ``size``."""
    return trainable(row).part_of_frame(row.name, size) if settings.input_crop is None else settings.input_crop


def as_input(images: NDArray[np.float32]) -> Tensor:
    """Float32 [B, H, W, 3] as the network's [B, 3, H, W], which lies in memory as it did (``channels_last``)."""
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def new_network(row: Variant, family: TrainableFamily, seed: int) -> nn.Module:
    """The network with fresh weights, as training from nothing wants them."""
    torch.manual_seed(seed)
    network = family.network(row.name)
    family.start_from(network)
    return network
