"""Which frames of a stream are key frames: policies, one object for each stream."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...kernels.device import to_host
from ...pipeline.errors import UsageError
from ...pipeline.packet import Frame

PUBLISHED_INTERVAL = 5
"""Key interval of the published YolactEdge models."""


class KeyPolicy(Protocol):
    """Decides, frame by frame and in order; the first frame, and the first after a new epoch, are key frames anyway.

    Attributes:
        wants_evidence: ``observe`` must have been called for a frame before the next one is decided,
            which keeps a stream from having several frames in the network at one time.
    """

    wants_evidence: bool

    def is_key(self, frame: Frame, image: Any, key_index: int) -> bool:
        """Whether ``frame`` is a key frame.

        Args:
            frame: the frame.
            image: the network's input, float32 [1, 3, h, w], where the network takes it.
            key_index: index of the stream's last key frame.
        """

    def key_taken(self, frame: Frame, image: Any) -> None:
        """``frame`` is the stream's key frame from now on, for whatever reason."""

    def observe(self, evidence: float) -> None:
        """How far from good the warp onto the last frame was, see ``Adaptive``."""


PolicyOf = Callable[[str], KeyPolicy]
"""Makes the policy of a stream, by its id."""


@dataclass(slots=True)
class FixedInterval:
    """A key frame at least every ``interval`` frame indices, dropped frames counted.

    With nothing dropped these are the frames 0, interval, 2 x interval, … of the published models.

    Raises:
        UsageError: ``interval`` is less than 1.
    """

    interval: int = PUBLISHED_INTERVAL
    wants_evidence = False

    def __post_init__(self) -> None:
        if self.interval < 1:
            raise UsageError(f"key interval must be at least 1, got {self.interval}")

    def is_key(self, frame: Frame, image: NDArray[np.float32], key_index: int) -> bool:
        return frame.index - key_index >= self.interval

    def key_taken(self, frame: Frame, image: NDArray[np.float32]) -> None: ...

    def observe(self, evidence: float) -> None: ...


@dataclass(slots=True)
class PhasedInterval:
    """The key frames of every ``interval`` frames, the first of them frame ``phase``; those before it all are one.

    The official evaluation of video models goes over a video once for every phase, so that each frame is seen at each
    distance from its key frame.

    Raises:
        UsageError: ``interval`` is less than 1, or ``phase`` is not in [0, interval).
    """

    interval: int
    phase: int
    wants_evidence = False

    def __post_init__(self) -> None:
        if self.interval < 1 or not 0 <= self.phase < self.interval:
            raise UsageError(f"a key interval needs a phase from 0 to below it, got {self.interval} and {self.phase}")

    def is_due(self, index: int) -> bool:
        """Whether the frame with this index is one of the key frames."""
        return index < self.phase or (index - self.phase) % self.interval == 0

    def is_key(self, frame: Frame, image: NDArray[np.float32], key_index: int) -> bool:
        last = frame.index if frame.index < self.phase else frame.index - (frame.index - self.phase) % self.interval
        return key_index < last

    def key_taken(self, frame: Frame, image: NDArray[np.float32]) -> None: ...

    def observe(self, evidence: float) -> None: ...


@dataclass(slots=True)
class Adaptive:
    """A key frame where the picture is cut, where the warp has stopped being good, and at the latest after ``longest``.

    A cut: the mean absolute difference of thumbnails of this frame and the one before exceeds
    ``cut``, in units of the network's input (about 57 grey levels each). The warp: ``observe`` was
    given, for the last frame, more than ``limit``: the part of the features that the warp of the key
    frame's does not explain, 0 (all explained) to about 1 (nothing).

    Raises:
        UsageError: ``longest`` is less than 1.
    """

    longest: int = 4 * PUBLISHED_INTERVAL
    cut: float = 0.5
    limit: float = 0.35
    wants_evidence = True
    _before: NDArray[np.float32] | None = None
    _evidence: float = 0.0

    def __post_init__(self) -> None:
        if self.longest < 1:
            raise UsageError(f"the longest key interval must be at least 1, got {self.longest}")

    def is_key(self, frame: Frame, image: NDArray[np.float32], key_index: int) -> bool:
        thumbnail, before = _thumbnail(image), self._before
        self._before = thumbnail
        cut = before is not None and float(np.abs(thumbnail - before).mean()) > self.cut
        return cut or self._evidence > self.limit or frame.index - key_index >= self.longest

    def key_taken(self, frame: Frame, image: NDArray[np.float32]) -> None:
        self._before, self._evidence = _thumbnail(image), 0.0

    def observe(self, evidence: float) -> None:
        self._evidence = evidence


@dataclass(slots=True)
class OnRequest:
    """Another policy's key frames, and those that somebody asks for, from any thread."""

    policy: KeyPolicy
    _asked: threading.Event = field(default_factory=threading.Event)

    @property
    def wants_evidence(self) -> bool:
        """As the other policy."""
        return self.policy.wants_evidence

    def request(self) -> None:
        """Make the stream's next frame a key frame."""
        self._asked.set()

    def is_key(self, frame: Frame, image: NDArray[np.float32], key_index: int) -> bool:
        return self.policy.is_key(frame, image, key_index) or self._asked.is_set()

    def key_taken(self, frame: Frame, image: NDArray[np.float32]) -> None:
        self._asked.clear()
        self.policy.key_taken(frame, image)

    def observe(self, evidence: float) -> None:
        self.policy.observe(evidence)


def policy_named(text: str | int) -> PolicyOf:
    """``5`` (every fifth frame), ``all``, or ``adaptive``, as ``--keyframes`` takes them.

    Raises:
        UsageError: something else.
    """
    word = str(text).strip().lower()
    if word == "adaptive":
        return lambda stream_id: Adaptive()
    if word == "all" or (word.isdigit() and int(word) >= 1):
        interval = 1 if word == "all" else int(word)
        return lambda stream_id: FixedInterval(interval)
    raise UsageError(f"key frames must be a number from 1, 'adaptive' or 'all', got {text!r}")


def _thumbnail(image: Any) -> NDArray[np.float32]:
    """Mean of the channels on a coarse grid of about 32 x 32 samples; an image on a device is copied."""
    image = to_host(image)
    rows, columns = (max(1, length // 32) for length in image.shape[2:])
    thumbnail: NDArray[np.float32] = image[0, :, rows // 2 :: rows, columns // 2 :: columns].mean(axis=0)
    return thumbnail
