"""From what a user writes to sources: files, folders, globs, numbered images, standard input, web addresses."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...pipeline.errors import SourceError, UsageError
from ...pipeline.limits import MAX_PIXELS
from ...pipeline.redaction import redact_address
from ...pipeline.stage import Source
from .images import ImageSource, images_in, images_of_pattern, is_image, natural_key
from .picture_count import how_to_play
from .realtime import PacedSource
from .synthetic.settings import NAMES, is_world

_NAMED = re.compile(r"(?P<name>[A-Za-z0-9_][A-Za-z0-9_. -]*)=(?P<address>.+)", re.DOTALL)
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):")
_NUMBERED = re.compile(r"%(0\d+)?d")
_MAGIC = re.compile(r"[*?[]")
_CAMERAS = ("rtsp", "rtsps", "rtmp", "rtmps", "srt", "udp", "rtp", "v4l2")
KINDS = (
    "a video or image file, a folder of images, a glob, numbered images (frames/%06d.png), "
    f"- (standard input), http:// and https:// addresses, {', '.join(f'synth:{name}' for name in NAMES)} (drawn)"
)


@dataclass(frozen=True, slots=True)
class _Options:
    """What :func:`open_source` passes on to every source of an address."""

    start: str | float | None
    end: str | float | None
    frames: int | None
    latest: bool
    deterministic: bool
    threads: int | None
    video_stream: int | None
    max_pixels: int

    def _part(self) -> dict[str, Any]:
        """What of a file is read, as every source of files takes it."""
        return {"start": self.start, "end": self.end, "frames": self.frames, "max_pixels": self.max_pixels}

    def video(self, address: str, name: str | None) -> Source:
        from .video import VideoSource

        source = VideoSource(
            address,
            stream_id=name,
            video_stream=self.video_stream,
            sliced=self.latest,
            deterministic=self.deterministic,
            threads=self.threads,
            **self._part(),
        )
        return PacedSource(source) if self.latest else source

    def world(self, address: str, name: str | None) -> list[Source]:
        from .synthetic.source import world_sources

        sources = world_sources(address, stream_id=name, start=self.start, end=self.end, frames=self.frames)
        return [PacedSource(source) if self.latest else source for source in sources]

    def images(self, paths: Sequence[Path], name: str, folder: Path | None = None) -> Source:
        source = ImageSource(paths, stream_id=name, folder=folder, **self._part())
        return PacedSource(source) if self.latest else source

    def image(self, path: Path, name: str | None) -> Source:
        """One image file; an animation, or one with several pages, is played."""
        played = how_to_play(path)
        if played == "image":
            return self.images([path], name or path.stem)
        if played == "video":
            return self.video(str(path), name)
        from .animation import AnimationSource

        source = AnimationSource(path, stream_id=name or path.stem, **self._part())
        return PacedSource(source) if self.latest else source


def open_source(
    address: str | os.PathLike[str],
    *,
    stream_id: str | None = None,
    start: str | float | None = None,
    end: str | float | None = None,
    frames: int | None = None,
    latest: bool = False,
    deterministic: bool = False,
    threads: int | None = None,
    video_stream: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> list[Source]:
    """The sources that an address stands for; usually one, several for a glob that matches videos.

    What exists under exactly the given name is always meant, whatever characters it has.

    Args:
        address: a video or image file, a folder of images (in natural order), a glob (all images: one
            source; all videos: one source each), numbered images (``frames/%06d.png``), ``-`` for a stream
            on standard input, an http(s) address, ``synth:street`` for the drawn world; ``NAME=ADDRESS`` names
            the stream.
        stream_id: name of the stream; None: NAME, or the stem of the file, or the name of the folder.
        start: first time to deliver, seconds or "1:02.5".
        end: time from which on nothing is delivered.
        frames: deliver at most so many.
        latest: play at its own pace, like a camera, so that only the newest frame is kept.
        deterministic: decode damage to the same pixels every time (one thread).
        threads: of the decoder; None: one per available core.
        video_stream: which of several video streams of a file, from 0; None: the best.
        max_pixels: larger pictures are refused before memory is asked for.

    Returns:
        sources that are not opened yet, but whose file or folder exists.

    Raises:
        UsageError: no such kind of address, or options that make no sense.
        SourceError: no such file, nothing matches, a folder without images.
    """
    text = os.fspath(address)
    named = None if _is_there(text) else _NAMED.fullmatch(text)
    if named:
        text, stream_id = named["address"], stream_id or named["name"]
    options = _Options(start, end, frames, latest, deterministic, threads, video_stream, max_pixels)
    path = Path(text)
    if not text:
        raise UsageError(f"an empty source address; give {KINDS}")
    if text == "-":
        return [options.video(text, stream_id)]
    if is_world(text):
        return options.world(text, stream_id)
    if os.path.isdir(text):  # noqa: PTH112
        return [options.images(images_in(path), stream_id or path.absolute().name or "images", path)]
    if _is_there(text):
        return [options.image(path, stream_id) if is_image(path) else _file(options, path, stream_id)]
    scheme = _SCHEME.match(text)
    if scheme:
        return [_remote(options, text, scheme["scheme"].lower(), stream_id)]
    if _NUMBERED.search(path.name):
        return [options.images(images_of_pattern(text), stream_id or path.absolute().parent.name or "images")]
    if _MAGIC.search(text):
        return _matching(options, text, stream_id)
    return [_file(options, path, stream_id)]


def open_sources(addresses: Iterable[str | os.PathLike[str]], **options: Any) -> list[Source]:
    """The sources of several addresses, with unique names: a file stem that repeats becomes ``name-2``, ``name-3``, …

    Args:
        addresses: as for :func:`open_source`.
        options: as for :func:`open_source`, but for ``stream_id``.

    Raises:
        UsageError: two addresses were given the same NAME, or standard input twice.
        SourceError: as for :func:`open_source`.
    """
    texts = [os.fspath(address) for address in addresses]
    given = [m["name"] for t in texts if not _is_there(t) and (m := _NAMED.fullmatch(t))]
    repeated = next((name for name in given if given.count(name) > 1), None)
    if repeated is not None:
        raise UsageError(f"two sources are named {repeated!r}; give each its own NAME=ADDRESS")
    if sum(text == "-" or text.endswith("=-") for text in texts) > 1:
        raise UsageError("standard input (-) can be read by one source only")
    sources = [source for text in texts for source in open_source(text, **options)]
    taken = set(given)
    explicit = set(given)
    for source in sources:
        if source.stream_id in explicit:
            explicit.discard(source.stream_id)
            continue
        name, number = source.stream_id, 2
        while name in taken:
            name, number = f"{source.stream_id}-{number}", number + 1
        taken.add(name)
        source.stream_id = name
        if isinstance(source, PacedSource):
            source.source.stream_id = name
    return sources


def _is_there(text: str) -> bool:
    """Whether a file of that name exists; where no file can have it (it is too long), there is none."""
    return os.path.exists(text)  # noqa: PTH110  Path.exists raises


def _file(options: _Options, path: Path, name: str | None) -> Source:
    from .av_open import check_file

    check_file(path)
    return options.video(str(path), name)


def _remote(options: _Options, address: str, scheme: str, name: str | None) -> Source:
    if scheme in ("http", "https"):
        return options.video(address, name)
    shown = redact_address(address)
    if scheme in _CAMERAS:
        raise UsageError(
            f"{shown}: cameras and network streams ({scheme}) are not supported in this version; give {KINDS}"
        )
    kind = f" {scheme + ':'!r}" if shown.lower().startswith(scheme) else ""  # else it is a user's name: ann:word@host
    raise UsageError(f"{shown}: unknown kind of source{kind}; give {KINDS}")


def _matching(options: _Options, pattern: str, name: str | None) -> list[Source]:
    found = map(Path, glob.glob(pattern, recursive=True))  # noqa: PTH207  Path.glob takes no absolute pattern
    paths = sorted((path for path in found if path.is_file()), key=lambda path: (natural_key(path), str(path)))
    if not paths:
        raise SourceError(f"no file matches {redact_address(pattern)}")
    images = [path for path in paths if is_image(path)]
    if len(images) == len(paths):
        folder = Path(re.split(r"[*?[]", pattern, maxsplit=1)[0] + "x").parent
        return [options.images(paths, name or folder.absolute().name or "images", folder)]
    if images:
        other = next(path for path in paths if not is_image(path))
        raise UsageError(
            f"{pattern} matches images ({images[0].name}) and other files ({other.name}); use a narrower one"
        )
    if name is not None and len(paths) > 1:
        raise UsageError(f"the name {name!r} is for one stream, but {pattern} matches {len(paths)} files")
    return [_file(options, path, name) for path in paths]
