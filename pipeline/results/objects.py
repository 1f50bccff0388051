"""Objects of a results file, checked as they are read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..errors import ResultsError
from ..types.rle import box_of_runs, runs_of_rle
from .check import check_labels, check_objects, numbers
from .format import Record
from .from_records import DAMAGE, what
from .reader import FrameRecord


def mask_of(record: FrameRecord, item: Record) -> tuple[Record, int]:
    """An object's mask as COCO has it, and its pixels.

    Raises:
        ResultsError: the mask is damaged.
    """
    runs = _runs(record, item)
    return {"size": list(record.size), "counts": item["mask"]["counts"]}, int(runs[1::2].sum())


def _runs(record: FrameRecord, item: Record) -> NDArray[np.int64]:
    try:
        mask = item["mask"]
        if tuple(mask["size"]) != record.size:
            raise ValueError(f"it must have size {list(record.size)}, got {list(mask['size'])}")
        return runs_of_rle(mask["counts"], record.size)
    except DAMAGE as error:
        raise ResultsError(f"{record.where}: damaged mask ({what(error)})") from error


def objects_of(record: FrameRecord) -> Iterator[Record]:
    """The objects of a frame, then its segments, whose boxes are those around their masks.

    Raises:
        ResultsError: one does not fit the format.
    """
    items = record.data.get("objects", ())
    try:
        check_objects(items, record.class_counts)
    except DAMAGE as error:
        raise ResultsError(f"{record.where}: damaged objects ({what(error)})") from error
    yield from items
    segments = record.data.get("segments")
    if not segments:
        return
    try:
        check_labels(segments, {})  # the classes of the header are those of things
        numbers("a score", [item["score"] for item in segments if "score" in item])
    except DAMAGE as error:
        raise ResultsError(f"{record.where}: damaged segments ({what(error)})") from error
    for item in segments:
        yield _of_segment(record, item)


def _of_segment(record: FrameRecord, item: Record) -> Record:
    """A segment as an object; one without a pixel has an empty box at 0."""
    box = box_of_runs(_runs(record, item), record.size[0])
    kept = {name: item[name] for name in ("model", "class", "class_id", "score", "track", "mask") if name in item}
    return kept | {"box": [float(edge) for edge in box]}
