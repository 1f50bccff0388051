"""Results as JSON lines: one file for all streams, one for each, or standard output."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from ...pipeline.claims import CHECKED_EVERY_S, Claim, Claims, output_error
from ...pipeline.errors import UsageError
from ...pipeline.packet import Key, Packet
from ...pipeline.results.format import ResultKeys, dumps, first_keys, frame_record, header_record
from ...pipeline.results.header_differences import header_differences
from ...pipeline.results.reader import ResultsEnd, results_end
from ...pipeline.results.record import Record
from ...pipeline.stage import EndReason, Sink
from .files_beside import FilesBeside, has_files
from .rotation import RotatedFiles, Rotation
from .settings import SinkSettings


class WriteResults(Sink):
    """Writes a header, then a line for each frame, dropped ones too.

    A line is handed to the system whole, in one write: a killed process leaves no half line, but for a
    full disk. Frames that a resumed file has already are left out. What is too large for a line is in files beside
    the results, see :class:`.files_beside.FilesBeside`; with standard output it is left out.

    Args:
        paths: the file of each stream; streams may share one. None: standard output.
        header: the first line; None: one without models.
        keys: where the results are, one entry for each model.
        needs: keys that a stage must have created; default: the first of each model.
        resume: go on after the last whole line of files that exist.
        overwrite: replace files that exist; otherwise those that are not claimed yet must not be there.
        claims: of the run; None: its own.
        rotation: the files of ``out.jsonl`` are ``out-00001.jsonl`` and so on, each whole, after those that are there.

    Raises:
        UsageError: ``rotation``, and a model's results have files beside them.
    """

    name = "write_results"

    def __init__(
        self,
        paths: Mapping[str, Path] | None,
        *,
        header: Record | None = None,
        keys: Sequence[ResultKeys] = (ResultKeys(),),
        needs: frozenset[Key[Any]] | None = None,
        resume: bool = False,
        overwrite: bool = True,
        claims: Claims | None = None,
        rotation: Rotation | None = None,
    ) -> None:
        self.paths = None if paths is None else dict(paths)
        self.reads: frozenset[Key[Any]] = first_keys(keys) if needs is None else needs
        self._header = header_record() if header is None else header
        self._keys, self._resume, self._overwrite = tuple(keys), resume, overwrite
        self._claims = Claims() if claims is None else claims
        self._rotation = rotation
        if rotation is not None and has_files(self._keys):
            raise UsageError("results with files beside them, as of depth, cannot be rotated; leave out rotate")
        self._beside: dict[Path, FilesBeside] = {}
        self._files: dict[str, _LineFile | _RotatedLines] = {}

    def open(self) -> None:
        """Create the files and write their headers.

        Raises:
            OutputError: a file cannot be written, or another process writes it.
            UsageError: a file to go on with was written with other settings.
        """
        try:
            self._open_files()
        except BaseException:
            self.close()
            raise

    def _open_files(self) -> None:
        if self.paths is None:
            self._files[""] = _LineFile(None)
            self._files[""].write(self._header)
            return
        opened: dict[Path, _LineFile | _RotatedLines] = {}
        for stream, path in self.paths.items():
            if path not in opened:
                streams = _streams_of(self.paths, path)
                opened[path] = self._open_file(path, _header_of(self._header, streams))
                self._beside[path] = FilesBeside(
                    path,
                    sorted(streams),
                    several_models=len(self._keys) > 1,
                    overwrite=self._overwrite,
                    resume=self._resume,
                    claims=self._claims,
                )
            self._files[stream] = opened[path]

    def _open_file(self, path: Path, header: Record) -> _LineFile | _RotatedLines:
        if self._rotation is not None:
            return _RotatedLines(path, header, self._claims, self._rotation)
        claim = self._claims.take(path, new=not self._overwrite)
        if self._resume and path.stat().st_size:
            end = results_end(path)
            check_resumable(path, end, header)
            return _LineFile(claim, end)
        file = _LineFile(claim)
        file.write(header)
        return file

    def write(self, packet: Packet) -> None:
        """Write the line of a frame.

        Raises:
            OutputError: the disk is full, standard output was closed, the file was removed or replaced, …
        """
        stream = packet.frame.stream_id
        file = self._files.get(stream) or self._files[""]
        if packet.frame.index > file.last_frame.get(stream, -1):
            path = None if self.paths is None else self.paths.get(stream) or self.paths[""]
            keep = None if path is None or self._rotation is not None else self._beside[path].keep
            file.write(frame_record(packet, self._keys, keep=keep))

    def end_stream(self, stream_id: str, reason: EndReason) -> None:
        """Make sure that the stream's lines can be found.

        Raises:
            OutputError: the file was removed or replaced.
        """
        file = self._files.get(stream_id) or self._files.get("")
        if file is not None:
            file.check()

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files = {}
        for beside in self._beside.values():
            beside.close()
        self._beside = {}
        for path in (self.paths or {}).values():
            self._claims.free(path)


class _LineFile:
    """A file of whole lines, written without a buffer of our own."""

    def __init__(self, claim: Claim | None, end: ResultsEnd | None = None) -> None:
        self._claim = claim
        self._label = "standard output" if claim is None else str(claim.path)
        self.last_frame = {} if end is None else end.last_frame
        try:
            if claim is None:
                if sys.stdout is None:
                    raise OSError(errno.EBADF, "it is closed")
                sys.stdout.flush()
                self._descriptor = sys.stdout.fileno()
                return
            self._descriptor = claim.descriptor
            claim.cut(0 if end is None else end.whole_bytes)
        except OSError as error:
            raise output_error(self._label, error) from error

    def write(self, record: Record) -> None:
        self.write_line(_line(record))

    def write_line(self, text: bytes) -> None:
        if self._claim is not None:
            self._claim.check(every_s=CHECKED_EVERY_S)
        line = memoryview(text)
        written = 0
        try:
            while written < len(line):
                written += os.write(self._descriptor, line[written:])
        except OSError as error:
            self._drop_half_line(written)
            raise output_error(self._label, error, kept="the lines written before are whole") from error

    def _drop_half_line(self, written: int) -> None:
        if self._claim is not None and written:
            size = os.lseek(self._descriptor, 0, os.SEEK_CUR)
            os.ftruncate(self._descriptor, size - written)
            os.lseek(self._descriptor, 0, os.SEEK_END)

    def check(self) -> None:
        if self._claim is not None:
            self._claim.check()

    def close(self) -> None:
        """Its owner lets its claim go."""


class _RotatedLines:
    """Lines that go on in a further file when one is full; each file begins with the header."""

    def __init__(self, path: Path, header: Record, claims: Claims, rotation: Rotation) -> None:
        self._header, self._claims, self._rotation = _line(header), claims, rotation
        self._files = RotatedFiles(path, rotation.keep)
        self.last_frame: dict[str, int] = {}
        self._begin()

    def _begin(self) -> None:
        self._path = self._files.next()
        self._file = _LineFile(self._claims.take(self._path, new=True))
        self._file.write_line(self._header)
        self._bytes, self._began_s = len(self._header), monotonic()

    def write(self, record: Record) -> None:
        line = _line(record)
        if self._is_full(len(line)):
            self.close()
            self._files.finished(self._path, self._bytes)
            self._begin()
        self._files.make_room(self._bytes + len(line))
        self._file.write_line(line)
        self._bytes += len(line)

    def _is_full(self, further: int) -> bool:
        if self._bytes == len(self._header):
            return False
        bytes_, seconds = self._rotation.bytes, self._rotation.seconds
        large = bytes_ is not None and self._bytes + further > bytes_
        return large or (seconds is not None and monotonic() - self._began_s >= seconds)

    def check(self) -> None:
        self._file.check()

    def close(self) -> None:
        self._claims.free(self._path)


def _line(record: Record) -> bytes:
    return (dumps(record) + "\n").encode()


def check_resumable(path: Path, end: ResultsEnd, header: Record) -> None:
    """Refuse to go on with a results file of other settings, models or sources; versions may differ.

    Raises:
        UsageError: with what differs.
    """
    differences = header_differences(end.header, header)
    if differences:
        shown = "; ".join(differences[:3]) + (f"; and {len(differences) - 3} more" if len(differences) > 3 else "")
        raise UsageError(f"cannot resume {path}: it was written with other settings: {shown}")


def check_headers(paths: Mapping[str, Path], header: Record) -> None:
    """As :func:`check_resumable`, of those of the files of each stream that there are."""
    for path in dict.fromkeys(paths.values()):
        if path.exists() and path.stat().st_size:
            check_resumable(path, results_end(path), _header_of(header, _streams_of(paths, path)))


def _streams_of(paths: Mapping[str, Path], path: Path) -> set[str]:
    return {stream for stream, own in paths.items() if own == path}


def _header_of(header: Record, streams: set[str]) -> Record:
    """A file's header: only the sources whose frames it has."""
    if "" in streams:
        return header
    return {**header, "sources": [source for source in header.get("sources", []) if source["stream"] in streams]}


def open_results(address: str, paths: dict[str, Path], settings: SinkSettings) -> Sink:
    """Results, in files or on standard output; see :class:`~.kinds.SinkKind`."""
    return WriteResults(
        paths or None,
        header=settings.header,
        keys=settings.keys,
        needs=settings.needs,
        resume=settings.resume,
        overwrite=settings.overwrite,
        claims=settings.claims,
        rotation=settings.rotation,
    )
