"""Addresses of cameras: what FFmpeg is given, what may be shown, and what is wrong with one."""

from __future__ import annotations

import os
import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from ....pipeline.errors import UsageError
from ....pipeline.redaction import HIDDEN, hide, redact_address

DEVICE = re.compile(r"/dev/(video\d+|v4l/by-(id|path)/[^/]+)")
SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "srt", "udp", "rtp", "tcp")
_PORTS = {"rtsp": 554, "rtsps": 322, "rtmp": 1935, "rtmps": 443, "http": 80, "https": 443}
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
_PLACE = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\[\]:@\s]*)(?::(?P<port>[^:]*))?")
_UNENCODED = re.compile(r"%(?![0-9A-Fa-f]{2})")
_IN_PATHS = string.punctuation  # of a variable that stands there: the rest cannot be in a request
_KEPT = "%!$&'()*+,;=-._~"  # of a user's name and password, as RFC 3986 has it


@dataclass(frozen=True, slots=True)
class CameraAddress:
    """An address that was checked.

    Attributes:
        url: for FFmpeg, with its secrets.
        shown: without them.
        scheme: in lower case; ``v4l2`` of a device.
        host, port: where a connection is made; "" and 0 of a device.
        user, password: as written, not encoded; "" where there is none.
        literal_password: the password was in the text itself, not in a variable of the environment.
    """

    url: str = field(repr=False)
    shown: str
    scheme: str
    host: str = ""
    port: int = 0
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    literal_password: bool = False

    @property
    def is_device(self) -> bool:
        """A webcam of this machine."""
        return self.scheme == "v4l2"

    @property
    def is_rtsp(self) -> bool:
        """RTSP, over TLS or not."""
        return self.scheme in ("rtsp", "rtsps")


def read_address(text: str, environment: Mapping[str, str] = os.environ) -> CameraAddress:
    """Check an address and put in what is ``${NAME}``.

    A user's name and password are percent-encoded here, once: as they are in a variable, whatever characters they
    have; those written in the address may be encoded already.

    Raises:
        UsageError: a variable is not set, the port is none, or the password has a raw ``/`` or ``#``.
    """
    if DEVICE.fullmatch(text):
        return CameraAddress(text, text, "v4l2")
    parts = _URL.fullmatch(text)
    if parts is None:
        raise UsageError(f"{redact_address(text)}: not an address of a camera; write rtsp://HOST/PATH or /dev/video0")
    scheme, rest = parts["scheme"].lower(), parts["rest"]
    shown = redact_address(_VARIABLE.sub("", text))
    cut = re.search(r"[/?#]", rest)
    place, tail = (rest, "") if cut is None else (rest[: cut.start()], rest[cut.start() :])
    login, at, place = place.rpartition("@")

    def put_in(part: str, value: Callable[[str], str], written: Callable[[str], str] = str) -> str:
        return _with_variables(part, environment, shown, value, written)

    path, mark, query = tail.partition("?")
    place, tail = put_in(place, str), put_in(path, _hidden_path) + mark + put_in(query, _encode_value)
    tail_shown = _VARIABLE.sub(HIDDEN, path) + mark + query  # what is in a variable may be a secret
    shown = redact_address(f"{scheme}://{'***@' if at else ''}{place}{tail_shown}")
    name, colon, password = login.partition(":")
    login = put_in(name, _encode_value, _encode_login) + colon + put_in(password, _encode_value, _encode_login)
    found = _PLACE.fullmatch(place)
    raw_slash = not at and "@" in tail
    if found is None or not _is_port(found["port"]):
        if raw_slash:
            raise UsageError(
                f"{shown}: the password has a raw '/', '?' or '#'; write it percent-encoded (%2F, %3F, %23), "
                "or keep it in the environment and write ${PASSWORD} in its place"
            )
        raise UsageError(f"{shown}: the port must be a number from 1 to 65535")
    if not found["host"] and scheme not in ("udp", "rtp", "srt", "tcp"):
        raise UsageError(f"{shown}: the host is missing; write {scheme}://HOST/PATH")
    encoded_user, _, encoded_password = login.partition(":")
    return CameraAddress(
        f"{scheme}://{login}{at}{place}{tail}",
        shown,
        scheme,
        found["host"].strip("[]"),
        int(found["port"] or _PORTS.get(scheme, 0)),
        unquote(encoded_user, errors="surrogateescape"),
        unquote(encoded_password, errors="surrogateescape"),
        bool(_VARIABLE.sub("", password)),
    )


def _is_port(text: str | None) -> bool:
    return text is None or (text.isascii() and text.isdigit() and 0 < int(text) < 65536)


def _encode_value(text: str) -> str:
    """``text`` percent-encoded, bytes of the environment that are no UTF-8 as they are."""
    return quote(text, safe="", errors="surrogateescape")


def _encode_path(text: str) -> str:
    """``text`` with only that encoded which no path may have: blanks, line ends, what is not ASCII."""
    return quote(text, safe=_IN_PATHS, errors="surrogateescape")


def _hidden_path(text: str) -> str:
    """As :func:`_encode_path`, of a value that messages do not show, whoever writes them."""
    encoded = _encode_path(text)
    hide(encoded)
    return encoded


def _encode_login(text: str) -> str:
    """A user or password as it is written: what is encoded already stays."""
    return quote(_UNENCODED.sub("%25", text), safe=_KEPT, errors="surrogateescape")


def _with_variables(
    part: str,
    environment: Mapping[str, str],
    shown: str,
    value: Callable[[str], str],
    written: Callable[[str], str],
) -> str:
    """``part`` with the values of its variables; ``value`` encodes these, ``written`` what is around them."""
    pieces = _VARIABLE.split(part)  # text, name, text, name, …, text
    for number, piece in enumerate(pieces):
        if number % 2 == 0:
            pieces[number] = written(piece)
        elif piece in environment:
            pieces[number] = value(environment[piece])
        else:
            raise UsageError(f"{shown}: the environment variable {piece} is not set")
    return "".join(pieces)
