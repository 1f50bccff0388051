"""Asks an RTSP camera once, over a socket of our own, what FFmpeg would not tell of its answer.

FFmpeg follows a redirection to any host and takes the password along, and of a refusal it names neither the status nor
the way to log in that the camera offers. So each connection begins with one DESCRIBE without a password.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, field

from .address import CameraAddress, read_address
from .interrupt import Wait
from .reasons import CameraError, offers_login, reason_of_status

_LARGEST = 1 << 16
_POLL_S = 0.1
_STATUS = re.compile(r"RTSP/1\.\d (\d{3})")
_UNREACHABLE = (101, 113)


@dataclass(slots=True)
class Answer:
    """What a camera answered; ``status`` 0: nothing that is RTSP."""

    status: int = 0
    location: str = field(default="", repr=False)
    challenges: list[str] = field(default_factory=list)


def check_answer(address: CameraAddress, wait: Wait, limit_s: float, *, allow_redirect: bool) -> None:
    """Have the camera of an RTSP address answer; what is no RTSP is left to FFmpeg to judge.

    Raises:
        CameraError: it does not answer, refuses, sends us to another host, or asks for a password that was not given
            or that FFmpeg cannot give it.
    """
    answer = _ask(address, wait, time.monotonic() + limit_s)
    if 300 <= answer.status < 400 and not allow_redirect:
        _check_redirect(address, answer.location)
    if answer.status == 401:
        if not address.user:
            raise CameraError("no_password")
        if not offers_login(answer.challenges):
            raise CameraError("digest", f"offered: {', '.join(map(_algorithm, answer.challenges)) or 'nothing'}")
        return
    reason = reason_of_status(answer.status)
    if reason is not None:
        known = str(answer.status) in reason.text
        raise CameraError(reason.name, "" if known else f"status {answer.status}")


def _check_redirect(address: CameraAddress, location: str) -> None:
    try:
        other = read_address(location, {})
    except Exception as error:
        raise CameraError("redirect", "to no address that can be read") from error
    if (other.host, other.scheme) != (address.host, address.scheme):
        raise CameraError("redirect", f"to {other.shown}")


def _algorithm(challenge: str) -> str:
    found = re.search(r'algorithm="?([\w-]+)', challenge, re.IGNORECASE)
    return f"{challenge.partition(' ')[0]} {found[1] if found else ''}".strip()


def _ask(address: CameraAddress, wait: Wait, deadline_s: float) -> Answer:
    try:
        with _connected(address, deadline_s, wait) as connection:
            connection.settimeout(_POLL_S)
            place = f"{address.scheme}://{_place(address)}{_path(address)}"
            request = f"DESCRIBE {place} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\nUser-Agent: vidgraph\r\n\r\n"
            connection.sendall(request.encode())
            return _read(connection, wait, deadline_s)
    except socket.gaierror as error:
        raise CameraError("unknown_host") from error
    except ConnectionRefusedError as error:
        raise CameraError("refused") from error
    except TimeoutError as error:
        raise CameraError("no_answer") from error
    except ssl.SSLError:
        return Answer()
    except OSError as error:
        if error.errno in _UNREACHABLE:
            raise CameraError("unreachable") from error
        return Answer()


def _connected(address: CameraAddress, deadline_s: float, wait: Wait) -> socket.socket:
    """A connection, over TLS where the scheme has it: no secret goes over it, so no certificate is checked."""
    error: OSError = TimeoutError()
    for family, kind, protocol, _, place in socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM):
        plain = socket.socket(family, kind, protocol)
        try:
            _connect(plain, place, deadline_s, wait)
            if address.scheme != "rtsps":
                return plain
            plain.settimeout(max(_POLL_S, deadline_s - time.monotonic()))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            return context.wrap_socket(plain, server_hostname=address.host)
        except OSError as failed:
            plain.close()
            error = failed
        except BaseException:
            plain.close()
            raise
    raise error


def _connect(plain: socket.socket, place: object, deadline_s: float, wait: Wait) -> None:
    """Connect, in steps short enough to notice a stop."""
    plain.settimeout(_POLL_S)
    while True:
        code = plain.connect_ex(place)  # type: ignore[arg-type]  # as getaddrinfo gave it
        if code in (0, 106):  # EISCONN
            return
        if code not in (11, 114, 115):  # EAGAIN (of a time-out), EALREADY, EINPROGRESS
            raise OSError(code, "connect")
        if wait.stopped() or time.monotonic() > deadline_s:
            raise TimeoutError


def _place(address: CameraAddress) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.port}"


def _path(address: CameraAddress) -> str:
    rest = address.url.partition("://")[2]
    found = re.search(r"[/?]", rest)
    return rest[found.start() :] if found else ""


def _read(connection: socket.socket, wait: Wait, deadline_s: float) -> Answer:
    data = b""
    while b"\r\n\r\n" not in data and len(data) < _LARGEST:
        if wait.stopped() or time.monotonic() > deadline_s:
            raise TimeoutError
        with suppress(TimeoutError):
            more = connection.recv(4096)
            if not more:
                break
            data += more
    lines = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    status = _STATUS.match(lines[0])
    answer = Answer(int(status[1]) if status else 0)
    for line in lines[1:]:
        name, _, value = line.partition(":")
        if name.lower() == "location":
            answer.location = value.strip()
        elif name.lower() == "www-authenticate":
            answer.challenges.append(value.strip())
    return answer
