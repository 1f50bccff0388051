"""RetinaFace: faces with five points, in five variants."""

from __future__ import annotations

from .family import FAMILY

__all__ = ["FAMILY"]
