"""One accepted connection: read by one thread, written by two, ended by any."""

from __future__ import annotations

import select
import socket
import ssl
import struct
import threading
from typing import Literal

_TURN_S = 0.2  # how long a thread waits before it looks whether the connection is to end


class Wire:
    """A TCP connection, with TLS or without."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._sending = threading.Lock()
        # OpenSSL does not allow one thread to read while another writes.
        self._receiving = self._sending if isinstance(connection, ssl.SSLSocket) else threading.Lock()
        self.ended = threading.Event()
        connection.settimeout(_TURN_S)

    def receive(self) -> bytes | None:
        """What came; None if nothing came for a moment, nothing (``b""``) once the connection is over."""
        if self.ended.is_set():
            return b""
        waiting = isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()
        if not waiting and not select.select([self._socket], [], [], _TURN_S)[0]:
            return None
        try:
            with self._receiving:
                return self._socket.recv(1 << 16)
        except TimeoutError:
            return None
        except OSError:
            return b""

    def send(self, data: bytes) -> None:
        """Send all of it, waiting for a slow reader.

        Raises:
            OSError: the connection is over.
        """
        rest = memoryview(data)
        with self._sending:
            while rest:
                if self.ended.is_set():
                    raise ConnectionAbortedError("ended by the camera")
                try:
                    rest = rest[self._socket.send(rest) :]
                except TimeoutError:
                    continue

    def end(self, how: Literal["fin", "rst"] = "fin") -> None:
        """From any thread: the other side sees FIN, or RST once the reading thread has called :meth:`close`."""
        self.ended.set()
        try:
            if how == "rst":
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # For RST the reading thread is woken without a word to the other side. Past TLS, which would say good-bye.
            socket.socket.shutdown(self._socket, socket.SHUT_RD if how == "rst" else socket.SHUT_RDWR)
        except OSError:
            pass  # the other side was quicker

    def close(self) -> None:
        self.ended.set()
        self._socket.close()
