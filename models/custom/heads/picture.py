"""Picture to picture: style, colourisation, or a larger picture (super-resolution), in colour or of the luma alone.

An output of three channels as large as the input or several times as large is a picture where it is larger than the
input; of the same size it looks like the logits of three classes, and only the TOML or ``--head`` say which it is. A
network that takes and gives one channel works on the luma: the frame's chroma is resized bicubically.

Source: definition; the luma and chroma are those of JFIF (BT.601, full range), as super-resolution is trained with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....engines.spec import TensorSpec
from ....pipeline.errors import UsageError
from ....pipeline.packet import PICTURE
from ....pipeline.types.picture import Picture, Size
from ....stages.inference.infer import RawOutputs
from ...formats import Arrays, OutputSelector
from ...options import PostprocessOptions
from ..description import Description
from ..head import Found, Head, check_finite
from ..image_input import ImageInput
from .choices import refuse_choices
from .semantic import covered
from .yolo_rows import shown

COLORS, LUMA = 3, 1
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class PictureHead:
    """The output as a picture of the frame.

    Attributes:
        output: its name: numbers of any type.
        last: channels are last.
        channels: 3, or 1.
        whole: its numbers are whole.
        levels: the numbers that are black and white; None: they are not known yet.
        bgr: blue comes first.
        luma: it is the luma, and the chroma is the frame's.
    """

    output: str
    last: bool
    channels: int
    whole: bool = False
    levels: tuple[float, float] | None = None
    bgr: bool = False
    luma: bool = False
    kind: str = "picture"
    task: str = "a picture"

    class_count = 0
    point_names = ()
    gives = (PICTURE,)
    device_outputs = ()
    own_size = True

    @property
    def reads(self) -> frozenset[str]:
        """The one output."""
        return frozenset({self.output})

    def settled(self, about: Description, image: ImageInput) -> PictureHead:
        """The head with what the whole description says of its numbers: without ``range``, they are as the input's.

        Raises:
            UsageError: the input's are normalised in a way that no picture comes out in.
        """
        mean, std, levels = about.input.mean, about.input.std, about.range
        if levels is None and self.whole:
            levels = (0.0, 255.0)
        if levels is None and mean is not None and std is not None:
            if len(set(mean)) > 1 or len(set(std)) > 1:
                raise UsageError(
                    f"output {self.output!r} is a picture, and which of its numbers are black and white is not known: "
                    "say it in the TOML, such as range = [0, 1]"
                )
            levels = ((0 - mean[0]) / std[0], (255 - mean[0]) / std[0])
        luma = self.channels == LUMA and image.channels == LUMA
        return replace(self, levels=levels, bgr=about.input.color == "bgr", luma=luma)

    def select_outputs(self, choices: PostprocessOptions) -> OutputSelector:
        """The picture in 8 bits; what is no number is black.

        Raises:
            UsageError: a choice that means nothing for this network.
        """
        refuse_choices(choices, "gives pictures")
        black, white = self.levels or (0.0, 1.0)
        factor = np.float32(255 / (white - black))

        def pick(outputs: Mapping[str, NDArray[Any]]) -> Arrays:
            given = outputs[self.output]
            check_finite(self.output, given)
            planes = given[0] if self.last else np.moveaxis(given[0], 0, -1)
            values = np.ascontiguousarray(planes, np.float32)
            if values is given or np.shares_memory(values, given):
                values = values.copy()
            values -= np.float32(black)
            values *= factor
            np.nan_to_num(values, copy=False, nan=0.0, posinf=255.0, neginf=0.0)
            np.rint(values.clip(0, 255, out=values), out=values)
            made = values.astype(np.uint8)
            return {"picture": made[..., ::-1].copy() if self.bgr and self.channels == COLORS else made}

        return pick

    def decode(self, raw: RawOutputs, frame: Size, choices: PostprocessOptions, names: tuple[str, ...]) -> Found:
        """The part that the frame covers, with square pixels: in the frame's own size where the network keeps that of
        its input, else as much larger or smaller than the frame as the network's is."""
        made: Bytes = raw.arrays["picture"]
        part = _covered_part(made, raw, frame)
        same = made.shape[:2] == tuple(raw.size)
        size = _shown_size((part.shape[0], part.shape[1]), frame, same=same)
        rgb = self._with_chroma(part, size, raw) if self.luma else _resized(part, size)
        if rgb.shape[2] == LUMA:
            rgb = np.repeat(rgb, COLORS, axis=2)
        picture = Picture.from_rgb(rgb)
        if raw.picture is not None:
            picture = replace(picture, sample_aspect=raw.picture.sample_aspect, tags=raw.picture.tags)
        return {PICTURE: picture}

    def _with_chroma(self, luma: Bytes, size: Size, raw: RawOutputs) -> Bytes:
        """The luma [h, w, 1] with the chroma of the frame."""
        from PIL import Image

        if raw.picture is None:
            raise AssertionError("the stage that decodes gives the frame's picture")
        large = Image.fromarray(raw.picture.rgb()).convert("YCbCr").resize(size[::-1], Image.Resampling.BICUBIC)
        _, blue, red = large.split()
        whole = Image.merge("YCbCr", (Image.fromarray(_resized(luma, size)[..., 0]), blue, red))
        return np.array(whole.convert("RGB"))


def _covered_part(made: Bytes, raw: RawOutputs, frame: Size) -> Bytes:
    """The rows and columns of a picture of the whole input that the frame covers."""
    x1, y1, x2, y2 = np.clip(covered(raw.affine, frame, raw.size), 0, 1).tolist()
    height, width = made.shape[:2]
    top, left = (min(round(first * length), length - 1) for first, length in ((y1, height), (x1, width)))
    bottom, right = max(round(y2 * height), top + 1), max(round(x2 * width), left + 1)
    return made[top:bottom, left:right]


def _shown_size(part: Size, frame: Size, *, same: bool) -> Size:
    """(height, width) in which the part of a picture that shows a frame has the frame's aspect."""
    ratio = 1.0 if same else max(part[0] / frame[0], part[1] / frame[1])
    size = max(1, round(frame[0] * ratio)), max(1, round(frame[1] * ratio))
    near = all(abs(length - whole) <= 1 for length, whole in zip(part, size, strict=True))
    return part if near and not same else size


def _resized(picture: Bytes, size: Size) -> Bytes:
    """[h, w, C] in another (height, width), bicubically; itself where it has it."""
    from PIL import Image

    if picture.shape[:2] == size:
        return np.ascontiguousarray(picture)
    image = Image.fromarray(picture if picture.shape[2] == COLORS else picture[..., 0])
    large = np.array(image.resize(size[::-1], Image.Resampling.BICUBIC))
    return large if large.ndim == 3 else large[..., None]


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """The head for one output that is a picture of the input, and larger where nothing says so; see :mod:`..head`."""
    said = "picture" in (about.head, about.task)
    named = about.outputs.get("picture")
    spec = next((each for each in outputs if each.name == named), outputs[0])
    if len(outputs) != 1 and named is None:
        seen = ", ".join(map(shown, outputs))
        return f"outputs {seen} may each be the picture; say which (`picture` of `outputs`)" if said else None
    wanted = f"{shown(spec)} must be a picture [1, 3, h, w] or [1, h, w, 3] (or of one channel), as large as the input"
    if len(spec.shape) != 4 or spec.shape[0] != 1:
        return wanted if said else None
    first, last = spec.shape[1] in (COLORS, LUMA), spec.shape[3] in (COLORS, LUMA)
    if not first and not last:
        return wanted if said else None
    channels_last = last and not first
    inner, channels = (spec.shape[1:3], spec.shape[3]) if channels_last else (spec.shape[2:], spec.shape[1])
    if said:
        return PictureHead(spec.name, channels_last, channels, spec.dtype.kind != "f")
    if channels != COLORS or about.classes is not None or about.scores is not None:
        return None
    times = {length / own for length, own in zip(inner, size, strict=True)}
    if len(times) > 1 or not min(times).is_integer():
        return None
    if times == {1.0}:
        return f'{shown(spec)} may be a picture: if so, say head = "picture"'
    return PictureHead(spec.name, channels_last, channels, spec.dtype.kind != "f")
