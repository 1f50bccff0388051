"""A model called on the pictures of one stream."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from ..pipeline.frame_result import FrameResult
from ..pipeline.packet import Frame, Packet
from ..pipeline.stage import EndReason
from ..stages.draw import draw_rgb
from .given_image import ImageLike, given_image

if TYPE_CHECKING:
    from .base import Model


class ModelStream:
    """Calls a model on the pictures of one camera, one after the other."""

    def __init__(self, model: Model, stream_id: str) -> None:
        self.model, self.stream_id = model, stream_id
        self._stages = model.stages()
        self._indices = itertools.count()

    def __call__(self, image: ImageLike, *, time_s: float = 0.0, epoch: int = 0) -> FrameResult:
        """What is in the next picture.

        Args:
            image: RGB, uint8 [H, W, 3]; the path of an image file; a Pillow image; or a picture. Files and Pillow
                images are turned as their Exif data says.
            time_s: when it is shown, in seconds from the start of the stream.
            epoch: another number than before drops what the model remembers of the stream.

        Raises:
            ValueError: the array is something else.
            SourceError: the file cannot be read.
            UsageError: it is no image: a list, a folder, a video, …
        """
        given = given_image(image)
        frame = Frame(
            stream_id=self.stream_id,
            index=next(self._indices),
            epoch=epoch,
            pts_ns=round(time_s * 1e9),
            duration_ns=0,
            picture=given.picture,
            damaged=given.damaged,
            file=given.file,
        )
        packets = [Packet(frame)]
        for stage in self._stages:
            packets = [out for packet in packets for out in stage.process(packet)]
        return FrameResult(packets[-1], (self.model.result_keys(),), draw_rgb)

    def close(self) -> None:
        """Forget the stream."""
        for stage in self._stages:
            list(stage.end_stream(self.stream_id, EndReason.FINISHED))
