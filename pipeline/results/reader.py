"""Reads ``vidgraph.results/1`` files, a line at a time."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from ..beside import beside
from ..errors import ResultsError
from ..limits import MAX_LINE_BYTES, MAX_PIXELS, MAX_SIDE
from ..packet import DETECTIONS, LANDMARKS, PANOPTIC, Key
from ..types.detections import Detections
from ..types.landmarks import Landmarks
from ..types.panoptic import PanopticMap
from .check import frame_problem, header_problem
from .format import FORMAT
from .parse_json import parse_json, shown
from .record import DAMAGE, Record, what
from .result_types import RESULT_TYPES

_LOG = logging.getLogger("vidgraph")
T = TypeVar("T")
_ANY = MAX_SIDE**2  # pixels, where frames are only counted


def read_results(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Results:
    """Open a results file; only its header is read yet.

    Args:
        path: of the file.
        max_pixels: lines of larger frames are refused.

    Raises:
        ResultsError: no such file, not a results file, or one of another version.
    """
    return Results(Path(path), max_pixels=max_pixels)


@dataclass(frozen=True, eq=False)
class FrameRecord:
    """One frame of a results file.

    Attributes:
        data: the line as it was read; ``docs/results.md`` explains the fields.
        header: the header of the file.
        where: file and line, for messages.
        path: of the file, beside which are those that the line names; None: these are not read.
    """

    data: Record
    header: Record
    where: str
    path: Path | None = None

    @property
    def stream(self) -> str:
        return str(self.data["stream"])

    @property
    def index(self) -> int:
        """Frame number within the stream, from 0."""
        return int(self.data["frame"])

    @property
    def time_s(self) -> float:
        return float(self.data["time_s"])

    @property
    def epoch(self) -> int:
        return int(self.data["epoch"])

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the displayed frame."""
        width, height = self.data["size"]
        return int(height), int(width)

    @property
    def file(self) -> str | None:
        """Name of the picture, where it is a file of its own."""
        return self.data.get("file")

    @property
    def captured_at(self) -> str | None:
        """Wall-clock time of capture, ISO-8601, where known."""
        return self.data.get("captured_at")

    @property
    def held_from(self) -> int | None:
        """The frame whose result this one was given, where it was not looked at itself."""
        return self.data.get("held_from")

    @property
    def dropped(self) -> str | None:
        """Why the frame was not processed, where it was not."""
        return self.data.get("dropped")

    @property
    def damaged(self) -> bool:
        return bool(self.data.get("damaged", False))

    @property
    def class_counts(self) -> Mapping[str, int]:
        """By the name of a model, how many classes the header names; 0: none."""
        return {model["name"]: len(model.get("classes", ())) for model in self.header["models"]}

    @cached_property
    def detections(self) -> Detections:
        """The detections of the file's one model; none where nothing looked at the frame.

        Raises:
            ResultsError: the line is damaged, or the file has several models (see :meth:`detections_of`).
        """
        return self.detections_of(self._only_model())

    @cached_property
    def landmarks(self) -> Landmarks:
        """The landmarks of the file's one model; see :attr:`detections`."""
        return self.landmarks_of(self._only_model())

    @cached_property
    def panoptic(self) -> PanopticMap | None:
        """The panoptic map of the file's one model; None where it gave none of this frame; see :attr:`detections`."""
        return self.panoptic_of(self._only_model())

    def detections_of(self, model: str) -> Detections:
        """The detections of the model of this name in the header."""
        return cast(Detections, self.result(DETECTIONS, model))  # there may be none, but they are always read

    def landmarks_of(self, model: str) -> Landmarks:
        """The landmarks of the model of this name in the header."""
        return cast(Landmarks, self.result(LANDMARKS, model))

    def panoptic_of(self, model: str) -> PanopticMap | None:
        """The panoptic map of the model of this name in the header; None where it gave none of this frame."""
        return self.result(PANOPTIC, model)

    def result(self, key: Key[T], model: str | None = None) -> T | None:
        """The results of a type, by its key, as a run gives them; None where there are none.

        Args:
            key: of ``RESULT_TYPES``.
            model: by its name in the header; None: the file's one.

        Raises:
            ResultsError: they are damaged, there is no such model, or there are several.
        """
        kind = RESULT_TYPES[key]
        about = self._model(self._only_model() if model is None else model)
        items = self._items(kind.field, about.get("name", ""))
        try:
            if kind.suffix and items:
                items = [self._with_path(item) for item in items]
            found: T | None = kind.read(items, about, self.size)
        except DAMAGE as error:
            raise ResultsError(f"{self.where}: damaged {kind.what or kind.field} ({what(error)})") from error
        return found

    def _with_path(self, item: Record) -> Record:
        """A record with the path of its file, which has to be beside the results or below.

        Raises:
            ValueError, TypeError: it is not, or its name is no text.
        """
        name = item.get("file")
        if name is None or self.path is None:
            return {key: value for key, value in item.items() if key != "file"}
        if not isinstance(name, str):
            raise TypeError(f"file cannot be {shown(name)}")
        return {**item, "file": beside(self.path, name)}

    def rows(self) -> Iterator[Record]:
        """The objects that converters make of all results of the frame.

        Raises:
            ResultsError: one does not fit the format.
        """
        for kind in RESULT_TYPES.values():
            items = self.data.get(kind.field)
            if items is not None:
                try:
                    yield from kind.rows(self, items)
                except DAMAGE as error:
                    raise ResultsError(f"{self.where}: damaged {kind.field} ({what(error)})") from error

    @property
    def shown_size(self) -> tuple[int, int]:
        """(height, width) of what outputs with pictures show of the frame."""
        sizes = (kind.shown_size(self.data[kind.field]) for kind in RESULT_TYPES.values() if kind.field in self.data)
        return next((size for size in sizes if size is not None), self.size)

    def _only_model(self) -> str:
        models = [model["name"] for model in self.header["models"]]
        if len(models) > 1:
            raise ResultsError(
                f"{self.where}: the file has the models {', '.join(models)}; say which: detections_of({models[0]!r})"
            )
        return models[0] if models else ""

    def _model(self, name: str) -> Record:
        models: list[Record] = self.header["models"]
        for model in models:
            if model["name"] == name:
                return model
        if not name and not models:
            return {}
        known = ", ".join(model["name"] for model in models) or "none"
        raise ResultsError(f"{self.where}: the file has no model {name!r}; it has {known}")

    def _items(self, field: str, model: str) -> list[Record] | None:
        """A model's records in a field; None where the line does not have it."""
        items: list[Record] | None = self.data.get(field)
        return None if items is None else [item for item in items if item.get("model", model) == model]


class Results:
    """A results file: ``header``, and its frames in order when iterated.

    Every iteration reads the file anew and keeps one line in memory. A last line that was cut off,
    by a kill or a full disk, is left out and reported in the log; ``torn_bytes`` says how long it is.
    """

    def __init__(self, path: Path, *, max_pixels: int = MAX_PIXELS) -> None:
        self.path, self.max_pixels, self._name = path, max_pixels, str(path)
        with self._open() as file:
            self.header = self._header(self._line(file, 1))
            self.torn_bytes = _torn_bytes(self._tail(file))
        if self.torn_bytes:
            _LOG.warning("%s: the last line was cut off after %d bytes and is left out", path, self.torn_bytes)

    def __iter__(self) -> Iterator[FrameRecord]:
        return self.frames()

    def frames(self, *, ended_lines_only: bool = False) -> Generator[FrameRecord, None, None]:
        """The frames in order; with ``ended_lines_only`` not a last line that is whole but has no line end."""
        with self._open() as file:
            self._line(file, 1)
            number = 2
            while line := self._line(file, number):
                if ended_lines_only and not line.endswith(b"\n"):
                    return
                where = f"{self._name}, line {number}"
                record = _record(line, where, self.max_pixels)
                if record is None:
                    return
                yield FrameRecord(record, self.header, where, self.path)
                number += 1

    def end(self) -> ResultsEnd:
        """How far the file got; see :func:`results_end`."""
        last = {record.stream: record.index for record in self.frames(ended_lines_only=True)}
        with self._open() as file:
            tail = self._tail(file)
        return ResultsEnd(self.header, last, self.path.stat().st_size - len(tail))

    def __repr__(self) -> str:
        return f"Results({str(self.path)!r}, models={self.models}, streams={self.streams})"

    @property
    def models(self) -> list[str]:
        """The names of the models in the header."""
        return [model["name"] for model in self.header["models"]]

    @property
    def streams(self) -> list[str]:
        """The names of the streams in the header."""
        return [source["stream"] for source in self.header["sources"]]

    def _open(self) -> BinaryIO:
        try:
            return self.path.open("rb")
        except OSError as error:
            raise ResultsError(f"cannot read results {self.path}: {error.strerror}") from error

    def _line(self, file: BinaryIO, number: int) -> bytes:
        """The next line, with its end; nothing at the end of the file."""
        line = file.readline(MAX_LINE_BYTES + 1)
        if len(line) > MAX_LINE_BYTES:
            raise ResultsError(f"{self.path}, line {number}: {_TOO_LONG}")
        return line

    def _tail(self, file: BinaryIO) -> bytes:
        """What stands in the last line if that has no line end."""
        end, tail = file.seek(0, os.SEEK_END), b""
        block = 1 << 16
        while len(tail) < end and b"\n" not in tail:
            if len(tail) > MAX_LINE_BYTES:
                raise ResultsError(f"{self.path}, the last line: {_TOO_LONG}")
            length = min(end, block)
            file.seek(end - length)
            tail, block = file.read(length), 4 * block
        return tail.rpartition(b"\n")[2]

    def _header(self, line: bytes) -> Record:
        try:
            header = parse_json(line)
            version = header["format"]
        except (ValueError, KeyError, TypeError) as error:
            reason = f" ({what(error)})" if isinstance(error, ValueError) else ""
            what_is_it = f"its first line is no header{reason}" if line else "it is empty"
            raise ResultsError(f"{self.path} is not a vidgraph results file: {what_is_it}") from error
        if version != FORMAT:
            named = version[:40] if isinstance(version, str) else shown(version)
            raise ResultsError(f"{self.path} is written as {named}; this version of vidgraph reads {FORMAT}")
        if problem := header_problem(header):
            raise ResultsError(f"{self.path}, line 1: the header is damaged: {problem}")
        return dict(header)


_TOO_LONG = f"it is longer than {MAX_LINE_BYTES >> 20} MiB, which no frame is"


def _record(line: bytes, where: str, max_pixels: int) -> Record | None:
    """One line's frame, or None for a last line that was cut off.

    Raises:
        ResultsError: the line is no frame.
    """
    try:
        record = parse_json(line)
    except ValueError as error:
        if not line.endswith(b"\n"):
            return None
        raise ResultsError(f"{where}: not JSON ({what(error)})") from error
    problem = frame_problem(record, {kind.field for kind in RESULT_TYPES.values()})
    if problem and isinstance(record, dict) and "format" in record:
        raise ResultsError(f"{where}: a second header; files of several runs are read one by one")
    if problem:
        raise ResultsError(f"{where}: not a frame: {problem}")
    width, height = record["size"]
    if width * height > max_pixels:
        raise ResultsError(
            f"{where}: its frame is {width}x{height}, larger than {max_pixels} pixels, the limit; "
            "if it can be trusted, raise it with --max-pixels N (max_pixels=N)"
        )
    found: Record = record
    return found


@dataclass(frozen=True, slots=True)
class ResultsEnd:
    """How far a results file got: for going on after it.

    Attributes:
        header: its header.
        last_frame: index of the last frame whose line is whole and ended, by stream.
        whole_bytes: length of the file up to the end of that line: cut it there before going on. 0 where
            not even the header's line is ended.
    """

    header: Record
    last_frame: dict[str, int]
    whole_bytes: int


def results_end(path: str | os.PathLike[str]) -> ResultsEnd:
    """Read a results file to its end and say how far it got.

    Raises:
        ResultsError: as :func:`read_results`, or a damaged line before the last.
    """
    return read_results(path, max_pixels=_ANY).end()


def last_key_frames(path: str | os.PathLike[str], up_to: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """By stream: the key frame that a video model's last result comes from, and the frame of that result.

    Args:
        path: of the results.
        up_to: the last frame of each stream that counts; other streams are left out.

    Returns:
        For streams with such a result only: indices, the same twice where the last one was a key frame.

    Raises:
        ResultsError: as :func:`results_end`.
    """
    found: dict[str, tuple[int, int]] = {}
    for record in read_results(path, max_pixels=_ANY).frames(ended_lines_only=True):
        key_frame = record.data.get("key_frame")
        if isinstance(key_frame, int) and record.index <= up_to.get(record.stream, -1):
            found[record.stream] = key_frame, record.index
    return found


def _torn_bytes(tail: bytes) -> int:
    """Length of a last line that has neither a line end nor whole JSON."""
    try:
        parse_json(tail or b"{}")
    except ValueError:
        return len(tail)
    return 0
