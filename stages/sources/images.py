"""Images as a source of frames: one image, a folder of images, a glob, a numbered sequence."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from ...pipeline.errors import SourceError
from ...pipeline.limits import MAX_PIXELS, check_max_pixels, too_large
from ...pipeline.packet import Frame
from ...pipeline.redaction import redact_address
from ...pipeline.stage import Source
from ...pipeline.types.picture import Picture
from .clock import NANOSECONDS, frames_between, parse_range, to_ns
from .picture_count import is_put_together, picture_count, whole_chunks

log = logging.getLogger("vidgraph")

IMAGE_SUFFIXES = (
    ".bmp", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp",
    ".apng", ".avif", ".heic", ".heif", ".j2k", ".jp2",
)  # fmt: skip
_LEFT_OUT = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".mpg", ".mpeg", ".flv", ".wmv", ".3gp", ".gif"}
    | {".jxl", ".psd", ".svg", ".dng", ".cr2", ".cr3", ".nef", ".arw"}
)
"""Videos, and pictures that are not read: what one might think is among the pictures of a folder."""
_NAMED = 5  # files of one kind in a message
IMAGE_RATE = 25
"""Nominal images per second: image n is shown from n / 25 s on."""


def is_image(path: Path) -> bool:
    """Whether the suffix of ``path`` is that of an image."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def natural_key(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Sorts ``frame2`` before ``frame10``."""
    pieces = re.split(r"(\d+)", path.name)
    return tuple((0, int(piece), "") if piece.isdecimal() else (1, 0, piece.lower()) for piece in pieces if piece)


def images_in(folder: Path) -> list[Path]:
    """The images directly in ``folder`` in natural order; hidden files are left out.

    Videos, and pictures of kinds that are not read, are left out too, and named in the log.

    Raises:
        SourceError: there are none, or the folder cannot be read.
    """
    try:
        shown = [path for path in folder.iterdir() if not path.name.startswith(".")]
        found = [path for path in shown if is_image(path)]
    except OSError as error:
        raise SourceError(f"cannot read the folder {folder}: {error.strerror}") from error
    if not found:
        kinds = ", ".join(suffix[1:] for suffix in IMAGE_SUFFIXES)
        raise SourceError(f"{folder} is a folder without images ({kinds}); for videos give their files: {folder}/*.mp4")
    others = sorted((path for path in shown if path.suffix.lower() in _LEFT_OUT), key=natural_key)
    if others:
        names = ", ".join(path.name for path in others[:_NAMED])
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        log.warning("%s: left out, because they are no pictures that are read: %s%s", folder, names, more)
    return sorted(found, key=natural_key)


def images_of_pattern(pattern: str) -> list[Path]:
    """The files of a numbered sequence such as ``frames/%06d.png``, by number; gaps are passed over.

    Raises:
        SourceError: no file matches.
    """
    folder, name = Path(pattern).parent, Path(pattern).name
    before, width, after = re.fullmatch(r"(.*?)%(0\d+)?d(.*)", name).groups()  # type: ignore[union-attr]
    digits = rf"\d{{{int(width)},}}" if width else r"\d+"
    matches = re.compile(re.escape(before) + f"({digits})" + re.escape(after))
    numbered = []
    for path in folder.iterdir() if folder.is_dir() else ():
        found = matches.fullmatch(path.name)
        if found:
            numbered.append((int(found[1]), path))
    if not numbered:
        raise SourceError(f"no file matches {redact_address(pattern)}")
    return [path for _, path in sorted(numbered)]


@dataclass(frozen=True, slots=True)
class ReadImage:
    """The picture of an image file, whether it is damaged, and how many pictures there are in the file."""

    picture: Picture
    damaged: bool
    count: int


def read_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode one image file, turned as its Exif data says; of an animation, the first picture.

    Args:
        path: of the file.
        max_pixels: a larger image is refused before memory is asked for.

    Raises:
        SourceError: not a file, or not an image that can be decoded, or one that is too large.
    """
    return read_image_file(path, max_pixels=max_pixels).picture


def read_image_file(path: Path, *, max_pixels: int = MAX_PIXELS) -> ReadImage:
    """As :func:`read_image`, with what else is to be said of the file.

    FFmpeg decodes it, or Pillow what FFmpeg cannot: animated WebP, BigTIFF.
    """
    from .av_open import check_file
    from .image_bytes import is_cut_off, without_packed_notes

    check_file(path)
    try:
        data = without_packed_notes(path.read_bytes())
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error
    count = picture_count(data)
    try:
        picture, damaged = _decode(path, data, max_pixels)
        return ReadImage(picture, damaged, count)
    except SourceError as error:
        pillows = _decode_with_pillow(path, data, max_pixels)
        if pillows is None:
            raise
        log.debug("%s is read by Pillow: %s", path, error)
        return ReadImage(pillows, is_cut_off(data), count)


def _decode_with_pillow(path: Path, data: bytes, max_pixels: int) -> Picture | None:
    """What Pillow makes of a file; None where that is nothing either."""
    from .pillow_picture import PILLOW_ERRORS, check_pixels, open_pillow, pillow_picture

    try:
        image = open_pillow(whole_chunks(data))
    except ValueError:
        return None
    check_pixels(image, str(path), max_pixels)
    try:
        return pillow_picture(image)
    except ValueError as error:
        raise SourceError(f"cannot read {path}: {error}") from error
    except PILLOW_ERRORS:
        return None


def _decode(path: Path, data: bytes, max_pixels: int) -> tuple[Picture, bool]:
    """What FFmpeg makes of a file, and whether it is damaged."""
    from av.error import FFmpegError

    from .av_open import choose_stream, crop_exactly, limit_pixels, open_container, stated_size
    from .av_picture import PictureReader
    from .image_bytes import announced_size, exif_orientation, has_icc_profile, is_cut_off
    from .pillow_picture import icc_profile

    if is_put_together(data):
        raise SourceError(f"{path}: its picture is made of tiles, which are not read; convert it to JPEG or PNG")
    with closing(open_container(io.BytesIO(data), str(path), max_pixels=max_pixels)) as container:
        stream = choose_stream(container, None, str(path))
        limit_pixels(stream, str(path), max_pixels)
        crop_exactly(stream)
        stream.codec_context.thread_count = 1
        try:
            frame = next(container.decode(stream))
        except (FFmpegError, StopIteration) as error:
            size = announced_size(data) or stated_size(io.BytesIO(data))
            if size is not None and size[0] * size[1] > max_pixels:
                raise too_large(str(path), size, max_pixels) from error
            raise SourceError(f"{path} is damaged: no image could be decoded") from error
        # AVIF and HEIF are turned by properties of the file, which FFmpeg knows; their Exif data repeats them.
        turn = None if data[4:8] == b"ftyp" else exif_orientation(data)
        picture = PictureReader(stream.codec_context).read(frame, orientation=turn)
        if has_icc_profile(data) and (profile := icc_profile(data)):
            picture = replace(picture, tags=replace(picture.tags, icc_profile=profile))
        return picture, frame.is_corrupt or is_cut_off(data)


class ImageSource(Source):
    """Images as the frames of one stream, at a nominal 25 frames per second.

    ``index`` is the place in the list, ``Frame.file`` the image's name; an image that cannot be decoded leaves a gap,
    is named in the log and counted in ``problems`` as ``lost`` (a single image that cannot be decoded is an
    error). Of an animation among them the first picture is read, which the log says. A change of size or pixel
    format from one image to the next begins a new epoch.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        stream_id: str,
        start: str | float | None = None,
        end: str | float | None = None,
        frames: int | None = None,
        max_pixels: int = MAX_PIXELS,
        folder: Path | None = None,
    ) -> None:
        """
        Args:
            paths: the files, in order.
            stream_id: name of the stream.
            start: first time to deliver, in seconds at 25 images per second.
            end: time from which on nothing is delivered.
            frames: deliver at most so many.
            max_pixels: larger images are refused before memory is asked for.
            folder: that all of them are in, for their names; None: each is named by itself.

        Raises:
            UsageError: a time or a count makes no sense.
            SourceError: nothing is left of the list.
        """
        self.paths, self.stream_id, self._folder = list(paths), stream_id, folder
        start_ns, end_ns = parse_range(start, end, frames)
        check_max_pixels(max_pixels)
        self._max_pixels = max_pixels
        rate = Fraction(IMAGE_RATE)
        count = frames_between(len(self.paths), rate, start_ns, end_ns)
        self._first = frames_between(len(self.paths), rate, None, start_ns) if start_ns else 0
        self._count = count if frames is None else min(count, frames)
        if self._count == 0:
            last = (len(self.paths) - 1) / IMAGE_RATE
            raise SourceError(
                f"{stream_id}: its {len(self.paths)} image(s) end at {last:g} s, before the start asked for"
            )
        self._problems: dict[str, int] = {}

    def open(self) -> None:
        """Forget the problems of an earlier reading; files are opened one by one."""
        self._problems = {}

    @property
    def problems(self) -> dict[str, int]:
        """Cause -> frames: ``lost`` images that could not be decoded, ``damaged`` ones that could in part."""
        return dict(self._problems)

    @property
    def files(self) -> list[Path]:
        """All images that it was given."""
        return self.paths

    @property
    def expected_frames(self) -> int | None:
        """How many images will be read."""
        return self._count

    @property
    def pictures(self) -> tuple[tuple[str, Path], ...]:
        """Name and file of each image that will be read, by frame number."""
        chosen = self.paths[self._first : self._first + self._count]
        return tuple((self._name(path), path) for path in chosen)

    def _name(self, path: Path) -> str:
        return path.name if self._folder is None else path.relative_to(self._folder).as_posix()

    def frames(self) -> Iterator[Frame]:
        """The images, in order.

        Raises:
            SourceError: none of them can be decoded.
        """
        epoch, shape, delivered = 0, None, False
        step = Fraction(1, IMAGE_RATE)
        for index in range(self._count):
            number = self._first + index
            path = self.paths[number]
            try:
                image = read_image_file(path, max_pixels=self._max_pixels)
            except SourceError as error:
                if self._count == 1 or (index == self._count - 1 and not delivered):
                    raise
                log.warning("%s: left out: %s", self.stream_id, error)
                self._problems["lost"] = self._problems.get("lost", 0) + 1
                continue
            if image.damaged:
                log.warning("%s: %s is damaged; what can be decoded of it is used", self.stream_id, path)
                self._problems["damaged"] = self._problems.get("damaged", 0) + 1
            if image.count > 1:
                log.warning(
                    "%s: %s is an animation or has several pages; its first picture is used (give the file by itself"
                    " to have them all)",
                    self.stream_id, path,
                )  # fmt: skip
            picture = image.picture
            new_shape = (picture.height, picture.width, picture.format)
            epoch += shape is not None and new_shape != shape
            shape, delivered = new_shape, True
            yield Frame(
                stream_id=self.stream_id,
                index=index,
                epoch=epoch,
                pts_ns=to_ns(number, step),
                duration_ns=NANOSECONDS // IMAGE_RATE,
                picture=picture,
                pts=number,
                time_base=step,
                damaged=image.damaged,
                file=self._name(path),
            )
