"""Text files that people bring, from whatever wrote them."""

from __future__ import annotations

import codecs
from pathlib import Path

MOST_BYTES = 4 << 20
"""No list of names and no description is longer; a video given by mistake is not read whole."""

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
          (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip
"""Byte-order marks and what they say; that of UTF-16 is the beginning of one of UTF-32."""


def read_text(path: Path, most_bytes: int = MOST_BYTES) -> str:
    """The text of a file in UTF-8, or in what its byte-order mark says; the mark is left out.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no text, or longer than ``most_bytes``; the message says why, and what to do.
    """
    with path.open("rb") as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise ValueError(f"it has more than {most_bytes >> 20} MiB")
    encoding = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), None)
    if encoding is None and b"\0" in data:
        raise ValueError("it is no text (a byte is 0); save it as UTF-8")
    try:
        return data.decode(encoding or "utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"it is not {(encoding or 'utf-8').upper()} (at byte {error.start}); save it as UTF-8"
        ) from error
