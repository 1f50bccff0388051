"""What a data set is: clips of frames, each with what is known about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from ...pipeline.ground_truth import GroundTruth
from ...pipeline.packet import Frame


@dataclass(frozen=True, slots=True)
class Clip:
    """One video of a data set, or one image (``frames`` is 1).

    Attributes:
        name: unique in its data set.
        frames: how many there are.
        size: (height, width) in pixels.
        rate: frames per second; 0 where it means nothing.
    """

    name: str
    frames: int
    size: tuple[int, int]
    rate: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class DataSample:
    """One frame and its truth; ``frame.stream_id`` is the clip's name, ``frame.index`` the place in it.

    ``annotated`` is False for frames of a video that the data set says nothing about.
    """

    frame: Frame
    truth: GroundTruth
    annotated: bool = True


class Dataset(Protocol):
    """Clips of frames with truth.

    Attributes:
        name: for reports.
        class_names: of things, by class id.
        stuff_names: of stuff; segments of ``GroundTruth.panoptic`` name their classes themselves.
        clips: in order.
    """

    @property
    def name(self) -> str: ...

    @property
    def class_names(self) -> tuple[str, ...]: ...

    @property
    def stuff_names(self) -> tuple[str, ...]: ...

    @property
    def clips(self) -> tuple[Clip, ...]: ...

    def samples(self, clip: Clip) -> Iterator[DataSample]:
        """The frames of ``clip``, in order.

        Raises:
            VidgraphError: a file is missing or damaged; one line that names it.
        """
