"""The base of sources that play another source."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...pipeline.packet import Frame
from ...pipeline.stage import Source


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

    @property
    def live(self) -> bool:
        """As the source."""
        return self.source.live

    @property
    def problems(self) -> dict[str, int]:
        """As the source counts them."""
        return self.source.problems

    @property
    def status(self) -> Any:
        """As the source."""
        return self.source.status

    @property
    def expected_frames(self) -> int | None:
        """As the source expects them."""
        return self.source.expected_frames

    @property
    def address(self) -> str:
        """As the source."""
        return self.source.address

    @property
    def has_audio(self) -> bool:
        """As the source."""
        return self.source.has_audio

    @property
    def audio_address(self) -> str:
        """As the source."""
        return self.source.audio_address

    @property
    def files(self) -> list[Path]:
        """As the source."""
        return self.source.files

    @property
    def pictures(self) -> tuple[tuple[str, Path], ...] | None:
        """As the source."""
        return self.source.pictures

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
