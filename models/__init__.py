"""Models: one folder each, one row each in ``MODELS``."""

from __future__ import annotations

from .base import Model, load_model
from .export import export
from .family import OutputKeys
from .pull import pull
from .registry import MODELS, ModelRow, find_model
from .stream import ModelStream

__all__ = ["MODELS", "Model", "ModelRow", "ModelStream", "OutputKeys", "export", "find_model", "load_model", "pull"]
