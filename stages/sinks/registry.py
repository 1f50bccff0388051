"""From what a user writes to sinks, by the table of their kinds in :mod:`.kinds`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from ...pipeline.claims import Claims, output_error
from ...pipeline.errors import UsageError
from ...pipeline.packet import TENSORS, Key, Packet
from ...pipeline.redaction import redact_address
from ...pipeline.results.format import ResultKeys
from ...pipeline.results.frame_result import FrameResult
from ...pipeline.results.record import Record
from ...pipeline.results.result_types import RESULT_TYPES
from ...pipeline.stage import Sink
from ..drawing.draw import ANNOTATED
from ..sources.peekable import SeenFrames
from .addresses import (
    OutputStream,
    check_free,
    make_folder,
    names_in,
    names_of,
    part_files,
    pattern_files,
    refuse_shared_files,
    stream_addresses,
    stream_paths,
)
from .callback import Callback
from .kinds import kind_of
from .results import check_headers
from .resume import last_frames, needed_frames, seen_frames, videos_so_far
from .rotation import Rotation
from .settings import SinkSettings
from .video_so_far import VideoSoFar

Output = str | os.PathLike[str] | Callable[[FrameResult], object] | Sink


class Outputs:
    """The outputs of one run: checked here before any work is done, opened as sinks later.

    Folders are made, files checked and claimed; nothing is written before ``Sink.open``.

    Args:
        outputs: addresses, functions that take a ``FrameResult``, or sinks.
        streams: the streams of the run, in order.
        overwrite: replace files that exist.
        resume: go on after the last frame that all outputs have, with video in a further part.
        rotation: when results go on in a further file; None: never.

    Raises:
        UsageError: an unknown kind, an address that cannot hold the streams, two outputs that would write
            one file, ``resume`` without results.
        OutputError: a file exists already, is written by another process, or cannot be written.
        ResultsError: results to go on with are damaged.
        MissingExtraError: there is no OpenCV for a window.
    """

    def __init__(
        self,
        outputs: Sequence[Output],
        streams: Sequence[OutputStream] = (),
        *,
        overwrite: bool = False,
        resume: bool = False,
        rotation: Rotation | None = None,
    ) -> None:
        if resume and rotation is not None:
            raise UsageError("results that are rotated go on in a further file by themselves; leave out resume")
        self._rotation = rotation
        self._outputs, self._overwrite, self._resume = list(outputs), overwrite and not resume, resume
        self._files = _files_of(self._outputs, streams)
        self._names = {address: names_of(address, streams) for address in self._files}
        refuse_shared_files(self._files, streams, self._names)
        for kind in dict.fromkeys(map(kind_of, self._addresses)):
            if kind.check:
                _named(kind.check)()
            if resume and not kind.resumable:
                raise UsageError(f"an output of {kind.help} cannot be gone on with; leave it out, or --resume")
        self._made: list[Path] = []
        self._claims = Claims(path for paths in self._files.values() for path in paths.values())
        self._so_far: dict[Path, VideoSoFar] = {}
        self._after: dict[str, int] = {}
        try:
            self._prepare()
            if resume:
                self._so_far = videos_so_far(self._files, self._claims)
                self._after = last_frames(self._files, self._so_far, self._names)
            self._needed = needed_frames(self._files, self._after)
        except BaseException:
            self.close()
            raise
        self._streams = [
            replace(stream, starts_late=stream.starts_late or self.resume_after(stream.stream_id) >= 0)
            for stream in streams
        ]

    def _prepare(self) -> None:
        """Claim all names first: what is there is looked at while nobody else can change it."""
        for address, paths in self._files.items():
            for path in dict.fromkeys(paths.values()):
                try:
                    make_folder(path, self._made)
                    self._claims.name(path)
                    existing = self._existing(address, path)
                    check_free(path, existing, overwrite=self._overwrite or self._resume)
                    for file in existing if not kind_of(address).numbered else ():
                        if file.is_file():
                            self._claims.take(file)
                except (OSError, ValueError) as error:
                    raise output_error(path, error) from error

    def _existing(self, address: str, path: Path) -> list[Path]:
        """The files of an output that are there already."""
        kind = kind_of(address)
        if kind.is_results and self._rotation is not None:
            return []
        if kind.numbered:
            return pattern_files(path, names_in(self._names[address], self._files[address], path))
        further = part_files(path) if kind.in_parts else []
        own = [part for part in further if not self._claims.names(part)]
        return [path, *own] if path.exists() else own

    def close(self) -> None:
        """Let go of files that were not opened as sinks, and remove folders that nothing was written to."""
        self._claims.release()
        self.remove_empty_folders()

    def remove_empty_folders(self) -> None:
        """Remove the folders that were made here and that nothing was written to, when the run is over."""
        while self._made:
            with suppress(OSError):  # it is in use, or somebody has removed it
                self._made.pop().rmdir()

    @property
    def _addresses(self) -> list[str]:
        return [os.fspath(output) for output in self._outputs if isinstance(output, str | os.PathLike)]

    @property
    def annotated(self) -> bool:
        """Whether an output shows the annotated pictures, which a ``Draw`` stage has to make."""
        given = any(ANNOTATED in output.reads for output in self._outputs if isinstance(output, Sink))
        return given or any(kind_of(address).shows_picture for address in self._addresses)

    @property
    def has_results(self) -> bool:
        """Whether an output is a file of results."""
        return any(kind_of(address).is_results for address in self._addresses)

    @property
    def has_video(self) -> bool:
        """Whether an output is a video, which takes the source's sound."""
        return any(kind_of(address).has_audio for address in self._addresses)

    def refuse_empty(self, keys: Sequence[ResultKeys]) -> None:
        """Refuse outputs that nothing would reach of what the models of ``keys`` give.

        Raises:
            UsageError: pictures without anything to draw, or files of tensors without tensors.
        """
        drawable = any(row.drawable and one.get(kind) for one in keys for kind, row in RESULT_TYPES.items())
        for address in self._addresses:
            kind = kind_of(address)
            if kind.shows_picture and not drawable:
                given = [row.what or row.field for one in keys for kind, row in RESULT_TYPES.items() if one.get(kind)]
                raise UsageError(
                    f"output {redact_address(address)!r} shows what was found, and of what the model gives nothing can "
                    f"be drawn ({', '.join(given)}); write results to out.jsonl, tensors (--head raw) to "
                    "tensors/%06d.npz"
                )
            if kind.wants_tensors and not any(one.get(TENSORS) for one in keys):
                raise UsageError(f"output {address!r} is for raw tensors, which only the head 'raw' gives (--head raw)")

    def resume_after(self, stream_id: str) -> int:
        """The last frame of a stream that the results to go on with have; -1: none.

        Where several outputs are written, the least of what they have counts: results leave out what they
        have already, and files named after their frame are written again.
        """
        return self._after.get(stream_id, -1)

    def needed_before(self, stream_id: str) -> tuple[int, ...]:
        """From what a video model goes on after :meth:`resume_after`: its last key frame, and its last frame."""
        return self._needed.get(stream_id, ())

    def check_goes_on(self, header: Record) -> None:
        """Refuse to go on with results of another ``header``, as their sinks do, before a long preparation for that.

        Raises:
            UsageError: with what differs.
            ResultsError: the results are damaged.
        """
        for address, paths in self._files.items():
            if self._resume and kind_of(address).is_results:
                check_headers(paths, header)

    def seen_before(self, stream_id: str) -> SeenFrames:
        """What a run that goes on did up to :meth:`resume_after`, since the last epoch began."""
        return seen_frames(self._files, stream_id, self.resume_after(stream_id))

    def sinks(
        self,
        *,
        header: Record | None = None,
        keys: Sequence[ResultKeys] = (ResultKeys(),),
        result_of: Callable[[Packet], FrameResult] | None = None,
        encoder: str = "auto",
        preset: str = "veryfast",
        threads: int = 1,
        needs: frozenset[Key[Any]] | None = None,
        drawn: bool = True,
    ) -> list[Sink]:
        """The sinks, one for each output, not opened yet.

        Args:
            header: first line of results; None: one without models.
            keys: where the results are, one entry for each model.
            result_of: makes what functions are called with; None: a plain ``FrameResult``.
            encoder: of video files; see :class:`~.video.EncodeVideo`.
            preset: of the video encoder.
            threads: of each video encoder.
            needs: keys that must have been created before results are written; None: the first of each model.
            drawn: show the annotated pictures; False: the frames as they came.

        Raises:
            UsageError: an unknown encoder or preset; something that is no output.
        """
        settings = SinkSettings(
            streams=self._streams,
            overwrite=self._overwrite,
            resume=self._resume,
            so_far=self._so_far,
            claims=self._claims,
            encoder=encoder,
            preset=preset,
            threads=threads,
            header=header,
            keys=keys,
            needs=needs,
            result_of=result_of,
            picture=ANNOTATED if drawn else None,
            names=self._names,
            rotation=self._rotation,
        )
        return [_sink(output, self._files, settings) for output in self._outputs]


def open_sink(
    output: Output,
    *,
    streams: Sequence[OutputStream] = (),
    overwrite: bool = False,
    resume: bool = False,
    **settings: Any,
) -> Sink:
    """The sink of one output; ``settings`` as for :meth:`Outputs.sinks`.

    Args:
        output: an address, a function that takes a ``FrameResult``, or a sink, which is given back.
        streams, overwrite, resume: as for :class:`Outputs`.

    Raises:
        VidgraphError: as :class:`Outputs`.
    """
    return Outputs([output], streams, overwrite=overwrite, resume=resume).sinks(**settings)[0]


def _named(place: str) -> Callable[..., Any]:
    """The function that a row of the table names as ``module:function``."""
    module, _, function = place.partition(":")
    found: Callable[..., Any] = getattr(import_module(module, __package__), function)
    return found


def _files_of(outputs: Sequence[Output], streams: Sequence[OutputStream]) -> dict[str, dict[str, Path]]:
    """The file of each stream, for each address that stands for files."""
    files: dict[str, dict[str, Path]] = {}
    for output in outputs:
        if isinstance(output, str | os.PathLike):
            address = os.fspath(output)
            paths = _paths(address, streams)
            if address in files:
                raise UsageError(f"output {address!r} is given twice")
            if paths:
                files[address] = paths
    return files


def _paths(address: str, streams: Sequence[OutputStream]) -> dict[str, Path]:
    """The file of each stream; empty where the output is no file. Results may hold several streams in one."""
    kind = kind_of(address)
    if kind.one_stream:
        stream_addresses(address, streams)
    if kind.holds_streams and "{stream}" not in address:
        return {stream.stream_id: Path(address) for stream in streams} or {"": Path(address)}
    return stream_paths(address, streams) if kind.suffixes else {}


def _sink(output: Output, files: Mapping[str, dict[str, Path]], settings: SinkSettings) -> Sink:
    if isinstance(output, str | os.PathLike):
        address = os.fspath(output)
        sink: Sink = _named(kind_of(address).open)(address, files.get(address, {}), settings)
        return sink
    if isinstance(output, Sink):
        return output
    if callable(output):
        return Callback(output, keys=settings.keys, needs=settings.needs, result_of=settings.result_of)
    raise UsageError(f"an output is an address, a function or a sink, got {type(output).__name__}")
