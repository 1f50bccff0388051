"""Networks that take pictures of any size, each in its own: those whose results are as large as what they are given.

A head of such networks has ``own_size``. Lengths of the input are multiples of the least number with which the output
is as many times as large as the input, unless the description says another (``multiple``): a network that halves twice
needs 4. What a frame does not fill is padded. Other networks want one size, which the file, the TOML or the caller
says. A head may also have ``settled(about, image)``: itself, with what the whole description says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...engines.spec import TensorSpec
from ...pipeline.errors import UsageError, VidgraphError
from ...pipeline.types.picture import Size
from ...stages.inference.preprocess import InputSize
from .description import Description, InputDescription, from_one_source, merged
from .head import Head
from .image_input import CHANNELS, GRAY, ImageInput, choose_size

NOMINAL = (256, 320)
"""Of the input, for looking at what outputs there are."""
SOURCE = "the network takes any size"
MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
OutputsAt = Callable[[Size], Sequence[TensorSpec]]
"""The outputs for an input of (height, width); raises VidgraphError where there is none."""


def any_size(image: ImageInput, about: InputDescription, asked: int | Size | None) -> bool:
    """Whether nobody says the size, and the network has no memory, which is of one size."""
    return asked is None and about.size is None and image.size == (None, None) and not image.memory.names


def first_size(path: Path, image: ImageInput, about: InputDescription, asked: int | Size | None) -> Size:
    """(height, width) for looking at the network; errors as of :func:`.image_input.choose_size`."""
    return NOMINAL if any_size(image, about, asked) else choose_size(path, image, about, asked)


def check_own_size(
    path: Path, image: ImageInput, about: Description, head: Head | None, *, because: Exception | None = None
) -> None:
    """Refuse a network of open size whose head (None: none fits) does not take frames in their own size.

    Args:
        because: what was wrong with the size that it was looked at with.

    Raises:
        UsageError: a size has to be given.
    """
    if any_size(image, about.input, None) and not getattr(head, "own_size", False):
        try:
            choose_size(path, image, about.input, None)
        except UsageError as error:
            seen = "" if because is None else f"; looked at with {NOMINAL[1]}x{NOMINAL[0]}: {because}"
            raise UsageError(f"{error}{seen}") from because


def as_placed(about: Description, image: ImageInput, head: Head, outputs_at: OutputsAt) -> Description:
    """``about``, with how frames lie in an input of their own size: at the top left.

    Raises:
        UsageError: no multiple is known that the network takes.
    """
    if not any_size(image, about.input, None):
        return about
    multiple = about.input.multiple or _needed_multiple(head, outputs_at)
    return merged(about, from_one_source(SOURCE, {"input.fit": "pad", "input.multiple": multiple}))


def _needed_multiple(head: Head, outputs_at: OutputsAt) -> int:
    """The least multiple with which the outputs that the head reads are as many times as large as the input."""
    usual = _times(head, outputs_at(NOMINAL), NOMINAL)
    for multiple in MULTIPLES:
        size = NOMINAL[0] + multiple, NOMINAL[1] + multiple
        try:
            found = _times(head, outputs_at(size), size)
        except VidgraphError:
            continue
        if found == usual:
            return multiple
    raise UsageError(
        f"the network's output is not as many times as large as its input with lengths that are multiples of "
        f"{MULTIPLES[-1]}; give a size (--size), or say multiple under [input] in its TOML"
    )


def _times(head: Head, outputs: Sequence[TensorSpec], size: Size) -> dict[str, tuple[float, ...]]:
    """By the name of an output that the head reads: how many times as large as the input it is, (height, width)."""
    inner = {
        spec.name: spec.shape[-2:] if len(spec.shape) == 3 or spec.shape[1] in (GRAY, CHANNELS) else spec.shape[1:3]
        for spec in outputs
        if spec.name in head.reads
    }
    return {name: (shape[0] / size[0], shape[1] / size[1]) for name, shape in inner.items()}


def settled(head: Head, about: Description, image: ImageInput) -> Head:
    """The head, with what the whole description says.

    Raises:
        UsageError: that does not fit.
    """
    mean, std = about.input.mean or (), about.input.std or ()
    if image.channels == GRAY and max(len(set(mean)), len(set(std))) > 1:
        raise UsageError(
            f"input {image.name!r} takes one channel, and mean {list(mean)}, std {list(std)} "
            f"({about.sources.get('input.mean', 'the description')}) are of three; say three times the same number "
            "under [input] in its TOML"
        )
    settle: Any = getattr(head, "settled", None)
    found: Head = head if settle is None else settle(about, image)
    return found


def own_placement(about: Description) -> InputSize | None:
    """How frames lie in inputs of their own size; None where all have one."""
    if about.sources.get("input.fit") != SOURCE or about.input.multiple is None:
        return None
    return InputSize(own=about.input.multiple)
