"""RetinaFace: faces with five points, in six variants."""

from __future__ import annotations

from .family import FAMILY

__all__ = ["FAMILY"]
