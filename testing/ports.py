"""Ports to listen on that no connection of this machine takes while a camera is down."""

from __future__ import annotations

import random
import socket
from pathlib import Path

from ..pipeline.errors import SourceError

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_COUNT = 12_000
_TRIES = 200


def listen(port: int = 0) -> socket.socket:
    """A listening socket on 127.0.0.1; 0: a port below those that the kernel gives to connections.

    A reader that tries again and again to reach a port of that range would connect to itself one day, and hold it.

    Raises:
        SourceError: no port is free.
    """
    if port:
        return socket.create_server(("127.0.0.1", port), backlog=128)
    lowest = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else 32_768
    for _ in range(_TRIES):
        try:
            return socket.create_server(
                ("127.0.0.1", random.randrange(max(1024, lowest - _COUNT), lowest)), backlog=128
            )
        except OSError:
            continue  # it is taken
    raise SourceError(f"no port of {_TRIES} below {lowest} is free on 127.0.0.1; close what uses them")


def free_port() -> int:
    """One for another process to listen on."""
    with listen() as probe:
        return int(probe.getsockname()[1])
