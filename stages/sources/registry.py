"""From what a user writes to sources, by the table of their kinds in :mod:`.kinds`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

from ...kernels.device import HOST, Device
from ...pipeline.errors import UsageError
from ...pipeline.limits import MAX_PIXELS
from ...pipeline.stage import Source
from .camera.options import CameraOptions, DecoderName
from .kinds import SourceOptions, all_kinds, is_there, kind_of
from .played import as_camera
from .realtime import RealtimeSource

_NAMED = re.compile(r"(?P<name>[A-Za-z0-9_][A-Za-z0-9_. -]*)=(?P<address>.+)", re.DOTALL)


def open_source(
    address: str | os.PathLike[str],
    *,
    stream_id: str | None = None,
    start: str | float | None = None,
    end: str | float | None = None,
    frames: int | None = None,
    latest: bool = False,
    as_camera: bool = False,
    deterministic: bool = False,
    threads: int | None = None,
    video_stream: int | None = None,
    max_pixels: int = MAX_PIXELS,
    decoder: DecoderName = "auto",
    device: Device = HOST,
    camera: CameraOptions | None = None,
) -> list[Source]:
    """The sources that an address stands for; usually one, several for a glob that matches videos.

    What exists under exactly the given name is always meant, whatever characters it has.

    Args:
        address: a video or image file, a folder of images (in natural order), a glob (all images: one
            source; all videos: one source each), numbered images (``frames/%06d.png``), ``-`` for a stream
            on standard input, an http(s) address, a camera (``rtsp://…``, ``/dev/video0``), ``list.txt`` with one
            address a line, ``synth:street`` for synthetic scenes; ``NAME=ADDRESS`` names the stream.
        stream_id: name of the stream; None: NAME, or the stem of the file, or the name of the folder.
        start: first time to deliver, seconds or "1:02.5".
        end: time from which on nothing is delivered.
        frames: deliver at most so many.
        latest: play at its own pace, like a camera, so that only the newest frame is kept.
        as_camera: play videos over and over, as cameras; a stream then ends after ``frames``, or when it is stopped.
        deterministic: decode damage to the same pixels every time (one thread).
        threads: of the decoder; None: one per available core.
        video_stream: which of several video streams of a file, from 0; None: the best.
        max_pixels: larger pictures are refused before memory is asked for.
        decoder: of video: ``auto``: on the card where the frames are needed, if it can, else by the CPU, and a line in
            the log says why; ``cpu``; ``cuda``: on a card.
        device: where the frames are needed.
        camera: how it is read, if it is one; ``threads``, ``max_pixels``, ``decoder`` and ``device`` are those given
            here. None: as usual.

    Returns:
        sources that are not opened yet, but whose file or folder exists.

    Raises:
        UsageError: no such kind of address, or options that make no sense.
        SourceError: no such file, nothing matches, a folder without images.
    """
    options = SourceOptions(
        start=start,
        end=end,
        frames=frames,
        latest=latest,
        as_camera=as_camera,
        deterministic=deterministic,
        threads=threads,
        video_stream=video_stream,
        max_pixels=max_pixels,
        decoder=decoder,
        device=device,
        camera=camera or CameraOptions(),
    )
    return in_real_time(_sources(os.fspath(address), stream_id, options), latest=latest)


def in_real_time(sources: Iterable[Source], *, latest: bool) -> list[Source]:
    """With ``latest``, ``sources`` at their own pace; those that are live have it."""
    return [RealtimeSource(source) if latest and not source.live else source for source in sources]


def _sources(text: str, stream_id: str | None, options: SourceOptions) -> list[Source]:
    named = None if is_there(text) else _NAMED.fullmatch(text)
    if named:
        text, stream_id = named["address"], stream_id or named["name"]
    if not text:
        raise UsageError(f"an empty source address; give {all_kinds()}")
    module, _, function = kind_of(text).open.partition(":")
    opener: Callable[[str, str | None, SourceOptions], list[Source]]
    opener = getattr(import_module(module, __package__), function)
    if not options.as_camera:
        return opener(text, stream_id, options)
    rounds = replace(options, as_camera=False, latest=True, frames=None)
    return [as_camera(source, text, options.frames) for source in opener(text, stream_id, rounds)]


def open_sources(addresses: Iterable[str | os.PathLike[str]], **options: Any) -> list[Source]:
    """The sources of several addresses, with unique names: a file stem that repeats becomes ``name-2``, ``name-3``, …

    With ``latest`` they are meant for :func:`in_real_time`, and not at their own pace yet.

    Args:
        addresses: as for :func:`open_source`.
        options: as for :func:`open_source`, but for ``stream_id``.

    Raises:
        UsageError: two addresses were given the same NAME, or standard input twice.
        SourceError: as for :func:`open_source`.
    """
    return open_sources_of([os.fspath(address) for address in addresses], SourceOptions(**options))


def open_sources_of(texts: Sequence[str], options: SourceOptions, name: str | None = None) -> list[Source]:
    """As :func:`open_sources`, of texts and ready options; ``name`` is the stream's where there is one text."""
    given = [m["name"] for t in texts if not is_there(t) and (m := _NAMED.fullmatch(t))]
    repeated = next((each for each in given if given.count(each) > 1), None)
    if repeated is not None:
        raise UsageError(f"two sources are named {repeated!r}; give each its own NAME=ADDRESS")
    if sum(text == "-" or text.endswith("=-") for text in texts) > 1:
        raise UsageError("standard input (-) can be read by one source only")
    sources = [source for text in texts for source in _sources(text, name, options)]
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
    return sources
