"""Opens what the table of sources has of cameras: addresses of networks, webcams, and lists of addresses."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from pathlib import Path

from ....pipeline.errors import SourceError, UsageError
from ....pipeline.redaction import redact_address
from ....pipeline.stage import Source
from ..kinds import SourceOptions
from .address import CameraAddress, read_address
from .options import CameraOptions

log = logging.getLogger("vidgraph")

_MOST_THREADS = 4


def open_camera(address: str, name: str | None, options: SourceOptions) -> list[Source]:
    """A camera, which is not asked for anything yet.

    Raises:
        UsageError: the address cannot be one, or a part of it was asked for.
    """
    from .source import CameraSource

    place = read_address(address)
    if options.start is not None or options.end is not None:
        raise UsageError(f"{place.shown}: start and end are for recordings, not for a camera")
    _warn_of_password(address, place)
    return [CameraSource(place, stream_id=name, frames=options.frames, options=camera_options(options))]


def open_web(address: str, name: str | None, options: SourceOptions) -> list[Source]:
    """What is behind an http(s) address: a video, or a camera.

    Raises:
        UsageError: a variable in it is not set.
    """
    from ..open_files import open_stream
    from .web import WebSource

    try:
        place = read_address(address)
    except UsageError:
        if "${" in address:
            raise
        return open_stream(address, name, options)  # FFmpeg says what is wrong with it
    _warn_of_password(address, place)
    if "${" in address.partition("?")[0].rpartition("/")[2]:
        name = name or place.host  # the value of a variable is in no name
    (video,) = open_stream(place.url if "${" in address else address, name, options)
    return [WebSource(video, place, camera_options(options), frames=options.frames)]


def camera_options(options: SourceOptions) -> CameraOptions:
    """How a camera is read, of the options for every source."""
    threads = min(options.threads or 1, _MOST_THREADS)
    return replace(
        options.camera,
        max_pixels=options.max_pixels,
        threads=threads,
        decoder=options.decoder,
        device=options.device,
    )


def _warn_of_password(text: str, place: CameraAddress) -> None:
    if place.literal_password and any(text in argument for argument in sys.argv[1:]):
        log.warning(
            "%s: every user of this machine can see a password on the command line; keep it in the environment, "
            "and write '${NAME}' in its place",
            place.shown,
        )


def open_list(address: str, name: str | None, options: SourceOptions) -> list[Source]:
    """The sources of a file with one address a line, ``NAME=ADDRESS`` where they are to have names; ``#`` begins a
    comment.

    Raises:
        UsageError: two have the same name, one is a list itself, or there is one name for all.
        SourceError: it cannot be read, or has no address.
    """
    from ..registry import open_sources_of

    path = Path(address)
    try:
        lines = path.read_text("utf-8-sig").splitlines()  # Windows may write a mark before it
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"cannot read the list {redact_address(address)}: {error.__class__.__name__}") from error
    texts = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not texts:
        raise SourceError(f"{redact_address(address)} has no address; write one a line")
    if name is not None and len(texts) > 1:
        raise UsageError(f"the name {name!r} is for one stream, but {redact_address(address)} has {len(texts)}")
    if any(text.lower().endswith(".txt") for text in texts):
        raise UsageError(f"{redact_address(address)}: a list cannot name another list")
    return open_sources_of(texts, options, name)
