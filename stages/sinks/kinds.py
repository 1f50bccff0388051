"""The table of kinds of outputs, from which help texts, messages and checks follow. Nothing heavy is imported here."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...pipeline.errors import UsageError
from ...pipeline.redaction import redact_address

HTTP = re.compile(r"http://(?P<host>\[[^\]/]*\]|[^:/\[\]@]*)(?::(?P<port>\d+))?/?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkKind:
    """One kind of output.

    Attributes:
        name: what code and tests call it.
        help: what an address of this kind is, for messages that list all kinds.
        short: the same for the command line, where there is little room; empty: left out.
        open: ``module:function``, from this folder: gets the address, the file of each stream and
            :class:`~.settings.SinkSettings`, and returns a sink that is not opened yet.
        suffixes: of its files; none: it writes no files.
        matches: whether an address without such a suffix is of this kind.
        check: ``module:function`` that raises where this machine has not what it needs; empty: it needs nothing.
        shows_picture: it shows the annotated pictures.
        has_audio: it takes the source's sound.
        numbered: it is one file for each frame.
        number_optional: its address needs no number where there is one frame.
        holds_streams: one file may hold several streams.
        one_stream: an address takes one stream; several have ``{stream}`` in it.
        in_parts: a run that goes on writes a further file, ``out.part2.mp4``.
        is_results: it is the results that a run goes on from.
        wants_tensors: it writes raw tensors, which not all models give.
    """

    name: str
    help: str
    open: str
    short: str = ""
    suffixes: tuple[str, ...] = ()
    matches: Callable[[str], bool] = lambda address: False
    check: str = ""
    shows_picture: bool = False
    has_audio: bool = False
    numbered: bool = False
    number_optional: bool = False
    holds_streams: bool = False
    one_stream: bool = False
    in_parts: bool = False
    is_results: bool = False
    wants_tensors: bool = False

    @property
    def resumable(self) -> bool:
        """Whether a run that goes on can tell what it has already."""
        return self.numbered or self.in_parts or self.is_results or not self.suffixes


SINKS = (
    SinkKind(
        name="video",
        help="file.mp4 .m4v .mov .mkv (video)",
        short="file.mp4 .mkv",
        open=".video:open_video",
        suffixes=(".mp4", ".m4v", ".mov", ".mkv"),
        shows_picture=True,
        has_audio=True,
        in_parts=True,
    ),
    SinkKind(
        name="results",
        help="file.jsonl (results)",
        short=".jsonl",
        open=".results:open_results",
        suffixes=(".jsonl",),
        holds_streams=True,
        is_results=True,
    ),
    SinkKind(
        name="images",
        help="folder/%06d.png .jpg (pictures; {name}.png: named as those that are read)",
        short="dir/%06d.png or {name}.png",
        open=".images:open_images",
        suffixes=(".png", ".jpg", ".jpeg"),
        shows_picture=True,
        numbered=True,
    ),
    SinkKind(
        name="tensors",
        help="folder/%06d.npz (raw tensors)",
        short=".npz",
        open=".tensors:open_tensors",
        suffixes=(".npz",),
        numbered=True,
        number_optional=True,
        wants_tensors=True,
    ),
    SinkKind(
        name="standard output",
        help="- (results on standard output)",
        short="-",
        open=".results:open_results",
        matches=lambda address: address == "-",
    ),
    SinkKind(
        name="window",
        help="window",
        short="window",
        open=".window:open_window",
        matches=lambda address: address == "window",
        check=".window:check_gui",
        shows_picture=True,
    ),
    SinkKind(
        name="http",
        help="http://127.0.0.1:8080 (a browser)",
        short="http://…",
        open=".mjpeg:open_http",
        matches=lambda address: HTTP.fullmatch(address) is not None,
        shows_picture=True,
    ),
    SinkKind(
        name="rtsp",
        help="rtsp://HOST/PATH (video, to a server that accepts RECORD)",
        short="rtsp://…",
        open=".publish:open_publish",
        matches=lambda address: address.lower().startswith(("rtsp://", "rtsps://")),
        shows_picture=True,
        one_stream=True,
    ),
    SinkKind(
        name="rtmp",
        help="rtmp://HOST/APP/KEY (video)",
        short="rtmp://…",
        open=".publish:open_publish",
        matches=lambda address: address.lower().startswith(("rtmp://", "rtmps://")),
        shows_picture=True,
        one_stream=True,
    ),
    SinkKind(
        name="srt",
        help="srt://HOST:PORT (video)",
        short="srt://…",
        open=".publish:open_publish",
        matches=lambda address: address.lower().startswith("srt://"),
        check=".publish:check_srt",
        shows_picture=True,
        one_stream=True,
    ),
)
"""All kinds; an address is of the first one that fits."""


def kind_of(address: str) -> SinkKind:
    """What kind of output an address is, by its suffix or scheme.

    Raises:
        UsageError: none that is known; the message lists those that are.
    """
    if "\0" in address:
        raise UsageError(f"output {redact_address(address)!r} has a null character in it, which no file name can have")
    suffix = Path(address).suffix.lower()
    for kind in SINKS:
        if kind.matches(address) or (suffix in kind.suffixes and "://" not in address):
            return kind
    what = f"suffix {suffix!r}" if suffix else "address"
    converted = "; vidgraph convert makes .csv and .json of a .jsonl" if suffix in (".csv", ".json") else ""
    known = ", ".join(kind.help for kind in SINKS)
    raise UsageError(f"unknown {what} of output {redact_address(address)!r}; outputs are {known}{converted}")


def short_kinds() -> str:
    """What an output may be, for the help of the command line."""
    return ", ".join(kind.short for kind in SINKS if kind.short)
