"""Asks an RTSP camera once, over a socket of our own, what FFmpeg would not tell of its answer.

FFmpeg follows a redirection to any host and takes the password along; of a refusal it names neither the status nor the
way to log in that the camera offers. So before every connection the camera is asked by OPTIONS and DESCRIBE of ours, in
the order in which FFmpeg asks, which begin no session; and FFmpeg gets only one that has answered.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from ....pipeline.errors import UsageError
from .address import CameraAddress, read_address
from .interrupt import Wait
from .login import login_header
from .reasons import CameraError, reason_of_status

_LARGEST = 1 << 16
_POLL_S = 0.1
_STATUS = re.compile(r"RTSP/1\.\d (\d{3})")
_UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH)
_CONNECTED = (0, errno.EISCONN)
_CONNECTING = (errno.EAGAIN, errno.EALREADY, errno.EINPROGRESS)  # the first: a time-out


@dataclass(slots=True)
class Answer:
    """What a camera answered.

    Attributes:
        status: 0: nothing that is RTSP.
        location: where it sends us.
        base: what the addresses of its tracks begin with (Content-Base).
        challenges: the ways to log in.
        length: of its body, as it says.
        logged_in: it took the password.
    """

    status: int = 0
    location: str = field(default="", repr=False)
    base: str = field(default="", repr=False)
    challenges: list[str] = field(default_factory=list)
    length: int = 0
    body: bytes = b""
    logged_in: bool = False


@contextmanager
def answered(
    address: CameraAddress, wait: Wait, limit_s: float, *, allow_redirect: bool, tls_pin: str | None
) -> Iterator[Answer]:
    """Have the camera of an RTSP address answer.

    The connection stays open meanwhile: a server that prepares a stream for the first who asks, and clears it away when
    he leaves, has it ready for FFmpeg.

    Args:
        limit_s: it may take so long.
        allow_redirect: it may send us to another host.
        tls_pin: file with the certificate that it must have.

    Raises:
        CameraError: it does not answer, or not by RTSP, refuses, sends us to another host or back to where we are, has
            no video, or asks for a password that was not given, is wrong, or that FFmpeg cannot give it.
    """
    deadline_s = time.monotonic() + limit_s
    with ExitStack() as opened:
        with _errors_named():
            connection = opened.enter_context(_connected(address, deadline_s, wait, tls_pin))
            conversation = _Conversation(connection, address, wait, deadline_s)
            conversation.ask("OPTIONS")
            answer = conversation.ask("DESCRIBE")
            if answer.status == 401:
                answer = conversation.ask("DESCRIBE", _login(address, answer))
                answer.logged_in = answer.status != 401
        if 300 <= answer.status < 400:
            _check_redirect(address, answer.location, allowed=allow_redirect)
        reason = reason_of_status(answer.status)
        if reason is not None:
            raise CameraError(reason.name, "" if str(answer.status) in reason.text else f"status {answer.status}")
        whole = 0 < answer.length == len(answer.body)
        if answer.status == 200 and whole and b"m=video" not in answer.body:
            raise CameraError("no_video")
        yield answer


def _login(address: CameraAddress, answer: Answer) -> str:
    """What answers a request for a password."""
    if not address.user:
        raise CameraError("no_password")
    who = {"user": address.user, "password": address.password}
    header = login_header(answer.challenges, **who, method="DESCRIBE", place=_place(address))
    if header is None:
        raise CameraError("digest", f"offered: {', '.join(map(_algorithm, answer.challenges)) or 'nothing'}")
    return header


def _check_redirect(address: CameraAddress, location: str, *, allowed: bool) -> None:
    try:
        other = read_address(location, {})
    except UsageError as error:
        raise CameraError("redirect", "to no address that can be read") from error
    if _place(other) == _place(address):  # FFmpeg would follow it for ever
        raise CameraError("redirect_loop")
    if not allowed and (other.host, other.scheme) != (address.host, address.scheme):
        raise CameraError("redirect", f"to {other.shown}")


def _algorithm(challenge: str) -> str:
    found = re.search(r'algorithm="?([\w-]+)', challenge, re.IGNORECASE)
    return f"{challenge.partition(' ')[0]} {found[1] if found else ''}".strip()


@contextmanager
def _errors_named() -> Iterator[None]:
    """Errors of sockets as reasons. A connection that is cut is left to FFmpeg: it may like another beginning."""
    try:
        yield
    except (socket.gaierror, UnicodeError) as error:  # the latter: it cannot be the name of a host
        raise CameraError("unknown_host") from error
    except ConnectionRefusedError as error:
        raise CameraError("refused") from error
    except TimeoutError as error:
        raise CameraError("no_answer") from error
    except ssl.SSLCertVerificationError as error:
        raise CameraError("io", "it has another certificate than tls_pin") from error
    except OSError as error:
        if error.errno in _UNREACHABLE:
            raise CameraError("unreachable") from error
        raise CameraError("no_answer") from error


def _connected(address: CameraAddress, deadline_s: float, wait: Wait, tls_pin: str | None) -> socket.socket:
    error: OSError = TimeoutError()
    for family, kind, protocol, _, place in socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM):
        plain = socket.socket(family, kind, protocol)
        try:
            _connect(plain, place, deadline_s, wait)
            return plain if address.scheme != "rtsps" else _over_tls(plain, address, deadline_s, tls_pin)
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
    while (code := plain.connect_ex(place)) not in _CONNECTED:  # type: ignore[arg-type]  # as getaddrinfo gave it
        if code not in _CONNECTING:
            raise OSError(code, "connect")
        if wait.stopped() or time.monotonic() > deadline_s:
            raise TimeoutError


def _over_tls(plain: socket.socket, address: CameraAddress, deadline_s: float, tls_pin: str | None) -> ssl.SSLSocket:
    plain.settimeout(max(_POLL_S, deadline_s - time.monotonic()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the certificate itself is pinned
    context.verify_mode = ssl.CERT_NONE if tls_pin is None else ssl.CERT_REQUIRED
    if tls_pin is not None:
        context.load_verify_locations(tls_pin)
    return context.wrap_socket(plain, server_hostname=address.host)


def _place(address: CameraAddress) -> str:
    """The address without user and password, as a request has it."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    rest = address.url.partition("://")[2]
    path = re.search(r"[/?]", rest)
    return f"{address.scheme}://{host}:{address.port}{rest[path.start() :] if path else ''}"


class _Conversation:
    """Requests and answers of one connection."""

    def __init__(self, connection: socket.socket, address: CameraAddress, wait: Wait, deadline_s: float) -> None:
        self._connection, self._address, self._wait, self._deadline_s = connection, address, wait, deadline_s
        self._asked = 0
        connection.settimeout(_POLL_S)

    def ask(self, method: str, login: str | None = None) -> Answer:
        """The answer to a request.

        Raises:
            CameraError: there is none, or none of RTSP.
            TimeoutError: there was none in time.
        """
        self._asked += 1
        lines = [f"{method} {_place(self._address)} RTSP/1.0", f"CSeq: {self._asked}", "User-Agent: vidgraph"]
        lines += ["Accept: application/sdp"] * (method == "DESCRIBE")
        lines += [*([] if login is None else [f"Authorization: {login}"]), "", ""]
        self._connection.sendall("\r\n".join(lines).encode(errors="surrogateescape"))
        head, _, body = self._receive(lambda data: b"\r\n\r\n" in data).partition(b"\r\n\r\n")
        first, *headers = head.decode("latin-1").split("\r\n")
        if (status := _STATUS.match(first)) is None:
            raise CameraError("no_answer", "it closed the connection" if not head else "")
        answer = _read_headers(int(status[1]), headers)
        wanted = min(answer.length, _LARGEST) - len(body)
        answer.body = body + (self._receive(lambda data: len(data) >= wanted) if wanted > 0 else b"")
        return answer

    def _receive(self, whole: Callable[[bytes], bool]) -> bytes:
        data = b""
        while not whole(data) and len(data) < _LARGEST:
            if self._wait.stopped() or time.monotonic() > self._deadline_s:
                raise TimeoutError
            with suppress(TimeoutError):
                more = self._connection.recv(4096)
                if not more:
                    break
                data += more
        return data


def _read_headers(status: int, headers: Iterable[str]) -> Answer:
    answer = Answer(status)
    for line in headers:
        name, _, value = line.partition(":")
        match name.lower():
            case "location":
                answer.location = value.strip()
            case "content-base":
                answer.base = value.strip()
            case "www-authenticate":
                answer.challenges.append(value.strip())
            case "content-length" if value.strip().isdigit():
                answer.length = int(value)
    return answer
