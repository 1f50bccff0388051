"""The loop: steps, checkpoints, and an end in order."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..pipeline.errors import CheckpointError, VidgraphError
from .data_parallel import WorkerGroup
from .muon import Muon, decaying
from .settings import TrainSettings
from .state import Average, TrainingLog, save_checkpoint
from .tasks import Batch, Task


class DivergedError(VidgraphError):
    """The loss is no number any more."""


@dataclass(frozen=True, slots=True)
class Report:
    """The last few steps.

    Attributes:
        step: steps done.
        losses: the mean of each part; ``total`` is their sum.
        rate: the learning rate.
        images_per_s: frames (pairs count twice) a second.
        done: part of the training that is over, in [0, 1].
        left_s: seconds to the end, estimated.
        norm: of the gradient, the mean.
    """

    step: int
    losses: dict[str, float]
    rate: float
    images_per_s: float
    done: float
    left_s: float
    norm: float

    def line(self) -> str:
        """On one line."""
        parts = ", ".join(f"{name} {value:.3f}" for name, value in self.losses.items())
        left = f"{self.left_s / 3600:.1f} h" if self.left_s >= 5400 else f"{self.left_s / 60:.0f} min"
        return f"step {self.step}, {self.done:.1%}: {parts}; {self.images_per_s:.1f} images/s, {left} left"

    def as_dict(self) -> dict[str, Any]:
        """For the log."""
        losses = {name: round(value, 5) for name, value in self.losses.items()}
        figures = {"rate": self.rate, "norm": round(self.norm, 4), "images_per_s": round(self.images_per_s, 2)}
        return {"step": self.step, **losses, **figures}


class Trainer:
    """Takes steps until the training is over or is stopped.

    What a step learns from depends on the seed and the step's number alone, so that a training that goes on after
    an interruption is bit for bit the one that was not interrupted (on one kind of machine, with as many threads).
    """

    def __init__(
        self, task: Task, open_task: Callable[[nn.Module], Task], settings: TrainSettings, folder: Path
    ) -> None:
        """Begin.

        Args:
            task: what is trained.
            open_task: makes the same of a network, in another process.
            settings: how.
            folder: for checkpoints and log.
        """
        self.task, self.settings, self._folder = task, settings, folder
        self._open_task = open_task
        self.step, self.elapsed_s = 0, 0.0
        self.stopped = False
        self._network = task.network.to(memory_format=torch.channels_last)
        self._optimizer = make_optimizer(self._network, settings)
        self._average = Average(self._network, settings.ema_decay)

    def load(self, checkpoint: dict[str, Any]) -> None:
        """Go on from a checkpoint.

        Raises:
            CheckpointError: it belongs to another network.
        """
        try:
            self._network.load_state_dict(checkpoint["network"])
            self._average.load_state_dict(checkpoint["average"])
            self._optimizer.load_state_dict(checkpoint["optimizer"])
            self.step, self.elapsed_s = int(checkpoint["step"]), float(checkpoint["elapsed_s"])
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise CheckpointError(
                f"the checkpoint in {self._folder} does not fit: {str(error).splitlines()[0]}"
            ) from error

    def stop(self, now: bool = False) -> None:
        """End after this step."""
        self.stopped = True

    def save(self) -> None:
        """Write a checkpoint and the averaged weights."""
        content = {
            "network": self._network.state_dict(),
            "average": self._average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "step": self.step,
            "elapsed_s": self.elapsed_s,
            "settings": self.settings.as_dict(),
            "frames": len(self.task.numbers),
        }
        save_checkpoint(self._folder, content)

    def run(self, tell: Callable[[Report], None] = lambda report: None) -> None:
        """Train to the end or to :meth:`stop`; ``tell`` gets a report every few steps.

        Raises:
            DivergedError: the loss is no number any more; the last checkpoint is from before.
        """
        log = TrainingLog(self._folder, self.step)
        prepare(self._network, self.settings)
        seen: list[dict[str, float]] = []
        saved_s = reported_s = self.elapsed_s
        with WorkerGroup(
            self._network, self.settings.processes, partial(_worker, self._open_task, self.settings)
        ) as workers:
            worker = Worker(self.task, self.settings)
            begun = time.monotonic() - self.elapsed_s
            while not self.stopped and self.settings.done(self.step, self.elapsed_s) < 1.0:
                seen.append(self._one_step(workers, worker))
                self.elapsed_s = time.monotonic() - begun
                if self.step % self.settings.log_interval == 0:
                    report = self._report(seen, self.elapsed_s - reported_s)
                    log.add(report.as_dict())
                    tell(report)
                    seen, reported_s = [], self.elapsed_s
                if self.elapsed_s - saved_s >= 60 * self.settings.checkpoint_minutes:
                    self.save()
                    saved_s = self.elapsed_s
        self.save()

    def _one_step(self, workers: WorkerGroup, worker: Worker) -> dict[str, float]:
        rate = self.settings.lr_at(self.step, self.elapsed_s)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group.get("factor", 1.0)
        self._optimizer.zero_grad(set_to_none=True)
        total = float(workers.gradients(self.step, worker))
        norm = float(nn.utils.clip_grad_norm_(self._network.parameters(), self.settings.clip))
        if not np.isfinite((total, norm)).all():
            after = f"the loss is {total} and its gradient {norm} after {self.step} steps ({worker.losses})"
            raise DivergedError(f"{after}; a lower --lr or more --warmup may help")
        self._optimizer.step()
        self.step += 1
        self._average.update(self._network, self.step)
        return {**worker.losses, "total": total, "norm": norm}

    def _report(self, seen: list[dict[str, float]], taken_s: float) -> Report:
        means = {name: float(np.mean([each.get(name, 0.0) for each in seen])) for name in seen[-1]}
        norm = means.pop("norm")
        images = len(seen) * self.settings.batch * (2 if self.settings.stage == "video" else 1)
        done = self.settings.done(self.step, self.elapsed_s)
        left_s = self.elapsed_s * (1 - done) / done if done else float("inf")
        rate = self._optimizer.param_groups[0]["lr"]
        return Report(self.step, means, rate, images / max(taken_s, 1e-9), done, left_s, norm)


class Worker:
    """What one process computes of a step.

    Attributes:
        losses: the parts of the last loss.
    """

    def __init__(self, task: Task, settings: TrainSettings) -> None:
        self._task, self._settings = task, settings
        self._order: tuple[int, NDArray[np.int64]] = (-1, np.zeros(0, np.int64))
        self._thread = ThreadPoolExecutor(1, "batches")
        self._ready: dict[tuple[int, int], Future[Batch]] = {}
        self.losses: dict[str, float] = {}

    def __call__(self, step: int, process: int) -> Tensor:
        """The loss of the part of ``process`` of the batch of ``step``, on which nothing else has an influence."""
        self.prepare(step, process)
        batch = self._ready.pop((step, process)).result()
        lower: Any = contextlib.nullcontext()
        if self._settings.precision == "bf16":
            lower = torch.autocast("cpu", torch.bfloat16)
        with lower:
            losses = self._task.losses(batch)
        self.losses = {name: float(value.detach()) for name, value in losses.items()}
        return torch.stack(list(losses.values())).sum()

    def prepare(self, step: int, process: int) -> None:
        """Begin to make the batch of a later call in a thread: it is the same whenever it is made."""
        if (step, process) not in self._ready:
            self._ready[step, process] = self._thread.submit(self._batch, step, process)

    def _batch(self, step: int, process: int) -> Batch:
        random = np.random.default_rng((self._settings.seed, 1, step, process))
        return self._task.batch(self._numbers(step)[process :: self._settings.processes], random)

    def _numbers(self, step: int) -> NDArray[np.int64]:
        """The frames of a step: each frame once in every epoch, in an order of the epoch's own."""
        count, batch = len(self._task.numbers), self._settings.batch
        places = range(step * batch, (step + 1) * batch)
        return np.array([self._epoch(place // count)[place % count] for place in places], np.int64)

    def _epoch(self, epoch: int) -> NDArray[np.int64]:
        if self._order[0] != epoch:
            random = np.random.default_rng((self._settings.seed, 0, epoch))
            self._order = epoch, random.permutation(self._task.numbers)
        return self._order[1]


def _worker(open_task: Callable[[nn.Module], Task], settings: TrainSettings, network: nn.Module) -> Worker:
    """The worker of another process, whose network has its weights in shared memory."""
    torch.set_num_threads(settings.process_threads)
    prepare(network, settings)
    return Worker(open_task(network), settings)


def prepare(network: nn.Module, settings: TrainSettings) -> None:
    """Into the mode of training."""
    network.train()
    if settings.freeze_bn:
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


def make_optimizer(network: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """What changes the weights; only convolutions decay."""
    if settings.optimizer == "muon":
        return Muon(network, settings.peak_lr, settings.applied_weight_decay)
    trained = [each for each in network.parameters() if each.requires_grad]
    groups = decaying(trained, settings.applied_weight_decay)
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=settings.peak_lr, momentum=0.9)
    return torch.optim.AdamW(groups, lr=settings.peak_lr)
