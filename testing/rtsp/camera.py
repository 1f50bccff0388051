"""A camera on this machine that speaks RTSP and does wrong what it is told to."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Literal
from urllib.parse import quote

from ..clips import Clip
from .auth import Door, Scheme
from .connection import Connection
from .faults import FAULTLESS, Faults
from .messages import Message


@dataclass(frozen=True, slots=True)
class Request:
    """A request that came: when (monotonic seconds), method, address, headers by lower-case name."""

    at_s: float
    method: str
    address: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Counts:
    """What a camera has seen.

    Attributes:
        connections: accepted so far.
        sessions: open now (SETUP until TEARDOWN or the end of the connection).
        most_sessions: open at one time.
        log_ins: DESCRIBE requests with the right password.
        refused_log_ins: requests with a wrong password.
        teardowns: sessions that ended with TEARDOWN.
        keep_alives: OPTIONS, GET_PARAMETER and SET_PARAMETER while pictures flow.
        timed_out: sessions that the camera ended since nothing kept them alive.
    """

    connections: int = 0
    sessions: int = 0
    most_sessions: int = 0
    log_ins: int = 0
    refused_log_ins: int = 0
    teardowns: int = 0
    keep_alives: int = 0
    timed_out: int = 0


class RtspCamera:
    """An RTSP server on 127.0.0.1 that sends a clip again and again, by TCP or UDP, from when it is made until closed.

        with RtspCamera(make_clip(), faults=Faults(stall_at=30)) as camera:
            container = av.open(camera.url, options={"rtsp_transport": "tcp"}, timeout=(8, 2.5))

    It packetises RTP itself, so that every byte may be wrong (:class:`.faults.Faults`). ``faults`` and the methods act
    while it runs. All methods may be called from any thread.

    Args:
        clip: what ``/cam0`` sends; or clips by path.
        cameras: so many paths ``/cam0``, ``/cam1``, … that send ``clip``.
        auth: how a password is asked for; see :data:`.auth.Scheme`. ``login_url`` has user and password.
        tls: makes it rtsps; :func:`..certificate.self_signed` makes a context.
        transports: others are refused with 461.
        session_timeout_s: sessions end when nothing keeps them alive for so long; None: never.
        port: 0: one that is free.

    Attributes:
        url, urls: the address of the first camera, of each.
        requests: all that came, in order.
    """

    def __init__(
        self,
        clip: Clip | Mapping[str, Clip],
        *,
        cameras: int = 1,
        faults: Faults = FAULTLESS,
        auth: Scheme = "",
        user: str = "user",
        password: str = "password",
        tls: ssl.SSLContext | None = None,
        transports: Collection[Literal["tcp", "udp"]] = ("tcp", "udp"),
        session_timeout_s: float | None = None,
        port: int = 0,
    ) -> None:
        self.clips = {f"cam{n}": clip for n in range(cameras)} if isinstance(clip, Clip) else dict(clip)
        self.faults, self.tls, self.transports, self.session_timeout_s = faults, tls, transports, session_timeout_s
        self.door = Door(auth, user, password)
        self._login = f"{quote(user, safe='')}:{quote(password, safe='')}@"
        self.requests: list[Request] = []
        self.counts = Counts()
        self.jumped_s = 0.0
        self.thawed = threading.Event()
        self.thawed.set()
        self._stalled = False
        self._lingering: list[float] = []
        self._connections: set[Connection] = set()
        self._changed = threading.Condition()
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._port = port
        self.restart()

    def __enter__(self) -> RtspCamera:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def urls(self) -> list[str]:
        return [f"rtsp{'s' if self.tls else ''}://127.0.0.1:{self._port}/{path}" for path in self.clips]

    @property
    def url(self) -> str:
        return self.urls[0]

    @property
    def login_url(self) -> str:
        """``url`` with user and password, percent-encoded."""
        return self.url.replace("://", f"://{self._login}")

    # What a test makes it do.

    def stall(self) -> None:
        """Send no pictures; requests are answered."""
        self._stalled = True

    def freeze(self) -> None:
        """Neither send nor answer, as if power or cable were gone; the kernel still accepts connections."""
        self.thawed.clear()

    def resume(self) -> None:
        """End what :meth:`stall` or :meth:`freeze` began. The pictures in between are not made up for."""
        self._stalled = False
        self.thawed.set()

    def jump(self, seconds: float) -> None:
        """Shift the time stamps of all frames from now on."""
        self.jumped_s += seconds

    def switch_clip(self, clip: Clip, path: str | None = None) -> None:
        """Send another clip from the next frame on, in sessions that are open, too."""
        self.clips.update(dict.fromkeys([path] if path else list(self.clips), clip))

    def corrupt(self, packets: int = 1) -> None:
        """Spoil bytes in the next so many RTP packets of every open session."""
        for connection in self._open():
            if connection.feed:
                connection.feed.to_corrupt += packets

    def lose_byte(self) -> None:
        """Lose one byte of every open interleaved session."""
        for connection in self._open():
            if connection.feed:
                connection.feed.to_shorten = True

    def disconnect(self, how: Literal["fin", "rst"] = "fin") -> None:
        """Close all connections, and go on listening."""
        for connection in self._open():
            connection.end(how)

    def kill(self, how: Literal["fin", "rst"] = "rst") -> None:
        """Be gone: connections are reset and new ones refused, until :meth:`restart`."""
        listener, self._listener = self._listener, None
        if listener and self._acceptor:
            listener.shutdown(socket.SHUT_RDWR)
            self._acceptor.join()
            listener.close()
        self.disconnect(how)
        for connection in self._open():
            connection.join()

    def restart(self) -> None:
        """Listen again, on the same port."""
        self.kill()
        self.resume()
        self._listener = socket.create_server(("127.0.0.1", self._port), backlog=128)
        self._port = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(
            target=self._accept, args=[self._listener], name="rtsp-camera-accept", daemon=True
        )
        self._acceptor.start()

    def close(self) -> None:
        """End all threads and close all sockets; again does no harm."""
        self.kill("fin")

    def count(self, method: str) -> int:
        """How many requests of a method came."""
        return sum(request.method == method for request in self.requests)

    def wait_until(self, condition: Callable[[RtspCamera], bool], timeout_s: float = 5.0) -> bool:
        """Wait until ``condition`` holds, which is asked at every request, session and end; whether it does."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self), timeout_s)

    # What its connections ask of it.

    @property
    def silent(self) -> bool:
        """No pictures are sent at the moment."""
        return self._stalled or not self.thawed.is_set()

    def note(self, **more: int) -> None:
        """Count."""
        with self._changed:
            changed: dict[str, Any] = {name: getattr(self.counts, name) + each for name, each in more.items()}
            changed["most_sessions"] = max(self.counts.most_sessions, changed.get("sessions", 0))
            self.counts = replace(self.counts, **changed)
            self._changed.notify_all()

    def record(self, request: Message, *, keeps_alive: bool) -> None:
        method, address, _ = request.words
        headers = {name.lower(): value for name, value in request.headers}
        with self._changed:
            self.requests.append(Request(time.monotonic(), method, address, headers))
        self.note(keep_alives=int(keeps_alive))

    def lets_in(self, request: Message) -> bool:
        """Whether the password is right; where it is asked for and sent, that counts."""
        sent = request.header("Authorization")
        right = self.door.opens(request.words[0], sent)
        lock_after = self.faults.lock_after
        if lock_after is not None and self.counts.refused_log_ins >= lock_after:
            right = False
        if sent:
            self.note(log_ins=int(right and request.words[0] == "DESCRIBE"), refused_log_ins=int(not right))
        return right

    def next_status(self) -> int:
        """The status of the DESCRIBE that is being answered, for all that has nothing to do with its address."""
        with self._changed:
            faults, now = self.faults, time.monotonic()
            if faults.statuses:
                self.faults = replace(faults, statuses=faults.statuses[1:])
                return faults.statuses[0]
            self._lingering = [until for until in self._lingering if until > now]
            taken = self.counts.sessions + len(self._lingering)
            full = faults.max_sessions is not None and taken >= faults.max_sessions
            return faults.full_status if full else faults.status

    def forget(self, connection: Connection, *, had_session: bool, cleanly: bool) -> None:
        """A connection is over."""
        with self._changed:
            self._connections.discard(connection)
            if had_session and not cleanly:
                self._lingering.append(time.monotonic() + self.faults.linger_s)
        self.note(sessions=-int(had_session), teardowns=int(had_session and cleanly))

    def _open(self) -> list[Connection]:
        with self._changed:
            return list(self._connections)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # the listener is shut down
            while True:
                accepted, client = listener.accept()
                connection = Connection(self, accepted, client)
                with self._changed:
                    self._connections.add(connection)
                self.note(connections=1)
                connection.start()
