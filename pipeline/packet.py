"""What flows through the graph: a frame and the typed items that stages have added to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import numpy as np

from .types.detections import Detections
from .types.embedding import Embedding
from .types.landmarks import Landmarks
from .types.maps import AlphaMatte, DepthMap
from .types.panoptic import PanopticMap
from .types.picture import Picture
from .types.tensors import Tensors

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of one stream, with its place in time.

    Attributes:
        stream_id: the stream's name, unique in a run.
        index: frame number within the stream from 0; frames that were dropped are counted.
        epoch: changes at a seek, a reconnect, a change of resolution or a jump of the clock;
            temporal state does not survive it.
        pts_ns: presentation time in nanoseconds from the start of the stream.
        duration_ns: how long the frame is shown; 0 if the source does not say.
        picture: the pixels.
        pts: presentation time in units of ``time_base`` as the source gave it, for sinks.
        time_base: seconds per unit of ``pts``.
        capture_ns: wall-clock time of capture in nanoseconds since 1970, where known.
        capture_clock: of a live stream, whose clock ``capture_ns`` is: ``camera``, or ``arrival``: ours when it came.
        damaged: the decoder reported damage in this picture.
        file: of a picture that is a file of its own, the file's name below the folder that was given, with ``/``.
    """

    stream_id: str
    index: int
    epoch: int
    pts_ns: int
    duration_ns: int
    picture: Picture
    pts: int = 0
    time_base: Fraction = Fraction(1, 1_000_000_000)
    capture_ns: int | None = None
    damaged: bool = False
    file: str | None = None
    capture_clock: str | None = None

    @property
    def time_s(self) -> float:
        """Presentation time in seconds."""
        return self.pts_ns / 1e9


@dataclass(frozen=True, slots=True)
class Key(Generic[T]):
    """The typed name of an item in a packet: ``packet[DETECTIONS]`` is a ``Detections``."""

    name: str
    type: type[T] = field(compare=False)

    def __str__(self) -> str:
        return self.name


DETECTIONS: Key[Detections] = Key("detections", Detections)
LANDMARKS: Key[Landmarks] = Key("landmarks", Landmarks)
PANOPTIC: Key[PanopticMap] = Key("panoptic", PanopticMap)
TENSORS: Key[Tensors] = Key("tensors", Tensors)
DEPTH: Key[DepthMap] = Key("depth", DepthMap)
PICTURE: Key[Picture] = Key("picture", Picture)
MATTE: Key[AlphaMatte] = Key("matte", AlphaMatte)
EMBEDDING: Key[Embedding] = Key("embedding", Embedding)

SKIPPED: Key[bool] = Key("skipped", bool)
"""True on a frame on which the network does not run (``--every``, ``--when motion``)."""
HELD_FROM: Key[int] = Key("held_from", int)
"""Index of the frame whose result a skipped frame was given."""
KEY_FRAME: Key[int] = Key("key_frame", int)
"""Index of the key frame that a video model's outputs for a frame come from; its own index on a key frame."""


@dataclass(frozen=True, slots=True, eq=False)
class Packet:
    """A frame and what is known about it so far; never changed in place.

    ``drop_cause`` is set on a frame that will not be processed further: sinks still see it.
    """

    frame: Frame
    items: Mapping[Key[Any], Any] = field(default_factory=lambda: MappingProxyType({}))
    drop_cause: str | None = None

    def __getitem__(self, key: Key[T]) -> T:
        try:
            value: T = self.items[key]
        except KeyError:
            have = ", ".join(sorted(str(k) for k in self.items)) or "nothing"
            raise KeyError(f"frame {self.frame.index} has no item {key.name!r}; it has {have}") from None
        return value

    def __contains__(self, key: Key[Any]) -> bool:
        return key in self.items

    def get(self, key: Key[T]) -> T | None:
        """The item, or None if the packet has none under ``key``."""
        return self.items.get(key)

    def with_item(self, key: Key[T], value: T) -> Packet:
        """A new packet that also has ``value`` under ``key``.

        Raises:
            TypeError: ``value`` is not of the key's type.
        """
        if not isinstance(value, key.type):
            raise TypeError(f"item {key.name!r} must be {key.type.__name__}, got {type(value).__name__}")
        return replace(self, items=MappingProxyType({**self.items, key: value}))

    def without(self, *keys: Key[Any]) -> Packet:
        """A new packet that has none of ``keys``: what is large and not needed further on."""
        return replace(self, items=MappingProxyType({k: v for k, v in self.items.items() if k not in keys}))

    def keep_rows(
        self, rows: Any, *, detections: Key[Detections] = DETECTIONS, landmarks: Key[Landmarks] = LANDMARKS
    ) -> Packet:
        """A new packet with the detections at ``rows`` and, if there are any, the landmarks that belong to these.

        Args:
            rows: a slice, a bool array [N] or an index array, for N detections.
            detections, landmarks: where they are.

        Raises:
            KeyError: there are no detections.
            IndexError: ``rows`` does not fit N detections.
        """
        found, points = self[detections], self.get(landmarks)
        kept = self.with_item(detections, found[rows])
        return kept if points is None else kept.with_item(landmarks, points.of_detections(np.arange(len(found))[rows]))

    def dropped(self, cause: str) -> Packet:
        """A new packet that says why its frame was not processed (``mailbox_full``, ``failed``, …)."""
        return replace(self, drop_cause=cause)
