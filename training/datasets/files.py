"""What the readers of data sets share: frames from image files, errors that name the record they are about."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...pipeline.errors import SourceError
from ...pipeline.ground_truth import GroundTruth
from ...pipeline.limits import MAX_PIXELS
from ...pipeline.packet import Frame
from ...pipeline.types.detections import Detections
from ...pipeline.types.masks import Masks
from ...stages.sources.images import read_image
from .address import Address
from .dataset import Clip, DataSample

NANOSECONDS = 1_000_000_000
_FARTHEST = 1e9
"""Pixels of a coordinate: beyond it float32 is of no use."""
_LONGEST = 400
"""Characters that a message says of what is damaged."""
_NAME_BYTES = 255
"""Of a file's name, on all usual file systems."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameFile:
    """One frame of a data set: its image file and what gives its truth; ``annotated`` as in :class:`DataSample`."""

    image: Path
    truth: Callable[[], GroundTruth]
    annotated: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class FileDataset:
    """A :class:`Dataset` whose frames are image files; ``frames`` has those of each clip, by its name.

    Images of more than ``max_pixels`` are refused.
    """

    name: str
    class_names: tuple[str, ...]
    stuff_names: tuple[str, ...]
    clips: tuple[Clip, ...]
    frames: Mapping[str, Sequence[FrameFile]]
    max_pixels: int = MAX_PIXELS

    def samples(self, clip: Clip) -> Iterator[DataSample]:
        """The frames of ``clip``, in order.

        Raises:
            SourceError: an image is missing, damaged or of another size than the data set says; the truth is damaged.
        """
        for index, file in enumerate(self.frames[clip.name]):
            picture = read_image(file.image, max_pixels=self.max_pixels)
            if (picture.height, picture.width) != clip.size:
                raise SourceError(
                    f"{self.name}: {file.image} must be {clip.size[1]}x{clip.size[0]},"
                    f" as the data set says; it is {picture.width}x{picture.height}"
                )
            step = NANOSECONDS / clip.rate if clip.rate else 0.0
            frame = Frame(clip.name, index, 0, round(index * step), round(step), picture)
            yield DataSample(frame, file.truth(), file.annotated)


@contextmanager
def reading(where: str) -> Iterator[None]:
    """Errors of the Python kind within become one :class:`SourceError` about ``where``."""
    try:
        yield
    except KeyError as error:
        raise SourceError(f"{where[:_LONGEST]} has no {str(error)[:_LONGEST]}") from error
    except (TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise SourceError(f"{where[:_LONGEST]} is damaged: {' '.join(str(error)[:_LONGEST].split())}") from error


def picture_path(folder: Path, name: Any, address: Address) -> Path:
    """The path of a picture that annotations name.

    Raises:
        SourceError: it is not inside ``folder``, and the address does not say ``outside=yes``.
        TypeError, ValueError: ``name`` is no name of a file.
    """
    if not isinstance(name, str) or not name:
        raise TypeError(f"the name of a picture must be a text, got {str(name)[:40]!r}")
    parts = Path(name).parts
    if "\0" in name or max(len(os.fsencode(part)) for part in parts or ("",)) > _NAME_BYTES:
        raise ValueError(f"{name[:40]!r} … is no name of a file")
    if not address.outside and (Path(name).is_absolute() or ".." in parts):
        raise SourceError(
            f"{address.name} names the picture {name[:200]!r}, which is not inside of its folder; "
            "if that is meant, say ?outside=yes"
        )
    return folder / name


def known_id(table: Mapping[Any, Any], number: Any, what: str) -> Any:
    """The key of ``table`` that is ``number``, be one of them written as a text.

    Raises:
        ValueError: there is none.
    """
    if number in table:
        return number
    other: Any = str(number) if type(number) is int else number
    if isinstance(number, str) and number.strip().lstrip("-").isdigit() and len(number) < 20:
        other = int(number)
    if other not in table:
        raise ValueError(
            f"there is no {what} with the id {number[:40]!r}"
            if isinstance(number, str)
            else f"there is no {what} with the id {str(number)[:40]}"
        )
    return other


def finite(what: str, numbers: Any) -> NDArray[np.float32]:
    """float32 of numbers, lists of them, or lists of these.

    Raises:
        ValueError, TypeError: they are something else, or out of all proportion.
    """
    found = np.array(numbers, np.float64)
    if not np.abs(found).max(initial=0) <= _FARTHEST:  # also for NaN
        raise ValueError(f"{what} must be numbers of at most {_FARTHEST:g}")
    return found.astype(np.float32)


def unique_names(files: Sequence[str]) -> list[str]:
    """Names for clips of one image each: the files without suffix, or whole where that leaves two alike."""
    short = [str(Path(file).with_suffix("")) for file in files]
    return short if len(set(short)) == len(short) else list(files)


def boxes_of(corners_and_sizes: Sequence[Sequence[float]]) -> NDArray[np.float32]:
    """float32 [N, 4], (x1, y1, x2, y2) of N times (x, y, width, height).

    Raises:
        ValueError: they are not four finite numbers each, or a size is negative.
    """
    for box in corners_and_sizes:
        if len(box) != 4 or not all(map(_is_near, box)) or min(box[2:]) < 0:
            raise ValueError(f"a box must be x, y, width, height, got {str(list(box))[:80]}")
    boxes = np.array(corners_and_sizes, np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes.astype(np.float32)


def _is_near(number: float) -> bool:
    return math.isfinite(number) and abs(number) <= _FARTHEST


def things(
    boxes: NDArray[np.float32],
    class_ids: Sequence[int],
    class_names: tuple[str, ...],
    *,
    masks: Masks | None = None,
    track_ids: Sequence[int] | None = None,
) -> Detections:
    """Objects as truth has them: all with score 1."""
    tracks = None if track_ids is None else np.array(track_ids, np.int32)
    scores = np.ones(len(boxes), np.float32)
    return Detections(boxes, scores, np.array(class_ids, np.int32), class_names, masks, tracks)


def choose_folder(candidates: Sequence[Path], file: str, *, name: str) -> Path:
    """The first of ``candidates`` that has ``file``; ``name`` is the data set's.

    Raises:
        SourceError: none has it.
    """
    for folder in candidates:
        if (folder / file).is_file():
            return folder
    looked = ", ".join(map(str, candidates))
    raise SourceError(f"{name}: the image {file} is not in {looked}; ?images=FOLDER names the folder of the images")
