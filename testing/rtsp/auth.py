"""Passwords asked for by Basic and Digest (RFC 7616): MD5, SHA-256, or both in either order."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from typing import Literal

from ...pipeline.errors import UsageError

Scheme = Literal["", "basic", "md5", "md5_qop", "sha256", "sha256_then_md5", "md5_then_sha256"]
REALM = "camera"

_PARAMETER = re.compile(r'(\w+)=(?:"([^"]*)"|([^,\s]*))')
_OFFERS = {
    "basic": (),
    "md5": ("",),
    "md5_qop": (', qop="auth", algorithm="MD5"',),
    "sha256": (', algorithm="SHA-256"',),
    "sha256_then_md5": (', algorithm="SHA-256"', ', algorithm="MD5"'),
    "md5_then_sha256": (', algorithm="MD5"', ', algorithm="SHA-256"'),
}


class Door:
    """Asks for a user and a password by one scheme; nothing is asked where it is empty."""

    def __init__(self, scheme: Scheme, user: str, password: str) -> None:
        if scheme and scheme not in _OFFERS:
            raise UsageError(f"a camera's auth is one of {', '.join(_OFFERS)}, not {scheme!r}")
        self._scheme, self._user, self._password = scheme, user, password
        self._nonce = secrets.token_hex(8)

    def challenges(self) -> list[str]:
        """The values of WWW-Authenticate, in order."""
        if self._scheme == "basic":
            return [f'Basic realm="{REALM}"']
        return [f'Digest realm="{REALM}", nonce="{self._nonce}"{more}' for more in _OFFERS[self._scheme]]

    def opens(self, method: str, authorization: str) -> bool:
        """Whether a request with this Authorization header may pass."""
        if not self._scheme:
            return True
        kind, _, rest = authorization.partition(" ")
        if kind == "Basic":
            sent = base64.b64encode(f"{self._user}:{self._password}".encode()).decode()
            return self._scheme == "basic" and rest.strip() == sent
        return kind == "Digest" and self._scheme != "basic" and self._digest_fits(method, rest)

    def _digest_fits(self, method: str, rest: str) -> bool:
        sent = {key: quoted or plain for key, quoted, plain in _PARAMETER.findall(rest)}
        by_sha = "256" in sent.get("algorithm", "")
        if ("sha256" if by_sha else "md5") not in self._scheme:
            return False

        def digest(*parts: str) -> str:
            return (hashlib.sha256 if by_sha else hashlib.md5)(":".join(parts).encode()).hexdigest()

        middle = [sent.get(key, "") for key in ("nc", "cnonce", "qop")] if "qop" in sent else []
        who = digest(self._user, REALM, self._password)
        what = digest(method, sent.get("uri", ""))
        right = digest(who, self._nonce, *middle, what)
        return sent.get("username") == self._user and sent.get("response") == right
