"""Image files of data sets: written with Pillow, sizes read from their heads, numbers of segments as colours.

Source: the COCO panoptic format (Kirillov et al., CVPR 2019): the id of a segment is R + 256 G + 65536 B.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...pipeline.claims import hidden
from ...pipeline.errors import SourceError
from ...pipeline.limits import MAX_PIXELS
from ...stages.sources.images import read_image

IMAGE_KINDS = ("jpg", "png", "none")
"""How images are written; ``none``: not at all."""

MAX_ID = (1 << 24) - 1
"""The largest number that fits into three bytes."""

_OPTIONS: dict[str, dict[str, Any]] = {
    ".png": {"format": "PNG", "compress_level": 1},
    ".jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},
}
_TURNED = (5, 6, 7, 8)  # Exif orientations that swap height and width
_ORIENTATION = 0x0112


def write_image(path: Path, rgb: NDArray[np.uint8]) -> None:
    """Write uint8 [H, W, 3] as what the suffix says, .png or .jpg; folders are made, the file appears whole.

    Raises:
        OSError: the disk is full, …
    """
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    part = hidden(path, ".part")
    try:
        Image.fromarray(rgb).save(part, **_OPTIONS[path.suffix])
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) of an image the right way up, from the head of its file.

    Raises:
        SourceError: not a file, or no image.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:  # Pillow warns of damage, and of size
            width, height = image.size
            turned = image.getexif().get(_ORIENTATION) in _TURNED
    except Image.DecompressionBombError as error:
        raise SourceError(f"cannot read {path}: it says that it has more pixels than any image") from error
    except Exception as error:  # Pillow documents no types here; a damaged file raises nearly anything
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "no image that can be read"
        raise SourceError(f"cannot read {path}: {reason}") from error
    return (width, height) if turned else (height, width)


def write_ids(path: Path, ids: NDArray[np.int32]) -> None:
    """Write numbers from 0 to :data:`MAX_ID`, int32 [H, W], as the colours of a PNG.

    Raises:
        OSError: the disk is full, …
    """
    colours = np.stack([ids & 255, (ids >> 8) & 255, (ids >> 16) & 255], axis=-1)
    write_image(path, colours.astype(np.uint8))


def read_ids(path: Path, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.int32]:
    """The numbers that the colours of a PNG stand for, int32 [H, W].

    Raises:
        SourceError: not a file, no image, or one of more than ``max_pixels``.
    """
    colours = read_image(path, max_pixels=max_pixels).rgb()
    ids: NDArray[np.int32] = colours[:, :, 2].astype(np.int32)
    for channel in (1, 0):
        ids <<= 8
        ids |= colours[:, :, channel]
    return ids
