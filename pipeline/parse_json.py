"""JSON as others wrote it: whatever is wrong with it is a ``ValueError`` of one line."""

from __future__ import annotations

import json
from typing import Any, NoReturn


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def parse_json(data: bytes) -> Any:
    """The document in ``data``, UTF-8 with or without a byte-order mark.

    Raises:
        ValueError: it is no text or no JSON, has NaN or Infinity in place of a number, or is nested too deeply.
    """
    try:
        return _DECODER.decode(data.decode().removeprefix("\ufeff"))
    except RecursionError:
        raise ValueError("lists or objects are nested too deeply") from None
