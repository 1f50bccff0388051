"""The command convert."""

from __future__ import annotations

import argparse

from .terminal import show_path


def convert(options: argparse.Namespace) -> int:
    """Convert a results file."""
    from ..pipeline.results.convert import convert as write

    show_path(
        write(options.results, options.to, options.output, overwrite=options.overwrite, max_pixels=options.max_pixels)
    )
    return 0
