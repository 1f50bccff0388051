"""Changes to the bytes of a file: at random places, and to the structure of JSON, TOML, protobuf, zip and MP4 files.

Every function takes bytes and a :class:`random.Random` and gives other bytes; the same state of the generator gives the
same bytes. What cannot be parsed for a structured change gets one of plain bytes.
"""

from __future__ import annotations

import copy
import io
import json
import random
import struct
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

Change = Callable[[bytes, random.Random], bytes]

_NUMBERS = [-1, 0, 1, 2, 127, 255, 65_536, 2**31 - 1, 2**31, 2**32, 10**9, 2**53, 2**63, 2**64, 10**40, -(2**63)]
_ODD: list[Any] = [
    None, True, "", "x", "\x1b[2J", "\u202e", "a" * 5000, "../../etc/passwd", [], {}, [[]], 0.5, -1e308, 1e308,
    float("nan"), float("inf"), [0] * 2000, {"a": 1}, *_NUMBERS,
]  # fmt: skip


def plain(data: bytes, source: random.Random) -> bytes:
    """A handful of changes to single bytes and to stretches of them."""
    changed = bytearray(data)
    for _ in range(source.choice((1, 1, 2, 4, 16, 64))):
        if not changed:
            return source.randbytes(source.randrange(64))
        start = source.randrange(len(changed))
        length = min(len(changed) - start, source.choice((1, 1, 1, 2, 4, 8, 100, 2000)))
        kind = source.randrange(8)
        if kind == 0:
            changed[start] ^= 1 << source.randrange(8)
        elif kind == 1:
            changed[start : start + length] = source.randbytes(length)
        elif kind == 2:
            changed[start : start + length] = bytes([source.choice((0, 0xFF, 0x7F, 0x80))]) * length
        elif kind == 3:
            del changed[start : start + length]
        elif kind == 4:
            changed[start:start] = source.randbytes(length)
        elif kind == 5:
            changed[start:start] = changed[start : start + length]
        elif kind == 6:
            form = source.choice((">I", "<I", ">H", "<H", ">Q", "<Q"))
            size = struct.calcsize(form)
            number = source.choice(_NUMBERS) % 256**size
            changed[start : start + size] = struct.pack(form, number)[: len(changed) - start]
        else:
            other = source.randrange(len(changed))
            changed[start : start + length] = changed[other : other + length]
    return bytes(changed)


def cut(data: bytes, source: random.Random) -> bytes:
    """The beginning of the file, or all but a stretch in the middle."""
    start = source.randrange(len(data) + 1)
    if source.random() < 0.5:
        return data[:start]
    return data[:start] + data[start + source.choice((1, 7, 188, 1000, 10_000)) :]


def splice(data: bytes, other: bytes, source: random.Random) -> bytes:
    """The beginning of one file and the end of another."""
    if source.random() < 0.2:
        return data + other
    return data[: source.randrange(len(data) + 1)] + other[source.randrange(len(other) + 1) :]


def json_lines(data: bytes, source: random.Random) -> bytes:
    """One node of one line of JSON lines, or a line as a whole."""
    lines = data.splitlines(keepends=True)
    if not lines:
        return plain(data, source)
    row = 0 if source.random() < 0.3 else source.randrange(len(lines))
    if source.random() < 0.2:
        other = source.randrange(len(lines))
        lines[row : row + 1] = source.choice(([], [lines[row]] * 2, [lines[other]], [lines[row].rstrip(b"\n")]))
    else:
        lines[row] = json_text(lines[row], source) + b"\n"
    return b"".join(lines)


def json_text(data: bytes, source: random.Random) -> bytes:
    """One to three nodes of a JSON text."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return plain(data, source)
    for _ in range(source.choice((1, 1, 1, 2, 3))):
        document = _changed_node(document, source)
    return json.dumps(document).encode()


def _changed_node(document: Any, source: random.Random) -> Any:
    path: list[tuple[Any, Any]] = []
    node = document
    while isinstance(node, dict | list) and node and (not path or source.random() < 0.85):
        key = source.choice(list(node)) if isinstance(node, dict) else source.randrange(len(node))
        path.append((node, key))
        node = node[key]
    if not path:
        return copy.deepcopy(source.choice(_ODD))
    parent, key = path[-1]
    kind = source.randrange(6)
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(parent, list):
        parent[key:key] = [parent[key]] * source.choice((1, 2, 300))
    elif kind == 2:
        for _ in range(source.choice((1, 5, 90))):
            parent[key] = [parent[key]]
    elif kind == 3 and isinstance(node, int | float) and not isinstance(node, bool):
        parent[key] = source.choice((-node, node + 1, node * 1000, str(node), float(node)))
    else:
        parent[key] = copy.deepcopy(source.choice(_ODD))
    return document


def text_lines(data: bytes, source: random.Random) -> bytes:
    """Lines and their words in a text of any kind."""
    lines = data.split(b"\n")
    row = source.randrange(len(lines))
    kind = source.randrange(5)
    if kind == 0:
        del lines[row]
    elif kind == 1:
        lines[row:row] = [lines[row]] * source.choice((1, 3, 500))
    elif kind == 2:
        lines[row] = source.choice(
            (b"\xff\xfe", b"\x00", b"[" * 3000, b"a." * 3000 + b"b=1", b"=" * 9, b"\xef\xbb\xbf")
        )
    else:
        words = lines[row].replace(b",", b" ").split(b" ")
        value = source.choice([word for word in _ODD if not isinstance(word, dict)])
        words[source.randrange(len(words))] = json.dumps(value).encode()
        lines[row] = (b"," if b"," in lines[row] else b" ").join(words)
    return b"\n".join(lines)


def toml_text(data: bytes, source: random.Random) -> bytes:
    """The value of one line of TOML, or lines as in any text."""
    lines = data.split(b"\n")
    settings = [row for row, line in enumerate(lines) if b"=" in line]
    if not settings or source.random() < 0.3:
        return text_lines(data, source)
    row = source.choice(settings)
    value = source.choice(_ODD)
    shown = json.dumps(value).replace("NaN", "nan").replace("Infinity", "inf").replace("null", "2026-01-01")
    if source.random() < 0.1:
        shown = "[" * source.choice((5, 200, 5000)) + shown
    lines[row] = lines[row].split(b"=")[0] + b"= " + shown.encode()
    return b"\n".join(lines)


def protobuf(data: bytes, source: random.Random) -> bytes:
    """One field of a message or of one inside it; the lengths around it stay right."""
    parts = fields(data)
    if not parts:
        return plain(data, source)
    row = source.randrange(len(parts))
    number, wire, value = parts[row]
    kind = source.randrange(8)
    if isinstance(value, bytes) and kind < 5 and fields(value):
        parts[row] = number, wire, protobuf(value, source)
    elif kind == 0:
        del parts[row]
    elif kind == 1:
        parts[row:row] = [parts[row]] * source.choice((1, 2, 200))
    elif kind == 2:
        parts[row] = source.randrange(1, 30), wire, value
    elif isinstance(value, bytes):
        other = source.choice((b"", plain(value[:100_000], source), value[: len(value) // 2], b"\xff" * 9, b"../x"))
        parts[row] = number, wire, other
    else:
        parts[row] = number, wire, source.choice(_NUMBERS) % 2**64
    return b"".join(map(_field, parts))


def fields(data: bytes) -> list[tuple[int, int, int | bytes]]:
    """(number, wire type, value) of a protobuf message; empty where it is none. Source: protobuf.dev, encoding."""
    found: list[tuple[int, int, int | bytes]] = []
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        wire = tag & 7
        if place < 0 or tag >> 3 == 0:
            return []
        if wire == 0:
            value, place = _varint(data, place)
            found.append((tag >> 3, wire, value))
        else:
            length, place = _varint(data, place) if wire == 2 else ({1: 8, 5: 4}.get(wire, len(data) + 1), place)
            found.append((tag >> 3, wire, data[place : place + length]))
            place = -1 if place + length > len(data) else place + length
        if place < 0:
            return []
    return found


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place < 0 or place >= len(data):
            break
        value |= (data[place] & 127) << shift
        place += 1
        if data[place - 1] < 128:
            return value, place
    return 0, -1


def _field(field: tuple[int, int, int | bytes]) -> bytes:
    number, wire, value = field
    head = _to_varint(number << 3 | wire)
    if isinstance(value, int):
        return head + _to_varint(value)
    if wire == 2:
        return head + _to_varint(len(value)) + value
    return head + value.ljust({1: 8, 5: 4}[wire], b"\0")[: {1: 8, 5: 4}[wire]]


def _to_varint(value: int) -> bytes:
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    made.append(value)
    return bytes(made)


def zip_members(data: bytes, source: random.Random) -> bytes:
    """One member of a zip file: its bytes, its name, its compression, or whether it is there."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, OSError, RuntimeError):
        return plain(data, source)
    pickles = [row for row, (name, _) in enumerate(members) if name.endswith(".pkl")]
    row = source.choice(pickles) if pickles and source.random() < 0.6 else source.randrange(len(members))
    name, content = members[row]
    kind = source.randrange(6)
    compression = zipfile.ZIP_STORED
    if kind == 0:
        del members[row]
    elif kind == 1:
        members[row] = name, content[: source.randrange(len(content) + 1)]
    elif kind == 2:
        members[row] = name, b"\0" * source.choice((10, 10**6, 30 * 10**6))
        compression = zipfile.ZIP_DEFLATED
    elif kind == 3:
        members[row] = source.choice(("../x", "/x", name + "x", members[-1][0] + "1")), content
    else:
        members[row] = name, plain(content, source)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two members of one name are what is wanted
        for entry, content in members:
            archive.writestr(entry, content)
    return made.getvalue()


_PARENTS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"moof", b"traf", b"mvex", b"udta", b"dinf"}


def mp4_boxes(data: bytes, source: random.Random) -> bytes:
    """One box of an MP4 file or of a box in it; the sizes around it stay right. Source: ISO/IEC 14496-12, 4.2."""
    parts = boxes(data)
    if not parts:
        return plain(data, source)
    row = source.randrange(len(parts))
    kind, content = parts[row]
    action = source.randrange(8)
    if kind in _PARENTS and action < 6:
        parts[row] = kind, mp4_boxes(content, source)
    elif action == 6:
        del parts[row]
    elif action == 7:
        parts.insert(source.randrange(len(parts)), parts[row])
    else:
        parts[row] = kind, plain(content[:200_000], source) + content[200_000:]
    return b"".join(struct.pack(">I", len(inner) + 8) + name + inner for name, inner in parts)


def boxes(data: bytes) -> list[tuple[bytes, bytes]]:
    """(kind, content) of the boxes that a stretch of an MP4 file is made of; empty where it is not."""
    found, place = [], 0
    while place + 8 <= len(data):
        (size,) = struct.unpack_from(">I", data, place)
        if size < 8 or place + size > len(data):
            return []
        found.append((data[place + 4 : place + 8], data[place + 8 : place + size]))
        place += size
    return found if place == len(data) else []
