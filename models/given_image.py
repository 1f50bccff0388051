"""What a model may be called on: an array, a file, a Pillow image or a picture; and what is said of all else."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..pipeline.errors import SourceError, UsageError, redact
from ..pipeline.types.picture import Picture
from ..stages.sources.images import is_image, read_image_file
from ..stages.sources.picture_count import how_to_play

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

ImageLike: TypeAlias = "NDArray[np.uint8] | str | os.PathLike[str] | PillowImage | Picture"
"""RGB as uint8 [H, W, 3], the path of an image file, a Pillow image of any mode of 1, 8 or 16 bits, or a picture."""

TAKEN = "an RGB array, uint8 [H, W, 3], the path of an image file, a Pillow image or a vidgraph.Picture"
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:(//|(?=\w+$))")


@dataclass(frozen=True, slots=True)
class GivenImage:
    """The picture that a model was called on; the file's name, and whether it is damaged, where it is a file."""

    picture: Picture
    file: str | None = None
    damaged: bool = False


def given_image(image: object) -> GivenImage:
    """Whatever ``image`` is as a picture.

    Raises:
        ValueError: an array of another dtype or shape; a Pillow image whose samples have no known white.
        SourceError: a file that cannot be read.
        UsageError: something that is no image.
    """
    if isinstance(image, np.ndarray):
        return GivenImage(_of_array(image))
    if isinstance(image, Picture):
        return GivenImage(image)
    if isinstance(image, str | os.PathLike):
        return _of_file(os.fspath(image))
    pillow = sys.modules.get("PIL.Image")
    if pillow is not None and isinstance(image, pillow.Image):
        return GivenImage(_of_pillow(image))
    raise UsageError(f"a model takes {TAKEN}, got {_described(image)}")


def _of_array(image: NDArray[np.generic]) -> Picture:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        hint = _hint(image)
        raise ValueError(
            f"an RGB picture must be uint8 [H, W, 3], got {image.dtype} {list(image.shape)}{hint and '; ' + hint}"
        )
    # ascontiguousarray also of image[..., ::-1], which makes RGB of OpenCV's BGR
    adjacent = image.strides[1:] == (3, 1) and image.strides[0] > 0
    return Picture.from_rgb(image if adjacent else np.ascontiguousarray(image))  # type: ignore[arg-type]


def _hint(image: NDArray[np.generic]) -> str:
    """How to make RGB of an array, where its dtype and shape let one guess what it is."""
    shape = image.shape
    if not image.size:
        return "it is empty"
    if image.ndim == 4:
        return "call the model on each picture of a batch"
    if image.ndim == 3 and shape[0] in (1, 3, 4) and shape[2] not in (1, 3, 4):
        return "channels come last: image.transpose(1, 2, 0)"
    if image.ndim == 2 or (image.ndim == 3 and shape[2] == 1):
        return "of gray make RGB: numpy.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)"
    if image.ndim == 3 and shape[2] == 4:
        return "leave the transparency out: image[..., :3]"
    if image.ndim == 3 and shape[2] == 3 and image.dtype.kind == "f":
        return "of values from 0 to 1 make bytes: (image * 255).round().astype(numpy.uint8)"
    if image.ndim == 3 and shape[2] == 3 and image.dtype == np.uint16:
        return "of 16 bits make 8: (image / 257).round().astype(numpy.uint8)"
    return ""


def _of_file(path: str | bytes) -> GivenImage:
    name = os.fsdecode(path)
    shown = redact(name)
    run = f"vidgraph.run({shown!r}, model=model)"
    place = Path(name)
    if not name:
        raise UsageError(f"a model takes {TAKEN}, got an empty path")
    if place.is_dir():
        raise UsageError(f"a model takes one image, and {shown} is a folder; for its images: {run}")
    if not place.exists() and _ADDRESS.match(name):
        raise UsageError(f"a model takes one image, and {shown} is an address; for it: {run}")
    if place.exists() and how_to_play(place) != "image":
        raise UsageError(f"a model takes one image, and {shown} holds several (an animation, pages); for them: {run}")
    if place.exists() and not (is_image(place) or _is_known_image(place)):
        raise UsageError(f"a model takes one image, and {shown} is none; if it is a video: {run}")
    image = read_image_file(place)
    return GivenImage(image.picture, place.name, image.damaged)


def _is_known_image(path: Path) -> bool:
    """Whether a file is an image by its content, whatever its name."""
    from PIL import Image

    from ..stages.sources.pillow_picture import PILLOW_ERRORS

    try:
        with Image.open(path):
            return True
    except (*PILLOW_ERRORS, Image.DecompressionBombError):
        return path.stat().st_size == 0  # which reading it says


def _of_pillow(image: PillowImage) -> Picture:
    from ..stages.sources.pillow_picture import PILLOW_ERRORS, pillow_picture

    if not image.width or not image.height:
        raise ValueError(f"the Pillow image is empty: {image.width}x{image.height}")
    try:
        return pillow_picture(image)
    except ValueError:
        raise
    except PILLOW_ERRORS as error:
        name = getattr(image, "filename", "") or "the Pillow image"
        raise SourceError(f"{name} is damaged: {error}") from error


def _described(image: object) -> str:
    if image is None:
        return "None, which is what cv2.imread gives for a file that it cannot read"
    if isinstance(image, bytes | bytearray | memoryview):
        return f"{type(image).__name__}; an encoded image is opened by PIL.Image.open(io.BytesIO(data))"
    if isinstance(image, list | tuple):
        return f"a {type(image).__name__}; call it on each, or vidgraph.run([...], model=model) on paths"
    kind = type(image)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    shape = getattr(image, "shape", None)
    return name if shape is None else f"{name} of shape {list(shape)}; make a NumPy array of it"
