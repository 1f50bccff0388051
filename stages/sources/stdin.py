"""Standard input as a stream of bytes that FFmpeg can read, and that another thread can end."""

from __future__ import annotations

import select
import sys
import threading
from typing import IO

from ...pipeline.errors import SourceError

_WAIT_S = 0.1  # how long a read may stay deaf to interrupt()


class StandardInput:
    """What ``-`` reads: bytes as they come (a pipe), with seeking where standard input is a file."""

    name = "standard input"

    def __init__(self, stream: IO[bytes] | None = None) -> None:
        """
        Args:
            stream: read instead of ``sys.stdin.buffer``.

        Raises:
            SourceError: there is no standard input, or it is a terminal.
        """
        found = stream if stream is not None else getattr(sys.stdin, "buffer", None)
        if found is None or found.closed:
            raise SourceError("there is no standard input to read a video from")
        if found.isatty():
            raise SourceError("standard input is a terminal; pipe a video into it: cat clip.mkv | vidgraph run - …")
        self._stream: IO[bytes] = getattr(found, "raw", found)
        self._waits = not self._stream.seekable()
        self._interrupted = threading.Event()

    def interrupt(self) -> None:
        """Let the reader see the end of the stream, now; safe from any thread."""
        self._interrupted.set()

    @property
    def interrupted(self) -> bool:
        """Whether :meth:`interrupt` was called."""
        return self._interrupted.is_set()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        """Whether standard input is a file."""
        return not self._waits

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes, as soon as there are any; none at the end."""
        while self._waits and not self._interrupted.is_set():
            if select.select([self._stream], [], [], _WAIT_S)[0]:
                break
        return b"" if self._interrupted.is_set() else self._stream.read(size) or b""

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()
