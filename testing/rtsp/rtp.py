"""Pictures as RTP packets (RFC 3550): H.264 (RFC 6184), HEVC (RFC 7798), JPEG (RFC 2435), AV1; RTCP reports and BYE."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from ...pipeline.errors import UsageError

SSRC, OTHER_SSRC = 0x1234, 0x9999

_NTP_EPOCH = 2_208_988_800  # 1970, in seconds from 1900
_FU_A, _HEVC_FU = 28, 49
_SEQUENCE = 1  # type of the OBU with the sequence header
_DQT, _SOF0, _SOS, _DRI, _EOI = 0xDB, 0xC0, 0xDA, 0xDD, b"\xff\xd9"


def header(sequence: int, time: int, payload_type: int, marker: bool, ssrc: int = SSRC) -> bytes:
    """The 12 bytes of an RTP header; sequence and time are taken modulo 2^16 and 2^32."""
    kind = payload_type | marker << 7
    return struct.pack(">BBHII", 0x80, kind, sequence & 0xFFFF, time & 0xFFFFFFFF, ssrc)


def sender_report(unix_time: float, rtp_time: int, packets: int) -> bytes:
    """RTCP SR: at ``rtp_time`` the clock on the wall showed ``unix_time`` (seconds; -2208988800 is NTP 0)."""
    ntp = int((unix_time + _NTP_EPOCH) * 2**32) & (1 << 64) - 1
    return struct.pack(">BBHIQIII", 0x80, 200, 6, SSRC, ntp, rtp_time & 0xFFFFFFFF, packets & 0xFFFFFFFF, 0)


def bye() -> bytes:
    return struct.pack(">BBHI", 0x81, 203, 1, SSRC)


def payloads(codec: str, nals: Sequence[bytes], mtu: int, jpeg_q: int = 255) -> list[bytes]:
    """The payloads of one picture; the marker belongs to the last."""
    if codec == "mjpeg":
        return list(_jpeg(nals[0], mtu, jpeg_q))
    if codec == "av1":
        return list(_av1(nals, mtu))
    fragments = _h264_fragments if codec == "h264" else _hevc_fragments
    return [part for nal in nals for part in ([nal] if len(nal) <= mtu else fragments(nal, mtu))]


def _h264_fragments(nal: bytes, mtu: int) -> Iterator[bytes]:
    indicator, kind = nal[0] & 0xE0 | _FU_A, nal[0] & 31
    for flags, part in _fragments(nal[1:], mtu):
        yield bytes([indicator, flags | kind]) + part


def _hevc_fragments(nal: bytes, mtu: int) -> Iterator[bytes]:
    indicator, kind = bytes([nal[0] & 0x81 | _HEVC_FU << 1, nal[1]]), nal[0] >> 1 & 63
    for flags, part in _fragments(nal[2:], mtu):
        yield indicator + bytes([flags | kind]) + part


def _fragments(data: bytes, mtu: int) -> Iterator[tuple[int, bytes]]:
    """Parts of ``data``, each with the start and end bits of its fragment header."""
    for at in range(0, len(data), mtu):
        yield (at == 0) << 7 | (at + mtu >= len(data)) << 6, data[at : at + mtu]


def _av1(units: Sequence[bytes], mtu: int) -> Iterator[bytes]:
    """Each OBU in packets of its own. Source: RTP Payload Format For AV1, 4.4 (Z, Y, W = 1, N)."""
    starts = any(unit[0] >> 3 & 15 == _SEQUENCE for unit in units)
    for number, unit in enumerate(units):
        for flags, part in _fragments(unit, mtu):
            continued, goes_on = not flags >> 7, not flags >> 6 & 1
            first = starts and number == 0 and not continued
            yield bytes([continued << 7 | goes_on << 6 | 1 << 4 | first << 3]) + part


def _jpeg(data: bytes, mtu: int, q: int) -> Iterator[bytes]:
    tables, kind, height, width, restart, scan = _jpeg_parts(data)
    for at in range(0, len(scan), mtu):
        # A byte for the size / 8: of more than 2040 pixels cameras send what is left of it.
        head = struct.pack(">IBBBB", at, kind | bool(restart) << 6, q, width // 8 & 255, height // 8 & 255)
        if restart:
            head += struct.pack(">HH", restart, 0xFFFF)
        if at == 0 and q >= 128:
            head += struct.pack(">BBH", 0, 0, len(tables)) + tables
        yield head + scan[at : at + mtu]


def _jpeg_parts(data: bytes) -> tuple[bytes, int, int, int, int, bytes]:
    """Quantisation tables, type (0: 4:2:2, 1: 4:2:0), height, width, restart interval, coded data."""
    tables, kind, height, width, restart, at = b"", 1, 0, 0, 0, 2
    while at + 4 <= len(data):
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 2 + length]
        at += 2 + length
        if marker == _DQT:
            tables += b"".join(body[n + 1 : n + 65] for n in range(0, len(body), 65))
        elif marker == _DRI:
            restart = int.from_bytes(body, "big")
        elif marker == _SOF0:
            height, width = struct.unpack(">HH", body[1:5])
            kind = 1 if body[7] == 0x22 else 0
        elif marker == _SOS:
            return tables, kind, height, width, restart, data[at:].removesuffix(_EOI)
    raise UsageError("a clip of MJPEG must have baseline JPEG files")
