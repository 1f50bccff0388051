"""RTSP messages and the interleaved data between them (RFC 2326), taken apart and put together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus

_REASONS = {453: "Not Enough Bandwidth", 461: "Unsupported Transport"}


@dataclass(slots=True)
class Message:
    """A request or an answer: first line, headers (name, value) in order, body."""

    first_line: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    @property
    def words(self) -> list[str]:
        """Of the first line, three: method, address and version, or version, status and reason."""
        return [*self.first_line.split(" ", 2), "", ""][:3]

    def header(self, name: str) -> str:
        """The first value of a header, or nothing."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def encode(self) -> bytes:
        lines = [self.first_line, *(f"{key}: {value}" for key, value in self.headers)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + self.body


@dataclass(frozen=True, slots=True)
class Interleaved:
    """Binary data of a channel on the RTSP connection."""

    channel: int
    data: bytes

    def encode(self) -> bytes:
        return b"$" + bytes([self.channel]) + len(self.data).to_bytes(2, "big") + self.data


class Splitter:
    """Takes bytes as they arrive, gives messages and interleaved data as they are complete."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Iterator[Message | Interleaved]:
        self._bytes += data
        while (found := self._interleaved() if self._bytes[:1] == b"$" else self._message()) is not None:
            yield found

    def _interleaved(self) -> Interleaved | None:
        length = int.from_bytes(self._bytes[2:4], "big")
        if len(self._bytes) < max(4, 4 + length):
            return None
        found = Interleaved(self._bytes[1], bytes(self._bytes[4 : 4 + length]))
        del self._bytes[: 4 + length]
        return found

    def _message(self) -> Message | None:
        end = self._bytes.find(b"\r\n\r\n")
        if end < 0:
            return None
        first, *lines = self._bytes[:end].decode("utf-8", "replace").split("\r\n")
        headers = [(key.strip(), value.strip()) for key, _, value in (line.partition(":") for line in lines)]
        message = Message(first, headers)
        length = message.header("Content-Length")
        length_bytes = int(length) if length.isdigit() else 0
        if len(self._bytes) < end + 4 + length_bytes:
            return None
        message.body = bytes(self._bytes[end + 4 : end + 4 + length_bytes])
        del self._bytes[: end + 4 + length_bytes]
        return message


def answer(request: Message, status: int = 200) -> Message:
    """An answer to ``request``, to which headers are added."""
    reason = _REASONS.get(status) or HTTPStatus(status).phrase
    return Message(f"RTSP/1.0 {status} {reason}", [("CSeq", request.header("CSeq"))])
