"""``python -m vidgraph.cli``."""

from . import console

console()
