"""Objects of a results file, checked as they are read."""

from __future__ import annotations

from collections.abc import Iterator

from .errors import ResultsError
from .masks import Masks
from .read_results import FrameRecord
from .results import Record


def mask_area(record: FrameRecord, item: Record) -> int:
    """Pixels of an object's mask.

    Raises:
        ResultsError: the mask is damaged.
    """
    try:
        return Masks.from_rles([item["mask"]], record.size).area(0)
    except (KeyError, TypeError, ValueError) as error:
        raise ResultsError(f"{record.where}: damaged mask ({error})") from error


def objects_of(record: FrameRecord) -> Iterator[Record]:
    """The objects of a frame, then its segments, whose boxes are those around their masks.

    Raises:
        ResultsError: one does not fit the format.
    """
    for item in record.data.get("objects", ()):
        try:
            shapes = [len(item["box"]), *{len(point) for point in item.get("points", ())}]
        except (KeyError, TypeError) as error:
            raise ResultsError(f"{record.where}: an object without a box") from error
        if shapes not in ([4], [4, 3]):
            raise ResultsError(f"{record.where}: a box has 4 numbers and a point 3, got {shapes}")
        yield item
    for item in record.data.get("segments", ()):
        yield _of_segment(record, item)


def _of_segment(record: FrameRecord, item: Record) -> Record:
    """A segment as an object; one without a pixel has an empty box at 0."""
    try:
        mask = Masks.from_rles([item["mask"]], record.size)
        kept = {name: item[name] for name in ("model", "class", "class_id", "score", "track", "mask") if name in item}
    except (KeyError, TypeError, ValueError) as error:
        raise ResultsError(f"{record.where}: damaged segment ({error})") from error
    return kept | {"box": [float(edge) for edge in mask.boxes[0].tolist()]}
