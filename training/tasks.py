"""What is trained: the network of a model, its batches from a cache, and the losses of a batch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..pipeline.errors import UsageError
from .augment import Augmentation
from .batches import (
    FACE_RULE,
    YOLACT_RULE,
    FaceBatch,
    InstanceBatch,
    Layout,
    PairBatch,
    face_batch,
    instance_batch,
    pair_batch,
)
from .frame_cache import FrameCache, Size
from .initialise import initialise_faces
from .losses import FACE_WEIGHTS, GIOU, INSIDE, Losses, Weights, face_losses, flow_loss, instance_losses, match_loss
from .settings import TrainSettings

if TYPE_CHECKING:
    from ..models.family import Family
    from ..models.variant import ModelRow

Batch = Any
EMPTY_SHARE = 0.15
"""Frames without a face, for each frame with one, that take part in the training of faces."""


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
    row: ModelRow, family: Family, cache: FrameCache, settings: TrainSettings, *, size: Size, network: nn.Module
) -> Task:
    """The training of the model ``row`` on the frames of ``cache``.

    Raises:
        UsageError: there is no training for models of this kind, or the data set has nothing for it.
    """
    if row.folder == "yolact_edge":
        return InstanceTask(row, family, cache, settings, size=size, network=network)
    if row.folder == "retinaface":
        return FaceTask(row, family, cache, settings, size=size, network=network)
    raise UsageError(f"{row.name} cannot be trained here; models of YOLACT, YolactEdge and RetinaFace can")


class InstanceTask:
    """YOLACT and YolactEdge."""

    def __init__(
        self, row: ModelRow, family: Any, cache: FrameCache, settings: TrainSettings, *, size: Size, network: nn.Module
    ) -> None:
        from ..models.yolact_edge.config import VARIANCES, map_size
        from ..models.yolact_edge.priors import priors_of

        config = family.config(row.name)
        if settings.stage == "video" and not config.flow:
            raise UsageError(f"{row.name} has no graph for frames between key frames; --stage image trains it")
        self.network, self._cache, self._settings = network, cache, settings
        self.numbers = np.flatnonzero(cache.annotated & (cache.object_counts > 0))
        if not len(self.numbers) or not cache.has_masks:
            raise UsageError(f"{cache.folder.name} has no objects with masks, which {row.name} is trained on")
        self.layout = Layout(
            size,
            family.input_format(row.name),
            priors_of(config, size),
            VARIANCES,
            replace(YOLACT_RULE, anchors_per_object=settings.anchors_per_object),
            classes=len(config.class_names),
            proto=config.proto_size(size),
            semantic=map_size(size, 8),
            flow=map_size(size, 16),
        )
        self._augmentation = augmentation_of(row, size, settings)
        giou, fit = GIOU if settings.box_loss == "giou" else None, settings.score_target == "iou"
        self._weights = Weights(flow=settings.flow, match=settings.feature_loss, inside=INSIDE, giou=giou, fit=fit)

    def batch(self, numbers: NDArray[np.int64], random: np.random.Generator) -> Batch:
        """See :class:`Task`."""
        how = self._augmentation
        if self._settings.stage == "image":
            return instance_batch(self._cache, numbers, self.layout, how, random)
        return pair_batch(self._cache, numbers, self.layout, how, random, distance=self._settings.max_frame_gap)

    def losses(self, batch: Batch) -> Losses:
        """Of the pictures; or of key frames and of the frames after them, each with its own share."""
        network: Any = self.network
        if isinstance(batch, InstanceBatch):
            return self._instances(network.look(as_input(batch.images)), batch)
        return self._pairs(batch)

    def _instances(self, look: Any, batch: InstanceBatch) -> Losses:
        network: Any = self.network
        return instance_losses(
            look.outputs,
            network.semantic(look.levels),
            batch.anchors,
            batch.masks,
            semantic_truth=torch.from_numpy(batch.semantic).float(),
            weights=self._weights,
        )

    def _pairs(self, batch: PairBatch) -> Losses:
        network: Any = self.network
        image = as_input(batch.frame.images)
        first = network.look(as_input(batch.key.images))
        follow = network.follow(image, first.state)
        key, frame = self._instances(first, batch.key), self._instances(follow, batch.frame)
        parts = {name: (key[name] + frame[name]) / 2 for name in key}
        if self._weights.flow and np.isfinite(batch.flow).any():
            parts["flow"] = self._flow(follow.motions, batch.flow) * self._weights.flow
        if self._weights.match:
            parts["match"] = self._match(image, follow.inner) * self._weights.match
        return parts

    def _flow(self, motions: Any, truth: NDArray[np.float32]) -> Tensor:
        from ..models.yolact_edge.grid import FLOW_UNIT

        known = torch.from_numpy(truth).permute(0, 3, 1, 2)
        parts = [flow_loss(motion.flow.float(), known, FLOW_UNIT) for motion in motions]
        return torch.stack(parts).sum()

    def _match(self, image: Tensor, warped: list[Tensor]) -> Tensor:
        network: Any = self.network
        with torch.no_grad():
            own, _ = network.fpn_phase_1(network.backbone(image)[-3:])
        parts = [match_loss(said, truth) for said, truth in zip(warped[1:], own[1:], strict=True)]
        return torch.stack(parts).mean()


class FaceTask:
    """RetinaFace."""

    def __init__(
        self,
        row: ModelRow,
        family: Family,
        cache: FrameCache,
        settings: TrainSettings,
        *,
        size: Size,
        network: nn.Module,
    ) -> None:
        from ..models.retinaface.config import CONFIGS
        from ..models.retinaface.postprocess import priors_of

        if settings.stage != "image":
            raise UsageError(f"{row.name} finds faces frame by frame; --stage image trains it")
        config = CONFIGS[row.name]
        self.network, self._cache = network, cache
        with_faces = np.flatnonzero(cache.annotated & (cache.face_counts > 0))
        if not len(with_faces):
            raise UsageError(f"{cache.folder.name} has no faces, which {row.name} is trained on")
        without = np.flatnonzero(cache.annotated & (cache.face_counts == 0))
        some = without[
            np.linspace(0, len(without) - 1, min(len(without), int(EMPTY_SHARE * len(with_faces)))).astype(int)
        ]
        self.numbers = np.sort(np.concatenate([with_faces, some]))
        rule = replace(FACE_RULE, anchors_per_object=settings.anchors_per_object)
        self.layout = Layout(size, family.input_format(row.name), priors_of(config, size), config.variances, rule)
        self._augmentation = augmentation_of(row, size, settings)
        self._weights = replace(FACE_WEIGHTS, giou=GIOU) if settings.box_loss == "giou" else FACE_WEIGHTS

    def batch(self, numbers: NDArray[np.int64], random: np.random.Generator) -> FaceBatch:
        """See :class:`Task`."""
        return face_batch(self._cache, numbers, self.layout, self._augmentation, random)

    def losses(self, batch: FaceBatch) -> Losses:
        """See :func:`.losses.face_losses`."""
        outputs = self.network(as_input(batch.images))
        points, pointed = torch.from_numpy(batch.points), torch.from_numpy(batch.pointed)
        return face_losses(outputs, batch.anchors, points, pointed, self._weights)


def augmentation_of(row: ModelRow, size: Size, settings: TrainSettings) -> Augmentation:
    """What is done to the frames, for an input of ``size``."""
    return replace(settings.augmentation.at(settings.augment), part=part_of_frame(row, size, settings))


def part_of_frame(row: ModelRow, size: Size, settings: TrainSettings) -> float:
    """See :attr:`.settings.TrainSettings.input_crop`, for an input of ``size``."""
    if settings.input_crop is not None or row.folder != "yolact_edge":
        return settings.input_crop or 1.0
    family: Any = row.family()
    config = family.config(row.name)
    return min(size[1] / config.side, 1.0) if config.compact else 1.0


def as_input(images: NDArray[np.float32]) -> Tensor:
    """Float32 [B, H, W, 3] as the network's [B, 3, H, W], which lies in memory as it did (``channels_last``)."""
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def new_network(row: ModelRow, family: Family, seed: int) -> nn.Module:
    """The network with fresh weights, as training from nothing wants them."""
    from ..models.yolact_edge.compact import start_from

    torch.manual_seed(seed)
    network = family.network(row.name)
    if row.folder == "retinaface":
        initialise_faces(network)
    else:
        start_from(network)
    return network
