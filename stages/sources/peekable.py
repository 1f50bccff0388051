"""A source whose first frame has been looked at, so that a run knows its geometry before outputs are opened."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator

from ...pipeline.packet import Frame
from ...pipeline.stage import Source


class Peeked(Source):
    """Another source, the same in everything, with its first frame at hand and earlier ones passed over.

    ``open`` opens the source and reads up to its first frame, so a source that has none fails there.

    Attributes:
        first: the first frame to come, or None where the source has no more than was passed over.
        held: frames passed over whose results those to come may need, in order.
        size: (height, width) of the source's very first frame; None before ``open``.
        rate: frames per second by the duration of that frame, or None where it is not known.
    """

    def __init__(
        self,
        source: Source,
        *,
        after: int = -1,
        keep: Collection[int] = (),
        pass_over: Callable[[Frame], bool] = lambda frame: False,
    ) -> None:
        """
        Args:
            source: not opened yet.
            after: pass over frames up to this index (those that an earlier run has already seen).
            keep: hold these of them.
            pass_over: is told of each of them, and says whether those behind it need its result; with no ``keep``,
                the last such one is held.
        """
        self.source, self.after, self._keep, self._pass_over = source, after, frozenset(keep), pass_over
        self.stream_id = source.stream_id
        self.live: bool = source.live
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
        for frame in self._rest:
            if self.size is None:
                self.size = frame.picture.height, frame.picture.width
                self.rate = round(1e9 / frame.duration_ns, 3) if frame.duration_ns > 0 else None
            if frame.index > self.after:
                self.first = frame
                return
            if self._pass_over(frame) and not self._keep:
                self.held = [frame]
            elif frame.index in self._keep:
                self.held.append(frame)

    def frames(self) -> Iterator[Frame]:
        """The first frame and those after it."""
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

    def interrupt(self) -> None:
        """End a read that waits, where the source can."""
        self.source.interrupt()

    @property
    def problems(self) -> dict[str, int]:
        """As the source."""
        return self.source.problems

    @property
    def expected_frames(self) -> int | None:
        """As the source, less what is passed over."""
        expected = self.source.expected_frames
        return None if expected is None else max(0, expected - self.after - 1)
