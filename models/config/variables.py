"""Variables of the environment in a configuration, and how a user's name and password come into an address."""

from __future__ import annotations

import os
import re
from urllib.parse import quote

VARIABLE = re.compile(r"\$\{([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_variables(text: str) -> str:
    """The text as it is.

    Raises:
        ValueError: a variable in it is not set, or is no name.
    """
    for name in VARIABLE.findall(text):
        if not _NAME.fullmatch(name):
            raise ValueError(f"${{{name}}} is no variable of the environment; write ${{NAME}}")
        if name not in os.environ:
            raise ValueError(f"the environment variable {name} is not set")
    return text


def with_login(address: str, user: str | None, password: str | None) -> str:
    """An address with a user's name and a password, whatever characters they have; their variables stay variables.

    Raises:
        ValueError: it has a name of its own, or is no address of a network.
    """
    if user is None and password is None:
        return address
    scheme, mark, rest = address.partition("://")
    if not mark:
        raise ValueError("user and password are for addresses of networks, rtsp://HOST/PATH")
    if "@" in re.split(r"[/?#]", rest, maxsplit=1)[0]:
        raise ValueError("user and password are given twice: in the address, and as keys")
    if user is None:
        raise ValueError("a password needs its user")
    login = _encoded(user) + ("" if password is None else ":" + _encoded(password))
    return f"{scheme}://{login}@{rest}"


def filled_in(text: str) -> str:
    """A text with the values of its variables, which are set, as they are."""
    return VARIABLE.sub(lambda found: os.environ[found[1]], text)


def _encoded(text: str) -> str:
    """Percent-encoded but for its variables, whose values are encoded when they are put in."""
    pieces = VARIABLE.split(text)  # text, name, text, …
    return "".join(f"${{{piece}}}" if number % 2 else quote(piece, safe="") for number, piece in enumerate(pieces))
