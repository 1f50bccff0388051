"""The table of kinds of sources, from which help texts and messages follow. Nothing heavy is imported here."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...pipeline.limits import MAX_PIXELS
from .camera.address import SCHEMES
from .camera.options import CameraOptions, DecoderName
from .synthetic.settings import NAMES, is_synthetic

if TYPE_CHECKING:
    from ...kernels.device import Device  # which needs NumPy

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_NUMBERED = re.compile(r"%(0\d+)?d")
_MAGIC = re.compile(r"[*?[]")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """What every source of an address is opened with; :func:`~.registry.open_source` says what each means."""

    start: str | float | None = None
    end: str | float | None = None
    frames: int | None = None
    latest: bool = False
    as_camera: bool = False
    deterministic: bool = False
    threads: int | None = None
    video_stream: int | None = None
    max_pixels: int = MAX_PIXELS
    decoder: DecoderName = "auto"
    device: Device | None = None
    camera: CameraOptions = field(default_factory=CameraOptions)

    def part(self) -> dict[str, Any]:
        """What of a file is read, as every source of files takes it."""
        return {"start": self.start, "end": self.end, "frames": self.frames, "max_pixels": self.max_pixels}


@dataclass(frozen=True, slots=True)
class SourceKind:
    """One kind of source.

    Attributes:
        help: what an address of this kind is, for messages that list all kinds.
        matches: whether an address is of this kind; it is told too whether there is a file of exactly that name,
            which is then meant, but by kinds that the name alone decides.
        open: ``module:function``, from this folder: gets the address, the stream's name where the user gave one and
            :class:`SourceOptions`, and returns sources that are not opened yet.
        short: the same as ``help`` for the command line, where there is little room; empty: left out.
    """

    help: str
    matches: Callable[[str, bool], bool]
    open: str
    short: str = ""


SOURCES = (
    SourceKind("a video or image file", lambda text, exists: True, ".open_files:open_file", "video, image"),
    SourceKind("a folder of images", lambda text, exists: os.path.isdir(text), ".open_files:open_folder", "folder"),  # noqa: PTH112
    SourceKind(
        "a glob", lambda text, exists: not exists and bool(_MAGIC.search(text)), ".open_files:open_glob", "glob"
    ),
    SourceKind(
        "numbered images (frames/%06d.png)",
        lambda text, exists: not exists and bool(_NUMBERED.search(Path(text).name)),
        ".open_files:open_numbered",
    ),
    SourceKind("- (standard input)", lambda text, exists: text == "-", ".open_files:open_stream", "-"),
    SourceKind(
        "http:// and https:// addresses, live ones too",
        lambda text, exists: not exists and bool(_SCHEME.match(text)),
        ".open_files:open_remote",
    ),
    SourceKind(
        "cameras (rtsp://, rtsps://, rtmp://, srt://, udp://, rtp://)",
        lambda text, exists: not exists and text.partition("://")[0].lower() in SCHEMES,
        ".camera.open_camera:open_camera",
        "rtsp://",
    ),
    SourceKind(
        "webcams (/dev/video0, /dev/v4l/by-id/…)",
        lambda text, exists: text.startswith(("/dev/video", "/dev/v4l/")),
        ".camera.open_camera:open_camera",
        "/dev/video0",
    ),
    SourceKind(
        "list.txt, with one address a line",
        lambda text, exists: exists and text.lower().endswith(".txt") and os.path.isfile(text),  # noqa: PTH113
        ".camera.open_camera:open_list",
        "list.txt",
    ),
    SourceKind(
        f"{', '.join(f'synth:{name}' for name in NAMES)} (drawn)",
        lambda text, exists: is_synthetic(text),
        ".synthetic.source:open_synthetic",
        f"synth:{NAMES[0]}",
    ),
)
"""All kinds. An address is of the last one that matches: the first, a file, is what remains."""


def is_there(text: str) -> bool:
    """Whether a file of that name exists; where no file can have it (it is too long), there is none."""
    return os.path.exists(text)  # noqa: PTH110  Path.exists raises


def kind_of(text: str) -> SourceKind:
    """The kind of source that an address is."""
    exists = is_there(text)
    return next(kind for kind in reversed(SOURCES) if kind.matches(text, exists))


def all_kinds() -> str:
    """What a source may be, for messages."""
    return ", ".join(kind.help for kind in SOURCES)


def short_kinds() -> str:
    """What a source may be, for the help of the command line."""
    *others, last = [kind.short for kind in SOURCES if kind.short]
    return f"{', '.join(others)} or {last}"
