"""Where a model takes its frames."""

from __future__ import annotations

from ..engines.open import choose_device, place_of_arrays
from ..kernels.device import Device
from .model import Model
from .resolve import ResolvedModel


def place_of_frames(model: Model | ResolvedModel, engine: str = "auto", device: str = "auto") -> Device:
    """Where a model takes its frames; ``engine`` and ``device`` are those of one that is not loaded yet.

    Raises:
        UsageError, MissingExtraError: there is no such engine or device.
    """
    if isinstance(model, Model):
        return place_of_arrays(model.engine_choice.engine, model.engine_choice.device)
    return place_of_arrays(engine, choose_device(device, engine, model.kind))
