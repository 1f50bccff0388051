"""The training of instances with masks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..models.trainable import TrainableFamily
from ..models.variant import Variant
from ..pipeline.errors import UsageError
from ..pipeline.types.picture import Size
from .batches import InstanceBatch, Layout, PairBatch, instance_batch, pair_batch
from .frame_cache import FrameCache
from .losses import GIOU, INSIDE, Losses, Weights, flow_loss, instance_losses, match_loss
from .settings import TrainSettings
from .targets import MatchRule
from .tasks import Batch, as_input, augmentation_of

RULE = MatchRule(positive=0.5, negative=0.4)
"""Source: Bolya et al., arXiv:1904.02689, with the official code."""


class InstanceTask:
    """Instances with masks, as of YOLACT and YolactEdge; of video models also what carries features along.

    The network has ``look`` (of images; outputs, levels, state), ``semantic`` (of levels) and, with key frames,
    ``follow`` (of images and state), ``backbone`` and ``fpn_phase_1``.
    """

    def __init__(
        self,
        row: Variant,
        family: TrainableFamily,
        cache: FrameCache,
        settings: TrainSettings,
        *,
        size: Size,
        network: nn.Module,
    ) -> None:
        if settings.stage == "video" and not family.key_frames(row.name):
            raise UsageError(f"{row.name} has no graph for frames between key frames; --stage image trains it")
        self.network, self._cache, self._settings = network, cache, settings
        self.numbers = np.flatnonzero(cache.annotated & (cache.object_counts > 0))
        if not len(self.numbers) or not cache.has_masks:
            raise UsageError(f"{cache.folder.name} has no objects with masks, which {row.name} is trained on")
        self.layout = Layout(
            size,
            family.input_format(row.name),
            family.training_layout(row.name, size),
            replace(RULE, anchors_per_object=settings.anchors_per_object),
            classes=len(family.class_names(row.name)),
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
        known = torch.from_numpy(truth).permute(0, 3, 1, 2)
        parts = [flow_loss(motion.flow.float(), known, self.layout.outputs.flow_unit) for motion in motions]
        return torch.stack(parts).sum()

    def _match(self, image: Tensor, warped: list[Tensor]) -> Tensor:
        network: Any = self.network
        with torch.no_grad():
            own, _ = network.fpn_phase_1(network.backbone(image)[-3:])
        parts = [match_loss(said, truth) for said, truth in zip(warped[1:], own[1:], strict=True)]
        return torch.stack(parts).mean()
