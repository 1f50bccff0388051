"""How many packets the network has lost: FFmpeg tells that to its log only, of RTP over UDP.

Its log cannot be read in Python: a callback that takes the GIL, on a thread of a decoder, can lock the process up. So
one in C++ takes its place (PyAV's own does nothing by default), which counts for each thread and does no more.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import av
import av.logging

from ....kernels import _native

LOSS, LOSS_OVER = 0.005, 2000
"""The share of so many packets from which on TCP is proposed."""
PACKET_BYTES = 1400
"""What an RTP packet has of a picture in it, as cameras send it: FFmpeg does not tell how many came."""
_MAPS = Path("/proc/self/maps")


class UdpLoss:
    """Proposes TCP where UDP loses too much; once. For the reader's thread."""

    def __init__(self, say: Callable[[str, str], None]) -> None:
        """
        Args:
            say: writes a line, of a kind, into the log.
        """
        self._say = say
        self._came = self._lost_before = 0
        self._said = False

    def came(self, size: int, lost: int) -> None:
        """A picture of ``size`` bytes came, and ``lost`` packets are missing by now."""
        self._came += -(-size // PACKET_BYTES)
        lost_now = lost - self._lost_before
        if self._said or self._came + lost_now < LOSS_OVER:
            return
        share = lost_now / (self._came + lost_now)
        if share > LOSS:
            self._say("udp", f'{100 * share:.1f} % of packets are lost over UDP; transport = "tcp" loses none')
            self._said = True
        self._came, self._lost_before = 0, lost


def missed_packets() -> int | None:
    """Packets that were missing in what this thread has read so far; None where it cannot be known.

    That is where PyAV's own log is in use, or its FFmpeg is not found.
    """
    return _native.missed_packets() if av.logging.get_level() is None and _counting() else None


@cache
def _counting() -> bool:
    """Have FFmpeg's log counted, once; whether that can be."""
    path = _libavutil()
    if path is None:
        return False
    try:
        function = ctypes.CDLL(path).av_log_set_callback
    except (OSError, AttributeError):
        return False
    _native.count_missed_packets(ctypes.cast(function, ctypes.c_void_p).value)
    return True


def _libavutil() -> str | None:
    """The libavutil that PyAV has loaded; None where that is not clear, as several are loaded."""
    try:
        lines = _MAPS.read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    found = {path[0] for line in lines if (path := re.search(r"/.*/libavutil[^/]*\.so[^/]*$", line))}
    beside = Path(av.__file__).parent.parent  # a wheel has its libraries there; others, as OpenCV's, have theirs too
    own = {path for path in found if Path(path).parent in (beside / "av.libs", beside / "av" / ".libs")}
    return next(iter(own or found)) if len(own or found) == 1 else None
