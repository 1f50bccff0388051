"""A source whose first frame has been looked at, so that a run knows its geometry before outputs are opened."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator

from ...pipeline.packet import Frame
from ...pipeline.stage import Source
from .wrapper import SourceWrapper


class PeekableSource(SourceWrapper):
    """Another source, the same in everything, with its first frame at hand and earlier ones skipped.

    ``open`` opens the source and reads up to its first frame, so a source that has none fails there. Of a live one it
    reads none: a camera that is off must not keep the others waiting.

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
        skip: Callable[[Frame], bool] = lambda frame: False,
    ) -> None:
        """
        Args:
            source: not opened yet.
            after: skip frames up to this index (those that an earlier run has already seen).
            retain: hold these of them.
            skip: is told of each of them, and says whether those behind it need its result; with no ``retain``,
                the last such one is held.
        """
        super().__init__(source)
        self.after, self._retain, self._skip = after, frozenset(retain), skip
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
        for frame in self._rest:
            if self.size is None:
                self.size = frame.picture.height, frame.picture.width
                self.rate = round(1e9 / frame.duration_ns, 3) if frame.duration_ns > 0 else None
            if frame.index > self.after:
                self.first = frame
                return
            if self._skip(frame) and not self._retain:
                self.held = [frame]
            elif frame.index in self._retain:
                self.held.append(frame)

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
