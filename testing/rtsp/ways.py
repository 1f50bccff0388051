"""The two ways of packets to the client."""

from __future__ import annotations

import socket
from contextlib import suppress

from ...pipeline.errors import SourceError
from .faults import Faults
from .messages import Interleaved
from .wire import Wire


class InterleavedWay:
    """On the RTSP connection, on two channels of it."""

    def __init__(self, wire: Wire, channels: tuple[int, int], faults: Faults) -> None:
        self._wire, self._channels, self._junk = wire, channels, faults.junk_channel

    def send(self, packets: list[tuple[int, bytes]], *, short_of: int | None = None) -> None:
        parts = [Interleaved(self._channels[which], data).encode() for which, data in packets]
        if short_of is not None and parts:
            at = short_of if short_of >= 0 else len(parts[0]) // 2
            parts[0] = parts[0][:at] + parts[0][at + 1 :]
        if self._junk is not None:
            parts.append(Interleaved(self._junk, b"\x80\x60" + bytes(18)).encode())
        self._wire.send(b"".join(parts))

    def close(self) -> None:
        """The wire is closed by its connection."""


class UdpWay:
    """From two ports of one's own to two ports of the client.

    Attributes:
        ports: the own ones, for RTP (even) and RTCP.
    """

    def __init__(self, client: tuple[str, int, int], *, lost: bool) -> None:
        host, *ports = client
        self._to = [(host, port) for port in ports]
        self._lost = lost
        self._sockets = udp_pair()
        self.ports = tuple(each.getsockname()[1] for each in self._sockets)

    def send(self, packets: list[tuple[int, bytes]], *, short_of: int | None = None) -> None:
        if self._lost:
            return
        for which, data in packets:
            with suppress(ConnectionRefusedError):  # nobody listens any more, as ICMP said
                self._sockets[which].sendto(data, self._to[which])

    def close(self) -> None:
        for each in self._sockets:
            each.close()


def udp_pair(host: str = "127.0.0.1") -> tuple[socket.socket, socket.socket]:
    """Two sockets on an even port and the next one, as RTP and RTCP have."""
    for _ in range(200):
        first = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        second = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            first.bind((host, 0))
            port = first.getsockname()[1]
            if port % 2 == 0:
                second.bind((host, port + 1))
                return first, second
        except OSError:
            pass  # the next port is taken
        first.close()
        second.close()
    raise SourceError(f"no two UDP ports in a row are free on {host}; close what uses them")
