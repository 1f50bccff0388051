"""The model of a run that names none, and what to say where none can be taken."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..pipeline.errors import UsageError
from ..stages.sources.synthetic.settings import is_synthetic
from .registry import MODELS
from .variant import Variant
from .weights.find import weights_here

SYNTHETIC_MODEL = "yolact-edge-tiny"
"""It comes with the package, trained on synthetic scenes."""

REAL_MODEL = "deimv2-femto"
"""For real video, to begin with: the 80 classes of COCO; 4 MB, Apache-2.0."""


def default_model(addresses: Sequence[str | os.PathLike[str]]) -> str:
    """The name of the model for sources of synthetic scenes; nothing else has one.

    Args:
        addresses: of the sources; of none at all, so that what is said is that there are none.

    Raises:
        UsageError: another kind of source; the message names the models with weights on this machine.
    """
    if all(map(_world, addresses)):
        return SYNTHETIC_MODEL
    ready = ", ".join(f"{row.name} (trained on: {row.trained_on})" for row in models_here())
    here = f"weights on this machine are those of {ready}" if ready else "no weights are on this machine"
    raise UsageError(
        f"no model was given (--model NAME, in Python model=NAME); {here}; vidgraph models lists all, and "
        f"vidgraph pull NAME gets weights, to begin with: vidgraph pull {REAL_MODEL}. Only synthetic scenes "
        f"(synth:street) have a model of their own: trained on it, it would find nothing in real video"
    )


def models_here() -> list[Variant]:
    """The models whose weights are on this machine, in the order of the table."""
    return [row for row in MODELS.values() if weights_here(row) is not None]


def _world(address: str | os.PathLike[str]) -> bool:
    text = os.fspath(address)
    return is_synthetic(text) or is_synthetic(text.partition("=")[2])  # NAME=ADDRESS names the stream
