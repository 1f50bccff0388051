"""Answers to ``WWW-Authenticate`` that FFmpeg has too: digest with MD5, and basic. Source: RFC 2617; RFC 2326, D.1."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterable

_PARAMETER = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^,\s]*))')


def login_header(challenges: Iterable[str], *, user: str, password: str, method: str, place: str) -> str | None:
    """The value of ``Authorization``, by digest where that is offered; None where FFmpeg has no answer.

    Args:
        challenges: the values of the ``WWW-Authenticate`` headers.
        method, place: of the request that it is for.
    """
    basic = False
    for challenge in challenges:
        scheme, _, rest = challenge.partition(" ")
        said = {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(rest)}
        if scheme.lower() == "digest" and said.get("algorithm", "MD5").upper() == "MD5":
            return _digest(said, user, password, method, place)
        basic |= scheme.lower() == "basic"
    return basic_header(user, password) if basic else None


def basic_header(user: str, password: str) -> str:
    """The value of ``Authorization`` that nobody has to ask for."""
    pair = f"{user}:{password}".encode(errors="surrogateescape")
    return f"Basic {base64.b64encode(pair).decode('ascii')}"


def _digest(said: dict[str, str], user: str, password: str, method: str, place: str) -> str:
    realm, nonce = said.get("realm", ""), said.get("nonce", "")
    who, what = _md5(f"{user}:{realm}:{password}"), _md5(f"{method}:{place}")
    sent = {"username": user, "realm": realm, "nonce": nonce, "uri": place}
    if "auth" in said.get("qop", "").split(","):
        own = secrets.token_hex(8)
        counted = f', qop=auth, nc=00000001, cnonce="{own}"'
        response = _md5(f"{who}:{nonce}:00000001:{own}:auth:{what}")
    else:
        counted, response = "", _md5(f"{who}:{nonce}:{what}")
    if "opaque" in said:
        sent["opaque"] = said["opaque"]
    written = ", ".join(f'{name}="{value}"' for name, value in {**sent, "response": response}.items())
    return f"Digest {written}{counted}"


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(errors="surrogateescape"), usedforsecurity=False).hexdigest()
