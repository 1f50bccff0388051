"""The file under a video that is being written: after a failed write nothing more reaches it."""

from __future__ import annotations

import os
from pathlib import Path


class OutputFile:
    """A file that PyAV writes to, without a buffer of its own, so that a kill loses nothing that was written.

    Once a write has failed (a full disk), all later ones fail too: the muxer cannot then overwrite the start of a
    file whose end is missing, and :meth:`give_up` leaves a file of whole fragments.

    Args:
        path: replaced if it exists.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(path, flags, 0o666)
        self._error: OSError | None = None
        self.closed = False

    def write(self, data: bytes) -> int:
        """Write all of ``data``; raises OSError."""
        if self._error is not None:
            raise self._error
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            self._error = error
            raise
        return len(data)

    def read(self, count: int) -> bytes:
        return os.read(self._descriptor, count)

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        return os.lseek(self._descriptor, place, whence)

    def tell(self) -> int:
        return os.lseek(self._descriptor, 0, os.SEEK_CUR)

    def give_up(self) -> None:
        """Cut off an MP4 fragment that is not whole, and close. The muxer then writes no end."""
        if not self.closed:
            end = _end_of_whole_fragments(self._descriptor)
            if end:
                os.ftruncate(self._descriptor, end)
            self.close()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            os.close(self._descriptor)


def _end_of_whole_fragments(descriptor: int) -> int:
    """Where the last whole fragment (moof and mdat) of an MP4 ends; 0: there is none. Source: ISO/IEC 14496-12, 4.2."""
    size, place, end, kind = os.fstat(descriptor).st_size, 0, 0, b""
    while place + 8 <= size:
        before = kind
        header = os.pread(descriptor, 16, place)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        place += length
        if length < 8 or place > size:
            break
        if before == b"moof" and kind == b"mdat":
            end = place
    return end
