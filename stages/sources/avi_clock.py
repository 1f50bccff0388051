"""Times of the pictures of an AVI, which knows in which order they are decoded and nothing else."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


class AviClock:
    """Gives the pictures, in the order in which they are shown, the times at which packets are decoded, in their order.

    For H.264 and HEVC, whose pictures FFmpeg gives other times. Of other codecs it knows the order; its times lag
    by as much as pictures are reordered, which is taken off.
    """

    def __init__(self, codec: str) -> None:
        """
        Args:
            codec: FFmpeg's name.
        """
        self._sorts = codec in ("h264", "hevc")
        self._lag: int | None = None
        self._waiting: list[int] = []  # dts of packets without a picture yet, a heap
        self._dts_of: dict[int | None, int] = {}  # by the pts that FFmpeg makes up

    def enter(self, packet: Packet[VideoStream]) -> int | None:
        """Take down the next packet that should give a picture.

        Returns:
            Its time, where it is that of its picture.
        """
        if not self._sorts:
            if self._lag is None and packet.pts is not None and packet.dts is not None:
                self._lag = packet.pts - packet.dts
            return None if packet.pts is None else packet.pts - (self._lag or 0)
        if packet.dts is not None:
            heappush(self._waiting, packet.dts)
            self._dts_of[packet.pts] = packet.dts
        return None

    def refused(self) -> None:
        """A packet gives no picture."""
        if self._waiting:
            heappop(self._waiting)

    def set_time(self, frame: VideoFrame) -> None:
        """Give the next picture its time, and no duration: a tick may be shorter than a frame."""
        frame.duration = 0
        if not self._sorts:
            frame.pts = None if frame.pts is None else frame.pts - (self._lag or 0)
            return
        own = self._dts_of.pop(frame.pts, None)
        if frame.key_frame and own is not None:  # what is earlier than a key frame has been shown, or is lost
            while self._waiting and self._waiting[0] < own:
                heappop(self._waiting)
        frame.pts = heappop(self._waiting) if self._waiting else None
