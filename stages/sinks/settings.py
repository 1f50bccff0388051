"""What the sinks of one run share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...pipeline.claims import Claims
from ...pipeline.packet import Key, Packet
from ...pipeline.results.format import ResultKeys
from ...pipeline.results.frame_result import FrameResult
from ...pipeline.results.record import Record
from ...pipeline.types.picture import Picture
from .addresses import OutputStream
from .rotation import Rotation
from .video_so_far import VideoSoFar


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkSettings:
    """What a sink is opened with; ``Outputs`` and its ``sinks`` say what each means.

    Attributes:
        so_far: what is there of videos to go on with, by the name of the first part.
        claims: of all files of the run.
        picture: the key of the pictures to show; None: the frames as they came.
        names: what ``{name}`` stands for, by output address, stream and frame number.
    """

    streams: Sequence[OutputStream]
    overwrite: bool
    resume: bool
    so_far: Mapping[Path, VideoSoFar]
    claims: Claims
    encoder: str
    preset: str
    threads: int
    header: Record | None
    keys: Sequence[ResultKeys]
    needs: frozenset[Key[Any]] | None
    result_of: Callable[[Packet], FrameResult] | None
    picture: Key[Picture] | None
    names: Mapping[str, Mapping[str, list[str]]]
    rotation: Rotation | None
