"""A source whose first frame has been looked at, so that a run knows its geometry before outputs are opened."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from dataclasses import dataclass, field

from ...pipeline.packet import Frame
from ...pipeline.stage import Source
from .wrapper import SourceWrapper


@dataclass(frozen=True, slots=True)
class SeenFrames:
    """What an earlier run did with the frames of the epoch that it was in when it was interrupted.

    Attributes:
        first: index of the epoch's first frame.
        dropped: those that were dropped -> the cause.
    """

    first: int = 0
    dropped: Mapping[int, str] = field(default_factory=dict)


class PeekableSource(SourceWrapper):
    """Another source, the same in everything, with its first frame at hand and earlier ones skipped.

    ``open`` opens the source and reads up to its first frame, so a source that has none fails there. Of a live one it
    reads none: a camera that is off must not keep the others waiting. Where the skipped frames are to be ``seen``
    again, :meth:`passed` reads these.

    Attributes:
        first: the first frame to come, or None where the source has no more than was skipped.
        held: skipped frames whose results those to come may need, in order.
        size: (height, width) of the source's very first frame; None before ``open``.
        rate: frames per second by the duration of that frame, or None where it is not known.
    """

    def __init__(
        self,
        source: Source,
        *,
        after: int = -1,
        retain: Collection[int] = (),
        skip: Callable[[Frame], bool] | None = None,
        seen: SeenFrames | None = None,
    ) -> None:
        """
        Args:
            source: not opened yet.
            after: skip frames up to this index (those that an earlier run has already seen).
            retain: hold these of them.
            skip: is told of each of them, and says whether the network ran on it; with no ``retain``, the last such
                one is held. None: nobody has to be told, and it ran on all.
            seen: a network with memory has to see again those of these frames that the network ran on.
        """
        super().__init__(source)
        self.after, self._retain, self._skip, self._seen = after, frozenset(retain), skip, seen
        self.first: Frame | None = None
        self.held: list[Frame] = []
        self.size: tuple[int, int] | None = None
        self.rate: float | None = None
        self._rest: Iterator[Frame] | None = None

    def open(self) -> None:
        """Open the source and read its first frame; does nothing if that was done.

        Raises:
            SourceError: as the source.
        """
        if self._rest is not None:
            return
        self.source.open()
        self._rest = self.source.frames()
        if self.source.live:
            return
        self.first = frame = next(self._rest, None)
        if frame is None:
            return
        self.size = frame.picture.height, frame.picture.width
        self.rate = round(1e9 / frame.duration_ns, 3) if frame.duration_ns > 0 else None
        del frame
        for frame in self._skipped() if self._seen is None else ():
            if self._skip is not None and self._skip(frame) and not self._retain:
                self.held = [frame]
            elif frame.index in self._retain:
                self.held.append(frame)

    def _skipped(self) -> Iterator[Frame]:
        """The frames that an earlier run has seen; the one behind them is then the first."""
        while self._rest is not None and self.first is not None and self.first.index <= self.after:
            frame, self.first = self.first, None
            yield frame
            del frame
            self.first = next(self._rest, None)

    def passed(self) -> Iterator[tuple[Frame, bool]]:
        """The frames that a network with memory has to see again, and whether it, or a stage behind it, failed on it.

        Call this once, before :meth:`frames`, of a source that was opened for it; it reads as it goes.
        """
        seen = self._seen
        for frame in self._skipped() if seen is not None else ():
            ran = self._skip is None or self._skip(frame)
            cause = None if seen is None else seen.dropped.get(frame.index)
            if ran and seen is not None and frame.index >= seen.first and cause in (None, "failed"):
                yield frame, cause is not None

    def frames(self) -> Iterator[Frame]:
        """The first frame and those after it."""
        if self.live and self._rest is not None:
            yield from self._rest
            return
        if self.first is not None and self._rest is not None:
            first, self.first = self.first, None
            yield first
            del first
            yield from self._rest

    def close(self) -> None:
        """Close the source."""
        rest, self._rest, self.first, self.held = self._rest, None, None, []
        if isinstance(rest, Generator):
            rest.close()
        self.source.close()

    @property
    def expected_frames(self) -> int | None:
        """As the source, less what is skipped."""
        expected = self.source.expected_frames
        return None if expected is None else max(0, expected - self.after - 1)
