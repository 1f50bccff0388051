"""Results as JSON lines: one file for all streams, one for each, or standard output."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..pipeline.errors import UsageError
from ..pipeline.packet import Key, Packet
from ..pipeline.read_results import ResultsEnd, header_differences, results_end
from ..pipeline.results import Record, ResultKeys, dumps, frame_record, header_record
from ..pipeline.stage import EndReason
from .outputs import detection_keys, output_error


class WriteResults:
    """Writes a header, then a line for each frame, dropped ones too.

    A line is handed to the system whole, in one write: a killed process leaves no half line, but for a
    full disk. Frames that a resumed file has already are left out.

    Args:
        paths: the file of each stream; streams may share one. None: standard output.
        header: the first line; None: one without models.
        keys: where the results are, one entry for each model.
        needs: keys that a stage must have created; default: the detections of ``keys``.
        resume: go on after the last whole line of files that exist.
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
    ) -> None:
        self.paths = None if paths is None else dict(paths)
        self.reads = detection_keys(keys) if needs is None else needs
        self._header = header_record() if header is None else header
        self._keys, self._resume = tuple(keys), resume
        self._files: dict[str, _LineFile] = {}

    def open(self) -> None:
        """Create the files and write their headers.

        Raises:
            OutputError: a file cannot be written.
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
        opened: dict[Path, _LineFile] = {}
        for stream, path in self.paths.items():
            if path not in opened:
                opened[path] = self._open_file(path, _header_of(self._header, self._streams_of(path)))
            self._files[stream] = opened[path]

    def _streams_of(self, path: Path) -> set[str]:
        assert self.paths is not None
        return {stream for stream, own in self.paths.items() if own == path}

    def _open_file(self, path: Path, header: Record) -> _LineFile:
        if self._resume and path.exists() and path.stat().st_size:
            end = results_end(path)
            check_resumable(path, end, header)
            return _LineFile(path, end)
        file = _LineFile(path)
        try:
            file.write(header)
        except BaseException:
            file.close()
            raise
        return file

    def write(self, packet: Packet) -> None:
        """Write the line of a frame.

        Raises:
            OutputError: the disk is full, standard output was closed, …
        """
        stream = packet.frame.stream_id
        file = self._files.get(stream) or self._files[""]
        if packet.frame.index > file.last_frame.get(stream, -1):
            file.write(frame_record(packet, self._keys))

    def end_stream(self, stream_id: str, reason: EndReason) -> None: ...

    def close(self) -> None:
        files, self._files = self._files, {}
        for file in set(files.values()):
            file.close()


class _LineFile:
    """A file of whole lines, written without a buffer of our own."""

    def __init__(self, path: Path | None, end: ResultsEnd | None = None) -> None:
        self._label = "standard output" if path is None else str(path)
        self.last_frame = {} if end is None else end.last_frame
        self._descriptor = -1
        self._owned = path is not None
        try:
            if path is None:
                if sys.stdout is None:
                    raise OSError(errno.EBADF, "it is closed")
                sys.stdout.flush()
                self._descriptor = sys.stdout.fileno()
                return
            truncate = 0 if end is not None else os.O_TRUNC
            flags = os.O_WRONLY | os.O_CREAT | truncate | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
            self._descriptor = os.open(path, flags, 0o666)
            if end is not None:
                os.ftruncate(self._descriptor, end.whole_bytes)
                os.lseek(self._descriptor, 0, os.SEEK_END)
        except OSError as error:
            raise output_error(self._label, error) from error

    def write(self, record: Record) -> None:
        line = memoryview((dumps(record) + "\n").encode())
        written = 0
        try:
            while written < len(line):
                written += os.write(self._descriptor, line[written:])
        except OSError as error:
            self._drop_half_line(written)
            raise output_error(self._label, error, kept="the lines written before are whole") from error

    def _drop_half_line(self, written: int) -> None:
        if self._owned and written:
            size = os.lseek(self._descriptor, 0, os.SEEK_CUR)
            os.ftruncate(self._descriptor, size - written)
            os.lseek(self._descriptor, 0, os.SEEK_END)

    def close(self) -> None:
        if self._owned and self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


def check_resumable(path: Path, end: ResultsEnd, header: Record) -> None:
    """Refuse to go on with a results file of other settings, models or sources; versions may differ.

    Raises:
        UsageError: with what differs.
    """
    differences = header_differences(end.header, header)
    if differences:
        shown = "; ".join(differences[:3]) + (f"; and {len(differences) - 3} more" if len(differences) > 3 else "")
        raise UsageError(f"cannot resume {path}: it was written with other settings: {shown}")


def _header_of(header: Record, streams: set[str]) -> Record:
    """A file's header: only the sources whose frames it has."""
    if "" in streams:
        return header
    return {**header, "sources": [source for source in header.get("sources", []) if source["stream"] in streams]}
