"""Every pixel of a frame assigned to a segment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .detections import check_array


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
