"""Models: a folder for each family, and how one is loaded and run."""

from __future__ import annotations

from ..pipeline.results.format import ResultKeys
from .export.export import export
from .load import load_model
from .model import Model, ModelStream
from .registry import MODELS, find_model
from .variant import Variant
from .weights.download import pull

__all__ = ["MODELS", "Model", "ModelStream", "ResultKeys", "Variant", "export", "find_model", "load_model", "pull"]
