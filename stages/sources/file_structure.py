"""What a video file's own structure says of damage: each element says how long it is, and the next one begins there.

FFmpeg reads over places where that does not hold without a word: it looks for the next one that makes sense. Only
headers are read here, and only where there is a doubt: at a gap in the times, and at the end of the file.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from pathlib import Path
from typing import IO, ClassVar

_HEADER = 300  # bytes; more than any header that is looked at here
_BLOCK = 1 << 20
_MOST_ELEMENTS = 5_000_000  # those of 20 hours of video with sound; more are not looked at
_HEAD = 1 << 16  # bytes in which a transport stream shows the size of its packets
_TAIL = 1 << 17  # more than the longest element of the formats whose end is searched (64 KiB)


class FileStructure:
    """The elements of one file, from its start on; a subclass for each kind of container.

    Attributes:
        sync: what an element begins with, to find the next one after damage.
        start: where the first element is.
        first: what a file begins with.
        joined: behind what was read another file begins, once ``cut_off`` has been asked: of several files joined end
            to end, FFmpeg reads the first one or two.
    """

    sync: ClassVar[re.Pattern[bytes]]
    start: ClassVar[int] = 0
    first: ClassVar[bytes] = b""
    _file: IO[bytes]

    def __init__(self, path: Path) -> None:
        """
        Raises:
            OSError: the file cannot be read.
        """
        self._path, self.size = path, path.stat().st_size
        self.joined = False
        self._place, self._elements = self.start, 0
        self._breaks: list[int] = []

    def length(self, place: int, head: bytes) -> int | None:
        """Bytes of the element that begins at ``place`` with ``head``, or of its header where it is entered.

        None where no element begins there.
        """
        raise NotImplementedError

    def broken_between(self, first: int, last: int) -> bool:
        """Whether anywhere between two places an element does not begin where the one before it ends.

        However often it is asked, each part of the file is looked at about once.

        Raises:
            OSError: the file cannot be read any more.
        """
        with self._path.open("rb", buffering=0) as self._file:
            self._follow(first, last)
        at = bisect_left(self._breaks, first)
        return at < len(self._breaks) and self._breaks[at] <= last

    def cut_off(self, last: int, size: int) -> bool:
        """Whether the file ends within an element, or lacks what its kind of file ends with.

        Args:
            last: where the last packet of the stream is.
            size: bytes of it.

        Raises:
            OSError: the file cannot be read any more.
        """
        with self._path.open("rb", buffering=0) as self._file:
            return self._is_cut_off(last, size)

    def _follow(self, first: int, last: int) -> None:
        """Look for breaks up to ``last``, at the least from ``first`` on."""
        while self._place <= last and self._place < self.size:
            self._elements += 1
            if self._elements > _MOST_ELEMENTS:
                return
            length = self.length(self._place, self.read(self._place, _HEADER))
            if length is None or self._place + length > self.size:
                self._breaks.append(self._place)
                self._place = self._next(self._place + 1)
            else:
                self._place += length

    def _is_cut_off(self, last: int, size: int) -> bool:
        return self.overruns(self.start, last)

    def overruns(self, place: int, unread_from: int) -> bool:
        """Whether the elements from ``place`` on end behind the end of the file; sets ``joined``."""
        while place < self.size and self._elements <= _MOST_ELEMENTS:
            self._elements += 1
            head = self.read(place, _HEADER)
            length = self.outer_length(place, head)
            self.joined |= bool(self.first) and place > unread_from and head.startswith(self.first)
            place = self._next(place + 1) if length is None else place + length
        return place > self.size

    def outer_length(self, place: int, head: bytes) -> int | None:
        """As ``length``, of elements that are not entered."""
        return self.length(place, head)

    def _next(self, place: int) -> int:
        block = 4 * _HEADER  # small at first: what looks like an element may be none, again and again
        while place < self.size:
            found = self.sync.search(self.read(place, block))
            if found:
                return place + found.start()
            place += block - _HEADER
            block = min(2 * block, _BLOCK)
        return self.size

    def read(self, place: int, count: int) -> bytes:
        """Up to ``count`` bytes from ``place`` on."""
        self._file.seek(place)
        return self._file.read(count)


class _Matroska(FileStructure):
    """Source: RFC 8794 (EBML), RFC 9559 (Matroska)."""

    sync = re.compile(rb"\x1f\x43\xb6\x75")
    first = b"\x1a\x45\xdf\xa3"
    _SEGMENT, _CLUSTER = bytes.fromhex("18538067"), bytes.fromhex("1F43B675")
    _OTHERS = ("1A45DFA3", "114D9B74", "1549A966", "1654AE6B", "1C53BB6B", "1941A469", "1043A770", "1254C367")
    _IN_CLUSTERS = ("EC", "BF", "E7", "A7", "AB", "A3", "A0", "5854", "AF")
    _IDS = frozenset((_SEGMENT, _CLUSTER, *map(bytes.fromhex, _OTHERS + _IN_CLUSTERS)))

    def length(self, place: int, head: bytes) -> int | None:
        return self._length(head, entered=(self._SEGMENT, self._CLUSTER))

    def outer_length(self, place: int, head: bytes) -> int | None:
        return self._length(head, entered=(self._SEGMENT,))

    def _length(self, head: bytes, *, entered: tuple[bytes, ...]) -> int | None:
        width = 9 - head[0].bit_length() if head else 9
        kind = head[:width]
        if kind not in self._IDS or len(head) == width:
            return None
        size_width = 9 - head[width].bit_length()
        header, most = width + size_width, (1 << 7 * size_width) - 1
        size = int.from_bytes(head[width:header], "big") & most
        open_ended = size == most and kind in (self._SEGMENT, self._CLUSTER)
        return header if open_ended or kind in entered else header + size


class _Flv(FileStructure):
    """Source: Adobe Flash Video File Format Specification 10.1, annex E."""

    sync = re.compile(rb"[\x08\x09\x12].{7}\x00\x00\x00", re.DOTALL)
    first = b"FLV\x01"
    start = 9 + 4

    def length(self, place: int, head: bytes) -> int | None:
        if head[:1] not in (b"\x08", b"\x09", b"\x12") or any(head[8:11]):
            return None
        return 11 + int.from_bytes(head[1:4], "big") + 4

    def _is_cut_off(self, last: int, size: int) -> bool:
        return self.overruns(last, last)


class _Avi(FileStructure):
    """Source: Microsoft, AVI RIFF File Reference; OpenDML AVI 1.02 (several RIFF chunks in one file)."""

    sync = re.compile(rb"\d\d(?:dc|db|wb)|ix\d\d|idx1|RIFF|LIST")

    def length(self, place: int, head: bytes) -> int | None:
        entered = head[:4] == b"RIFF" or (head[:4] == b"LIST" and head[8:12] in (b"movi", b"rec "))
        return 12 if entered else self.outer_length(place, head)

    def outer_length(self, place: int, head: bytes) -> int | None:
        if len(head) < 8 or not head[:4].isascii() or not head[:4].decode("ascii").isprintable():
            return None
        size = int.from_bytes(head[4:8], "little")
        unfinished = head[:4] == b"RIFF" and size == 0
        return self.size + 1 if unfinished else 8 + size + size % 2

    def _is_cut_off(self, last: int, size: int) -> bool:
        place = 0
        while place < self.size and (head := self.read(place, 12))[:4] == b"RIFF":
            place += self.outer_length(place, head) or 1
        return place > self.size + 1  # some leave out the byte that makes the length even


class _Fragments(FileStructure):
    """Fragmented MP4. Source: ISO/IEC 14496-12, 4.2 and 8.8.5 (fragments are numbered)."""

    sync = re.compile(rb".{4}(?:moof|styp|sidx|emsg|mfra)", re.DOTALL)

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._number: int | None = None

    def length(self, place: int, head: bytes) -> int | None:
        length = self.outer_length(place, head)
        if head[4:8] == b"moof" and head[12:16] == b"mfhd":
            number = int.from_bytes(head[20:24], "big")
            if self._number is not None and number > self._number + 1:
                self._breaks.append(place)
            self._number = number
        return length

    def outer_length(self, place: int, head: bytes) -> int | None:
        length = int.from_bytes(head[:4], "big")
        if not head[4:8].isalnum():
            return None
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        return self.size - place if length == 0 else length if length >= 8 else None

    def _is_cut_off(self, last: int, size: int) -> bool:
        place, indices = 0, 0
        while place < self.size and (length := self.outer_length(place, head := self.read(place, 16))):
            indices += head[4:8] == b"moov"
            place += length
        self.joined = indices > 1  # FFmpeg takes all fragments for those of the first
        return place > self.size


class _Asf(FileStructure):
    """Source: Microsoft, Advanced Systems Format Specification 01.20.03, sections 2, 3 and 5."""

    _DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
    first = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
    sync = re.compile(rb"\x82\x00\x00")  # error correction data, which nearly all packets begin with

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._packets, self._packet_size = range(0), 0

    def length(self, place: int, head: bytes) -> int | None:
        if self._packets and self._packets.start <= place < self._packets.stop:
            return self._packet_size if head[:3] == b"\x82\x00\x00" else None
        length = self.outer_length(place, head)
        if head[:16] != self._DATA or length is None:
            return length
        count = int.from_bytes(head[40:48], "little")
        if count == 0 or head[50:53] != b"\x82\x00\x00":
            return self.size - place  # a broadcast, which does not say, or packets of another form
        self._packet_size, self._packets = max(1, (length - 50) // count), range(place + 50, place + length)
        return 50

    def outer_length(self, place: int, head: bytes) -> int | None:
        length = int.from_bytes(head[16:24], "little")
        return length if len(head) >= 24 and length >= 24 else None


class _ProgramStream(FileStructure):
    """MPEG program streams. Source: ISO/IEC 13818-1, 2.5.3, and 11172-1, 2.4.3."""

    sync = re.compile(rb"\x00\x00\x01[\xb9-\xff]")

    def length(self, place: int, head: bytes) -> int | None:
        if len(head) < 14 or head[:3] != b"\x00\x00\x01" or head[3] < 0xB9:
            return self.size - place if len(head) < 14 and head[:3] == b"\x00\x00\x01" else None
        if head[3] == 0xBA:
            return 14 + (head[13] & 7) if head[4] >> 6 == 1 else 12
        return 4 if head[3] == 0xB9 else 6 + int.from_bytes(head[4:6], "big")

    def _is_cut_off(self, last: int, size: int) -> bool:
        return self.overruns(self._next(max(0, self.size - _TAIL)), last)


class _Ogg(FileStructure):
    """Source: RFC 3533, section 6."""

    sync = re.compile(rb"OggS\x00")
    _LAST_PAGE = 4

    def length(self, place: int, head: bytes) -> int | None:
        if head[:4] != b"OggS" or len(head) < 27:
            return None
        return 27 + head[26] + sum(head[27 : 27 + head[26]])

    def _is_cut_off(self, last: int, size: int) -> bool:
        start = max(0, self.size - _TAIL)
        page = self.read(start, _TAIL).rfind(b"OggS\x00")
        head = self.read(start + page, _HEADER)
        return page >= 0 and (self.overruns(start + page, last) or not head[5] & self._LAST_PAGE)


class _Mxf(FileStructure):
    """Source: SMPTE ST 377-1, 6.3 (KLV coding)."""

    sync = re.compile(rb"\x06\x0e\x2b\x34")

    def length(self, place: int, head: bytes) -> int | None:
        if head[:4] != b"\x06\x0e\x2b\x34" or len(head) < 17:
            return None
        width = head[16] & 0x7F if head[16] & 0x80 else 0
        return 17 + width + int.from_bytes(head[17 : 17 + width], "big") if width else 17 + head[16]


class _TransportStream(FileStructure):
    """Packets of one size, one behind the other. Source: ISO/IEC 13818-1, 2.4.3."""

    _SYNC = 0x47
    _SIZES = (188, 192, 204)  # plain, with a time in front (M2TS), with error correction

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with path.open("rb") as file:
            head = file.read(_HEAD)
        self._every = next((n for n in self._SIZES if self._grid(head, n) is not None), self._SIZES[0])

    def _grid(self, data: bytes, every: int) -> int | None:
        """Where the first of at least five packets in a row begins."""
        for first in range(min(every, len(data))):
            row = data[first : first + 5 * every : every]
            if len(row) == 5 and row.count(self._SYNC) == 5:
                return first
        return None

    def _follow(self, first: int, last: int) -> None:
        every, start = self._every, self._place or first
        offset = 4 if every == 192 else 0
        for place in range(start, last, _BLOCK // every * every):
            syncs = self.read(place, min(_BLOCK // every * every, last - place))[offset::every]
            if syncs.count(self._SYNC) != len(syncs):
                self._breaks.append(place)
        if last > start and (last - start) % every:
            self._breaks.append(last)
        self._place = max(last, self._place)

    def _is_cut_off(self, last: int, size: int) -> bool:
        tail = self.read(max(0, self.size - 6 * self._every), 6 * self._every)
        first = self._grid(tail, self._every)
        # an M2TS packet begins four bytes ahead of its sync byte, and so does the part of one at the end
        return first is not None and (len(tail) - first + (4 if self._every == 192 else 0)) % self._every != 0


class _Frames(FileStructure):
    """IVF and YUV4MPEG: frames one behind the other, and nothing behind the last one but what was cut."""

    _HEADER_SIZE = 12  # of a frame of IVF; that of YUV4MPEG has 6

    def _follow(self, first: int, last: int) -> None: ...

    def _is_cut_off(self, last: int, size: int) -> bool:
        return self.size - (last + size) > self._HEADER_SIZE


class _JpegFrames(_Frames):
    """Source: ITU-T T.81, B.1.1.3 (end of image)."""

    def _is_cut_off(self, last: int, size: int) -> bool:
        return not self.read(max(last, self.size - _TAIL), _TAIL).rstrip(b"\0").endswith(b"\xff\xd9")


_KINDS: dict[str, type[FileStructure]] = {
    "matroska": _Matroska,
    "flv": _Flv,
    "avi": _Avi,
    "asf": _Asf,
    "mpeg": _ProgramStream,
    "ogg": _Ogg,
    "mxf": _Mxf,
    "mpegts": _TransportStream,
    "ivf": _Frames,
    "yuv4mpegpipe": _Frames,
    "mjpeg": _JpegFrames,
}


def structure_of(path: Path, format_name: str, *, fragmented: bool) -> FileStructure | None:
    """The structure of a file of an FFmpeg format; None where nothing is known of it or it cannot be read.

    Args:
        fragmented: of an MP4: its index does not list the frames.
    """
    name = format_name.split(",")[0]
    kind = _Fragments if name == "mov" and fragmented else _KINDS.get(name)
    try:
        return kind(path) if kind is not None and path.is_file() else None
    except OSError:
        return None
