"""TensorRT-RTX: builds for cards of several kinds, on any machine."""

from __future__ import annotations

from functools import partial

from .flavour import RTX
from .open import build_with, described, kept_layers as kept_layers, open_with

describe = partial(described, RTX)
open_network = partial(open_with, RTX)
build_network = partial(build_with, RTX)
