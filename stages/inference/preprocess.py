"""From the decoder's planes to the network's input, in one pass."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...kernels import preprocess
from ...kernels.device import HOST, Device, Tensor, device_of, empty, to_device
from ...pipeline.packet import Key, Packet
from ...pipeline.types.affine import Affine
from ...pipeline.types.picture import Picture, Size
from .network_stage import NetworkStage

WIDER = ("int32", "int64")
"""Types of inputs that take the values of bytes."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How a frame lies in the network's input.

    Attributes:
        size: of the input, (height, width).
        affine: from input pixels to frame pixels.
        content: (y1, x1, y2, x2), the part of the input that the frame covers.
    """

    size: Size
    affine: Affine
    content: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class InputSize:
    """The rule that gives the network's input size for a frame.

    Attributes:
        long_side: the input's longer side in pixels, the other follows from the frame (also upwards:
            a smaller frame is enlarged). Every frame geometry gets a graph of its own.
        fixed: one input size (height, width) for all frames; the frame lies at the top left and the rest is padded.
        stretch: one input size (height, width) that every frame fills, so that its aspect is not kept.
        letterbox: as ``fixed``, but the frame lies in the middle, at a whole number of pixels along each side, so
            that the two scales may differ a little; smaller frames are enlarged. As Ultralytics' ``LetterBox``
            with ``auto=False``, ``scaleup=True``.
        crop: one input size (height, width) that the middle of the frame fills. As torchvision's ``Resize`` of
            the shorter side to ``crop / crop_share``, without antialiasing, and its ``CenterCrop``.
        own: the frame in its own size at the top left of an input whose lengths are multiples of so many pixels.
        crop_share: the crop's part of the resized frame's shorter side (1: all of it).

    Raises:
        ValueError: not exactly one of the six, a length below 1, or a share that is not in (0, 1].
    """

    long_side: int | None = None
    fixed: Size | None = None
    stretch: Size | None = None
    letterbox: Size | None = None
    crop: Size | None = None
    crop_share: float = 1.0
    own: int | None = None

    def __post_init__(self) -> None:
        side = None if self.long_side is None else (self.long_side,)
        multiple = None if self.own is None else (self.own,)
        rules = (side, self.fixed, self.stretch, self.letterbox, self.crop, multiple)
        given = [each for each in rules if each is not None]
        if len(given) != 1 or min(given[0]) < 1 or not 0 < self.crop_share <= 1:
            raise ValueError(
                "InputSize needs a long_side or a fixed size or one to stretch to, to letterbox or to crop, or own, "
                f"got {', '.join(map(str, (self.long_side, *rules[1:-1], self.own)))} and a share of {self.crop_share}"
            )

    def fit(self, frame: Size) -> Fit:
        """The input for a frame of (height, width) ``frame``."""
        if self.stretch is not None:
            height, width = self.stretch
            return Fit(self.stretch, Affine((frame[1] / width, frame[0] / height)), (0, 0, height, width))
        if self.letterbox is not None:
            ratio = min(length / most for length, most in zip(self.letterbox, frame, strict=True))
            return _centred(self.letterbox, frame, [max(1, round(length * ratio)) for length in frame])
        if self.crop is not None:
            return _centred(self.crop, frame, _covering([length / self.crop_share for length in self.crop], frame))
        if self.own is not None:
            height, width = (-(-length // self.own) * self.own for length in frame)
            return Fit((height, width), Affine((1.0, 1.0)), (0, 0, *frame))
        if self.fixed is not None:
            size = self.fixed
            scale = max(frame[0] / size[0], frame[1] / size[1])
            height, width = (min(round(length / scale), most) for length, most in zip(frame, size, strict=True))
        else:
            scale = max(frame) / (self.long_side or 1)
            height, width = size = (max(1, round(frame[0] / scale)), max(1, round(frame[1] / scale)))
        return Fit(size, Affine((scale, scale)), (0, 0, max(height, 1), max(width, 1)))

    def __str__(self) -> str:
        size = self.stretch or self.fixed or self.letterbox or self.crop
        if self.own is not None:
            return "the frame's own size"
        return f"longer side {self.long_side}" if size is None else f"{size[1]}x{size[0]}"


def _covering(least: list[float], frame: Size) -> list[int]:
    """The smallest (height, width) with the aspect of a frame and at least so many pixels along each side.

    Source: torchvision's ``Resize`` for how the longer side is cut to a whole number.
    """
    height, width = (int(length + 1e-6) for length in least)  # 224 / (224 / 232) is a little less than 232
    if height * frame[1] >= width * frame[0]:
        return [height, int(height * frame[1] / frame[0])]
    return [int(width * frame[0] / frame[1]), width]


def _centred(size: Size, frame: Size, resized: list[int]) -> Fit:
    """The frame at ``resized`` (height, width) in the middle of an input of ``size``, which may be the smaller one.

    Source: Ultralytics' ``LetterBox`` and torchvision's ``center_crop`` for the pixel where an odd rest goes.
    """
    first = []
    for whole, length in zip(size, resized, strict=True):
        rest = (whole - length) / 2
        first.append(round(rest - 0.1) if rest >= 0 else -round(-rest))
    (y1, x1), (height, width) = first, resized
    scale = (frame[1] / width, frame[0] / height)
    content = (max(y1, 0), max(x1, 0), min(y1 + height, size[0]), min(x1 + width, size[1]))
    return Fit(size, Affine(scale, (-x1 * scale[0], -y1 * scale[1])), content)


class BufferPool:
    """Input tensors for reuse, so that no frame pays for fresh memory; safe from any thread.

    Holds at most ``limit`` idle buffers per size and forgets the sizes of streams that are gone.
    """

    def __init__(self, limit: int = 8, sizes: int = 8) -> None:
        self._idle: dict[tuple[tuple[int, ...], np.dtype[Any], Device], deque[Tensor]] = {}
        self._lock = threading.Lock()
        self._limit, self._sizes = limit, sizes

    def take(self, size: Size, dtype: str = "float32", layout: str = "nchw", device: Device = HOST) -> Tensor:
        """An array for one picture of (height, width), with arbitrary content: [1, 3, H, W], or nhwc [1, H, W, 3]."""
        shape = (1, 3, *size) if layout == "nchw" else (1, *size, 3)
        with self._lock:
            idle = self._idle.get((shape, np.dtype(dtype), device))
            if idle:
                return idle.pop()
        return empty(shape, dtype, device)

    def give(self, tensor: Tensor) -> None:
        """Hand back an array of :meth:`take` that nobody reads any more."""
        kind = (tensor.shape, tensor.dtype, device_of(tensor))
        with self._lock:
            if kind not in self._idle and len(self._idle) >= self._sizes:
                self._idle.pop(next(iter(self._idle)))
            idle = self._idle.setdefault(kind, deque())
            if len(idle) < self._limit:
                idle.append(tensor)


@dataclass(frozen=True, slots=True, eq=False)
class ModelInput:
    """What the network gets for one frame.

    Attributes:
        tensor: float32 (or float16, uint8, int32, int64) [1, 3, height, width], or nhwc; valid until :meth:`release`.
        affine: from its pixels to frame pixels.
        pool: where the tensor goes back to.
        layout: ``nchw`` or ``nhwc``.
    """

    tensor: Tensor
    affine: Affine
    pool: BufferPool
    layout: str = "nchw"

    @property
    def size(self) -> Size:
        """Height and width of the picture in the tensor."""
        first = 2 if self.layout == "nchw" else 1
        return int(self.tensor.shape[first]), int(self.tensor.shape[first + 1])

    def release(self) -> None:
        """Give the tensor back; called once, by the stage that has consumed it."""
        self.pool.give(self.tensor)


@dataclass(frozen=True)
class Preprocess(NetworkStage):
    """Resize, convert and normalise a frame for a network.

    Creates ``key``. Frames that were dropped or that the network skips pass unchanged.
    ``mean`` and ``std`` are of values 0..255 in the order of the channels given (``bgr`` or RGB);
    ``pad`` is the RGB colour outside the frame. ``torch_resize``, ``dtype`` and ``layout``: see the kernel; ``int32``
    and ``int64`` have the values of ``uint8``, and are made in host memory.
    ``device`` is where the network takes its input: the planes of pictures that lie elsewhere are copied there.
    """

    size: InputSize
    key: Key[ModelInput]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bgr: bool = False
    pad: tuple[int, int, int] = (0, 0, 0)
    name: str = "preprocess"
    pool: BufferPool = field(default_factory=BufferPool)
    torch_resize: bool = False
    dtype: str = "float32"
    layout: str = "nchw"
    device: Device = HOST

    def added(self, packet: Packet) -> Packet:
        """Add the network's input."""
        place = HOST if self.dtype in WIDER else self.device
        picture = packet.frame.picture.on(place)
        fit = self.size.fit((picture.height, picture.width))
        tensor = self.fill(self.pool.take(fit.size, self.dtype, self.layout, place), picture, fit)
        if place != self.device:
            tensor = to_device(tensor, self.device)
        return packet.with_item(self.key, ModelInput(tensor, fit.affine, self.pool, self.layout))

    def fill(self, out: Tensor, picture: Picture, fit: Fit) -> Tensor:
        """Write ``picture``, as it lies in the input by ``fit``, into ``out``: [1, 3, h, w], or nhwc."""
        if self.dtype not in WIDER:
            return self._written(out, picture, fit, self.dtype)
        if not isinstance(out, np.ndarray):
            raise AssertionError("such inputs are made in host memory")
        small = self.pool.take(fit.size, "uint8", self.layout)
        out[...] = self._written(small, picture, fit, "uint8")
        self.pool.give(small)
        return out

    def _written(self, out: Tensor, picture: Picture, fit: Fit, dtype: str) -> Tensor:
        return preprocess(
            picture.planes,
            picture.format,
            matrix=picture.matrix,
            full_range=picture.full_range,
            size=fit.size,
            scale=fit.affine.scale,
            offset=fit.affine.offset,
            mean=self.mean,
            std=self.std,
            bgr=self.bgr,
            pad=self.pad,
            content=fit.content,
            torch_resize=self.torch_resize,
            dtype=dtype,
            layout=self.layout,
            out=out,
        )
