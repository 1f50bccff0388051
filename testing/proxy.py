"""Between a reader and a camera: bytes wrong, late or missing (TCP), packets lost or swapped (UDP)."""

from __future__ import annotations

import random
import re
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from .closes import Closes
from .ports import listen
from .rtsp.messages import Interleaved, Message, Splitter
from .rtsp.ways import udp_pair

_TURN_S = 0.1
_PORTS = {"rtsp": 554, "http": 80}


class TcpProxy(Closes):
    """Forwards all connections to a camera, of any protocol over TCP.

        with TcpProxy(camera.url) as proxy:
            container = av.open(proxy.url, options={"rtsp_transport": "tcp"}, timeout=(8, 2.5))
            proxy.hold()  # half open from here on

    Args:
        url: the camera's address.
        delay_s: what the camera sends comes so much later.
        errors: the share of the camera's bytes that are inverted, seeded by ``seed``.

    Attributes:
        url: the address for the reader.
        connections: accepted so far.
    """

    def __init__(self, url: str, *, delay_s: float = 0.0, errors: float = 0.0, seed: int = 1) -> None:
        parts = urlsplit(url)
        self._camera = (parts.hostname or "127.0.0.1", parts.port or _PORTS.get(parts.scheme, 80))
        self._delay_s, self._errors, self._random = delay_s, errors, random.Random(seed)
        self._listener = listen()
        login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        self.url = parts._replace(netloc=f"{login}127.0.0.1:{self._listener.getsockname()[1]}").geturl()
        self.connections = 0
        self._flowing = threading.Event()
        self._flowing.set()
        self._lock = threading.Lock()
        self._to_corrupt = self._to_lose = 0  # bytes
        self._relays: list[_TcpRelay] = []
        self._acceptor = threading.Thread(target=self._accept, name="proxy-accept", daemon=True)
        self._acceptor.start()

    def hold(self) -> None:
        """Forward nothing any more, and close nothing: a connection that is half open."""
        self._flowing.clear()

    def release(self) -> None:
        """Forward again; what was sent meanwhile arrives, as far as buffers held it."""
        self._flowing.set()

    def corrupt(self, count: int = 1) -> None:
        """Invert the next bytes that the camera sends."""
        self._to_corrupt += count

    def lose(self, count: int = 1) -> None:
        """Leave out the next bytes that the camera sends."""
        self._to_lose += count

    def cut(self) -> None:
        """Close all connections, on both sides."""
        with self._lock:
            relays, self._relays = self._relays, []
        for relay in relays:
            relay.end()

    def close(self) -> None:
        """End all threads and close all sockets; again does no harm."""
        with suppress(OSError):  # it is closed already
            self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):  # the listener is shut down
            while True:
                reader, _ = self._listener.accept()
                try:
                    camera = socket.create_connection(self._camera, timeout=5)
                except OSError:
                    reader.close()
                    continue
                self.connections += 1
                relay = self._relay(reader, camera)
                with self._lock:
                    self._relays = [each for each in self._relays if each.is_alive()] + [relay]
                relay.start()

    def _relay(self, reader: socket.socket, camera: socket.socket) -> _TcpRelay:
        return _TcpRelay(reader, camera, self._flowing, self._delay_s, to_camera=bytes, to_reader=self._impaired)

    def _impaired(self, data: bytes) -> bytes:
        lost, self._to_lose = self._to_lose, max(0, self._to_lose - len(data))
        wrong = bytearray(data[lost:])
        count, self._to_corrupt = self._to_corrupt, max(0, self._to_corrupt - len(wrong))
        for at in range(min(count, len(wrong))):
            wrong[at] ^= 0xFF
        if self._errors:
            at = -1
            while (at := at + max(1, round(self._random.expovariate(self._errors)))) < len(wrong):
                wrong[at] ^= 0xFF
        return bytes(wrong)


class UdpLossProxy(TcpProxy):
    """Forwards RTSP, and the UDP packets of its sessions, some of which it loses, delays or swaps.

        with UdpLossProxy(camera.url, loss=0.05, seed=1) as proxy:
            container = av.open(proxy.url, options={"rtsp_transport": "udp"}, timeout=(8, 2.5))

    Ports in SETUP and in its answer are replaced by its own, so that reader and camera need not know.

    Args:
        loss: the share of RTP packets from the camera that are lost.
        reorder: the share that comes after the one behind it.
        delay_s: so much later comes what is not lost.
        seed: of both shares, for each session anew.

    Attributes:
        packets: RTP packets that the camera has sent.
        lost: of them.
    """

    def __init__(
        self, url: str, *, loss: float = 0.0, reorder: float = 0.0, delay_s: float = 0.0, seed: int = 1
    ) -> None:
        self._loss, self._reorder, self._udp_delay_s, self._seed = loss, reorder, delay_s, seed
        self._udp: list[_UdpRelay] = []
        self.packets = self.lost = 0
        super().__init__(url)

    def _relay(self, reader: socket.socket, camera: socket.socket) -> _TcpRelay:
        rewriter = _Rewriter(self, reader.getpeername()[0], self._camera[0])
        return _TcpRelay(
            reader,
            camera,
            self._flowing,
            0.0,
            to_camera=rewriter.requests,
            to_reader=rewriter.answers,
            at_end=rewriter.close,
        )

    def udp_relay(self, reader: tuple[str, int, int]) -> _UdpRelay:
        """A new one for a session of ``reader`` (host and two ports), which is to be closed."""
        return _UdpRelay(self, reader, (self._loss, self._reorder, self._udp_delay_s, self._seed), self._flowing)

    def note(self, *, lost: bool) -> None:
        with self._lock:
            self.packets += 1
            self.lost += lost


class _TcpRelay(threading.Thread):
    """Two connections, and what goes between them."""

    def __init__(
        self,
        reader: socket.socket,
        camera: socket.socket,
        flowing: threading.Event,
        delay_s: float,
        *,
        to_camera: Callable[[bytes], bytes],
        to_reader: Callable[[bytes], bytes],
        at_end: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(name="proxy-tcp", daemon=True)
        self._ways = {reader: (camera, to_camera, 0.0), camera: (reader, to_reader, delay_s)}
        self._flowing, self._at_end = flowing, at_end
        self._late: deque[tuple[float, socket.socket, bytes]] = deque()
        self._ended = threading.Event()

    def run(self) -> None:
        try:
            with suppress(OSError):  # one side is gone, so that the other is to go, too
                while not self._ended.is_set():
                    if self._flowing.wait(_TURN_S) and not self._pass_on():
                        break
                while self._late and not self._ended.wait(max(0.0, self._late[0][0] - time.monotonic())):
                    self._send_due()
        finally:
            self._at_end()
            for each in self._ways:
                each.close()

    def end(self) -> None:
        self._ended.set()
        for each in self._ways:
            with suppress(OSError):  # it is closed already
                each.shutdown(socket.SHUT_RDWR)
        self.join()

    def _pass_on(self) -> bool:
        """What came, or is due; False once a side has closed."""
        wait_s = max(0.0, min(_TURN_S, self._late[0][0] - time.monotonic())) if self._late else _TURN_S
        for ready in select.select(list(self._ways), [], [], wait_s)[0]:
            if not self._flowing.is_set():
                return True
            other, change, delay_s = self._ways[ready]
            data = ready.recv(1 << 16)
            if not data:
                return False
            if delay_s:
                self._late.append((time.monotonic() + delay_s, other, change(data)))
            else:
                other.sendall(change(data))
        self._send_due()
        return True

    def _send_due(self) -> None:
        while self._late and self._late[0][0] <= time.monotonic():
            _, other, data = self._late.popleft()
            other.sendall(data)


class _Rewriter:
    """Replaces the ports in SETUP and its answers on one RTSP connection."""

    def __init__(self, proxy: UdpLossProxy, reader: str, camera: str) -> None:
        self._proxy, self._reader, self._camera = proxy, reader, camera
        self._asked, self._answered = Splitter(), Splitter()
        self._relays: dict[str, _UdpRelay] = {}  # by the CSeq of SETUP

    def requests(self, data: bytes) -> bytes:
        return b"".join(self._request(part) for part in self._asked.feed(data))

    def answers(self, data: bytes) -> bytes:
        return b"".join(self._answer(part) for part in self._answered.feed(data))

    def close(self) -> None:
        for relay in self._relays.values():
            relay.close()

    def _request(self, part: Message | Interleaved) -> bytes:
        if isinstance(part, Message) and part.words[0] == "SETUP":
            transport = part.header("Transport")
            if ports := re.search(r"client_port=(\d+)-(\d+)", transport):
                relay = self._proxy.udp_relay((self._reader, int(ports[1]), int(ports[2])))
                self._relays[part.header("CSeq")] = relay
                _replace(part, transport.replace(ports[0], f"client_port={relay.back_ports}"))
        return part.encode()

    def _answer(self, part: Message | Interleaved) -> bytes:
        if isinstance(part, Message) and (relay := self._relays.get(part.header("CSeq"))):
            transport = part.header("Transport")
            if ports := re.search(r"server_port=(\d+)-(\d+)", transport):
                relay.start((self._camera, int(ports[1]), int(ports[2])))
                transport = transport.replace(f"client_port={relay.back_ports}", f"client_port={relay.reader_ports}")
                _replace(part, transport.replace(ports[0], f"server_port={relay.front_ports}"))
        return part.encode()


def _replace(message: Message, transport: str) -> None:
    message.headers = [(key, transport if key.lower() == "transport" else value) for key, value in message.headers]


class _UdpRelay:
    """Four sockets: two that the reader takes for the camera's (front), two that the camera takes for the reader's."""

    def __init__(
        self,
        proxy: UdpLossProxy,
        reader: tuple[str, int, int],
        impairments: tuple[float, float, float, int],
        flowing: threading.Event,
    ) -> None:
        self._proxy, self._flowing = proxy, flowing
        self._loss, self._reorder, self._delay_s, seed = impairments
        self._random = random.Random(seed)
        self._front, self._back = udp_pair(), udp_pair()
        self._reader = [(reader[0], port) for port in reader[1:]]
        self._camera: list[tuple[str, int]] = []
        self._held: list[bytes] = []
        self._late: deque[tuple[float, int, bytes]] = deque()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy-udp", daemon=True)
        self.front_ports, self.back_ports = _ports(self._front), _ports(self._back)
        self.reader_ports = f"{reader[1]}-{reader[2]}"

    def start(self, camera: tuple[str, int, int]) -> None:
        self._camera = [(camera[0], port) for port in camera[1:]]
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        for each in (*self._front, *self._back):
            each.close()

    def _run(self) -> None:
        sockets: list[Any] = [*self._front, *self._back]
        while not self._ended.is_set():
            wait_s = max(0.0, min(_TURN_S, self._late[0][0] - time.monotonic())) if self._late else _TURN_S
            for ready in select.select(sockets, [], [], wait_s)[0]:
                with suppress(ConnectionRefusedError):  # the other side has closed its port, as ICMP said
                    self._take(sockets.index(ready), ready.recv(1 << 16))
            while self._late and self._late[0][0] <= time.monotonic():
                _, which, data = self._late.popleft()
                self._front[which].sendto(data, self._reader[which])

    def _take(self, which: int, data: bytes) -> None:
        if not self._flowing.is_set():
            return
        if which < 2:
            self._back[which].sendto(data, self._camera[which])
        elif which == 3:
            self._give(1, data)
        else:
            lost = bool(self._loss) and self._random.random() < self._loss
            self._proxy.note(lost=lost)
            if not lost and self._reorder and not self._held and self._random.random() < self._reorder:
                self._held.append(data)
            elif not lost:
                self._give(0, data)
                while self._held:
                    self._give(0, self._held.pop())

    def _give(self, which: int, data: bytes) -> None:
        if self._delay_s:
            self._late.append((time.monotonic() + self._delay_s, which, data))
        else:
            self._front[which].sendto(data, self._reader[which])


def _ports(pair: tuple[socket.socket, socket.socket]) -> str:
    return "-".join(str(each.getsockname()[1]) for each in pair)
