"""What iterating a run gives: one frame and what was found in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingExtraError, UsageError
from ..packet import (
    DEPTH,
    DETECTIONS,
    EMBEDDING,
    HELD_FROM,
    LANDMARKS,
    MATTE,
    PANOPTIC,
    PICTURE,
    TENSORS,
    Frame,
    Key,
    Packet,
)
from ..types.detections import Detections
from ..types.landmarks import Landmarks
from ..types.maps import AlphaMatte, DepthMap
from ..types.panoptic import PanopticMap
from ..types.picture import Picture
from .format import ResultKeys, frame_record
from .record import Record
from .result_types import RESULT_TYPES

T = TypeVar("T")
Drawer = Callable[[Packet], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """One frame of a run and its results.

    Attributes:
        packet: the frame and every item that the stages added; ``result[KEY]`` reads one.
        keys: one entry for each model; ``detections``, ``landmarks``, ``depth`` and so on are the first one's, and
            results of types of your own are read by their key: ``result[MINE]``.
        drawer: makes the annotated picture, RGB uint8 [H, W, 3], of a packet.
    """

    packet: Packet
    keys: Sequence[ResultKeys] = (ResultKeys(),)
    drawer: Drawer | None = None

    @property
    def frame(self) -> Frame:
        return self.packet.frame

    @property
    def stream(self) -> str:
        """Name of the stream."""
        return self.packet.frame.stream_id

    @property
    def index(self) -> int:
        """Frame number within the stream, from 0; dropped frames are counted."""
        return self.packet.frame.index

    @property
    def time_s(self) -> float:
        """Seconds from the start of the stream."""
        return self.packet.frame.time_s

    @property
    def file(self) -> str | None:
        """Name of the picture below the folder that was given, with ``/``; None where it is no file of its own."""
        return self.packet.frame.file

    @property
    def image(self) -> NDArray[np.uint8]:
        """The frame as RGB, uint8 [H, W, 3], read-only."""
        return self.packet.frame.picture.rgb()

    @property
    def detections(self) -> Detections:
        """What was detected; empty too where the frame was dropped or the model detects nothing."""
        found = self.keys[0].found(self.packet, DETECTIONS)
        return Detections.empty(()) if found is None else found

    @property
    def landmarks(self) -> Landmarks | None:
        """Points of the detections, or None where the model gives none."""
        return self.keys[0].found(self.packet, LANDMARKS)

    @property
    def panoptic(self) -> PanopticMap | None:
        """The panoptic map, or None where the model gives none."""
        return self.keys[0].found(self.packet, PANOPTIC)

    @property
    def tensors(self) -> Mapping[str, NDArray[Any]] | None:
        """The network's raw outputs by name, each with a batch axis of one, or None without ``head="raw"``."""
        found = self.keys[0].found(self.packet, TENSORS)
        return None if found is None else found.arrays

    @property
    def depth(self) -> DepthMap | None:
        """How far away everything is, or None where the model does not say."""
        return self.keys[0].found(self.packet, DEPTH)

    @property
    def picture(self) -> Picture | None:
        """The picture that the network makes of the frame, of any size, or None where it makes none."""
        return self.keys[0].found(self.packet, PICTURE)

    @property
    def matte(self) -> AlphaMatte | None:
        """How much of each pixel is foreground, or None where the model does not say."""
        return self.keys[0].found(self.packet, MATTE)

    @property
    def embedding(self) -> NDArray[np.float32] | None:
        """A vector of length 1 that says what the picture looks like, float32 [D], or None where there is none."""
        found = self.keys[0].found(self.packet, EMBEDDING)
        return None if found is None else found.values

    @property
    def held_from(self) -> int | None:
        """Index of the frame whose result this is, where this frame was not looked at itself."""
        return self.packet.get(HELD_FROM)

    @property
    def dropped(self) -> str | None:
        """Why the frame was not processed, where it was not."""
        return self.packet.drop_cause

    def __getitem__(self, key: Key[T]) -> T:
        return self.packet[key]

    def __repr__(self) -> str:
        picture = self.frame.picture
        parts = [f"{self.stream!r} frame {self.index}", f"{self.time_s:.3f} s", f"{picture.width}x{picture.height}"]
        if self.file is not None:
            parts.insert(1, self.file)
        values = ((row, self.keys[0].found(self.packet, kind)) for kind, row in RESULT_TYPES.items())
        found = [part for row, value in values if value is not None for part in row.summary(value)]
        parts.append(", ".join(found) or "nothing found")
        if self.held_from is not None:
            parts.append(f"held from frame {self.held_from}")
        if self.dropped is not None:
            parts.append(f"dropped: {self.dropped}")
        return f"FrameResult({'; '.join(parts)})"

    def draw(self) -> NDArray[np.uint8]:
        """The frame, or the picture that is its result, with what was found drawn on it: a new RGB array [H, W, 3].

        Raises:
            UsageError: the result was made without a drawer.
        """
        if self.drawer is None:
            raise UsageError(
                "draw() needs a result of vidgraph.run() or of a model; this one was made without a drawer"
            )
        return self.drawer(self.packet)

    def to_dict(self) -> Record:
        """The frame's line of a results file, as plain Python values."""
        return frame_record(self.packet, self.keys)

    def to_supervision(self) -> Any:
        """The detections as ``supervision.Detections``: with class names and ``Detections.data`` in ``data``, and
        masks and tracks if any.

        Raises:
            MissingExtraError: supervision is not installed.
        """
        try:
            from supervision import Detections as SupervisionDetections
        except ImportError as error:
            raise MissingExtraError("to_supervision()", "supervision") from error
        found = self.detections
        names = np.array([found.class_names[class_id] for class_id in found.class_ids.tolist()], dtype=np.str_)
        masks = found.masks
        whole = None
        if masks is not None:
            whole = np.zeros((len(found), *masks.size), np.bool_)
            for row in range(len(found)):
                whole[row] = masks.full(row)
        return SupervisionDetections(
            xyxy=found.boxes.copy(),
            mask=whole,
            confidence=found.scores.copy(),
            class_id=found.class_ids.astype(np.int64),
            tracker_id=None if found.track_ids is None else found.track_ids.astype(np.int64),
            data={"class_name": names} | {name: column.copy() for name, column in found.data.items()},
        )
