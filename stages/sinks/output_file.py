"""The file under a video that is being written: after a failed write nothing more reaches it."""

from __future__ import annotations

import os

from ...pipeline.claims import Claim
from .whole_end import whole_end


class OutputFile:
    """A file that PyAV writes to, without a buffer of its own, so that a kill loses nothing that was written.

    Once a write has failed (a full disk), all later ones fail too: the muxer cannot then overwrite the start of a
    file whose end is missing, and :meth:`give_up` leaves a file of whole fragments.

    Args:
        claim: the file, which is emptied, and released when it is closed.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, claim: Claim) -> None:
        self._claim, self._descriptor = claim, claim.descriptor
        claim.cut(0)
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
        """Cut off a fragment that is not whole, and close. The muxer then writes no end."""
        if not self.closed:
            end = whole_end(self._descriptor)
            if end:
                os.ftruncate(self._descriptor, end)
            self.close()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._claim.release()
