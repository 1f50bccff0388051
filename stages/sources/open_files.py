"""Opens what the first rows of the table of sources stand for: files, folders, globs, standard input, web addresses."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from pathlib import Path

from ...kernels.device import HOST
from ...pipeline.errors import SourceError, UsageError
from ...pipeline.redaction import redact_address
from ...pipeline.stage import Source
from .images import ImageSource, images_in, images_of_pattern, is_image, natural_key
from .kinds import SourceOptions, all_kinds, is_there
from .picture_count import how_to_play


def open_stream(address: str, name: str | None, options: SourceOptions) -> list[Source]:
    """The video of an address that FFmpeg reads, or of standard input."""
    from .video import VideoSource

    source = VideoSource(
        address,
        stream_id=name,
        video_stream=options.video_stream,
        sliced=options.latest,
        deterministic=options.deterministic,
        threads=options.threads,
        decoder=options.decoder,
        device=options.device or HOST,
        **options.part(),
    )
    return [source]


def open_file(address: str, name: str | None, options: SourceOptions) -> list[Source]:
    """A video, or an image; an animation, or an image with several pages, is played.

    Raises:
        SourceError: it cannot be read.
    """
    from .av_open import check_file

    path = Path(address)
    if not (is_there(address) and is_image(path)):
        check_file(path)
        return open_stream(str(path), name, options)
    played = how_to_play(path)
    if played == "image":
        return _images([path], name or path.stem, options)
    if played == "video":
        return open_stream(str(path), name, options)
    from .animation import AnimationSource

    return [AnimationSource(path, stream_id=name or path.stem, **options.part())]


def open_folder(address: str, name: str | None, options: SourceOptions) -> list[Source]:
    """The images of a folder, in natural order."""
    path = Path(address)
    return _images(images_in(path), name or path.absolute().name or "images", options, path)


def open_numbered(address: str, name: str | None, options: SourceOptions) -> list[Source]:
    """The images of ``frames/%06d.png``."""
    parent = Path(address).absolute().parent
    return _images(images_of_pattern(address), name or parent.name or "images", options)


def open_glob(address: str, name: str | None, options: SourceOptions) -> list[Source]:
    """All images as one source, or all videos as one each.

    Raises:
        SourceError: nothing matches.
        UsageError: images and videos match, or several videos and there is one name.
    """
    found = map(Path, glob.glob(address, recursive=True))  # noqa: PTH207  Path.glob takes no absolute pattern
    paths = sorted((path for path in found if path.is_file()), key=lambda path: (natural_key(path), str(path)))
    if not paths:
        raise SourceError(f"no file matches {redact_address(address)}")
    images = [path for path in paths if is_image(path)]
    if len(images) == len(paths):
        folder = Path(re.split(r"[*?[]", address, maxsplit=1)[0] + "x").parent
        return _images(paths, name or folder.absolute().name or "images", options, folder)
    if images:
        other = next(path for path in paths if not is_image(path))
        raise UsageError(
            f"{address} matches images ({images[0].name}) and other files ({other.name}); use a narrower one"
        )
    if name is not None and len(paths) > 1:
        raise UsageError(f"the name {name!r} is for one stream, but {address} matches {len(paths)} files")
    return [source for path in paths for source in open_file(str(path), name, options)]


def open_remote(address: str, name: str | None, options: SourceOptions) -> list[Source]:
    """The video of a web address, or the live stream there.

    Raises:
        UsageError: an address with another scheme than http and https.
    """
    scheme = address.partition(":")[0].lower()
    if scheme in ("http", "https"):
        from .camera.open_camera import open_web

        return open_web(address, name, options)
    shown = redact_address(address)
    kind = f" {scheme + ':'!r}" if shown.lower().startswith(scheme) else ""  # else it is a user's name: ann:word@host
    raise UsageError(f"{shown}: unknown kind of source{kind}; give {all_kinds()}")


def _images(paths: Sequence[Path], name: str, options: SourceOptions, folder: Path | None = None) -> list[Source]:
    return [ImageSource(paths, stream_id=name, folder=folder, **options.part())]
