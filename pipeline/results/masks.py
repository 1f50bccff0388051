"""Masks in a frame of a results file, checked as they are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import ResultsError
from ..types.rle import runs_of_rle
from .record import DAMAGE, Record, what


class ReadFrame(Protocol):
    """What is needed of a frame of a results file; :class:`.reader.FrameRecord` has it."""

    @property
    def where(self) -> str: ...
    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def class_counts(self) -> Mapping[str, int]: ...


def mask_of(record: ReadFrame, item: Record) -> tuple[Record, int]:
    """An object's mask as COCO has it, and its pixels.

    Raises:
        ResultsError: the mask is damaged.
    """
    runs = mask_runs(record, item)
    return {"size": list(record.size), "counts": item["mask"]["counts"]}, int(runs[1::2].sum())


def mask_runs(record: ReadFrame, item: Record) -> NDArray[np.int64]:
    """The run lengths of an object's mask; errors as above."""
    try:
        mask = item["mask"]
        if tuple(mask["size"]) != record.size:
            raise ValueError(f"it must have size {list(record.size)}, got {list(mask['size'])}")
        return runs_of_rle(mask["counts"], record.size)
    except DAMAGE as error:
        raise ResultsError(f"{record.where}: damaged mask ({what(error)})") from error
