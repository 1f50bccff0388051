"""Instance masks, kept as packed bits inside their boxes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from ...kernels import mask_outlines, rle_counts
from ..limits import MAX_MASK_BYTES
from .rle import runs_of_rle


class Rle(TypedDict):
    """A mask as COCO stores it: ``size`` is [height, width], ``counts`` the compressed text."""

    size: list[int]
    counts: str


@dataclass(frozen=True, slots=True, eq=False)
class Masks:
    """One mask for each of N objects of a frame.

    The arrays are owned by the object and made read-only; those that are views are copied.

    Attributes:
        boxes: int32 [N, 4], (x1, y1, x2, y2), whole displayed pixels inside the frame; the mask is 0
            outside of its box, and a box may be empty.
        bits: uint8 [B], the rows of each box from top to bottom, packed with the leftmost pixel in the
            highest bit, each row padded to a whole byte.
        offsets: int64 [N + 1], where the bits of each mask begin and end.
        size: (height, width) of the frame.

    Raises:
        ValueError: a dtype, shape, box or offset does not fit the above.
    """

    boxes: NDArray[np.int32]
    bits: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    size: tuple[int, int]

    def __post_init__(self) -> None:
        wanted = {"boxes": (np.int32, 2), "bits": (np.uint8, 1), "offsets": (np.int64, 1)}
        for name, (dtype, dimensions) in wanted.items():
            array = getattr(self, name)
            if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != dimensions:
                got = f"{array.dtype} {list(array.shape)}" if isinstance(array, np.ndarray) else type(array).__name__
                raise ValueError(f"Masks.{name} must be {np.dtype(dtype).name} of {dimensions} dimensions, got {got}")
            if array.base is not None:
                array = array.copy()
                object.__setattr__(self, name, array)
            array.flags.writeable = False
        self._check()

    def _check(self) -> None:
        height, width = self.size
        boxes, count = self.boxes, len(self.boxes)
        if boxes.shape[1] != 4 or len(self.offsets) != count + 1:
            got = f"{list(boxes.shape)} and {list(self.offsets.shape)}"
            raise ValueError(f"Masks must have boxes [N, 4] and offsets [N + 1], got {got}")
        wrong = (boxes[:, :2] < 0) | (boxes[:, :2] > boxes[:, 2:]) | (boxes[:, 2:] > (width, height))
        if wrong.any():
            row = int(np.flatnonzero(wrong.any(axis=1))[0])
            raise ValueError(f"Masks.boxes[{row}] must lie within {width}x{height}, got {boxes[row].tolist()}")
        ends = np.concatenate([[0], np.cumsum(packed_bytes(boxes))])
        if not np.array_equal(self.offsets, ends) or len(self.bits) != ends[-1]:
            raise ValueError(
                f"Masks.offsets must be {ends.tolist()[:8]} for these boxes and bits of that length,"
                f" got {self.offsets.tolist()[:8]} and {len(self.bits)} bytes"
            )

    @classmethod
    def from_full(cls, full: NDArray[np.bool_]) -> Masks:
        """Pack whole masks: bool [N, H, W]; each box is the tightest one (empty at 0 where nothing is set)."""
        if full.ndim != 3 or full.dtype != np.bool_:
            raise ValueError(f"whole masks must be bool [N, H, W], got {full.dtype} {list(full.shape)}")
        size = (full.shape[1], full.shape[2])
        return cls.from_crops([_crop(mask, (0, 0)) for mask in full], size)

    @classmethod
    def from_rles(cls, rles: Sequence[Mapping[str, Any]], size: tuple[int, int]) -> Masks:
        """Pack COCO RLE masks, compressed (text or bytes) or as lists of runs, of a frame of ``size`` (height, width).

        Raises:
            ValueError: an RLE is damaged or of another size, or packed they would take more than 128 MiB.
        """
        return cls.from_crops(_crops_of(rles, size), size)

    @classmethod
    def from_crops(cls, crops: Iterable[tuple[NDArray[np.int32], NDArray[np.bool_]]], size: tuple[int, int]) -> Masks:
        """Pack masks within their boxes: (x1, y1, x2, y2) int32 in a frame of ``size``, bool [y2 - y1, x2 - x1].

        Raises:
            ValueError: a box does not fit.
        """
        corners: list[NDArray[np.int32]] = []
        bits: list[NDArray[np.uint8]] = [np.zeros(0, np.uint8)]
        for box, mask in crops:  # one at a time: whole ones take eight times as much
            corners.append(box)
            bits.append(np.packbits(mask, axis=1).reshape(-1))
        boxes = np.array(corners, np.int32).reshape(-1, 4)
        offsets = np.zeros(len(bits), np.int64)
        np.cumsum([len(part) for part in bits[1:]], out=offsets[1:])
        return cls(boxes, np.concatenate(bits), offsets, size)

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, rows: Any) -> Masks:
        """The masks at ``rows``: a slice, a bool array [N] or an index array."""
        chosen = np.arange(len(self))[rows]
        if chosen.ndim != 1:
            raise IndexError("Masks take a slice, a bool array or an index array; use full(row) for one mask")
        parts = [self.bits[self.offsets[row] : self.offsets[row + 1]] for row in chosen.tolist()]
        offsets = np.zeros(len(chosen) + 1, np.int64)
        np.cumsum([len(part) for part in parts], out=offsets[1:])
        return Masks(self.boxes[chosen], np.concatenate([np.zeros(0, np.uint8), *parts]), offsets, self.size)

    def crop(self, row: int) -> NDArray[np.bool_]:
        """The mask inside its box: a new bool array [box height, box width]."""
        bits, (x1, y1, x2, y2) = self._packed(row)
        packed = bits.reshape(y2 - y1, (x2 - x1 + 7) // 8)
        return np.unpackbits(packed, axis=1, count=x2 - x1).view(np.bool_)

    def full(self, row: int) -> NDArray[np.bool_]:
        """The mask of the whole frame: a new bool array [H, W]."""
        x1, y1, x2, y2 = self.boxes[row].tolist()
        mask = np.zeros(self.size, np.bool_)
        mask[y1:y2, x1:x2] = self.crop(row)
        return mask

    def area(self, row: int) -> int:
        """How many pixels the mask has."""
        return int(np.count_nonzero(self.crop(row)))

    def rle(self, row: int) -> Rle:
        """The mask as COCO compressed RLE, equal to what COCO's own tools write for it."""
        return {"size": list(self.size), "counts": rle_counts(*self._packed(row), size=self.size)}

    def polygons(self, row: int) -> list[list[float]]:
        """Exterior outlines along the pixel edges, one flat [x1, y1, x2, y2, …] for each 4-connected part."""
        return mask_outlines(*self._packed(row))

    def _packed(self, row: int) -> tuple[NDArray[np.uint8], tuple[int, int, int, int]]:
        """The bits and the box of one mask."""
        row = range(len(self))[row]
        x1, y1, x2, y2 = self.boxes[row].tolist()
        return self.bits[self.offsets[row] : self.offsets[row + 1]], (x1, y1, x2, y2)


def packed_bytes(boxes: NDArray[np.int32]) -> NDArray[np.int64]:
    """Bytes of the packed bits of a mask in each of ``boxes`` int32 [N, 4]: int64 [N]."""
    widths, heights = (boxes[:, 2:] - boxes[:, :2]).astype(np.int64).T
    needed: NDArray[np.int64] = (widths + 7) // 8 * heights
    return needed


def _crops_of(
    rles: Sequence[Mapping[str, Any]], size: tuple[int, int]
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.bool_]]]:
    """The box and the mask within it of each RLE, as long as there is room for them: a short text may fill a frame."""
    total = 0
    for row, rle in enumerate(rles):
        box, mask = _crop_of(row, rle, size)
        total += mask.size // 8
        if total > MAX_MASK_BYTES:
            raise ValueError(f"the masks of one frame take more than {MAX_MASK_BYTES >> 20} MiB")
        yield box, mask


def _crop_of(row: int, rle: Mapping[str, Any], size: tuple[int, int]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """The box and the mask within it of one RLE."""
    height, width = size
    if tuple(rle["size"]) != (height, width):
        raise ValueError(f"mask {row} must have size [{height}, {width}], got {list(rle['size'])}")
    changes = np.cumsum(runs_of_rle(rle["counts"], size))[:-1]
    if not len(changes) or not height * width:
        return _crop(np.zeros((0, 0), np.bool_), (0, 0))
    last = int(changes[-1]) if len(changes) % 2 == 0 else height * width  # one past the last pixel set
    first_column, end_column = int(changes[0]) // height, -(-last // height)
    edges = np.empty(len(changes) + 2, np.int64)
    edges[0], edges[1:-1], edges[-1] = 0, changes, height * width
    np.minimum(np.maximum(edges, first_column * height), end_column * height, out=edges)
    values = np.zeros(len(edges) - 1, np.bool_)
    values[1::2] = True
    columns = np.repeat(values, np.diff(edges)).reshape(-1, height)
    return _crop(columns.T, (first_column, 0))


def _crop(mask: NDArray[np.bool_], origin: tuple[int, int]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """The tightest box, in the frame, around a mask that starts at ``origin`` (x, y), and the mask within."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return np.zeros(4, np.int32), np.zeros((0, 0), np.bool_)
    x1, y1, x2, y2 = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    x, y = origin
    return np.array([x1 + x, y1 + y, x2 + x, y2 + y], np.int32), mask[y1:y2, x1:x2]
