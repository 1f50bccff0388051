"""One job: sources through stages into outputs. ``vidgraph.run`` and the command line are made of it."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from ..pipeline.errors import UsageError
from ..pipeline.execution.threads import ThreadBudget
from ..pipeline.graph import Graph
from ..pipeline.limits import MAX_PIXELS
from ..pipeline.packet import Frame, Packet
from ..pipeline.results.format import ModelInfo, ResultKeys, SourceInfo, header_record
from ..pipeline.results.frame_result import FrameResult
from ..pipeline.stage import Source, Stage, created_by
from .drawing.draw import Draw, draw_rgb
from .sinks.addresses import OutputStream
from .sinks.registry import Output, Outputs
from .sources.animation import AnimationSource
from .sources.images import ImageSource
from .sources.peekable import Peeked
from .sources.realtime import PacedSource
from .sources.registry import open_sources
from .sources.synthetic.settings import is_world

log = logging.getLogger("vidgraph")
Address = str | os.PathLike[str]
Policy = Literal["lossless", "latest"]
LEAVE_S = 1.0
"""A source that does not notice an interrupt for so long is left behind, on its daemon thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """Everything about a run besides its sources, stages and outputs; ``vidgraph.run`` says what each means."""

    overwrite: bool = False
    resume: bool = False
    preset: str = "veryfast"
    start: str | float | None = None
    end: str | float | None = None
    frames: int | None = None
    policy: Policy | None = None
    threads: int | None = None
    deterministic: bool = False
    strict: bool = False
    executor: str = "threaded"
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        if self.policy not in (None, *get_args(Policy)):
            raise UsageError(f"policy must be lossless, latest or None, got {self.policy!r}")


@dataclass(slots=True)
class Job:
    """Sources that are open, with their first frames at hand, and what is to become of them.

    Attributes:
        sources: opened.
        budget: shares of the threads.
        outputs: what is to be written.
    """

    options: JobOptions
    sources: list[Source]
    budget: ThreadBudget
    outputs: Outputs
    _parts: ExitStack = field(default_factory=ExitStack)
    _process: int = field(default_factory=os.getpid)

    @classmethod
    def open(
        cls,
        sources: Address | Iterable[Address],
        outputs: Sequence[Output],
        options: JobOptions,
        *,
        pass_over: Callable[[Frame], bool] = lambda frame: False,
        also_read: Sequence[Path] = (),
    ) -> Job:
        """Check the outputs against the sources, then open the sources and read each up to its first frame.

        Args:
            pass_over: is told of each frame that a resumed run has done before; see :class:`Peeked`.
            also_read: files besides the sources that no output may write.

        Raises:
            UsageError: addresses or options that make no sense together.
            SourceError: a source cannot be opened or has no frame.
            OutputError: an output cannot be written, or exists already.
        """
        addresses = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
        if not addresses:
            raise UsageError(
                "no source was given; give a video, an image, a folder, a glob or -. "
                "To see it work, without any of them: vidgraph run synth:street -o out.mp4"
            )
        budget = ThreadBudget.share_out(options.threads, live=options.policy == "latest", sources=len(addresses))
        opened = open_sources(
            addresses,
            start=options.start,
            end=options.end,
            frames=options.frames,
            latest=options.policy == "latest",
            deterministic=options.deterministic,
            threads=budget.decoder,
            max_pixels=options.max_pixels,
        )
        streams = [_output_stream(source, options, also_read) for source in opened]
        chosen = Outputs(outputs, streams, overwrite=options.overwrite, resume=options.resume)
        job = cls(
            options,
            [_peeked(source, chosen, pass_over) for source in opened],
            budget,
            chosen,
        )
        job._open_sources()
        return job

    def _open_sources(self) -> None:
        with ExitStack() as guard:
            guard.callback(self.outputs.close)
            for source in self.sources:
                _open_apart(source)
                guard.callback(source.close)
                if self.outputs.has_video and address_of(source) == "-" and has_sound(source):
                    log.warning(
                        "standard input can be read only once, so its sound is not copied; give a file for video with"
                        " sound"
                    )
            self._parts = guard.pop_all()

    def own(self, close: Callable[[], object]) -> None:
        """Have ``close`` called when the job is closed."""
        self._parts.callback(close)

    @property
    def frame_size(self) -> tuple[int, int] | None:
        """(height, width) of the first frame of the first source, or None where none is known."""
        return next((size for source in self.sources if (size := _peek(source).size) is not None), None)

    def take_held(self) -> list[Frame]:
        """For each stream that goes on with results from before: the frames they belong to, no longer kept here."""
        held: list[Frame] = []
        for peek in map(_peek, self.sources):
            if peek.first is not None:
                held += peek.held
            peek.held = []
        return held

    def graph(
        self,
        stages: Sequence[Stage],
        *,
        models: Sequence[ModelInfo],
        keys: Sequence[ResultKeys],
        settings: dict[str, Any],
    ) -> Graph:
        """The graph: sources, stages, a drawing stage where an output needs it, outputs.

        Args:
            models: for the header of results.
            keys: where each model's results are in a packet.
            settings: for the header of results: what they depend on.

        Raises:
            GraphError, UsageError: the parts do not fit together.
        """
        created = created_by(stages)
        models = [replace(each, panoptic=one.panoptic in created) for each, one in zip(models, keys, strict=False)]
        header = header_record(models=models, sources=[self._source_info(s) for s in self.sources], settings=settings)
        sinks = self.outputs.sinks(
            header=header,
            keys=keys,
            result_of=lambda packet: result_of(packet, keys),
            preset=self.options.preset,
            threads=self.budget.encoder,
        )
        drawing: list[Stage] = [Draw(keys)] if self.outputs.annotated else []
        return Graph(self.sources, [*stages, *drawing], sinks)

    def _source_info(self, source: Source) -> SourceInfo:
        peek = _peek(source)
        return SourceInfo(source.stream_id, address_of(source), peek.size, peek.rate, source.live)

    def close(self) -> None:
        """Close the sources and what the job owns; in a process that was forked meanwhile, they are the other's."""
        if not self.orphaned:
            self._parts.close()

    @property
    def orphaned(self) -> bool:
        """This process was forked from the one in which everything was opened."""
        return os.getpid() != self._process


def _open_apart(source: Source) -> None:
    """Open a source on a thread of its own: the main thread then feels Ctrl-C while nothing comes from the source."""
    errors: list[BaseException] = []

    def body() -> None:
        try:
            source.open()
        except BaseException as error:
            source.close()
            errors.append(error)

    thread = threading.Thread(target=body, name=f"vidgraph open {source.stream_id}", daemon=True)
    thread.start()
    try:
        thread.join()
    except BaseException:
        source.interrupt()
        thread.join(LEAVE_S)
        if not thread.is_alive():
            source.close()
        raise
    if errors:
        raise errors[0]


def has_sound(source: Source) -> bool:
    """Whether an open source is a video with sound."""
    return _inner(source).has_audio


def address_of(source: Source) -> str:
    """The address a source was opened from; "" where it has none (images)."""
    return _inner(source).address


def _inner(source: Source) -> Source:
    while isinstance(source, PacedSource | Peeked):
        source = source.source
    return source


def _output_stream(source: Source, options: JobOptions, also_read: Sequence[Path]) -> OutputStream:
    address, inner = address_of(source), _inner(source)
    return OutputStream(
        stream_id=source.stream_id,
        address="" if address == "-" or is_world(address) else address,  # these have no file with sound
        files=[*_files_of(inner, address), *also_read],
        starts_late=options.start is not None,
        ends_early=options.end is not None or options.frames is not None,
        frames=min((most for most in (source.expected_frames, options.frames) if most is not None), default=None),
        pictures=inner.pictures if isinstance(inner, ImageSource) else None,
    )


def _files_of(source: Source, address: str) -> list[Path]:
    """The files that a source reads besides its address."""
    if isinstance(source, ImageSource):
        return source.paths
    if isinstance(source, AnimationSource):
        return [source.path]
    return [Path("/dev/stdin")] if address == "-" else []


def _peeked(source: Source, outputs: Outputs, pass_over: Callable[[Frame], bool]) -> Source:
    """``source`` with a look at its first frame; a paced one keeps its pace from the second look on."""
    after, keep = outputs.resume_after(source.stream_id), outputs.needed_before(source.stream_id)
    if isinstance(source, PacedSource):
        source.source = Peeked(source.source, after=after, keep=keep, pass_over=pass_over)
        return source
    return Peeked(source, after=after, keep=keep, pass_over=pass_over)


def _peek(source: Source) -> Peeked:
    inner = source.source if isinstance(source, PacedSource) else source
    if not isinstance(inner, Peeked):
        raise AssertionError("every source of a job is peeked")
    return inner


def result_of(packet: Packet, keys: Sequence[ResultKeys]) -> FrameResult:
    """What loops and callables are given for a packet."""
    return FrameResult(packet, keys, lambda given: draw_rgb(given, keys))
