"""An animated WebP, PNG or GIF, or the pages of a TIFF, as a source of frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...pipeline.errors import SourceError
from ...pipeline.limits import MAX_PIXELS, check_max_pixels
from ...pipeline.packet import Frame
from ...pipeline.stage import Source
from ...pipeline.types.picture import Picture
from .av_open import check_file
from .clock import NANOSECONDS, parse_range
from .image_bytes import is_cut_off
from .images import IMAGE_RATE
from .picture_count import LESSER_PAGE, SUBFILE_TYPE, picture_count, whole_chunks
from .pillow_picture import PILLOW_ERRORS, check_pixels, open_pillow, pillow_picture

if TYPE_CHECKING:
    from PIL import Image

_NO_TIME_NS = NANOSECONDS // 10
"""How long a picture is shown whose file says 0, as browsers do."""


class AnimationSource(Source):
    """The pictures of one file as frames, each composed as it is shown, at the file's own times.

    Pages of a TIFF come at a nominal 25 a second. Transparency is left out. ``index`` counts delivered frames
    from 0. A file that is cut off or damaged gives the pictures before that place; ``problems`` counts the others
    as ``lost``. It is decoded by Pillow: FFmpeg reads no animated WebP, and one page of a TIFF.
    """

    def __init__(
        self,
        path: Path,
        *,
        stream_id: str,
        start: str | float | None = None,
        end: str | float | None = None,
        frames: int | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        """
        Args:
            path: the file.
            stream_id: name of the stream.
            start: first time to deliver, in seconds.
            end: time from which on nothing is delivered.
            frames: deliver at most so many.
            max_pixels: larger pictures are refused before memory is asked for.

        Raises:
            UsageError: a time or a count makes no sense.
        """
        self.path, self.stream_id = path, stream_id
        start_ns, self._end_ns = parse_range(start, end, frames)
        self._start_ns = start_ns or 0
        check_max_pixels(max_pixels)
        self._limit, self._max_pixels = frames, max_pixels
        self._image: Image.Image | None = None
        self._count, self._is_cut_off = 0, False
        self._problems: dict[str, int] = {}

    def open(self) -> None:
        """Read the file.

        Raises:
            SourceError: it cannot be read, or is too large.
        """
        if self._image is not None:
            return
        check_file(self.path)
        self._problems = {}
        try:
            data = self.path.read_bytes()
            self._count, self._is_cut_off = picture_count(data), is_cut_off(data)
            self._image = open_pillow(whole_chunks(data))
        except OSError as error:
            raise SourceError(f"cannot read {self.path}: {error.strerror}") from error
        except ValueError as error:
            raise SourceError(f"cannot open {self.path}: {error}") from error
        check_pixels(self._image, str(self.path), self._max_pixels)

    def close(self) -> None:
        """Free the file."""
        if self._image is not None:
            self._image.close()
        self._image = None

    @property
    def files(self) -> list[Path]:
        """The one file."""
        return [self.path]

    @property
    def problems(self) -> dict[str, int]:
        """Cause -> frames: ``lost`` pictures that could not be decoded."""
        return dict(self._problems)

    @property
    def expected_frames(self) -> int | None:
        """How many frames will come at most; None before ``open``."""
        if self._image is None:
            return self._limit
        return self._count if self._limit is None else min(self._count, self._limit)

    def frames(self) -> Iterator[Frame]:
        """The pictures, in order.

        Raises:
            SourceError: not opened, or no picture in what was asked for can be decoded.
        """
        if self._image is None:
            raise SourceError(f"{self.path}: open() the source before reading its frames")
        index, epoch, shape, time_ns = 0, 0, None, 0
        for picture, duration_ns in self._pictures(self._image):
            new_shape = (picture.height, picture.width, picture.format)
            epoch += shape is not None and new_shape != shape
            shape = new_shape
            if self._end_ns is not None and time_ns >= self._end_ns:
                break
            if time_ns >= self._start_ns:
                yield Frame(
                    stream_id=self.stream_id,
                    index=index,
                    epoch=epoch,
                    pts_ns=time_ns,
                    duration_ns=duration_ns,
                    picture=picture,
                    pts=time_ns,
                )
                index += 1
                if index == self._limit:
                    break
            time_ns += duration_ns
        if index == 0:
            what = f"there is no frame at or after start = {self._start_ns / NANOSECONDS:g} s"
            raise SourceError(f"{self.path}: {what if shape else 'no image could be decoded'}")

    def _pictures(self, image: Image.Image) -> Iterator[tuple[Picture, int]]:
        """Each picture and how long it is shown, in ns."""
        place = 1 if image.info.get("default_image") else 0  # of a PNG: for who does not show animations
        given = 0
        while given < self._count:
            try:
                image.seek(place)
                check_pixels(image, str(self.path), self._max_pixels)
                picture = None if _is_lesser_page(image) else pillow_picture(image)
            except PILLOW_ERRORS:
                self._problems["lost"] = self._count - given
                return
            place += 1
            if picture is not None:
                given += 1
                yield picture, _duration_ns(image)
        if self._is_cut_off:  # between two pictures, so that nothing says how many there were
            self._problems["lost"] = 1


def _is_lesser_page(image: Any) -> bool:
    """Whether a page of a TIFF is a smaller version or a mask of another."""
    return bool(image.format == "TIFF" and image.tag_v2.get(SUBFILE_TYPE, 0) & LESSER_PAGE)


def _duration_ns(image: Any) -> int:
    if image.format == "TIFF":
        return NANOSECONDS // IMAGE_RATE
    return round(image.info.get("duration", 0) * 1_000_000) or _NO_TIME_NS
