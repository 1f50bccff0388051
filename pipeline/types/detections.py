"""Detected objects of one frame."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .masks import Masks

ANGLE, CORNERS = "angle", "xyxyxyxy"
"""Columns of oriented boxes: float [N], radians from the x axis towards y; float [N, 4, 2], corners in frame pixels.
The latter has the name that supervision knows them by."""
OBJECT_FIELDS = frozenset({"model", "class", "class_id", "score", "box", "track", "mask", "points"})
"""Of an object in results."""
RESERVED_NAMES = OBJECT_FIELDS | {
    "id", "is_thing", "area",  # segments in results
    "image_id", "category_id", "bbox", "segmentation", "iscrowd", "keypoints", "num_keypoints", "track_id",  # COCO
    "stream", "frame", "time_s", "captured_at", "epoch", "width", "height", "held_from",  # CSV
    "x1", "y1", "x2", "y2", "mask_area", "file",
    "class_name",  # supervision
}  # fmt: skip
"""That results and what they are converted to have already: no column of :attr:`Detections.data` can have these."""
_OF_A_POINT = re.compile(r"p\d+_(x|y|score)")  # CSV


def is_column_name(name: Any) -> bool:
    """Whether a column of :attr:`Detections.data` can have this name: a Python identifier that is free."""
    if not isinstance(name, str) or not name.isidentifier():
        return False
    return name not in RESERVED_NAMES and not _OF_A_POINT.fullmatch(name)


def check_array(owner: str, name: str, array: Any, dtype: type[np.generic], shape: tuple[int | None, ...]) -> None:
    """Raise ValueError unless ``array`` has ``dtype`` and ``shape`` (None: any length)."""
    fits = isinstance(array, np.ndarray) and array.dtype == dtype and array.ndim == len(shape)
    if fits:
        for want, length in zip(shape, array.shape, strict=True):
            fits = fits and (want is None or want == length)
    if not fits:
        want_shape = ", ".join("N" if n is None else str(n) for n in shape)
        got = f"{array.dtype} {list(array.shape)}" if isinstance(array, np.ndarray) else type(array).__name__
        raise ValueError(f"{owner}.{name} must be {np.dtype(dtype).name} [{want_shape}], got {got}")


@dataclass(frozen=True, slots=True)
class Detection:
    """One row of :class:`Detections`.

    ``box`` is (x1, y1, x2, y2) in displayed pixels; ``mask`` is a bool array ``[H, W]`` or None; ``data`` has this
    row of each column.
    """

    class_name: str
    class_id: int
    score: float
    box: tuple[float, float, float, float]
    track_id: int | None
    mask: NDArray[np.bool_] | None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Objects of one frame, best first unless a stage says otherwise.

    Attributes:
        boxes: float32 [N, 4], (x1, y1, x2, y2), continuous displayed pixels; pixel i covers [i, i + 1).
        scores: float32 [N], probabilities in [0, 1].
        class_ids: int32 [N], indices into ``class_names``.
        class_names: the names of all classes of the model.
        masks: packed bits per box, or None where the model has no masks.
        track_ids: int32 [N], -1 where a row has no track, or None where nothing tracks.
        data: further columns by name, each of any shape [N, ...]: integers of at most int64, floats of at most
            float64, bool or texts (``U``). Oriented boxes, embeddings, attributes; results have them under their name
            in each object, labels show texts [N]. A name is a Python identifier that neither results nor COCO, CSV
            and supervision have already (``box``, ``id``, ``x1``, ``p1_x``, …). What is read from results is int64,
            float64, bool or texts, with the very values that were written; NaN and infinity cannot be written.

    Raises:
        ValueError: a dtype or shape does not fit the above, or a column cannot have its name.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int32]
    class_names: tuple[str, ...]
    masks: Masks | None = None
    track_ids: NDArray[np.int32] | None = None
    data: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_array("Detections", "boxes", self.boxes, np.float32, (None, 4))
        count = len(self.boxes)
        check_array("Detections", "scores", self.scores, np.float32, (count,))
        check_array("Detections", "class_ids", self.class_ids, np.int32, (count,))
        if self.track_ids is not None:
            check_array("Detections", "track_ids", self.track_ids, np.int32, (count,))
        if self.masks is not None and len(self.masks) != count:
            raise ValueError(f"Detections.masks must have {count} rows, got {len(self.masks)}")
        if not isinstance(self.data, Mapping):
            raise ValueError(f"Detections.data must be a mapping of names to columns, got {type(self.data).__name__}")
        for name, column in self.data.items():
            _check_column(name, column, count)

    @classmethod
    def empty(cls, class_names: tuple[str, ...]) -> Detections:
        """No detections, of a model with these classes."""
        zero = np.zeros(0, np.float32)
        return cls(np.zeros((0, 4), np.float32), zero, np.zeros(0, np.int32), class_names)

    @property
    def corners(self) -> NDArray[np.float32] | None:
        """Corners of oriented boxes, float32 [N, 4, 2], (x, y) in displayed pixels; None where boxes are upright."""
        column = self.data.get(CORNERS)
        if column is None or column.dtype.kind != "f" or column.shape[1:] != (4, 2):
            return None
        return column.astype(np.float32)

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, rows: Any) -> Detections:
        """The detections at ``rows``: a slice, a bool array [N] or an index array.

        Raises:
            TypeError: ``rows`` is something else, as a single index.
        """
        if not isinstance(rows, slice) and (isinstance(rows, tuple) or np.ndim(rows) != 1):
            raise TypeError(
                "Detections are indexed by a slice, a bool array [N] or an index array, "
                f"got {type(rows).__name__}; for one row write detections[[row]] or list(detections)[row]"
            )
        return Detections(
            self.boxes[rows],
            self.scores[rows],
            self.class_ids[rows],
            self.class_names,
            None if self.masks is None else self.masks[rows],
            None if self.track_ids is None else self.track_ids[rows],
            {name: column[rows] for name, column in self.data.items()},
        )

    def __iter__(self) -> Iterator[Detection]:
        for row in range(len(self)):
            class_id = int(self.class_ids[row])
            track = None if self.track_ids is None or self.track_ids[row] < 0 else int(self.track_ids[row])
            x1, y1, x2, y2 = (float(v) for v in self.boxes[row])
            yield Detection(
                self.class_names[class_id],
                class_id,
                float(self.scores[row]),
                (x1, y1, x2, y2),
                track,
                None if self.masks is None else self.masks.full(row),
                {name: column[row] for name, column in self.data.items()},
            )


def _check_column(name: Any, column: Any, count: int) -> None:
    if not is_column_name(name):
        raise ValueError(
            f"Detections.data cannot have a column {name!r}: its name must be a Python identifier that neither results "
            "nor COCO, CSV and supervision have already; rename it"
        )
    if not isinstance(column, np.ndarray) or not _can_be_column(column.dtype) or column.shape[:1] != (count,):
        got = f"{column.dtype} {list(column.shape)}" if isinstance(column, np.ndarray) else type(column).__name__
        raise ValueError(
            f"Detections.data[{name!r}] must be numbers within int64 or float64, truths or texts [{count}, ...], "
            f"got {got}"
        )


def _can_be_column(dtype: np.dtype[Any]) -> bool:
    within = dtype != np.uint64 and (dtype.kind != "f" or dtype.itemsize <= 8)
    return dtype.kind == "U" or (dtype.kind in "biuf" and within)
