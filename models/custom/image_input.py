"""Which input of a network takes the picture, in which layout and size, and what its other inputs are given."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engines.network_file import NetworkInfo, TensorInfo
from ...pipeline.errors import CheckpointError, UsageError
from ...pipeline.limits import MAX_PIXELS
from ...pipeline.types.picture import Size
from ...stages.inference.preprocess import WIDER
from .description import InputDescription
from .memory import MemoryInputs, check_previous, what_settles
from .toml_file import toml_path

IMAGE_DTYPES = ("float32", "float16", "uint8", *WIDER)
CHANNELS, GRAY = 3, 1

_CONSTANTS: Mapping[str, Callable[[Size], Any]] = {
    "orig_target_sizes": lambda size: (size[1], size[0]),  # RT-DETR, D-FINE: boxes come in pixels of it
    "pixel_mask": lambda size: 1,  # DETR of Hugging Face: which pixels are picture
    "im_shape": lambda size: size,  # PaddleDetection
    "scale_factor": lambda size: (1, 1),
}
"""Name of an input -> its value for an input of (height, width): a row of the batch, or one for all pixels."""


@dataclass(frozen=True, slots=True)
class ImageInput:
    """The input that takes the picture.

    Attributes:
        name: of the input.
        dtype: one of ``IMAGE_DTYPES``.
        layout: ``nchw`` or ``nhwc``.
        batch, size: as the file fixes them; None (for a side too) is open.
        channels: 3, or 1: the luma.
        others: inputs that are filled with constants, see :func:`constant`.
        memory: inputs that are filled from the frame before.
    """

    name: str
    dtype: str
    layout: str
    batch: int | None
    size: tuple[int | None, int | None]
    others: tuple[TensorInfo, ...] = ()
    channels: int = CHANNELS
    memory: MemoryInputs = field(default_factory=MemoryInputs)

    @property
    def whole(self) -> bool:
        """Whether it takes whole numbers: the values of the picture, 0 to 255."""
        return self.dtype in ("uint8", *WIDER)

    def shape(self, size: Size, batch: int = 1) -> tuple[int, int, int, int]:
        """The input's shape for a picture of (height, width)."""
        return (batch, self.channels, *size) if self.layout == "nchw" else (batch, *size, self.channels)


def find_image_input(
    path: Path, info: NetworkInfo, about: InputDescription, memory: MemoryInputs | None = None
) -> ImageInput:
    """Find the input that takes the picture; those of ``memory`` are none.

    Raises:
        CheckpointError: no input takes a picture of three channels, several do, or there is another input of
            which nothing is known; the message has what is there.
    """
    others = tuple(each for each in info.inputs if each.name in _CONSTANTS and each.name != about.name)
    memory = memory or MemoryInputs()
    filled = memory.names.union(each.name for each in others)
    candidates = [each for each in info.inputs if each.name not in filled]
    if about.name is not None:
        candidates = [each for each in candidates if each.name == about.name]
        if not candidates:
            raise CheckpointError(f"{path} has no input {about.name!r}; it has {_list(info.inputs)}")
    rest = [each for each in info.inputs if each.name not in filled and each not in candidates[:1]]
    if rest or not candidates:
        unknown = _list(rest or info.inputs)
        picture = candidates[0] if candidates else None
        settled = what_settles(path, rest, info, picture, named=about.name is not None)
        raise CheckpointError(f"{path} takes more than a picture: nothing is known of its input {unknown}; {settled}")
    check_previous(path, memory, candidates[0])
    return replace(_image_input(path, candidates[0], about, others), memory=memory)


def _image_input(path: Path, given: TensorInfo, about: InputDescription, others: tuple[TensorInfo, ...]) -> ImageInput:
    if given.dtype not in IMAGE_DTYPES:
        raise CheckpointError(f"{path}: input {given} must be {', '.join(IMAGE_DTYPES[:-1])} or {IMAGE_DTYPES[-1]}")
    if given.shape is None or len(given.shape) != 4:
        raise CheckpointError(f"{path}: input {given} must have four axes, [batch, 3, height, width] or channels last")
    first, last = given.shape[1], given.shape[3]
    layout = about.layout or _layout(path, given)
    channels = first if layout == "nchw" else last
    if isinstance(channels, int) and channels not in (GRAY, CHANNELS):
        raise CheckpointError(
            f"{path}: input {given} takes {channels} channels; vidgraph gives three, red, green and blue, or one, gray"
        )
    sides = given.shape[2:4] if layout == "nchw" else given.shape[1:3]
    height, width = (side if isinstance(side, int) else None for side in sides)
    batch = given.shape[0] if isinstance(given.shape[0], int) else None
    count = GRAY if channels == GRAY else CHANNELS
    return ImageInput(given.name, given.dtype, layout, batch, (height, width), others, count)


def _layout(path: Path, given: TensorInfo) -> str:
    """From where the three channels are; an open axis counts where the other cannot be the channels'."""
    if given.shape is None:
        raise AssertionError("asked of four axes")
    first, last = given.shape[1], given.shape[3]
    if first == CHANNELS and last == CHANNELS:
        raise CheckpointError(
            f"{path}: input {given} may have its channels first or last; "
            f'say layout = "nchw" or "nhwc" under [input] in {toml_path(path).name}'
        )
    if last == CHANNELS or (last == GRAY and first not in (CHANNELS, GRAY)):
        return "nhwc"
    return "nchw"


def choose_size(path: Path, image: ImageInput, about: InputDescription, asked: int | Size | None) -> Size:
    """(height, width) of the input: as the file fixes it, else as asked for, else as described.

    Raises:
        UsageError: another size is asked for than the file's, or none is known where the file leaves it open.
    """
    wanted = (asked, asked) if isinstance(asked, int) else asked
    if wanted is not None and (len(wanted) != 2 or min(wanted) < 1):
        raise UsageError(f"size must be a side like 640 or a (height, width) of pixels, got {asked!r}")
    chosen = wanted or about.size
    known = tuple(own if own is not None else None if chosen is None else chosen[axis]
                  for axis, own in enumerate(image.size))  # fmt: skip
    height, width = known
    if height is None or width is None:
        raise UsageError(
            f"{path} leaves the size of its input open; give one, such as --size 640 or --size 640x384 (size=(384, "
            f'640)), or size = "640x384" under [input] in {toml_path(path).name}'
        )
    if wanted is not None and (height, width) != tuple(wanted):
        raise UsageError(
            f"{path} is fixed at {width}x{height}, size {wanted[1]}x{wanted[0]} cannot be given; "
            "leave it out, or export the network with open (dynamic) height and width"
        )
    if not 0 < height * width <= MAX_PIXELS or min(height, width) < 1:
        raise UsageError(f"{path}: an input of {width}x{height} cannot be run; the limit is {MAX_PIXELS} pixels")
    return height, width


def check_batch(path: Path, image: ImageInput, batch: int) -> None:
    """Raise UsageError where the file's batch is fixed at another number."""
    if image.batch is not None and image.batch != batch:
        cure = "leave out batch" if image.batch == 1 else f"runs need batch 1, this file has {image.batch}"
        raise UsageError(
            f"{path} is fixed at a batch of {image.batch}, {batch} cannot be run; {cure}, "
            "or export the network with an open (dynamic) batch"
        )


def constant(path: Path, given: TensorInfo, size: Size, batch: int) -> NDArray[Any]:
    """What an input besides the picture is given: the size of the picture in its own input, all of which counts.

    Raises:
        CheckpointError: its type or shape is another than such an input has.
    """
    values = np.asarray(_CONSTANTS[given.name](size), np.float64)
    axes = (batch, *size) if values.ndim == 0 else (batch, *values.shape)
    shape = tuple(
        length if isinstance(length, int) else default
        for length, default in zip(given.shape or axes, axes, strict=False)
    )
    dtype = {"float32": np.float32, "float16": np.float16, "int64": np.int64, "int32": np.int32, "bool": np.bool_}
    if given.dtype not in dtype or len(shape) != len(given.shape or axes) or (values.ndim and shape[1:] != axes[1:]):
        raise CheckpointError(f"{path}: nothing is known of an input {given}; export the network without it")
    if math.prod(shape) > MAX_PIXELS:
        raise CheckpointError(f"{path}: input {given} is larger than any picture")
    return np.ascontiguousarray(np.broadcast_to(values, shape).astype(dtype[given.dtype]))


def _list(tensors: Sequence[TensorInfo]) -> str:
    return ", ".join(map(str, tensors))
