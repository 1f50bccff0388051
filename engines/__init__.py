"""A network file becomes something that runs: OpenVINO, ONNX Runtime, TensorRT, and recorded answers for tests."""

from __future__ import annotations

from .compare import Difference, compare, format_differences
from .open import ENGINES, EngineRow, open_engine
from .queue import EngineQueue
from .replay import ReplayEngine
from .spec import Engine, EngineOptions, NetworkRefused, TensorSpec, check_feeds

__all__ = [
    "ENGINES",
    "Difference",
    "Engine",
    "EngineOptions",
    "EngineQueue",
    "EngineRow",
    "NetworkRefused",
    "ReplayEngine",
    "TensorSpec",
    "check_feeds",
    "compare",
    "format_differences",
    "open_engine",
]
