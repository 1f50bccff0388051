"""The commands about custom models: check, and export --template."""

from __future__ import annotations

import argparse

from .options import passed
from .terminal import say, show

PROBLEM = 1
"""Exit code where a network was looked through but cannot be run."""


def check(options: argparse.Namespace) -> int:
    """What is known of a network, which engines take it, its cost and speed."""
    from ..models.custom.check import check as look

    checked = look(options.network, **passed(options, look))
    show(checked.text())
    return 0 if checked.works else PROBLEM


def template(options: argparse.Namespace) -> int:
    """Write the TOML of a network."""
    from ..models.custom.template import write_template

    path, unknown = write_template(options.model, options.output, size=options.size, force=options.overwrite)
    say(f"{path}: {unknown} lines are marked # ? as not known" if unknown else f"{path}: everything is known")
    return 0
