"""A model called on the pictures of one stream."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..pipeline.frame_result import FrameResult
from ..pipeline.packet import Frame, Packet
from ..pipeline.picture import Picture
from ..pipeline.stage import EndReason
from ..stages.draw import draw_rgb

if TYPE_CHECKING:
    from .base import Model


class ModelStream:
    """Calls a model on the pictures of one camera, one after the other."""

    def __init__(self, model: Model, stream_id: str) -> None:
        self.model, self.stream_id = model, stream_id
        self._stages = model.stages()
        self._indices = itertools.count()

    def __call__(self, image: NDArray[np.uint8], *, time_s: float = 0.0, epoch: int = 0) -> FrameResult:
        """What is in the next picture.

        Args:
            image: RGB, uint8 [H, W, 3].
            time_s: when it is shown, in seconds from the start of the stream.
            epoch: another number than before drops what the model remembers of the stream.

        Raises:
            ValueError: the array is something else.
        """
        frame = Frame(self.stream_id, next(self._indices), epoch, round(time_s * 1e9), 0, Picture.from_rgb(image))
        packets = [Packet(frame)]
        for stage in self._stages:
            packets = [out for packet in packets for out in stage.process(packet)]
        return FrameResult(packets[-1], (self.model.result_keys(),), draw_rgb)

    def close(self) -> None:
        """Forget the stream."""
        for stage in self._stages:
            list(stage.end_stream(self.stream_id, EndReason.FINISHED))
