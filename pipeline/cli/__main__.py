"""``python -m vidgraph.pipeline.cli``."""

from . import console

console()
