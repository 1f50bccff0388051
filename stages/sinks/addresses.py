"""Addresses of outputs: what kind they are, whose file is whose, and what may be overwritten or gone on with."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from ...pipeline.claims import exists_already, output_error
from ...pipeline.errors import OutputError, UsageError
from ...pipeline.packet import Key, Packet
from ...pipeline.redaction import redact_address
from ...pipeline.types.picture import Picture
from .kinds import HTTP, SinkKind, kind_of
from .named_files import NAME, Names, is_named, named, picture_names

_NUMBER = re.compile(r"%0?\d*d")
_PART = re.compile(r"(?P<stem>.+)\.part(?P<number>[2-9]|[1-9]\d+)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputStream:
    """What outputs know of a stream before it begins.

    Attributes:
        stream_id: its name.
        address: the file or http address that its video is read from, for copying the audio; "" where there is none.
        files: others that it is read from, which no output may write either.
        starts_late: the first frame that comes is not the first of the file (``--start``, ``--resume``).
        ends_early: the last frame that comes need not be the last of the file (``--end``, ``--frames``).
        frames: the most frames that can come; None where it is not known.
        pictures: name and file of each picture, by frame number, of a stream of picture files; None: of a video.
        live: its frames come in real time.
    """

    stream_id: str
    address: str = field(default="", repr=False)  # with its secrets
    files: Sequence[Path] = ()
    starts_late: bool = False
    ends_early: bool = False
    frames: int | None = None
    pictures: tuple[tuple[str, Path], ...] | None = None
    live: bool = False

    @property
    def read_files(self) -> list[Path]:
        """All that it is read from."""
        pictures = [path for _, path in self.pictures or ()]
        return [*self.files, *pictures, *([Path(self.address)] if self.address else [])]


def http_place(address: str) -> tuple[str, int]:
    """Host and port of an ``http://host:port`` output; 127.0.0.1 and 8080 where they are left out.

    Raises:
        UsageError: it is not such an address.
    """
    matched = HTTP.fullmatch(address)
    port = int(matched["port"] or 8080) if matched else -1
    if matched is None or port > 65535:
        raise UsageError(f"output {redact_address(address)!r} must be http://HOST:PORT, as in http://127.0.0.1:8080")
    return matched["host"].strip("[]") or "127.0.0.1", port


def stream_paths(address: str, streams: Sequence[OutputStream]) -> dict[str, Path]:
    """The file (or ``%d`` pattern) of each stream; ``{stream}`` becomes the stream's name.

    Raises:
        UsageError: several streams and no ``{stream}``, a name that is no file name, or pictures or tensors without a
            number or ``{name}``; tensors need none where there is one frame.
    """
    kind = kind_of(address)
    named_after = kind.numbered and is_named(Path(address))
    names = [stream.stream_id for stream in streams]
    numbers = len(_NUMBER.findall(Path(address).name))
    single = kind.number_optional and numbers == 0 and all(stream.frames == 1 for stream in streams)
    if kind.numbered and numbers != 1 and not single and not (named_after and numbers == 0):
        name = Path(address)
        raise UsageError(
            f"output {address!r} needs one frame number, as in {name.with_name(f'{name.stem}-%06d{name.suffix}')}"
        )
    if "{stream}" not in address and len(names) > 1 and not named_after:
        name = Path(address)
        raise UsageError(
            f"output {address!r} cannot hold {len(names)} streams ({', '.join(names)}); put {{stream}} into it, as"
            f" in {name.with_name('{stream}-' + name.name)}"
        )
    if "{stream}" not in address:
        return {name: Path(address) for name in names or ("",)}
    return {name: Path(address.replace("{stream}", _file_name(name))) for name in names or ("",)}


def stream_addresses(address: str, streams: Sequence[OutputStream]) -> dict[str, str]:
    """The address of each stream on a network; ``{stream}`` becomes the stream's name, percent-encoded.

    Raises:
        UsageError: several streams and no ``{stream}``.
    """
    names = [stream.stream_id for stream in streams] or [""]
    if len(names) > 1 and "{stream}" not in address:
        shown = redact_address(address)
        raise UsageError(
            f"output {shown!r} cannot take {len(names)} streams ({', '.join(names)}); put {{stream}} into its path"
        )
    return {name: address.replace("{stream}", quote(name, safe="")) for name in names}


def names_of(address: str, streams: Sequence[OutputStream]) -> dict[str, list[str]]:
    """What ``{name}`` in an address stands for, by stream and frame number; empty where it does not have it.

    Raises:
        UsageError: a stream is no list of pictures, or two pictures would be one file.
    """
    if not kind_of(address).numbered or not is_named(Path(address)):
        return {}
    files: dict[str, list[str]] = {}
    for stream in streams:
        if stream.pictures is None:
            raise UsageError(
                f"output {address!r} is named after pictures, and {stream.stream_id!r} is a video or animation;"
                f" number its frames: {Path(address.replace(NAME, '%06d'))}"
            )
        files[stream.stream_id] = [name for name, _ in stream.pictures]
    if "{stream}" not in address:
        return picture_names(address, files)
    return {stream: picture_names(address, {stream: own})[stream] for stream, own in files.items()}


def names_in(names: Names, paths: Mapping[str, Path], path: Path) -> list[str]:
    """The names of all streams whose files are written as ``path`` says."""
    return [name for stream, own in names.items() if paths[stream] == path for name in own]


def _file_name(stream: str) -> str:
    if not stream or stream in (".", "..") or any(char in stream for char in "/\\\0%"):
        raise UsageError(f"stream name {stream!r} cannot stand in a file name; give the source another: NAME=ADDRESS")
    return stream


def refuse_shared_files(
    outputs: Mapping[str, Mapping[str, Path]], streams: Sequence[OutputStream], names: Mapping[str, Names]
) -> None:
    """Refuse outputs that would write the same file, or one that is read, by whatever name.

    Args:
        outputs: the file of each stream, by output address.
        names: as of :func:`names_of`, by output address.

    Raises:
        UsageError: with both addresses.
    """
    read = {identity: s.stream_id for s in streams for file in s.read_files for identity in _identities(file)}
    taken: dict[object, tuple[str, Path]] = {}
    for address, paths in outputs.items():
        for path in dict.fromkeys(paths.values()):
            further = _also_written(kind_of(address), path, names_in(names[address], paths, path))
            for file in (path, *further):
                source = next((read[identity] for identity in _identities(file) if identity in read), None)
                if source is not None:
                    raise UsageError(
                        f"output {address!r} would write {file}, the file of source {source!r}; name another file"
                    )
            for identity in _identities(path):
                other, _ = there = taken.setdefault(identity, (address, path))
                if there != (address, path):
                    raise UsageError(
                        f"output {address!r} would write {path}, the file of output {other!r}; name another file"
                    )


def _also_written(kind: SinkKind, path: Path, names: Sequence[str]) -> list[Path]:
    """Files that are there and belong to an output besides the one that it names."""
    return pattern_files(path, names) if kind.numbered else part_files(path) if kind.in_parts else []


def _identities(path: Path) -> Iterator[object]:
    """What tells that two names are those of one file, be it there or not."""
    yield os.path.realpath(path)
    try:
        about = path.stat()
    except OSError:
        return
    if stat.S_ISREG(about.st_mode):
        yield about.st_dev, about.st_ino


def part_path(path: Path, number: int) -> Path:
    """``out.mp4`` -> ``out.part2.mp4``; part 1 is the file itself."""
    return path if number == 1 else path.with_name(f"{path.stem}.part{number}{path.suffix}")


def part_files(path: Path) -> list[Path]:
    """The further parts of a video that are there, in order: ``out.part2.mp4``, ``out.part3.mp4``, …"""
    found = []
    for other in _entries(path.parent):
        part = _PART.fullmatch(other.stem)
        if part and (part["stem"], other.suffix) == (path.stem, path.suffix):
            found.append((int(part["number"]), other))
    return [other for _, other in sorted(found)]


def has_number(pattern: Path) -> bool:
    """Whether a file name has a place for the frame's number, or for its picture's name."""
    return _NUMBER.search(pattern.name) is not None or is_named(pattern)


def numbered(pattern: Path, index: int) -> Path:
    """``frames/%06d.png`` -> ``frames/000041.png``; a name without a number stays as it is."""
    return pattern.with_name(_NUMBER.sub(lambda place: place[0] % index, pattern.name))


def pattern_files(pattern: Path, names: Sequence[str] = ()) -> list[Path]:
    """The files in the folder of ``frames/%06d.png`` that fit the pattern, with ``{name}`` those of ``names``."""
    return [path for _, path in sorted(_numbered_files(pattern, names))]


def last_number(pattern: Path, names: Sequence[str] = ()) -> int | None:
    """The highest number of a frame that has a file; None: there is no file, or no number in its name."""
    return max((number for number, _ in _numbered_files(pattern, names) if has_number(pattern)), default=None)


def _numbered_files(pattern: Path, names: Sequence[str]) -> list[tuple[int, Path]]:
    if is_named(pattern):
        paths = [named(pattern, name) for name in names]
        return [(number, path) for number, path in enumerate(paths) if path.is_file()]
    fits = re.compile(r"(\d+)".join(re.escape(part) for part in _NUMBER.split(pattern.name)))
    found = [(fits.fullmatch(path.name), path) for path in _entries(pattern.parent)]
    numbers = [(int(match[1]) if match.groups() else 0, path) for match, path in found if match]
    return [(number, path) for number, path in numbers if numbered(pattern, number).name == path.name]


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (OSError, ValueError):
        return []


def make_folder(path: Path, made: list[Path]) -> None:
    """Make the folder of an output file, and refuse what could not be written.

    Args:
        path: the file to write.
        made: gets the folders that were made, each before those in it.

    Raises:
        OutputError: with the cure where there is one.
    """
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder; name a file in it")
    missing: list[Path] = []
    try:
        missing += (folder for folder in path.parents if not folder.exists())
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OutputError(f"cannot write {path}: {path.parent} is a file, not a folder") from error
    finally:
        made += (folder for folder in reversed(missing) if folder.is_dir())


def check_free(path: Path, existing: Sequence[Path], *, overwrite: bool) -> None:
    """Refuse an output file that must not be replaced, or cannot be written.

    Args:
        existing: the files that are in the way.

    Raises:
        OutputError: with the cure where there is one.
    """
    if existing and not overwrite:
        others = f" (and {len(existing) - 1} more)" if len(existing) > 1 else ""
        raise OutputError(exists_already(f"{existing[0]}{others}"))
    target = path if path.exists() else path.parent
    if not os.access(target, os.W_OK):
        raise output_error(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def shown_picture(packet: Packet, key: Key[Picture] | None) -> Picture | None:
    """What outputs with pictures show of a packet: the one under ``key``, the frame's own where that is missing.

    None for a frame that was dropped without its pixels (live sources), which is then left out.
    """
    annotated = None if key is None else packet.get(key)
    picture = packet.frame.picture if annotated is None else annotated
    pixels = packet.drop_cause is None or picture.planes[0].strides[0] != 0
    return picture if pixels else None
