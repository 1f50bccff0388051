"""An encoder's threads at the priority of all others.

SVT-AV1, where it runs as root, has the thread that calls it and all of its own run before every other of the machine
(SCHED_FIFO): for as long as it encodes nothing else gets on, and what waits for that waits for ever.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_VERSION_3 = 0x20080522
_SYS_NICE = 23


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


@contextmanager
def ordinary_priority() -> Iterator[None]:
    """Neither the calling thread nor what it starts meanwhile can be given a higher priority.

    The capability CAP_SYS_NICE is taken from the thread, and given back. Elsewhere than on Linux nothing is done.
    Source: capabilities(7), capset(2).
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    libc, header = ctypes.CDLL(None, use_errno=True), _Header(_VERSION_3, 0)
    had, without = (ctypes.c_uint32 * 6)(), (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable, twice
    _check(libc.capget(ctypes.byref(header), had))
    without[:] = list(had)
    without[0] &= ~(1 << _SYS_NICE) & 0xFFFFFFFF
    _check(libc.capset(ctypes.byref(header), without))
    try:
        yield
    finally:
        _check(libc.capset(ctypes.byref(header), had))


def _check(answer: int) -> None:
    if answer:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
