"""The base of sources that play another source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...pipeline.packet import Frame
from ...pipeline.stage import Source


def _as_the_source(name: str) -> property:
    """An attribute of the source, as one of the wrapper."""
    return property(lambda wrapper: getattr(wrapper.source, name), doc="As the source.")


class SourceWrapper(Source):
    """Another source, the same in everything that a subclass leaves as it is.

    Attributes:
        source: the other one.
    """

    def __init__(self, source: Source) -> None:
        self.source = source

    @property
    def stream_id(self) -> str:
        """The name of the source's stream; setting it sets the source's."""
        return self.source.stream_id

    @stream_id.setter
    def stream_id(self, name: str) -> None:
        self.source.stream_id = name

    live: Any = _as_the_source("live")
    problems: Any = _as_the_source("problems")
    status: Any = _as_the_source("status")
    expected_frames: Any = _as_the_source("expected_frames")
    address: Any = _as_the_source("address")
    has_audio: Any = _as_the_source("has_audio")
    audio_address: Any = _as_the_source("audio_address")
    files: Any = _as_the_source("files")
    pictures: Any = _as_the_source("pictures")
    decoder: Any = _as_the_source("decoder")

    def open(self) -> None:
        """Open the source."""
        self.source.open()

    def frames(self) -> Iterator[Frame]:
        """The frames of the source."""
        return self.source.frames()

    def interrupt(self) -> None:
        """End a read that waits."""
        self.source.interrupt()

    def close(self) -> None:
        """Close the source."""
        self.source.close()
