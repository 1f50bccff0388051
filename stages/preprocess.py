"""From the decoder's planes to the network's input, in one pass."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..kernels import preprocess
from ..pipeline.affine import Affine
from ..pipeline.packet import SKIPPED, Key, Packet
from ..pipeline.stage import EndReason

Size = tuple[int, int]
"""Height and width."""


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

    Raises:
        ValueError: not exactly one of the three, or a length below 1.
    """

    long_side: int | None = None
    fixed: Size | None = None
    stretch: Size | None = None

    def __post_init__(self) -> None:
        side = None if self.long_side is None else (self.long_side,)
        given = [each for each in (side, self.fixed, self.stretch) if each is not None]
        if len(given) != 1 or min(given[0]) < 1:
            raise ValueError(
                "InputSize needs a long_side or a fixed size or one to stretch to, "
                f"got {self.long_side}, {self.fixed} and {self.stretch}"
            )

    def fit(self, frame: Size) -> Fit:
        """The input for a frame of (height, width) ``frame``."""
        if self.stretch is not None:
            height, width = self.stretch
            return Fit(self.stretch, Affine((frame[1] / width, frame[0] / height)), (0, 0, height, width))
        if self.fixed is not None:
            size = self.fixed
            scale = max(frame[0] / size[0], frame[1] / size[1])
            height, width = (min(round(length / scale), most) for length, most in zip(frame, size, strict=True))
        else:
            scale = max(frame) / (self.long_side or 1)
            height, width = size = (max(1, round(frame[0] / scale)), max(1, round(frame[1] / scale)))
        return Fit(size, Affine((scale, scale)), (0, 0, max(height, 1), max(width, 1)))

    def __str__(self) -> str:
        size = self.stretch or self.fixed
        return f"longer side {self.long_side}" if size is None else f"{size[1]}x{size[0]}"


class BufferPool:
    """Input tensors for reuse, so that no frame pays for fresh memory; safe from any thread.

    Holds at most ``limit`` idle buffers per size and forgets the sizes of streams that are gone.
    """

    def __init__(self, limit: int = 8, sizes: int = 8) -> None:
        self._idle: dict[Size, deque[NDArray[np.float32]]] = {}
        self._lock = threading.Lock()
        self._limit, self._sizes = limit, sizes

    def take(self, size: Size) -> NDArray[np.float32]:
        """A float32 [1, 3, height, width] array with arbitrary content."""
        with self._lock:
            idle = self._idle.get(size)
            if idle:
                return idle.pop()
        return np.empty((1, 3, *size), np.float32)

    def give(self, tensor: NDArray[np.float32]) -> None:
        """Hand back an array of :meth:`take` that nobody reads any more."""
        size = (tensor.shape[2], tensor.shape[3])
        with self._lock:
            if size not in self._idle and len(self._idle) >= self._sizes:
                self._idle.pop(next(iter(self._idle)))
            idle = self._idle.setdefault(size, deque())
            if len(idle) < self._limit:
                idle.append(tensor)


@dataclass(frozen=True, slots=True, eq=False)
class ModelInput:
    """What the network gets for one frame.

    Attributes:
        tensor: float32 [1, 3, height, width]; valid until :meth:`release`.
        affine: from its pixels to frame pixels.
        pool: where the tensor goes back to.
    """

    tensor: NDArray[np.float32]
    affine: Affine
    pool: BufferPool

    @property
    def size(self) -> Size:
        """Height and width of the tensor."""
        return int(self.tensor.shape[2]), int(self.tensor.shape[3])

    def release(self) -> None:
        """Give the tensor back; called once, by the stage that has consumed it."""
        self.pool.give(self.tensor)


@dataclass(frozen=True)
class Preprocess:
    """Resize, convert and normalise a frame for a network.

    Creates ``key``. Frames that were dropped or that the network skips pass unchanged.
    ``mean`` and ``std`` are of values 0..255 in the order of the channels given (``bgr`` or RGB);
    ``pad`` is the RGB colour outside the frame. ``single_positions``: see the kernel.
    """

    size: InputSize
    key: Key[ModelInput]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bgr: bool = False
    pad: tuple[int, int, int] = (0, 0, 0)
    name: str = "preprocess"
    pool: BufferPool = field(default_factory=BufferPool)
    single_positions: bool = False

    stateless = True

    @property
    def creates(self) -> frozenset[Key[ModelInput]]:
        """The network's input."""
        return frozenset({self.key})

    def open(self) -> None:
        """Nothing to open."""

    def process(self, packet: Packet) -> Iterable[Packet]:
        """Add the network's input."""
        if packet.drop_cause is not None or packet.get(SKIPPED):
            return (packet,)
        picture = packet.frame.picture
        fit = self.size.fit((picture.height, picture.width))
        tensor = preprocess(
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
            single_positions=self.single_positions,
            out=self.pool.take(fit.size),
        )
        return (packet.with_item(self.key, ModelInput(tensor, fit.affine, self.pool)),)

    def end_stream(self, stream_id: str, reason: EndReason) -> Iterable[Packet]:
        """Nothing is kept back."""
        return ()

    def close(self) -> None:
        """Nothing to close."""
