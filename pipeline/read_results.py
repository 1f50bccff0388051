"""Reads ``vidgraph.results/1`` files, a line at a time."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .detections import Detections
from .errors import ResultsError
from .landmarks import Landmarks
from .masks import Masks
from .panoptic import PanopticMap, Segment
from .results import FORMAT, Record

_LOG = logging.getLogger("vidgraph")


def read_results(path: str | os.PathLike[str]) -> Results:
    """Open a results file; only its header is read yet.

    Raises:
        ResultsError: no such file, not a results file, or one of another version.
    """
    return Results(Path(path))


@dataclass(frozen=True, eq=False)
class FrameRecord:
    """One frame of a results file.

    Attributes:
        data: the line as it was read; ``docs/results.md`` explains the fields.
        header: the header of the file.
        where: file and line, for messages.
    """

    data: Record
    header: Record
    where: str

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
        names = tuple(self._model(model).get("classes", ()))
        try:
            return _detections(self._detected(model), names, self.size)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ResultsError(f"{self.where}: damaged objects ({_first_line(error)})") from error

    def landmarks_of(self, model: str) -> Landmarks:
        """The landmarks of the model of this name in the header."""
        names = tuple(self._model(model).get("points", ()))
        try:
            detected = self._detected(model)
            others = [item for item in self._objects(model) if "class_id" not in item]
            return _landmarks(detected, others, names)
        except (KeyError, TypeError, ValueError) as error:
            raise ResultsError(f"{self.where}: damaged points ({_first_line(error)})") from error

    def panoptic_of(self, model: str) -> PanopticMap | None:
        """The panoptic map of the model of this name in the header; None where it gave none of this frame."""
        self._model(model)
        if "segments" not in self.data:
            return None
        items = [item for item in self.data["segments"] if item.get("model", model) == model]
        try:
            return PanopticMap.from_rles(
                [_segment(item) for item in items], [item["mask"] for item in items], self.size
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ResultsError(f"{self.where}: damaged segments ({_first_line(error)})") from error

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

    def _objects(self, model: str) -> list[Record]:
        items: list[Record] = self.data.get("objects", [])
        return [item for item in items if item.get("model", model) == model]

    def _detected(self, model: str) -> list[Record]:
        return [item for item in self._objects(model) if "class_id" in item]


class Results:
    """A results file: ``header``, and its frames in order when iterated.

    Every iteration reads the file anew and keeps one line in memory. A last line that was cut off,
    by a kill or a full disk, is left out and reported in the log; ``torn_bytes`` says how long it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open() as file:
            first = file.readline()
            self.header = self._header(first)
            self.torn_bytes = _torn_bytes(file)
        if self.torn_bytes:
            _LOG.warning("%s: the last line was cut off after %d bytes and is left out", path, self.torn_bytes)

    def __iter__(self) -> Iterator[FrameRecord]:
        return self.frames()

    def frames(self, *, ended_lines_only: bool = False) -> Generator[FrameRecord, None, None]:
        """The frames in order; with ``ended_lines_only`` not a last line that is whole but has no line end."""
        with self._open() as file:
            file.readline()
            for number, line in enumerate(file, start=2):
                if ended_lines_only and not line.endswith(b"\n"):
                    return
                record = self._record(line, number)
                if record is None:
                    return
                yield FrameRecord(record, self.header, f"{self.path}, line {number}")

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

    def _header(self, line: bytes) -> Record:
        try:
            header = json.loads(line)
            version = header["format"]
        except (ValueError, KeyError, TypeError) as error:
            what = "it is empty" if not line else "its first line is no header"
            raise ResultsError(f"{self.path} is not a vidgraph results file: {what}") from error
        if version != FORMAT:
            raise ResultsError(f"{self.path} is written as {version}; this version of vidgraph reads {FORMAT}")
        if not _is_header(header):
            raise ResultsError(
                f"{self.path}, line 1: the header is damaged: it must have models and sources with names"
            )
        return dict(header)

    def _record(self, line: bytes, number: int) -> Record | None:
        """One line's frame, or None for a last line that was cut off."""
        where = f"{self.path}, line {number}"
        try:
            record = json.loads(line)
        except ValueError as error:
            if not line.endswith(b"\n"):
                return None
            raise ResultsError(f"{where}: not JSON ({_first_line(error)})") from error
        if isinstance(record, dict) and "format" in record:
            raise ResultsError(f"{where}: a second header; files of several runs are read one by one")
        if not _is_frame(record):
            raise ResultsError(f"{where}: not a frame: it must have stream, frame, time_s, epoch and size")
        return dict(record)


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
    results = read_results(path)
    last = {record.stream: record.index for record in results.frames(ended_lines_only=True)}
    with results.path.open("rb") as file:
        tail = _after_last_line_end(file)
    return ResultsEnd(results.header, last, results.path.stat().st_size - len(tail))


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
    for record in read_results(path).frames(ended_lines_only=True):
        key_frame = record.data.get("key_frame")
        if isinstance(key_frame, int) and record.index <= up_to.get(record.stream, -1):
            found[record.stream] = key_frame, record.index
    return found


def header_differences(old: Record, new: Record) -> list[str]:
    """Where two headers differ in what results depend on, as ``settings.min_score: 0.5, now 0.3``.

    Versions of software are not compared.
    """
    differences = []

    def walk(name: str, before: Any, now: Any) -> None:
        if isinstance(before, dict) and isinstance(now, dict):
            for key in sorted(before.keys() | now.keys()):
                walk(f"{name}.{key}" if name else key, before.get(key), now.get(key))
        elif before != now:
            shown = ("nothing" if value is None else json.dumps(value) for value in (before, now))
            differences.append(f"{name}: {', now '.join(shown)}")

    parts = ("format", "models", "sources", "settings")
    walk("", {part: _by_name(old.get(part)) for part in parts}, {part: _by_name(new.get(part)) for part in parts})
    return differences


def _by_name(part: Any) -> Any:
    """Lists of named things as mappings, so that a difference is said by name."""
    if not isinstance(part, list):
        return part
    return {item.get("name", item.get("stream")): item for item in part}


def _after_last_line_end(file: BinaryIO) -> bytes:
    """What stands in the last line if that has no line end."""
    end, block, tail = file.seek(0, os.SEEK_END), 1 << 16, b""
    while end > 0 and b"\n" not in tail:
        start = max(0, end - block)
        file.seek(start)
        tail, end = file.read(end - start) + tail, start
    return tail.rpartition(b"\n")[2]


def _torn_bytes(file: BinaryIO) -> int:
    """Length of a last line that has neither a line end nor whole JSON."""
    tail = _after_last_line_end(file)
    try:
        json.loads(tail or b"{}")
    except ValueError:
        return len(tail)
    return 0


def _is_header(header: Any) -> bool:
    try:
        return all(isinstance(model["name"], str) for model in header["models"]) and all(
            isinstance(source["stream"], str) for source in header["sources"]
        )
    except (KeyError, TypeError):
        return False


def _is_frame(record: Any) -> bool:
    try:
        width, height = record["size"]
        numbers, texts = (record["frame"], record["epoch"], width, height), (record["stream"], record.get("file", ""))
        whole = all(isinstance(n, int) for n in numbers) and all(isinstance(text, str) for text in texts)
        return whole and record["time_s"] > -1e9
    except (KeyError, TypeError, ValueError):
        return False


def _array(values: list[Any], shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.array(values, np.float32).reshape(len(values), *shape)


def _detections(items: list[Record], class_names: tuple[str, ...], size: tuple[int, int]) -> Detections:
    names = list(class_names)
    for item in items:  # a header without classes: the objects have the names
        if item["class_id"] < 0:
            raise ValueError(f"class_id {item['class_id']}")
        names += ["?"] * (item["class_id"] + 1 - len(names))
        names[item["class_id"]] = item["class"]
    nothing = {"size": list(size), "counts": [size[0] * size[1]]}
    with_masks = any("mask" in item for item in items)
    with_tracks = any("track" in item for item in items)
    return Detections(
        boxes=_array([item["box"] for item in items], (4,)),
        scores=_array([item["score"] for item in items], ()),
        class_ids=np.array([item["class_id"] for item in items], np.int32),
        class_names=tuple(names),
        masks=Masks.from_rles([item.get("mask", nothing) for item in items], size) if with_masks else None,
        track_ids=np.array([item.get("track", -1) for item in items], np.int32) if with_tracks else None,
    )


def _landmarks(detected: list[Record], others: list[Record], names: tuple[str, ...]) -> Landmarks:
    rows = [(row, item) for row, item in enumerate(detected) if "points" in item]
    rows += [(-1, item) for item in others if "points" in item]
    if not names and rows:
        names = tuple(str(number) for number in range(len(rows[0][1]["points"])))
    points = _array([item["points"] for _, item in rows], (len(names), 3))
    return Landmarks(
        points=points[..., :2].copy(),
        scores=points[..., 2].copy(),
        boxes=_array([item["box"] for _, item in rows], (4,)),
        names=names,
        detection_rows=np.array([row for row, _ in rows], np.int32),
        track_ids=np.array([item.get("track", -1) for _, item in rows], np.int32),
    )


def _segment(item: Record) -> Segment:
    return Segment(
        int(item["id"]),
        int(item["class_id"]),
        str(item["class"]),
        is_thing=bool(item["is_thing"]),
        score=item.get("score"),
        area_px=int(item["area"]),
        track_id=item.get("track"),
    )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
