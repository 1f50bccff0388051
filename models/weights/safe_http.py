"""Requests to servers that are not trusted: to where they may go, and within a time in all."""

from __future__ import annotations

import base64
import http.client
import io
import time
import urllib.request
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

from ...pipeline.errors import UsageError
from ...pipeline.redaction import redact_address

SILENCE_S = 30.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def check_address(address: str, *, loopback: bool = True) -> None:
    """Refuse what is not to be asked.

    Args:
        loopback: plain http on this machine will do.

    Raises:
        UsageError: it is not https, or is no address at all.
    """
    shown = redact_address(address)
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise UsageError(f"{shown} is no address: its host or port cannot be read") from None
    if not host or (parts.scheme != "https" and not (loopback and parts.scheme == "http" and host in _LOOPBACK)):
        raise UsageError(f"weights are downloaded over https only, got {shown}")
    if not (address.isascii() and address.isprintable()) or " " in address:
        raise UsageError(f"blanks and letters beyond ASCII must be written as %20 and so on, got {shown}")


def open_address(address: str, headers: dict[str, str], *, until: float) -> Any:
    """The response to a GET request; redirects are followed as :func:`check_address` allows.

    A user name and password in the address are sent to its server, and to none that it leads to.

    Args:
        until: ``time.monotonic()`` at which all must have been read.

    Raises:
        TimeoutError: the server was silent for SILENCE_S, or the time is up; also when reading.
        URLError, HTTPException: as urllib raises them.
        UsageError: a redirect to where no request is to go.
    """
    parts = urlsplit(address)
    user, at, place = parts.netloc.rpartition("@")
    request = urllib.request.Request(parts._replace(netloc=place).geturl(), headers=headers)
    if at:
        basic = base64.b64encode(unquote(user).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {basic}")
    opener = urllib.request.build_opener(_Redirects, _Http(until), _Https(until))
    return opener.open(request, timeout=SILENCE_S)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to where a download may go: from https to https alone, and without a user name."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        try:
            check_address(newurl, loopback=urlsplit(req.full_url).scheme == "http")
            if "@" in urlsplit(newurl).netloc:
                raise UsageError(f"the server leads to an address with a user name: {redact_address(newurl)}")
        except UsageError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Timed(io.RawIOBase):
    """What a server sends, until a time: a limit of each wait alone would let it send a byte now and then for ever."""

    def __init__(self, connection: Any, until: float) -> None:
        self._connection, self._until = connection, until
        self._raw = connection.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the download takes too long")
        self._connection.settimeout(min(SILENCE_S, left_s))
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, connection: Any, *rest: Any, until: float, **more: Any) -> None:
        super().__init__(connection, *rest, **more)
        self.fp.close()
        self.fp = io.BufferedReader(_Timed(connection, until))


class _Http(urllib.request.HTTPHandler):
    def __init__(self, until: float) -> None:
        super().__init__()
        self._until = until

    def http_open(self, req: Any) -> Any:
        return self.do_open(partial(_timed, http.client.HTTPConnection, self._until), req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, until: float) -> None:
        super().__init__()
        self._until = until

    def https_open(self, req: Any) -> Any:
        return self.do_open(partial(_timed, http.client.HTTPSConnection, self._until), req)


def _timed(kind: type[http.client.HTTPConnection], until: float, *rest: Any, **more: Any) -> http.client.HTTPConnection:
    connection = kind(*rest, **more)
    connection.response_class = partial(_Response, until=until)  # type: ignore[assignment]
    return connection
