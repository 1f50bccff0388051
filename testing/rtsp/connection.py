"""One client of the camera: its requests, answered by a thread."""

from __future__ import annotations

import re
import secrets
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from .feed import Feed
from .messages import Message, Splitter, answer
from .sdp import AUDIO, VIDEO, describe
from .ways import InterleavedWay, UdpWay
from .wire import Wire

if TYPE_CHECKING:
    from .camera import RtspCamera

_HANDSHAKE_S = 5.0
_KEEP_ALIVES = ("OPTIONS", "GET_PARAMETER", "SET_PARAMETER")


class Connection(threading.Thread):
    """Reads requests until the client, the camera or a fault ends it; at most one session, as cameras have it."""

    def __init__(self, camera: RtspCamera, accepted: socket.socket, client: tuple[str, int]) -> None:
        super().__init__(name=f"rtsp-camera-{client[1]}", daemon=True)
        self._camera, self._accepted, self._client = camera, accepted, client
        self._path = ""
        self._session = secrets.token_hex(4)
        self._ways: list[InterleavedWay | UdpWay] = []  # the last one is used; a client may set up again
        self._has_audio = False
        self._alive_at = time.monotonic()
        self._torn_down = False
        self._is_over = False
        self.feed: Feed | None = None
        self.wire: Wire | None = None if camera.tls else Wire(accepted)

    def run(self) -> None:
        try:
            self._serve(self._secured())
        except OSError:
            pass  # the other side is gone, or the handshake failed
        finally:
            self._clean_up()

    def _secured(self) -> Wire:
        if self.wire is None:
            assert self._camera.tls
            self._accepted.settimeout(_HANDSHAKE_S)
            self.wire = Wire(self._camera.tls.wrap_socket(self._accepted, server_side=True))
            if self._is_over:
                self.wire.end()
        return self.wire

    def end(self, how: Literal["fin", "rst"]) -> None:
        """From any thread: see :meth:`.wire.Wire.end`."""
        self._is_over = True
        if self.wire:
            self.wire.end(how)
            return
        with suppress(OSError):  # the handshake fails; or it has just ended, and its thread sees what was set
            self._accepted.shutdown(socket.SHUT_RDWR)

    def _serve(self, wire: Wire) -> None:
        splitter = Splitter()
        while not self._torn_down and not self._session_is_over():
            if not self._camera.thawed.wait(0.2):
                if wire.ended.is_set():
                    return
                continue
            data = wire.receive()
            if data == b"":
                return
            for part in splitter.feed(data or b""):
                if isinstance(part, Message):
                    self._take(part, wire)

    def _session_is_over(self) -> bool:
        limit_s = self._camera.session_timeout_s
        over = limit_s is not None and self.feed is not None and time.monotonic() - self._alive_at > limit_s
        if over:
            self._camera.note(timed_out=1)
        return over

    def _clean_up(self) -> None:
        if self.wire and not self.wire.ended.is_set():
            self.wire.end()
        if self.feed:
            self.feed.join()
        for way in self._ways:
            way.close()
        if self.wire:
            self.wire.close()
        self._accepted.close()
        self._camera.forget(self, had_session=bool(self._ways), cleanly=self._torn_down)

    def _take(self, request: Message, wire: Wire) -> None:
        method, address, _ = request.words
        faults = self._camera.faults
        if faults.keep_alive_method in ("", method):
            self._alive_at = time.monotonic()
        self._camera.record(request, keeps_alive=self.feed is not None and method in _KEEP_ALIVES)
        if method == faults.no_answer_to:
            return
        if method != "OPTIONS" and not self._camera.lets_in(request):
            refusal = answer(request, 401)
            refusal.headers += [("WWW-Authenticate", each) for each in self._camera.door.challenges()]
            wire.send(refusal.encode())
            return
        handler = _HANDLERS.get(method)
        reply = handler(self, request, address) if handler else answer(request, 405)
        if reply:
            wire.send(reply.encode())
        if method == "PLAY" and reply and " 200 " in reply.first_line:
            self._start(wire)

    def _options(self, request: Message, address: str) -> Message:
        reply = answer(request)
        reply.headers.append(("Public", self._camera.faults.public))
        return reply

    def _describe(self, request: Message, address: str) -> Message:
        faults = self._camera.faults
        status = self._camera.next_status()
        path = _path(address)
        if status == 200 and path not in self._camera.clips:
            status = 404
        if status == 200 and faults.redirect:
            status = 302
        reply = answer(request, status)
        if status == 302:
            reply.headers.append(("Location", faults.redirect))
        if status != 200:
            return reply
        self._path = path
        base = f"{address}/" if faults.content_base is None else faults.content_base
        reply.body = describe(self._camera.clips[path], faults).encode()
        reply.headers += [("Content-Base", base), ("Content-Type", "application/sdp")]
        reply.headers.append(("Content-Length", str(len(reply.body))))
        return reply

    def _setup(self, request: Message, address: str) -> Message:
        faults = self._camera.faults
        self._path = self._path or _path(address)
        if self._path not in self._camera.clips or (faults.strict_control and "trackID" not in address):
            return answer(request, 404)
        audio = AUDIO in address
        transport = self._set_up(request.header("Transport"), audio=audio)
        if not transport:
            return answer(request, 461)
        self._has_audio |= audio
        limit_s = self._camera.session_timeout_s if faults.announce_timeout else None
        reply = answer(request)
        reply.headers += [("Transport", transport)]
        reply.headers += [("Session", self._session + ("" if limit_s is None else f";timeout={limit_s:g}"))]
        return reply

    def _set_up(self, asked: str, *, audio: bool) -> str:
        """Make the way for the video; the Transport of the answer, nothing for one that is refused."""
        faults = self._camera.faults
        kind = "tcp" if "TCP" in asked else "udp"
        pair = re.search(r"(?:interleaved|client_port)=(\d+)-(\d+)", asked)
        if kind not in self._camera.transports or not pair:
            return ""
        numbers = int(pair[1]), int(pair[2])
        if audio:
            way = "RTP/AVP/TCP;unicast;interleaved" if kind == "tcp" else "RTP/AVP;unicast;client_port"
            return f"{way}={numbers[0]}-{numbers[1]}" + (";server_port=9-10" if kind == "udp" else "")
        if not self._ways:
            self._camera.note(sessions=1)
        if kind == "tcp":
            assert self.wire
            used = faults.channels or numbers
            said = faults.announced_channels or used
            self._use(InterleavedWay(self.wire, used, faults))
            return f"RTP/AVP/TCP;unicast;interleaved={said[0]}-{said[1]}"
        way = UdpWay((self._client[0], *numbers), lost=faults.udp_blackhole)
        self._use(way)
        ports = "-".join(map(str, way.ports))
        return f"RTP/AVP;unicast;client_port={numbers[0]}-{numbers[1]};server_port={ports}"

    def _use(self, way: InterleavedWay | UdpWay) -> None:
        self._ways.append(way)
        if self.feed:
            self.feed.way = way

    def _play(self, request: Message, address: str) -> Message:
        faults = self._camera.faults
        reply = answer(request)
        reply.headers.append(("Session", self._session))
        if faults.rtp_info:
            info = f"url={address.rstrip('/')}/{VIDEO};seq=1;rtptime={faults.first_rtp_time & 0xFFFFFFFF}"
            reply.headers.append(("RTP-Info", info))
        return reply

    def _start(self, wire: Wire) -> None:
        """Let the pictures flow, or go on."""
        if self.feed:
            self.feed.paused = False
        elif self._ways and (self._camera.faults.audio != "needed" or self._has_audio):
            self.feed = Feed(self._camera, self._path, self._ways[-1], wire)
            self.feed.start()

    def _pause(self, request: Message, address: str) -> Message:
        if self.feed:
            self.feed.paused = True
        return answer(request)

    def _parameter(self, request: Message, address: str) -> Message | None:
        status = self._camera.faults.keep_alive_status
        return None if status is None else answer(request, status)

    def _teardown(self, request: Message, address: str) -> Message:
        self._torn_down = True
        return answer(request)


_HANDLERS = {
    "OPTIONS": Connection._options,
    "DESCRIBE": Connection._describe,
    "SETUP": Connection._setup,
    "PLAY": Connection._play,
    "PAUSE": Connection._pause,
    "GET_PARAMETER": Connection._parameter,
    "SET_PARAMETER": Connection._parameter,
    "TEARDOWN": Connection._teardown,
}


def _path(address: str) -> str:
    """The camera that an address means: its path, without the track."""
    return urlsplit(address).path.strip("/").partition("/trackID")[0]
