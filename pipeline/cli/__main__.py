"""``python -m vidgraph.pipeline.cli``."""

import sys

from . import main

sys.exit(main())
