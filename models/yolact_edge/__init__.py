"""YolactEdge and YOLACT: instances with masks, in pictures and, with features that follow the motion, in video."""

from __future__ import annotations

from .family import FAMILY

__all__ = ["FAMILY"]
