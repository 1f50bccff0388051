"""The annotated video for a browser: an index page, and each stream as MJPEG over HTTP."""

from __future__ import annotations

import html
import http.client
import io
import ipaddress
import logging
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from ...pipeline.errors import OutputError
from ...pipeline.packet import Key, Packet
from ...pipeline.stage import EndReason, Sink
from ...pipeline.types.picture import Picture
from ..drawing.draw import ANNOTATED
from .addresses import http_place, shown_picture
from .encoder_frame import JpegEncoder
from .settings import SinkSettings

log = logging.getLogger("vidgraph")
WATCHERS = 32
"""So many may watch at one time."""
_CLIENTS = 2 * WATCHERS  # connections, those included that ask for a page, or for nothing
_REQUEST_S = 10.0  # a request must be there by then
_REQUEST_BYTES = 16384
_CLIENT_TIMEOUT_S = 10.0  # a client that does not take a picture for so long is gone
_BOUNDARY = "frame"
_WAIT_S = 0.5
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",  # no picture on the pages of others
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class ServeMjpeg(Sink):
    """Serves the latest picture of each stream; nobody has to watch.

    ``/`` lists the streams, ``/NAME`` is one stream (``/stream`` where there is only one). Pictures are coded
    only while somebody watches, in the thread of the watcher, who gets the latest picture when he is ready for
    one: slow watchers see fewer, and hold nothing up. At most :data:`WATCHERS` watch at one time.

    There is no password: bind to 127.0.0.1 unless everybody on the network may watch; beyond it there is a warning.
    Requests that name another host than this one are refused, so that no page elsewhere can have its name resolved
    to this server, and pages of others can neither frame nor show what it serves.

    Args:
        host: address to bind to; requests may name it, the address they came to, or this machine.
        port: 0 takes a free one; :attr:`address` says which.
        picture: the key of what to show; None: the frames as they came.
    """

    name = "serve_mjpeg"

    def __init__(self, host: str = "127.0.0.1", port: int = 8080, *, picture: Key[Picture] | None = ANNOTATED) -> None:
        self.host, self.port = host, port
        self._key = picture
        self.reads: frozenset[Key[Any]] = frozenset() if picture is None else frozenset({picture})
        self._streams: dict[str, _Latest] = {}
        self._server: _Server | None = None

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        host = f"[{self.host}]" if ":" in self.host else self.host or "0.0.0.0"
        return f"http://{host}:{self.port}/"

    def open(self) -> None:
        """Begin to serve.

        Raises:
            OutputError: the address cannot be bound.
        """
        try:
            server = _Server((self.host, self.port), self._streams)
        except (OSError, OverflowError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            message = f"cannot serve {self.address}: {reason.lower()}; choose another port or address"
            raise OutputError(message) from error
        self.port = server.server_address[1]
        self._server = server
        if not ipaddress.ip_address(server.server_name.partition("%")[0]).is_loopback:
            log.warning(
                "%s is open to everybody who can reach this machine, without a password; http://127.0.0.1:%d is not",
                self.address, self.port,
            )  # fmt: skip
        threading.Thread(target=server.serve_forever, args=(0.1,), name="mjpeg", daemon=True).start()

    def write(self, packet: Packet) -> None:
        """Show a picture; dropped frames are left out. Never waits."""
        picture = shown_picture(packet, self._key)
        if picture is not None and packet.drop_cause is None:
            self._streams.setdefault(packet.frame.stream_id, _Latest()).put(picture)

    def end_stream(self, stream_id: str, reason: EndReason) -> None:
        latest = self._streams.pop(stream_id, None)  # cameras come and go, for weeks
        if latest is not None:
            latest.end()

    def close(self) -> None:
        server, self._server = self._server, None
        for latest in self._streams.values():
            latest.end()
        if server is not None:
            server.shutdown()
            server.server_close()
            server.disconnect()
        self._streams.clear()


class _Latest:
    """The latest picture of a stream, and its JPEG as soon as one watcher has asked for it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._coding = threading.Lock()
        self._picture: Picture | None = None
        self._number = 0
        self._jpeg: tuple[int, bytes] = (0, b"")
        self._encoder = JpegEncoder()
        self.ended = False

    def put(self, picture: Picture) -> None:
        with self._changed:
            self._picture, self._number, self.ended = picture, self._number + 1, False
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self.ended, self._picture = True, None
            self._changed.notify_all()

    def after(self, number: int, timeout_s: float) -> tuple[int, bytes]:
        """A JPEG newer than ``number`` and its own number, or (number, b"") where none has come in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._number > number or self.ended, timeout_s)
        with self._coding:  # one watcher codes, the others use it
            with self._changed:
                picture, newest = self._picture, self._number
            if picture is None or newest <= number:
                return number, b""
            if self._jpeg[0] != newest:
                self._jpeg = (newest, self._encoder.encode(picture))
            return self._jpeg


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = _CLIENTS
    block_on_close = False

    def __init__(self, place: tuple[str, int], streams: dict[str, _Latest]) -> None:
        self.streams = streams
        self.hosts = _LOOPBACK | {_host(place[0]), socket.gethostname().lower()}
        self.watching = threading.BoundedSemaphore(WATCHERS)
        self._clients: set[socket.socket] = set()
        if ":" in place[0]:
            self.address_family = socket.AF_INET6
        super().__init__(place, _Handler)

    def server_bind(self) -> None:
        """Bind without looking the host name up, which may take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for a client, or a refusal where there are too many."""
        if len(self._clients) >= _CLIENTS:
            request.setblocking(False)
            request.sendall(b"HTTP/1.0 503 Service Unavailable\r\nConnection: close\r\n\r\n")
            self.shutdown_request(request)
            return
        self._clients.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._clients.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A watcher went away, or a scanner sent nonsense: nothing to report."""

    def disconnect(self) -> None:
        """End the connections that are still there."""
        for client in list(self._clients):
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


class _Request(io.RawIOBase):
    """What a client sends: all of it within a time and a size, however slowly it comes."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._until = time.monotonic() + _REQUEST_S
        self._left = _REQUEST_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left_s = self._until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        if self._left <= 0:
            raise http.client.LineTooLong("request")
        self._connection.settimeout(left_s)
        count = self._connection.recv_into(memoryview(buffer)[: self._left])
        self._left -= count
        return count


def _host(text: str) -> str:
    """The host of a ``Host`` header, or of an address to bind to: lower case, without port, brackets and final dot."""
    name = text.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.rstrip(".") if name.count(":") > 1 else name.partition(":")[0].rstrip(".")


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "vidgraph"
    sys_version = ""

    def setup(self) -> None:
        super().setup()
        self.rfile = io.BufferedReader(_Request(self.connection))

    def end_headers(self) -> None:
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def _is_for_us(self) -> bool:
        """Whether the request names this machine. One without a name is from no browser, which could be deceived."""
        named = self.headers.get_all("Host", [])
        reached = str(self.connection.getsockname()[0]).removeprefix("::ffff:")
        return not named or (len(named) == 1 and _host(named[0]) in self.server.hosts | {reached})

    def do_GET(self) -> None:
        self.connection.settimeout(_CLIENT_TIMEOUT_S)
        if not self._is_for_us():
            self.send_error(403, "this host is not served here")
            return
        name = unquote(self.path.split("?")[0]).strip("/")
        streams = dict(self.server.streams)
        if not name:
            self._send_index(list(streams))
        elif name == "stream" and name not in streams and len(streams) == 1:
            self._send_stream(next(iter(streams.values())))
        elif name in streams:
            self._send_stream(streams[name])
        else:
            self.send_error(404, "no such stream")

    def _send_index(self, names: list[str]) -> None:
        shown = "".join(
            f'<figure><img src="/{quote(name, safe="")}" alt=""><figcaption>{html.escape(name)}</figcaption></figure>'
            for name in names
        )
        waiting = "" if names else '<meta http-equiv="refresh" content="1"><p>Waiting for the first picture.</p>'
        style = "body{background:#222;color:#ddd;font-family:sans-serif}img{max-width:100%}"
        page = f'<!doctype html><meta charset="utf-8"><title>vidgraph</title><style>{style}</style>{waiting}{shown}'
        body = page.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_stream(self, latest: _Latest) -> None:
        if not self.server.watching.acquire(blocking=False):
            self.send_error(503, "too many are watching")
            return
        try:
            self._send_pictures(latest)
        finally:
            self.server.watching.release()

    def _send_pictures(self, latest: _Latest) -> None:
        self.send_response(200)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        number = 0
        while not latest.ended:
            number, jpeg = latest.after(number, _WAIT_S)
            if jpeg:
                head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")
            elif self._has_left():
                return

    def _has_left(self) -> bool:
        """Whether a watcher has closed the connection, which nothing tells while there is nothing to send."""
        self.connection.setblocking(False)
        try:
            return not self.connection.recv(4096)
        except BlockingIOError:
            return False
        finally:
            self.connection.settimeout(_CLIENT_TIMEOUT_S)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not messages of the run."""


def open_http(address: str, paths: dict[str, Path], settings: SinkSettings) -> Sink:
    """A page for browsers; see :class:`~.kinds.SinkKind`."""
    return ServeMjpeg(*http_place(address), picture=settings.picture)
