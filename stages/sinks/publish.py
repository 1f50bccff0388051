"""The annotated video published to a server: RTSP (a server that accepts RECORD), RTMP or SRT."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import av
from av.error import ProtocolNotFoundError

from ...pipeline.errors import OutputError, UsageError
from ...pipeline.packet import Key, Packet
from ...pipeline.stage import EndReason, Sink
from ...pipeline.types.picture import Picture
from ..drawing.draw import ANNOTATED
from ..sources.camera.address import read_address
from ..sources.camera.status import CameraStatus
from .addresses import shown_picture, stream_addresses
from .encoders import PRESETS
from .publish_connection import SCHEMES
from .publish_feed import Feed
from .settings import SinkSettings


class PublishVideo(Sink):
    """Publishes each stream as H.264 without delay: no B-frames, a key frame every second, the source's own times.

    Frames that were dropped are left out; there is no sound. A picture of another size begins a new connection. No
    server that is slow, frozen, dead or restarted holds anything up or takes memory: see :class:`.publish_feed.Feed`.

    Args:
        addresses: ``rtsp://``, ``rtsps://``, ``rtmp://``, ``rtmps://`` or ``srt://`` of each stream; ``""``: of the one
            stream that there is. ``${NAME}`` stands for a variable of the environment.
        live: the streams whose frames come in real time. Of others every frame is sent, at its time.
        preset: of x264, ``ultrafast`` to ``veryslow``.
        picture: the key of what to show; None: the frames as they came.

    Raises:
        UsageError: an unknown preset, or an address that cannot be one.
    """

    name = "publish"

    def __init__(
        self,
        addresses: Mapping[str, str],
        *,
        live: Collection[str] = (),
        preset: str = "veryfast",
        picture: Key[Picture] | None = ANNOTATED,
    ) -> None:
        if preset not in PRESETS:
            raise UsageError(f"unknown preset {preset!r}; presets are {', '.join(PRESETS)}")
        self._addresses = {stream: read_address(address) for stream, address in addresses.items()}
        for address in self._addresses.values():
            if address.scheme not in SCHEMES:
                raise UsageError(f"cannot publish to {address.shown}; it must be {', '.join(SCHEMES)}://…")
        self._live, self._preset, self._key = frozenset(live), preset, picture
        self.reads: frozenset[Key[Any]] = frozenset() if picture is None else frozenset({picture})
        self._feeds: dict[str, Feed] = {}
        self._over: Counter[str] = Counter()  # of streams that are over

    @property
    def left_out(self) -> dict[str, int]:
        """Pictures that were not published: ``slow``, ``not_connected``."""
        return dict(sum((feed.dropped for feed in list(self._feeds.values())), self._over))

    @property
    def status(self) -> dict[str, CameraStatus]:
        """The connection of each stream that is not over, as of a camera."""
        return {stream: feed.status for stream, feed in list(self._feeds.items())}

    def write(self, packet: Packet) -> None:
        """Publish a frame's picture; of a live stream, it never waits.

        Raises:
            OutputError: the connection of a file is lost; another stream has this address.
        """
        picture = shown_picture(packet, self._key)
        if picture is None or (packet.drop_cause is not None and packet.frame.stream_id in self._live):
            return
        stream = packet.frame.stream_id
        feed = self._feeds.get(stream)
        if feed is None:
            feed = self._feeds[stream] = self._begin(stream)
        feed.put(packet.frame, picture)

    def _begin(self, stream: str) -> Feed:
        address = self._addresses.get(stream) or self._addresses.get("")
        if address is None or (stream not in self._addresses and self._feeds):
            raise OutputError(f"cannot publish stream {stream!r}: its address has another; put {{stream}} into it")
        return Feed(stream, address, live=stream in self._live, preset=self._preset)

    def end_stream(self, stream_id: str, reason: EndReason) -> None:
        """Send what waits, and take leave of the server.

        Raises:
            OutputError: the connection of a file was lost.
        """
        feed = self._feeds.pop(stream_id, None)
        if feed is not None:
            try:
                feed.end(at_once=reason is not EndReason.FINISHED)
            finally:
                self._over += feed.dropped

    def close(self) -> None:
        """Leave all servers."""
        for stream in list(self._feeds):
            self.end_stream(stream, EndReason.CANCELLED)


def check_srt() -> None:
    """Make sure that FFmpeg has SRT, which its wheels from PyPI lack.

    Raises:
        UsageError: it has not.
    """
    try:
        av.open("srt://", timeout=1.0).close()
    except ProtocolNotFoundError as error:
        raise UsageError(
            "this PyAV has an FFmpeg without SRT; publish to rtsp:// or rtmp://, or build PyAV against an FFmpeg that"
            " has it: pip install --no-binary av av"
        ) from error
    except (OSError, ValueError):
        return


def open_publish(address: str, paths: dict[str, Path], settings: SinkSettings) -> Sink:
    """A video published; see :class:`~.kinds.SinkKind`."""
    return PublishVideo(
        stream_addresses(address, settings.streams),
        live=[stream.stream_id for stream in settings.streams if stream.live],
        preset=settings.preset,
        picture=settings.picture,
    )
