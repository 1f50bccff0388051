"""The training of faces with points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..models.trainable import TrainableFamily
from ..models.variant import Variant
from ..pipeline.errors import UsageError
from ..pipeline.types.picture import Size
from .batches import FaceBatch, Layout, face_batch
from .frame_cache import FrameCache
from .losses import FACE_WEIGHTS, GIOU, Losses, face_losses
from .settings import TrainSettings
from .targets import MatchRule
from .tasks import as_input, augmentation_of

RULE = MatchRule(positive=0.35, negative=0.35, best=0.2)
"""Source: Deng et al., arXiv:1905.00641, with the official code."""
EMPTY_SHARE = 0.15
"""Frames without a face, for each frame with one, that take part in the training of faces."""


class FaceTask:
    """Faces with five points, as of RetinaFace. The network gives boxes, classes and points of all anchors."""

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
        if settings.stage != "image":
            raise UsageError(f"{row.name} finds faces frame by frame; --stage image trains it")
        self.network, self._cache = network, cache
        with_faces = np.flatnonzero(cache.annotated & (cache.face_counts > 0))
        if not len(with_faces):
            raise UsageError(f"{cache.folder.name} has no faces, which {row.name} is trained on")
        without = np.flatnonzero(cache.annotated & (cache.face_counts == 0))
        some = without[
            np.linspace(0, len(without) - 1, min(len(without), int(EMPTY_SHARE * len(with_faces)))).astype(int)
        ]
        self.numbers = np.sort(np.concatenate([with_faces, some]))
        rule = replace(RULE, anchors_per_object=settings.anchors_per_object)
        self.layout = Layout(size, family.input_format(row.name), family.training_layout(row.name, size), rule)
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
