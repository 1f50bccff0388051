"""TensorRT: builds for the card of this machine."""

from __future__ import annotations

from functools import partial

from .flavour import STANDARD
from .open import build_with, described, kept_layers as kept_layers, open_with

describe = partial(described, STANDARD)
open_network = partial(open_with, STANDARD)
build_network = partial(build_with, STANDARD)
