"""COCO's compressed run-length encoding, read; :func:`vidgraph.kernels.rle_counts` writes it.

Runs alternate between 0 and 1, start with 0, and go down the columns. From the fourth run on the
difference to the run before the last is stored; each number is written in groups of 5 bits, the
lowest first, bit 6 says that more follow, and 48 is added to make it printable.

Source: the COCO data format (Lin et al., ECCV 2014), as its public tools write it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

_GROUPS = 13  # of 5 bits: the 63 bits of any count
_BLOCK = 1 << 20  # characters that are read at once: what is needed meanwhile is some fifty times as much


def decode_runs(text: str) -> NDArray[np.int64]:
    """The run lengths, int64 [R], of a compressed text.

    Raises:
        ValueError: the text is not COCO compressed RLE.
    """
    try:
        codes = np.frombuffer(text.encode("ascii"), np.uint8) - 48  # what is less than 48 becomes more than 63
    except UnicodeEncodeError:
        raise ValueError(f"RLE counts must be ASCII, got {text[:20]!r}") from None
    if not len(codes):
        return np.zeros(0, np.int64)
    if codes.max() > 63 or codes[-1] & 0x20:
        raise ValueError(f"RLE counts are damaged: {text[:20]!r} …")
    values = _stored(codes) if len(codes) <= _BLOCK else np.concatenate([_stored(part) for part in _blocks(codes)])
    for first in (1, 2):
        values[first::2] = np.cumsum(values[first::2])
    return values


def _blocks(codes: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """The codes in parts that end where a number does; a number that is too long may be cut."""
    start = 0
    while start < len(codes):
        end = start + _BLOCK
        more = np.flatnonzero(codes[end - 1 : end + _GROUPS] & 0x20 == 0)
        end += int(more[0]) if len(more) else _GROUPS
        yield codes[start:end]
        start = end


def _stored(codes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The numbers as they are stored, before differences are added up.

    Raises:
        ValueError: one is too long.
    """
    ends = np.flatnonzero(codes & 0x20 == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if not len(ends) or ends[-1] != len(codes) - 1 or lengths.max() > _GROUPS:
        raise ValueError(f"RLE counts have a number of more than {_GROUPS} groups")
    shifts = 5 * (np.arange(len(codes)) - np.repeat(starts, lengths))
    values = np.add.reduceat((codes.astype(np.int64) & 0x1F) << shifts, starts)
    negative = codes[ends] & 0x10 != 0
    values[negative] -= np.int64(1) << (5 * lengths[negative])
    return values


def runs_of_rle(counts: str | bytes | Sequence[int], size: tuple[int, int]) -> NDArray[np.int64]:
    """The run lengths of RLE ``counts`` (compressed text or bytes, or a list of runs), checked against ``size``.

    Raises:
        ValueError: damaged text, a negative run, or runs that do not add up to height x width.
        TypeError: ``counts`` is something else.
    """
    if isinstance(counts, bytes):
        counts = counts.decode("ascii", "replace")
    if isinstance(counts, str):
        runs = decode_runs(counts)
    else:
        runs = _listed(counts)
    total = size[0] * size[1]
    if runs.sum() != total or (len(runs) and (runs.min() < 0 or runs.max() > total)):
        raise ValueError(f"RLE counts must be non-negative and add up to {size[0]} x {size[1]}, got {runs.sum()}")
    return runs


def _listed(counts: Sequence[int]) -> NDArray[np.int64]:
    """
    Raises:
        ValueError, TypeError: they are no list of whole numbers.
    """
    try:
        return np.array(array("q", counts))
    except OverflowError:
        raise ValueError("RLE counts have a number of more than 64 bits") from None


def box_of_runs(runs: NDArray[np.int64], height: int) -> tuple[int, int, int, int]:
    """The tightest box (x1, y1, x2, y2) around the pixels of a mask; zeros where it has none."""
    ends = np.cumsum(runs)[1::2]
    lengths = runs[1::2]
    used = lengths > 0
    if not used.any():
        return 0, 0, 0, 0
    last, first = ends[used] - 1, ends[used] - lengths[used]
    x1, x2 = int(first[0]) // height, int(last[-1]) // height + 1
    if (first // height != last // height).any():  # a run that goes on in the next column touches both edges
        return x1, 0, x2, height
    return x1, int((first % height).min()), x2, int((last % height).max()) + 1
