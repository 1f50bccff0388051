"""What a training leaves behind: checkpoints to go on from, the log, and the weights that are used."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..models.weights.checkpoint import load_plain
from ..pipeline.errors import CheckpointError, OutputError

CHECKPOINT, WEIGHTS = "checkpoint.pt", "last.pth"
LOG, ABOUT, LABELS = "training_log.jsonl", "training.json", "labels.txt"
FORMAT = 1
_PARTS = {"format", "network", "average", "optimizer", "step", "elapsed_s", "settings"}


class Average:
    """The running average of a network's weights, and of the statistics of its norms.

    Its decay grows to ``decay`` with the steps, so that the first weights are soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._decay = decay
        self._names = list(network.state_dict())
        self._values = [value.detach().clone() for value in network.state_dict().values()]

    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights after ``step`` steps."""
        decay = min(self._decay, (1 + step) / (10 + step))
        new = list(network.state_dict().values())
        mixed = [place for place, value in enumerate(new) if value.is_floating_point()]
        with torch.no_grad():
            torch._foreach_lerp_([self._values[place] for place in mixed], [new[place] for place in mixed], 1 - decay)
            for place, value in enumerate(new):
                if not value.is_floating_point():
                    self._values[place].copy_(value)

    def state_dict(self) -> dict[str, Tensor]:
        """The averages, by the names of the network's state dict."""
        return dict(zip(self._names, self._values, strict=True))

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from what :meth:`state_dict` gave."""
        for name, value in zip(self._names, self._values, strict=True):
            value.copy_(state[name])


def save_checkpoint(folder: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint and, beside it, the averaged weights alone; a reader sees the old ones or the new ones.

    Raises:
        OutputError: the folder cannot be written to.
    """
    write_tensors(folder / CHECKPOINT, {"format": FORMAT, **content})
    write_tensors(folder / WEIGHTS, {name: value.contiguous() for name, value in content["average"].items()})


def write_tensors(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values under a temporary name, then rename.

    Raises:
        OutputError: it cannot be written.
    """
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with new.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except (OSError, RuntimeError) as error:
        new.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error}") from error


def read_checkpoint(folder: Path) -> dict[str, Any]:
    """The checkpoint of a training; nothing in it is ever run.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        raise CheckpointError(f"{folder} holds no {CHECKPOINT} to go on from; begin without --resume")
    content = load_plain(path)
    if not isinstance(content, dict) or not content.keys() >= _PARTS or not isinstance(content["settings"], dict):
        raise CheckpointError(f"{path} is damaged: it must have {', '.join(sorted(_PARTS))}")
    if content["format"] != FORMAT:
        raise CheckpointError(f"{path} is of format {str(content['format'])[:40]}, this version reads {FORMAT}")
    found: dict[str, Any] = content
    return found


class TrainingLog:
    """``training_log.jsonl``: one line for every few steps, with the mean of each part of the loss over them."""

    def __init__(self, folder: Path, step: int) -> None:
        """Open it for a training that goes on after ``step`` steps: lines that are to come again are removed."""
        self._path = folder / LOG
        lines = self._path.read_text("utf-8").splitlines() if step and self._path.is_file() else []
        kept = [line for line in lines if _step_of(line) <= step]
        new = self._path.with_name(f".{LOG}.new")
        new.write_text("".join(f"{line}\n" for line in kept), "utf-8")
        new.replace(self._path)

    def add(self, line: dict[str, Any]) -> None:
        """Add a line."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):  # the last line of a killed training
        return float("inf")
