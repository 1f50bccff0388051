"""Every pixel of a frame assigned to a segment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...kernels import encode_runs, label_runs
from .detections import check_array
from .masks import Rle
from .rle import runs_of_rle


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of a :class:`PanopticMap`. ``score`` is None for stuff, ``track_id`` None where nothing tracks."""

    id: int
    class_id: int
    class_name: str
    is_thing: bool
    score: float | None
    area_px: int
    track_id: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PanopticMap:
    """Segments of one frame.

    Attributes:
        segment_ids: int32 [H, W], displayed pixels; 0 = void, otherwise the id of one of ``segments``.
        segments: ids are unique and positive.

    Raises:
        ValueError: a dtype, shape or id does not fit the above.
    """

    segment_ids: NDArray[np.int32]
    segments: tuple[Segment, ...]

    def __post_init__(self) -> None:
        check_array("PanopticMap", "segment_ids", self.segment_ids, np.int32, (None, None))
        ids = [segment.id for segment in self.segments]
        if len(set(ids)) != len(ids) or any(i <= 0 for i in ids):
            raise ValueError(f"PanopticMap.segments must have unique positive ids, got {ids}")

    @classmethod
    def from_rles(
        cls, segments: Sequence[Segment], rles: Sequence[Mapping[str, Any]], size: tuple[int, int]
    ) -> PanopticMap:
        """A map of ``size`` (height, width) from COCO RLE masks, one for each segment.

        Raises:
            ValueError: a mask is damaged or of another size, or two of them share a pixel.
        """
        starts, lengths, owners = [], [], []
        for segment, rle in zip(segments, rles, strict=True):
            if tuple(rle["size"]) != size:
                raise ValueError(f"segment {segment.id} must have size {list(size)}, got {list(rle['size'])}")
            runs = runs_of_rle(rle["counts"], size)
            starts.append(np.cumsum(runs)[: 2 * (len(runs) // 2) : 2])
            lengths.append(runs[1::2])
            owners.append(np.full(len(runs) // 2, segment.id, np.int32))
        nothing = np.zeros(0, np.int64)
        first, length = np.concatenate([nothing, *starts]), np.concatenate([nothing, *lengths])
        used = np.flatnonzero(length)
        order = used[np.argsort(first[used])]
        ids = _filled(first[order], length[order], np.concatenate([nothing, *owners])[order], size)
        return cls(ids, tuple(segments))

    def rles(self) -> list[Rle]:
        """The mask of each segment as COCO compressed RLE, in their order."""
        height, width = self.segment_ids.shape
        labels, lengths = label_runs(np.ascontiguousarray(self.segment_ids))
        ends = np.cumsum(lengths)
        order = np.argsort(labels, kind="stable")
        ids = np.array([segment.id for segment in self.segments], np.int32)
        bounds = (np.searchsorted(labels, ids, side, sorter=order) for side in ("left", "right"))
        counts = []
        for first, last in zip(*bounds, strict=True):
            rows = order[first:last]
            edges = np.stack([ends[rows] - lengths[rows], ends[rows]], axis=1).reshape(-1)
            runs = np.diff(edges, prepend=0, append=height * width)
            counts.append(encode_runs(runs[:-1] if len(runs) > 1 and runs[-1] == 0 else runs))
        return [{"size": [height, width], "counts": text} for text in counts]


def _filled(
    starts: NDArray[np.int64], lengths: NDArray[np.int64], ids: NDArray[np.int64], size: tuple[int, int]
) -> NDArray[np.int32]:
    """A map int32 [H, W] of runs in rising order down the columns; 0 in between.

    Raises:
        ValueError: two runs share a pixel.
    """
    ends = starts + lengths
    gaps = np.diff(np.stack([starts, ends], axis=1).reshape(-1), prepend=0, append=size[0] * size[1])
    if gaps.min(initial=0) < 0:
        raise ValueError("two segments share a pixel")
    values = np.zeros(len(gaps), np.int32)
    values[1::2] = ids
    columns = np.repeat(values, gaps).reshape(size[1], size[0])
    return np.ascontiguousarray(columns.T)
