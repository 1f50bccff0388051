"""Packages that a comparison uses where they are installed."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def optional(name: str) -> Any:
    """The module, or None where it is not installed: its formulation is then left out of the comparison."""
    try:
        return import_module(name)
    except ImportError:
        return None
