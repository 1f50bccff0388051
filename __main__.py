"""``python -m vidgraph`` is the command ``vidgraph``."""

from __future__ import annotations

if __name__ == "__main__":
    from .cli import console

    console()
