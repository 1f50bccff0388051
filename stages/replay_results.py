"""Gives frames the results that an earlier run recorded for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..pipeline.errors import ResultsError, UsageError
from ..pipeline.packet import HELD_FROM, Frame, Key, Packet
from ..pipeline.results.format import ResultKeys
from ..pipeline.results.reader import FrameRecord, Results
from ..pipeline.results.result_types import RESULT_TYPES
from ..pipeline.stage import EndReason, Stage


class ReplayResults(Stage):
    """Recorded results, by stream and frame number, in place of a network.

    Reads the file as the frames come, once for each stream. A frame that the file does not have gets
    empty results. Where the file has one stream and the run too, their names need not agree.

    Args:
        results: an opened results file.
        model: whose results, where the file has several models; one stage for each may stand in a graph.
        keys: the keys to create; None: their own. Detections are always created, landmarks where the model has points,
            others where the header says that it gives them.

    Attributes:
        keys: of what is created.

    Raises:
        UsageError: the file has several models and none was named, or none of that name; or what the model gave is not
            in results, as pictures are.
    """

    name = "replay_results"

    def __init__(self, results: Results, *, model: str | None = None, keys: ResultKeys | None = None) -> None:
        self.results, self.model = results, _chosen_model(results, model)
        self._about: dict[str, Any] = next((m for m in results.header["models"] if m["name"] == self.model), {})
        chosen = keys or ResultKeys()
        self._rows = {chosen.to(kind): row for kind, row in RESULT_TYPES.items() if row.recorded(self._about)}
        own = {row.key: key for key, row in self._rows.items()}
        self.keys = ResultKeys(self.model, own)
        self.creates: frozenset[Key[Any]] = frozenset({*self._rows, HELD_FROM})
        self._streams: dict[str, _StreamRecords] = {}
        lost = [row.what or row.field for kind, row in RESULT_TYPES.items() if self._gave(kind) and kind not in own]
        if lost:
            raise UsageError(
                f"{results.path} says of {self.model!r} that it gave {', '.join(lost)}, and does not have them: they "
                "are in the video or the images that the run wrote"
            )

    def _gave(self, kind: Key[Any]) -> bool:
        """Whether the header says that the model gives results of a type."""
        return RESULT_TYPES[kind].marked and bool(self._about.get(kind.name))

    def process(self, packet: Packet) -> Iterable[Packet]:
        """The frame with its results.

        Raises:
            UsageError: the results are of another video: of another stream, size or time.
            ResultsError: a line is damaged; nothing after it is used.
        """
        frame = packet.frame
        records = self._streams.get(frame.stream_id)
        if records is None:
            records = _StreamRecords(self.results, _recorded_stream(self.results, frame.stream_id))
            self._streams[frame.stream_id] = records
        record = records.at(frame.index)
        size = (frame.picture.height, frame.picture.width)
        if record is not None:
            _check_same_video(record, frame)
            if record.held_from is not None:
                packet = packet.with_item(HELD_FROM, record.held_from)
        for key, row in self._rows.items():
            found = row.read(None, self._about, size) if record is None else record.result(row.key, self.model)
            if found is not None:
                packet = packet.with_item(key, found)
        yield packet

    def end_stream(self, stream_id: str, reason: EndReason) -> Iterable[Packet]:
        records = self._streams.pop(stream_id, None)
        if records is not None:
            records.close()
        return ()

    def close(self) -> None:
        while self._streams:
            self._streams.popitem()[1].close()


class _StreamRecords:
    """The records of one stream, read forwards."""

    def __init__(self, results: Results, stream: str) -> None:
        self._stream = stream
        self._records = results.frames()
        self._next: FrameRecord | None = None
        self._damage: ResultsError | None = None
        self._advance()

    def at(self, index: int) -> FrameRecord | None:
        """The record of this frame, or None; asked for in ascending order."""
        while self._next is not None and self._next.index < index:
            self._advance()
        return self._next if self._next is not None and self._next.index == index else None

    def close(self) -> None:
        self._records.close()

    def _advance(self) -> None:
        if self._damage is not None:
            raise self._damage
        try:
            self._next = next((record for record in self._records if record.stream == self._stream), None)
        except ResultsError as error:
            self._damage = error
            raise


def _chosen_model(results: Results, model: str | None) -> str:
    models = results.models
    known = ", ".join(models) or "none"
    if model is None:
        if len(models) > 1:
            raise UsageError(f"{results.path} has results of several models: {known}; say which to use")
        return models[0] if models else ""
    if model not in models:
        raise UsageError(f"{results.path} has no results of model {model!r}; it has {known}")
    return model


def _recorded_stream(results: Results, stream: str) -> str:
    """The name under which the file has the results of a stream of this run."""
    streams = results.streams
    if stream in streams:
        return stream
    if len(streams) == 1:
        return streams[0]
    raise UsageError(
        f"{results.path} has no stream {stream!r}; it has {', '.join(streams) or 'none'}. Name the source: NAME=ADDRESS"
    )


def _check_same_video(record: FrameRecord, frame: Frame) -> None:
    names = [None if file is None else file.rpartition("/")[2] for file in (record.file, frame.file)]
    if None not in names and names[0] != names[1]:
        raise UsageError(
            f"{record.where}: results are for the picture {record.file}, frame {frame.index} is {frame.file};"
            " draw them on the pictures they were made from"
        )
    size = (frame.picture.height, frame.picture.width)
    if record.size != size:
        raise UsageError(
            f"{record.where}: results are for {record.size[1]}x{record.size[0]}, the video is {size[1]}x{size[0]};"
            " draw them on the video they were made from"
        )
    if abs(record.time_s - frame.time_s) > max(frame.duration_ns / 1e9, 0.05):
        raise UsageError(
            f"{record.where}: results are for {record.time_s:.3f} s, frame {frame.index} of the video is at"
            f" {frame.time_s:.3f} s; draw them on the video they were made from, from the same start"
        )
