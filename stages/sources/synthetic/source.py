"""Synthetic scenes as a source of frames."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from ....pipeline.errors import SourceError, UsageError
from ....pipeline.packet import Frame
from ....pipeline.stage import Source
from ....pipeline.types.picture import Picture
from ..clock import NANOSECONDS, parse_range
from ..kinds import SourceOptions
from .render import SceneRenderer
from .settings import SyntheticSettings, parse_synthetic


class SyntheticSource(Source):
    """One clip of synthetic scenes; nothing about it is left to chance.

    A scene cut begins no new epoch: it is a part of the video, as it would be of a file.
    """

    def __init__(
        self,
        settings: SyntheticSettings,
        clip: int,
        *,
        stream_id: str,
        start: str | float | None = None,
        end: str | float | None = None,
        frames: int | None = None,
    ) -> None:
        """
        Args:
            settings: of the scenes.
            clip: which.
            stream_id: name of the stream.
            start: first time to deliver, seconds or "1:02.5".
            end: time from which on nothing is delivered.
            frames: deliver at most so many.

        Raises:
            UsageError: times or counts that make no sense.
        """
        self.settings, self.clip, self.stream_id = settings, clip, stream_id
        self.address: str = settings.address
        start_ns, end_ns = parse_range(start, end, frames)
        times = [self._time_ns(index) for index in range(settings.frames)]
        wanted = [n for n, t in enumerate(times) if t >= (start_ns or 0) and (end_ns is None or t < end_ns)]
        self._indices = wanted[:frames]

    def _time_ns(self, index: int) -> int:
        return round(index * NANOSECONDS / self.settings.rate)

    @property
    def label(self) -> str:
        """What messages call this source."""
        return f"{self.settings.address} (clip {self.clip})"

    @property
    def rate(self) -> Fraction:
        """Frames per second."""
        return Fraction(self.settings.rate).limit_denominator(1001)

    @property
    def expected_frames(self) -> int:
        """How many frames will come."""
        return len(self._indices)

    def frames(self) -> Iterator[Frame]:
        """The frames, in order.

        Raises:
            SourceError: there is no frame in what was asked for.
        """
        renderer = SceneRenderer(self.settings, self.clip)
        if not self._indices:
            raise SourceError(f"{self.label}: there is no frame in the time that was asked for")
        base = 1 / self.rate
        for number, index in enumerate(self._indices):
            picture = Picture.from_rgb(renderer.draw(renderer.moment(index)).picture())
            yield Frame(self.stream_id, number, 0, self._time_ns(index), self._time_ns(1), picture, index, base)


def open_synthetic(address: str, name: str | None, options: SourceOptions) -> list[Source]:
    """A source for each clip that an address stands for.

    Raises:
        UsageError: an unknown scene or option, or a name for several clips.
    """
    settings = parse_synthetic(address)
    if name is not None and settings.clips > 1:
        raise UsageError(f"the name {name!r} is for one stream, but {address} has {settings.clips} clips")
    numbers = range(settings.first, settings.first + settings.clips)
    name = name or settings.name
    return [
        SyntheticSource(
            settings, clip, stream_id=name if settings.clips == 1 else f"{name}-{clip}",
            start=options.start, end=options.end, frames=options.frames,
        )
        for clip in numbers
    ]  # fmt: skip
