"""The frames of a data set, rendered once at the resolution of training and then read straight from the disk.

A folder of plain ``.npy`` files, mapped into memory: a frame is read by slicing. ``frames.npy`` and ``flow.npy`` have
a row for each frame; truth of varying length lies end to end, with the place where each frame's begins in
``object_starts.npy``, ``face_starts.npy`` and (bits of each object's mask) ``bit_starts.npy``.
:mod:`.render_frames` writes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..pipeline.errors import SourceError
from ..pipeline.results.parse_json import parse_json
from ..pipeline.types.masks import packed_bytes
from ..pipeline.types.picture import Size

FORMAT = 2
"""Version of the layout of the files."""
FLOW_SHRINK = 8
"""Pixels of a cached frame for each vector of its flow, along each axis."""
DESCRIPTION = "cache.json"


OBJECT_ARRAYS = ("boxes", "class_ids", "track_ids", "ignored", "hidden", "mask_boxes")
FACE_ARRAYS = ("face_boxes", "face_points", "face_known", "faces_ignored")
FRAME_ARRAYS = ("clip", "index", "annotated", "has_flow", "object_counts", "face_counts")


@dataclass(frozen=True, slots=True, eq=False)
class CachedFrame:
    """One frame and its truth, in pixels of the cached frame.

    Attributes:
        image: uint8 [H, W, 3], RGB; a view of the file.
        boxes: float32 [N, 4], (x1, y1, x2, y2).
        class_ids: int32 [N].
        track_ids: int32 [N], -1 where there is none.
        ignored: bool [N], objects that are neither to be found nor to be called background.
        mask_boxes: int32 [N, 4], in whole pixels.
        bits: the packed rows of each mask within its box, uint8 [B_i] for each of N.
        face_boxes: float32 [F, 4].
        face_points: float32 [F, 5, 2].
        face_known: bool [F, 5], which points are known.
        faces_ignored: bool [F].
        flow: float16 [H / 8, W / 8, 2], (x, y) in pixels of the frame from the middle of each cell back to where it was
            in the frame before, NaN where it was not seen; None where the data set has none.
    """

    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    class_ids: NDArray[np.int32]
    track_ids: NDArray[np.int32]
    ignored: NDArray[np.bool_]
    mask_boxes: NDArray[np.int32]
    bits: tuple[NDArray[np.uint8], ...]
    face_boxes: NDArray[np.float32]
    face_points: NDArray[np.float32]
    face_known: NDArray[np.bool_]
    faces_ignored: NDArray[np.bool_]
    flow: NDArray[np.float16] | None

    def mask(self, row: int) -> NDArray[np.uint8]:
        """The mask of an object within its box: uint8 [box height, box width], 0 or 1."""
        x1, y1, x2, y2 = self.mask_boxes[row].tolist()
        packed = self.bits[row].reshape(y2 - y1, (x2 - x1 + 7) // 8)
        return np.unpackbits(packed, axis=1, count=x2 - x1)


class FrameCache:
    """A finished cache; see the module.

    Attributes:
        folder: where it is.
        size: (height, width) of its frames.
        class_names: of the objects.
        clip: int32 [M], the number of each frame's clip in the data set.
        index: int32 [M], the frame's place in its clip.
        annotated: bool [M], frames about which the data set says something.
        object_counts, face_counts: int32 [M].
    """

    def __init__(self, folder: Path) -> None:
        """Open a cache.

        Raises:
            SourceError: the folder holds none, or not a whole one.
        """
        try:
            about = parse_json((folder / DESCRIPTION).read_bytes())
            if about["format"] != FORMAT:
                raise ValueError(f"its format is {about['format']}, this version reads {FORMAT}")
            self.folder, self.size = folder, (int(about["size"][0]), int(about["size"][1]))
            self.class_names: tuple[str, ...] = tuple(map(str, about["class_names"]))
            arrays: dict[str, NDArray[Any]] = {
                name: _loaded(folder / f"{name}.npy") for name in (*OBJECT_ARRAYS, *FACE_ARRAYS, *FRAME_ARRAYS)
            }
            self._frames: NDArray[np.uint8] = np.load(folder / "frames.npy", mmap_mode="r")
            self._flow: NDArray[np.float16] = np.load(folder / "flow.npy", mmap_mode="r")
            self._bits: NDArray[np.uint8] = np.load(folder / "bits.npy", mmap_mode="r")
            _check(arrays, self.size, self._frames, self._flow, self._bits)
        except Exception as error:  # NumPy documents no types here; a damaged head raises nearly anything
            raise SourceError(
                f"{folder} is no whole cache of frames: {error}; remove it to have it made again"
            ) from error
        self.clip, self.index, self.annotated = arrays["clip"], arrays["index"], arrays["annotated"]
        self.object_counts, self.face_counts = arrays["object_counts"], arrays["face_counts"]
        self._has_flow = arrays["has_flow"]
        self._objects = {name: arrays[name] for name in OBJECT_ARRAYS if name != "hidden"}  # no training asks for it
        self._faces = {name: arrays[name] for name in FACE_ARRAYS}
        self._object_starts, self._face_starts = starts(self.object_counts), starts(self.face_counts)
        self._bit_starts = starts(packed_bytes(self._objects["mask_boxes"]))

    def __len__(self) -> int:
        return len(self.clip)

    def __getitem__(self, number: int) -> CachedFrame:
        first, last = int(self._object_starts[number]), int(self._object_starts[number + 1])
        objects = slice(first, last)
        faces = slice(int(self._face_starts[number]), int(self._face_starts[number + 1]))
        edges = self._bit_starts[first : last + 1].tolist()
        return CachedFrame(
            image=self._frames[number],
            bits=tuple(self._bits[start:end] for start, end in pairwise(edges)),
            flow=self._flow[number] if self._has_flow[number] else None,
            **{name: rows[objects] for name, rows in self._objects.items()},
            **{name: rows[faces] for name, rows in self._faces.items()},
        )

    @property
    def has_masks(self) -> bool:
        """Some object has a mask."""
        return len(self._bits) > 0

    def before(self, number: int, distance: int) -> int:
        """The frame of the same clip at most ``distance`` frames before ``number``: its number."""
        index, clip = self.index[number] - distance, self.clip[number]
        candidate = number
        while candidate > 0 and self.clip[candidate - 1] == clip and self.index[candidate - 1] >= index:
            candidate -= 1
        return candidate


def _loaded(path: Path) -> NDArray[Any]:
    """An array of a file, in memory; the file is mapped first, for its head may announce more than it has."""
    return np.array(np.load(path, mmap_mode="r"))


def _check(
    arrays: dict[str, NDArray[Any]], size: Size, frames: NDArray[Any], flow: NDArray[Any], bits: NDArray[Any]
) -> None:
    """
    Raises:
        ValueError: the arrays do not belong together.
    """
    total = len(arrays["clip"])
    several = {
        **dict.fromkeys(OBJECT_ARRAYS, int(arrays["object_counts"].sum())),
        **dict.fromkeys(FACE_ARRAYS, int(arrays["face_counts"].sum())),
        **dict.fromkeys(FRAME_ARRAYS, total),
    }
    for name, count in several.items():
        if len(arrays[name]) != count:
            raise ValueError(f"{name} has {len(arrays[name])} rows in place of {count}")
    shrunk = (size[0] // FLOW_SHRINK, size[1] // FLOW_SHRINK)
    if frames.shape != (total, *size, 3) or flow.shape != (total, *shrunk, 2):
        raise ValueError(f"frames {list(frames.shape)} and flow {list(flow.shape)} are not of {total} frames")
    boxes, counts = arrays["mask_boxes"], np.concatenate([arrays["object_counts"], arrays["face_counts"]])
    if counts.min(initial=0) < 0 or boxes.shape[1:] != (4,) or (boxes[:, :2] > boxes[:, 2:]).any():
        raise ValueError("it counts less than nothing")
    if len(bits) != int(packed_bytes(boxes).sum()):
        raise ValueError(f"masks have {len(bits)} bytes in place of {int(packed_bytes(boxes).sum())}")


def starts(counts: NDArray[Any]) -> NDArray[np.int64]:
    """Where each run begins whose lengths are ``counts`` [N], and where the last ends: int64 [N + 1]."""
    places = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=places[1:])
    return places
