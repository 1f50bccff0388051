"""The annotated video for a browser: an index page, and each stream as MJPEG over HTTP."""

from __future__ import annotations

import html
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote

from ..pipeline.errors import OutputError
from ..pipeline.packet import Key, Packet
from ..pipeline.picture import Picture
from ..pipeline.stage import EndReason
from .draw import ANNOTATED
from .encoder_frame import JpegEncoder
from .outputs import shown_picture

_BOUNDARY = "frame"
_CLIENT_TIMEOUT_S = 10.0  # a client that takes nothing for so long is gone
_WAIT_S = 0.5


class ServeMjpeg:
    """Serves the latest picture of each stream; nobody has to watch.

    ``/`` lists the streams, ``/NAME`` is one stream (``/stream`` where there is only one). Pictures are coded
    only while somebody watches, in the thread of the watcher, who gets the latest picture when he is ready for
    one: slow watchers see fewer, and hold nothing up. There is no password: bind to 127.0.0.1 unless
    everybody on the network may watch.

    Args:
        host: address to bind to.
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
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/"

    def open(self) -> None:
        """Begin to serve.

        Raises:
            OutputError: the address cannot be bound.
        """
        try:
            server = _Server((self.host, self.port), self._streams)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            message = f"cannot serve {self.address}: {reason.lower()}; choose another port or address"
            raise OutputError(message) from error
        self.port = server.server_address[1]
        self._server = server
        threading.Thread(target=server.serve_forever, args=(0.1,), name="mjpeg", daemon=True).start()

    def write(self, packet: Packet) -> None:
        """Show a picture; dropped frames are left out. Never waits."""
        picture = shown_picture(packet, self._key)
        if picture is not None and packet.drop_cause is None:
            self._streams.setdefault(packet.frame.stream_id, _Latest()).put(picture)

    def end_stream(self, stream_id: str, reason: EndReason) -> None:
        latest = self._streams.get(stream_id)
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
    block_on_close = False

    def __init__(self, place: tuple[str, int], streams: dict[str, _Latest]) -> None:
        self.streams = streams
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
        request.settimeout(_CLIENT_TIMEOUT_S)
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


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "vidgraph"
    sys_version = ""

    def do_GET(self) -> None:
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

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not messages of the run."""
