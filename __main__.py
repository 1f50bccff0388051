"""``python -m vidgraph`` is the command ``vidgraph``."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from .pipeline.cli import main

    sys.exit(main())
