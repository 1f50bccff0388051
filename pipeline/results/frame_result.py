"""What iterating a run gives: one frame and what was found in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingExtraError, UsageError
from ..packet import HELD_FROM, Frame, Key, Packet
from ..types.detections import Detections
from ..types.landmarks import Landmarks
from ..types.panoptic import PanopticMap
from .format import Record, ResultKeys, frame_record

T = TypeVar("T")
Drawer = Callable[[Packet], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """One frame of a run and its results.

    Attributes:
        packet: the frame and every item that the stages added; ``result[KEY]`` reads one.
        keys: one entry for each model; ``detections``, ``landmarks``, ``panoptic`` and ``tensors`` are the first one's.
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
        found = self._first(self.keys[0].detections)
        return Detections.empty(()) if found is None else found

    @property
    def landmarks(self) -> Landmarks | None:
        """Points of the detections, or None where the model gives none."""
        return self._first(self.keys[0].landmarks)

    @property
    def panoptic(self) -> PanopticMap | None:
        """The panoptic map, or None where the model gives none."""
        return self._first(self.keys[0].panoptic)

    @property
    def tensors(self) -> Mapping[str, NDArray[Any]] | None:
        """The network's raw outputs by name, each with a batch axis of one, or None without ``head="raw"``."""
        found = self._first(self.keys[0].tensors)
        return None if found is None else found.arrays

    @property
    def held_from(self) -> int | None:
        """Index of the frame whose result this is, where this frame was not looked at itself."""
        return self.packet.get(HELD_FROM)

    @property
    def dropped(self) -> str | None:
        """Why the frame was not processed, where it was not."""
        return self.packet.drop_cause

    def _first(self, key: Key[T] | None) -> T | None:
        return None if key is None else self.packet.get(key)

    def __getitem__(self, key: Key[T]) -> T:
        return self.packet[key]

    def __repr__(self) -> str:
        picture = self.frame.picture
        parts = [f"{self.stream!r} frame {self.index}", f"{self.time_s:.3f} s", f"{picture.width}x{picture.height}"]
        if self.file is not None:
            parts.insert(1, self.file)
        names = [row.class_name for row in self.detections]
        counts = [f"{names.count(name)} {name}" for name in dict.fromkeys(names)]
        tensors = [f"{name} {list(array.shape)}" for name, array in (self.tensors or {}).items()]
        segments = [] if self.panoptic is None else [segment.class_name for segment in self.panoptic.segments]
        parts.append(", ".join([*counts, *segments, *tensors]) or "nothing found")
        if self.held_from is not None:
            parts.append(f"held from frame {self.held_from}")
        if self.dropped is not None:
            parts.append(f"dropped: {self.dropped}")
        return f"FrameResult({'; '.join(parts)})"

    def draw(self) -> NDArray[np.uint8]:
        """The frame with its results drawn on it: a new RGB array, uint8 [H, W, 3].

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
        """The detections as ``supervision.Detections``: with class names in ``data``, and masks and tracks if any.

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
            data={"class_name": names},
        )
