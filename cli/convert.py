"""The command convert."""

from __future__ import annotations

import argparse

from .options import passed
from .terminal import show_path


def convert(options: argparse.Namespace) -> int:
    """Convert a results file."""
    from ..pipeline.results.convert import convert as write

    show_path(write(options.results, options.to, options.output, **passed(options, write)))
    return 0
