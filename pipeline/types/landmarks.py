"""Named points of detected objects: face points, body joints."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .detections import check_array


@dataclass(frozen=True, slots=True, eq=False)
class Landmarks:
    """K named points for each of N objects of one frame.

    Attributes:
        points: float32 [N, K, 2], (x, y) in continuous displayed pixels.
        scores: float32 [N, K], probabilities in [0, 1]; 1 where the model gives none.
        boxes: float32 [N, 4], the object each row belongs to, (x1, y1, x2, y2).
        names: the K point names.
        detection_rows: int32 [N], row in the frame's ``Detections``, -1 for none.
        track_ids: int32 [N], -1 where a row has no track.

    Raises:
        ValueError: a dtype or shape does not fit the above.
    """

    points: NDArray[np.float32]
    scores: NDArray[np.float32]
    boxes: NDArray[np.float32]
    names: tuple[str, ...]
    detection_rows: NDArray[np.int32]
    track_ids: NDArray[np.int32]

    def __post_init__(self) -> None:
        check_array("Landmarks", "points", self.points, np.float32, (None, len(self.names), 2))
        count = len(self.points)
        check_array("Landmarks", "scores", self.scores, np.float32, (count, len(self.names)))
        check_array("Landmarks", "boxes", self.boxes, np.float32, (count, 4))
        check_array("Landmarks", "detection_rows", self.detection_rows, np.int32, (count,))
        check_array("Landmarks", "track_ids", self.track_ids, np.int32, (count,))

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, rows: Any) -> Landmarks:
        """The landmarks at ``rows``: a slice, a bool array [N] or an index array. They belong to what they did."""
        return Landmarks(
            self.points[rows],
            self.scores[rows],
            self.boxes[rows],
            self.names,
            self.detection_rows[rows],
            self.track_ids[rows],
        )

    def of_detections(self, kept: NDArray[np.integer[Any]]) -> Landmarks:
        """The landmarks of the detections that are kept, in their order, then those that belong to none.

        Args:
            kept: [M], rows in the frame's detections as they were; ``detection_rows`` of the result count in these.
        """
        places, rows = np.nonzero(np.asarray(kept)[:, None] == self.detection_rows)
        alone = np.flatnonzero(self.detection_rows < 0)
        detection_rows = np.concatenate([places, np.full(len(alone), -1)]).astype(np.int32)
        return replace(self[np.concatenate([rows, alone])], detection_rows=detection_rows)
