"""The splits that models are judged on, held fast: hashes of what is drawn."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from ...stages.sources.synthetic.render import SceneRenderer
from ...stages.sources.synthetic.settings import SPLITS

FROZEN = Path(__file__).with_name("splits.json")
"""For each split and clip the hash of its first and its last frame, and what :func:`statistics` said."""

JUDGED = ("easy", "hard", "faces")


def clip_hash(split: str, clip: int) -> str:
    """SHA-256 of the maps of surfaces and the colours of the first and the last frame of a clip.

    Colours are those before noise and compression, so that it does not depend on the version of a codec.
    """
    settings = SPLITS[split]
    renderer, digest = SceneRenderer(settings, clip), hashlib.sha256()
    for index in (0, settings.frames - 1):
        rendered = renderer.draw(renderer.moment(index))
        digest.update(np.ascontiguousarray(rendered.surfaces).tobytes())
        digest.update(np.round(rendered.canvas.table().colours).astype(np.uint8).tobytes())
    return digest.hexdigest()


def frozen(split: str) -> dict[str, Any]:
    """What was written down of a split when it was fixed: ``address``, ``hashes``, ``statistics``."""
    read: dict[str, Any] = json.loads(FROZEN.read_text("utf-8"))[split]
    return read
