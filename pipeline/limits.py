"""How large things may be that a file only announces: checked before memory is asked for."""

from __future__ import annotations

MAX_PIXELS = 2**26
"""Pixels of the largest picture that is read by default, as many as 8192x8192; twice those of an 8K video."""

MAX_LINE_BYTES = 2**25
"""Of a results file. A mask has about a byte for each change along its columns: 8K noise just fits into a line."""

MAX_CLASSES = 2**16
"""Class ids of a file that does not name its classes are below it."""

MAX_SIDE = 2**18
"""Width and height of a recorded frame: their product, added up over a whole line, stays within 64 bits."""

MAX_MASK_BYTES = 2**28
"""Of the packed masks of one frame: 2048 million pixels within their boxes."""
