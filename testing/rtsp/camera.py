"""A camera on this machine that speaks RTSP and does wrong what it is told to."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Literal
from urllib.parse import quote

from ..clips import Clip
from ..closes import Closes
from ..ports import listen
from .auth import Door, Scheme
from .connection import Connection
from .faults import FAULTLESS, Faults
from .state import CameraState, Counts, Request


class RtspCamera(Closes):
    """An RTSP server on 127.0.0.1 that sends a clip again and again, by TCP or UDP, from when it is made until closed.

        with RtspCamera(make_clip(), faults=Faults(stall_at=30)) as camera:
            container = av.open(camera.url, options={"rtsp_transport": "tcp"}, timeout=(8, 2.5))

    It packetises RTP itself, so that every byte may be wrong (:class:`.faults.Faults`). ``faults`` and the methods act
    while it runs. All methods may be called from any thread.

    Args:
        clip: what ``/cam0`` sends; or clips by path.
        cameras: so many paths ``/cam0``, ``/cam1``, … that send ``clip``.
        auth: how a password is asked for: ``basic``, ``md5``, ``md5_qop``, ``sha256``, or both digests in the order
            ``sha256_then_md5`` or ``md5_then_sha256``. ``login_url`` has user and password.
        tls: makes it rtsps; :func:`..certificate.self_signed` makes a context.
        transports: others are refused with 461.
        session_timeout_s: sessions end when nothing keeps them alive for so long; None: never.
        port: 0: one that is free.
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
        clips = {f"cam{n}": clip for n in range(cameras)} if isinstance(clip, Clip) else clip
        self._state = CameraState(clips, faults, Door(auth, user, password), tls, transports, session_timeout_s)
        self._login = f"{quote(user, safe='')}:{quote(password, safe='')}@"
        self._connections: set[Connection] = set()
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._port = port
        self.restart()

    @property
    def faults(self) -> Faults:
        """What it does wrong; may be replaced."""
        return self._state.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._state.faults = faults

    @property
    def counts(self) -> Counts:
        """What it has seen so far."""
        return self._state.counts

    @property
    def requests(self) -> list[Request]:
        """All that came, in order."""
        return list(self._state.requests)

    @property
    def urls(self) -> list[str]:
        """The address of each camera."""
        return [f"rtsp{'s' if self._state.tls else ''}://127.0.0.1:{self._port}/{path}" for path in self._state.clips]

    @property
    def url(self) -> str:
        """The address of the first."""
        return self.urls[0]

    @property
    def login_url(self) -> str:
        """``url`` with user and password, percent-encoded."""
        return self.url.replace("://", f"://{self._login}")

    def stall(self) -> None:
        """Send no pictures; requests are answered."""
        self._state.stalled = True

    def freeze(self) -> None:
        """Neither send nor answer, as if power or cable were gone; the kernel still accepts connections."""
        self._state.thawed.clear()

    def resume(self) -> None:
        """End what :meth:`stall` or :meth:`freeze` began. The pictures in between are not made up for."""
        self._state.stalled = False
        self._state.thawed.set()

    def jump(self, seconds: float) -> None:
        """Shift the time stamps of all frames from now on."""
        self._state.jumped_s += seconds

    def switch_clip(self, clip: Clip, path: str | None = None) -> None:
        """Send another clip from the next frame on, in sessions that are open, too."""
        self._state.clips.update(dict.fromkeys([path] if path else list(self._state.clips), clip))

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
        self._listener = listen(self._port)
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
        with self._state.changed:
            return self._state.changed.wait_for(lambda: condition(self), timeout_s)

    def _open(self) -> list[Connection]:
        with self._lock:
            return list(self._connections)

    def _forget(self, connection: Connection) -> None:
        with self._lock:
            self._connections.discard(connection)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # the listener is shut down
            while True:
                accepted, client = listener.accept()
                connection = Connection(self._state, accepted, client, self._forget)
                with self._lock:
                    self._connections.add(connection)
                self._state.note(connections=1)
                connection.start()
