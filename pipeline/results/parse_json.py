"""JSON as others wrote it: whatever is wrong with it is a ``ValueError`` of one line."""

from __future__ import annotations

import json
from typing import Any, NoReturn


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)
_LENIENT = json.JSONDecoder()


def parse_json(data: bytes, *, constants: bool = False) -> Any:
    """The document in ``data``, UTF-8 with or without a byte-order mark.

    Args:
        data: the text.
        constants: NaN and Infinity, which are no JSON, are read where a number may be.

    Raises:
        ValueError: it is no text or no JSON, or is nested too deeply.
    """
    decoder = _LENIENT if constants else _DECODER
    try:
        return decoder.decode(data.decode().removeprefix("\ufeff"))
    except RecursionError:
        raise ValueError("lists or objects are nested too deeply") from None


def shown(value: Any) -> str:
    """A value for a message, however long it is."""
    if isinstance(value, list | dict):
        return f"a list of {len(value)}" if isinstance(value, list) else f"an object of {len(value)}"
    text = repr(value[:40] if isinstance(value, str) else value)
    return text if len(text) <= 42 else f"{text[:40]} …"
