"""What a training is told."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from ..pipeline.errors import UsageError
from ..pipeline.execution.threads import available_cores
from .augment import Augmentation

Stage = Literal["image", "video"]

OPTIMIZERS = ("muon", "adamw", "sgd")
BOX_LOSSES = ("giou", "smooth-l1")
SCORE_TARGETS = ("iou", "class")
PRECISIONS = ("fp32", "bf16")
PEAK_LR = {"muon": 5e-3, "adamw": 1e-3, "sgd": 1e-2}
MAY_CHANGE = ("steps", "hours", "checkpoint_minutes", "log_interval", "threads")
"""Settings that a resumed training may have otherwise than before."""
DEFAULT_STEPS = 20_000
LEAST_PART = 4
"""Frames of a step for each process, at least: norms take their statistics from them."""


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How to train.

    Attributes:
        stage: ``image``, or ``video``: frames with the key frame before them, flow and warp end to end.
        steps: the training ends after this many; None: by ``hours`` alone.
        hours: it ends after this time, counted over all its runs; None: by ``steps`` alone.
        batch: frames (``video``: pairs of frames) of a step.
        lr: the learning rate at its highest; None: 5e-3 for ``muon``, 1e-3 for ``adamw``, 1e-2 for ``sgd``.
        optimizer: ``muon`` (see :mod:`.muon`), ``adamw`` or ``sgd`` (momentum 0.9).
        weight_decay: of convolutions; None: 5e-4 for ``sgd``, 0.02 for the others.
        box_loss: ``giou``, or ``smooth-l1`` as published.
        score_target: of instances: ``iou``: scores also learn how well the box fits; ``class`` as published.
        warmup: steps in which the rate rises.
        ema_decay: decay of the running average of the weights, which is what is kept in the end.
        clip: greatest norm of the gradient.
        seed: of weights, order and augmentation.
        precision: ``fp32``, or ``bf16`` where the processor has it.
        max_frame_gap: ``video``: the key frame is at most this many frames before.
        flow: weight of the flow's error where the data set knows the flow.
        feature_loss: weight of the distance of warped features to the frame's own.
        anchors_per_object: best anchors of each object that find it in any case; 1 as published.
        freeze_bn: norms keep their statistics.
        checkpoint_minutes: between two checkpoints.
        log_interval: steps between two lines of the log.
        input_crop: share of each side of a frame that fills the input, as :attr:`.augment.Augmentation.part`; None: for
            compact variants of YolactEdge, whose anchors have the same pixels in any input, as much as makes objects as
            large as in the model's own input; else all.
        threads: cores to use; None: all there are.
        processes: that share each step; 0: one for each core, but none with fewer than ``LEAST_PART`` frames.
        augment: how much of the augmentation frames get, in [0, 1]; see :meth:`.augment.Augmentation.at`.
        augmentation: of the frames.
    """

    stage: Stage = "image"
    steps: int | None = None
    hours: float | None = None
    batch: int = 16
    lr: float | None = None
    optimizer: str = "muon"
    weight_decay: float | None = None
    box_loss: str = "giou"
    score_target: str = "iou"
    warmup: int = 300
    ema_decay: float = 0.999
    clip: float = 10.0
    seed: int = 0
    precision: str = "fp32"
    max_frame_gap: int = 5
    flow: float = 0.5
    feature_loss: float = 0.0
    anchors_per_object: int = 6
    freeze_bn: bool = False
    checkpoint_minutes: float = 10.0
    log_interval: int = 20
    input_crop: float | None = None
    threads: int | None = None
    processes: int = 0
    augment: float = 1.0
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        for what, value, known in (
            ("optimizer", self.optimizer, OPTIMIZERS),
            ("box_loss", self.box_loss, BOX_LOSSES),
            ("score_target", self.score_target, SCORE_TARGETS),
            ("precision of training", self.precision, PRECISIONS),
            ("stage", self.stage, get_args(Stage)),
        ):
            if value not in known:
                raise UsageError(f"{what} must be {' or '.join(known)}, got {value!r}")
        if not 0.0 <= self.augment <= 1.0:
            raise UsageError(f"augment must be between 0 and 1, got {self.augment}")
        if self.steps is None and self.hours is None:
            object.__setattr__(self, "steps", DEFAULT_STEPS)
        if self.processes == 0:
            cores = self.threads or available_cores()
            object.__setattr__(self, "processes", max(1, min(cores, self.batch // LEAST_PART)))
        if self.processes > self.batch:
            raise UsageError(f"a batch of {self.batch} cannot be shared by {self.processes} processes")

    @property
    def process_threads(self) -> int:
        """Threads of each process."""
        return max(1, (self.threads or available_cores()) // self.processes)

    @property
    def peak_lr(self) -> float:
        """The highest learning rate."""
        return self.lr if self.lr is not None else PEAK_LR[self.optimizer]

    @property
    def applied_weight_decay(self) -> float:
        """Of convolutions."""
        return self.weight_decay if self.weight_decay is not None else (5e-4 if self.optimizer == "sgd" else 0.02)

    def done(self, step: int, elapsed_s: float) -> float:
        """How much of the training lies behind ``step`` steps and ``elapsed_s`` seconds, in [0, 1]."""
        parts = [step / self.steps] if self.steps is not None else []
        parts += [elapsed_s / (3600 * self.hours)] if self.hours is not None else []
        return min(1.0, max(parts))

    def lr_at(self, step: int, elapsed_s: float) -> float:
        """The learning rate of a step: a short rise, then half a cosine over the whole training.

        It depends on nothing but how far the training is: a resumed training with more steps goes on where a
        training of that length would be.
        """
        rise = min(1.0, (step + 1) / (self.warmup + 1))
        return self.peak_lr * rise * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * self.done(step, elapsed_s))))

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def check_resumed(self, before: dict[str, Any], what: str) -> None:
        """Refuse to go on with a training that was begun with other settings.

        Raises:
            UsageError: something differs that would make another training of it.
        """
        for name, value in self.as_dict().items():
            if name not in MAY_CHANGE and before.get(name) != value:
                then = f"{what} was begun with {name} {before.get(name)!r}, not {value!r}"
                raise UsageError(f"{then}; go on as before, or begin another with -o")
