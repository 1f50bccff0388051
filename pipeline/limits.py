"""How large things may be that a file only announces: checked before memory is asked for."""

from __future__ import annotations

from numbers import Integral

from .errors import SourceError, UsageError
from .redaction import redact_address

MAX_PIXELS = 2**26
"""Pixels of the largest picture that is read by default, as many as 8192x8192; twice those of an 8K video."""

MAX_LINE_BYTES = 2**25
"""Of a results file. A mask has about a byte for each change along its columns: 8K noise just fits into a line."""

MAX_CLASSES = 2**16
"""Class ids of a file that does not name its classes are below it."""

MAX_SIDE = 2**18
"""Width and height of a recorded frame: their product, added up over a whole line, stays within 64 bits."""

MAX_MASK_BYTES = 2**27
"""Of the packed masks of one frame: 1024 million pixels within their boxes."""

MAX_TEXT_BYTES = 2**27
"""Of a column of texts in a frame of a results file, which NumPy pads to the longest one."""


def check_max_pixels(max_pixels: object) -> None:
    """
    Raises:
        UsageError: it is no number of pixels.
    """
    if isinstance(max_pixels, bool) or not isinstance(max_pixels, Integral) or max_pixels < 1:
        raise UsageError(f"max_pixels must be a whole number from 1, got {max_pixels!r}")


def too_large(name: str, size: tuple[int, int] | None, max_pixels: int) -> SourceError:
    """The error about a picture of (height, width) ``size``, or of one that only the decoder knows to be too large."""
    what = "has pictures" if size is None else f"is {size[1]}x{size[0]}, which is"
    return SourceError(
        f"{redact_address(name)} {what} larger than {max_pixels} pixels, the limit; "
        "if it can be trusted, raise it with --max-pixels N (max_pixels=N; of a data set ?max-pixels=N)"
    )
