"""The training of faces with points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from ..models.trainable import TrainableFamily
from ..models.variant import Variant
from ..pipeline.errors import UsageError
from .batches import FaceBatch, face_batch
from .losses import FACE_WEIGHTS, GIOU, Losses, face_losses
from .targets import MatchRule
from .tasks import Task, as_input

RULE = MatchRule(positive=0.35, negative=0.35, best=0.2)
"""Source: Deng et al., arXiv:1905.00641, with the official code."""
EMPTY_SHARE = 0.15
"""Frames without a face, for each frame with one, that take part in the training of faces."""


class FaceTask(Task):
    """Faces with five points, as of RetinaFace. The network gives boxes, classes and points of all anchors."""

    rule = RULE

    def frames(self, row: Variant, family: TrainableFamily) -> NDArray[np.int64]:
        """Those with faces, and some without."""
        cache = self._cache
        if self._settings.stage != "image":
            raise UsageError(f"{row.name} finds faces frame by frame; --stage image trains it")
        with_faces = np.flatnonzero(cache.annotated & (cache.face_counts > 0))
        if not len(with_faces):
            raise UsageError(f"{cache.folder.name} has no faces, which {row.name} is trained on")
        without = np.flatnonzero(cache.annotated & (cache.face_counts == 0))
        some = without[
            np.linspace(0, len(without) - 1, min(len(without), int(EMPTY_SHARE * len(with_faces)))).astype(int)
        ]
        return np.sort(np.concatenate([with_faces, some]))

    def batch(self, numbers: NDArray[np.int64], random: np.random.Generator) -> FaceBatch:
        """See :class:`Task`."""
        return face_batch(self._cache, numbers, self.layout, self._augmentation, random)

    def losses(self, batch: FaceBatch) -> Losses:
        """See :func:`.losses.face_losses`."""
        outputs = self.network(as_input(batch.images))
        points, pointed = torch.from_numpy(batch.points), torch.from_numpy(batch.pointed)
        weights = replace(FACE_WEIGHTS, giou=GIOU) if self._settings.box_loss == "giou" else FACE_WEIGHTS
        return face_losses(outputs, batch.anchors, points, pointed, weights)
