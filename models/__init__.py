"""Models: one folder each, one row each in ``MODELS``."""

from __future__ import annotations

from .base import Model, ModelStream, load_model
from .export import export
from .family import OutputKeys
from .pull import pull
from .registry import MODELS, ModelRow, find_model

__all__ = ["MODELS", "Model", "ModelRow", "ModelStream", "OutputKeys", "export", "find_model", "load_model", "pull"]
