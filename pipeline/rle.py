"""COCO's compressed run-length encoding, read; :func:`vidgraph.kernels.rle_counts` writes it.

Runs alternate between 0 and 1, start with 0, and go down the columns. From the fourth run on the
difference to the run before the last is stored; each number is written in groups of 5 bits, the
lowest first, bit 6 says that more follow, and 48 is added to make it printable.

Source: the COCO data format (Lin et al., ECCV 2014), as its public tools write it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_GROUPS = 13  # of 5 bits: the 63 bits of any count


def decode_runs(text: str) -> NDArray[np.int64]:
    """The run lengths, int64 [R], of a compressed text.

    Raises:
        ValueError: the text is not COCO compressed RLE.
    """
    try:
        codes = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - 48
    except UnicodeEncodeError:
        raise ValueError(f"RLE counts must be ASCII, got {text[:20]!r}") from None
    if not len(codes):
        return np.zeros(0, np.int64)
    last = codes & 0x20 == 0
    if codes.min() < 0 or codes.max() > 63 or not last[-1]:
        raise ValueError(f"RLE counts are damaged: {text[:20]!r} …")
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > _GROUPS:
        raise ValueError(f"RLE counts have a number of {lengths.max()} groups, the limit is {_GROUPS}")
    shifts = 5 * (np.arange(len(codes)) - np.repeat(starts, lengths))
    values = np.add.reduceat((codes & 0x1F) << shifts, starts)
    negative = codes[ends] & 0x10 != 0
    values[negative] -= np.int64(1) << (5 * lengths[negative])
    for first in (1, 2):
        values[first::2] = np.cumsum(values[first::2])
    return values


def runs_of_rle(counts: str | bytes | Sequence[int], size: tuple[int, int]) -> NDArray[np.int64]:
    """The run lengths of RLE ``counts`` (compressed text or bytes, or a list of runs), checked against ``size``.

    Raises:
        ValueError: damaged text, a negative run, or runs that do not add up to height x width.
    """
    if isinstance(counts, bytes):
        counts = counts.decode("ascii", "replace")
    if isinstance(counts, str):
        runs = decode_runs(counts)
    else:
        runs = np.asarray(counts, np.int64).reshape(-1)
    total = size[0] * size[1]
    if runs.sum() != total or (len(runs) and runs.min() < 0):
        raise ValueError(f"RLE counts must be non-negative and add up to {size[0]} x {size[1]}, got {runs.sum()}")
    return runs
