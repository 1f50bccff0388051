"""One session: sources through stages into outputs. ``vidgraph.run`` and the command line are made of it."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

from ..kernels.device import HOST, Device
from ..pipeline.errors import UsageError
from ..pipeline.execution.run import GraphRun
from ..pipeline.execution.threads import ThreadBudget
from ..pipeline.graph import Graph
from ..pipeline.limits import MAX_PIXELS
from ..pipeline.packet import Frame, Key, Packet
from ..pipeline.results.format import ModelInfo, ResultKeys, SourceInfo, header_record
from ..pipeline.results.frame_result import FrameResult
from ..pipeline.results.record import Record
from ..pipeline.results.result_types import RESULT_TYPES
from ..pipeline.stage import Sink, Source, Stage, created_by
from .drawing.draw import Draw, draw_rgb
from .metrics import MetricsServer
from .sinks.addresses import OutputStream
from .sinks.registry import Output, Outputs
from .sinks.rotation import Rotation
from .sources.camera.options import CameraOptions, Corrupt, DecoderName, Transport
from .sources.peekable import PeekableSource
from .sources.registry import in_real_time, open_sources
from .traces import Tracer

log = logging.getLogger("vidgraph")
Address = str | os.PathLike[str]
Policy = Literal["lossless", "latest"]
STAGE_LIMIT_S = 60.0
"""Of live sources: an inference that takes longer hangs. (The first one of a new frame size compiles the network.)"""
LEAVE_S = 1.0
"""A source that does not notice an interrupt for so long is left behind, on its daemon thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """Everything about a run besides its sources, stages and outputs; ``vidgraph.run`` says what each means."""

    overwrite: bool = False
    resume: bool = False
    preset: str = "veryfast"
    start: str | float | None = None
    end: str | float | None = None
    frames: int | None = None
    as_camera: bool = False
    policy: Policy | None = None
    threads: int | None = None
    deterministic: bool = False
    strict: bool = False
    executor: str = "threaded"
    max_pixels: int = MAX_PIXELS
    metrics: str | None = None
    traces: str | Tracer | None = None
    rotate: str | None = None
    keep: str | None = None
    freeze_s: float = 5.0
    give_up_s: float | None = None
    transport: Transport = "auto"
    corrupt: Corrupt = "mark"
    decoder: DecoderName = "auto"
    encoder: str = "auto"

    @property
    def camera(self) -> CameraOptions:
        """How cameras are read."""
        return CameraOptions(
            freeze_s=self.freeze_s, give_up_s=self.give_up_s, transport=self.transport, corrupt=self.corrupt
        )

    @property
    def rotation(self) -> Rotation | None:
        """When results go on in a further file; None: never."""
        return Rotation.of(self.rotate, self.keep)


@dataclass(slots=True)
class Session:
    """Sources that are open, with the first frames of those that are not live at hand, and what is to become of them.

    Attributes:
        sources: opened.
        outputs: what is to be written.
        budget: shares of the threads, by what the open sources say of themselves.
        metrics: the server of metrics; None: nobody asked for it.
    """

    options: SessionOptions
    sources: list[Source]
    outputs: Outputs
    _peeks: list[PeekableSource]
    budget: ThreadBudget = field(init=False)
    metrics: MetricsServer | None = field(default=None, init=False)
    _tracer: Tracer | None = field(default=None, init=False)
    _parts: ExitStack = field(default_factory=ExitStack)
    _process: int = field(default_factory=os.getpid)

    @classmethod
    def without_sources(cls, outputs: Sequence[Output], options: SessionOptions) -> Session:
        """A session whose sources come later, and are not its own.

        Raises:
            UsageError, OutputError: as :meth:`open`.
        """
        session = cls(options, [], Outputs(outputs, overwrite=options.overwrite, rotation=options.rotation), [])
        session.budget = ThreadBudget.share_out(options.threads, live=True)
        session.on_close(session.outputs.close)
        session._begin_to_observe()
        return session

    @classmethod
    def open(
        cls,
        sources: Address | Iterable[Address],
        outputs: Sequence[Output],
        options: SessionOptions,
        *,
        skip: Callable[[Frame], bool] | None = None,
        see_again: bool = False,
        also_read: Sequence[Path] = (),
        device: Device = HOST,
    ) -> Session:
        """Check the outputs against the sources, then open the sources and read each up to its first frame.

        Live ones are opened only: their frames are read when the run begins.

        Args:
            skip: is told of each frame that a resumed run has done before; see :class:`PeekableSource`.
            see_again: a network with memory has to see these again; :meth:`take_passed` gives them.
            also_read: files besides the sources that no output may write.
            device: where frames are needed.

        Raises:
            UsageError: addresses or options that make no sense together.
            SourceError: a source cannot be opened or has no frame.
            OutputError: an output cannot be written, or exists already.
        """
        addresses = addresses_of(sources)
        if not addresses:
            raise UsageError(
                "no source was given; give a video, an image, a folder, a glob or -. "
                "To see it work, without any of them: vidgraph run synth:street -o out.mp4"
            )
        decoder = ThreadBudget.share_out(options.threads, sources=len(addresses)).decoder
        latest = options.policy == "latest"
        opened = open_sources(
            addresses,
            start=options.start,
            end=options.end,
            frames=options.frames,
            latest=latest,
            as_camera=options.as_camera,
            deterministic=options.deterministic,
            threads=decoder,
            max_pixels=options.max_pixels,
            decoder=options.decoder,
            device=device,
            camera=options.camera,
        )
        if options.resume and any(source.live for source in opened):
            raise UsageError("resume is for recordings: what a camera showed meanwhile is gone")
        streams = [output_stream(source, options, also_read) for source in opened]
        rotation = options.rotation
        chosen = Outputs(outputs, streams, overwrite=options.overwrite, resume=options.resume, rotation=rotation)
        if rotation is not None and not chosen.has_results:
            chosen.close()
            raise UsageError("rotate is for results; add an output such as out.jsonl")
        peeks = [_peekable(source, chosen, skip, see_again=see_again) for source in opened]
        session = cls(options, in_real_time(peeks, latest=latest), chosen, peeks)
        session._open_sources()
        session._begin_to_observe()
        return session

    def _open_sources(self) -> None:
        with ExitStack() as guard:
            guard.callback(self.outputs.close)
            for source in self.sources:
                _open_apart(source)
                guard.callback(source.close)
                if self.outputs.has_video and source.has_audio and not source.audio_address:
                    log.warning(
                        "standard input can be read only once, so its sound is not copied; give a file for video with"
                        " sound"
                    )
            policy = self.options.policy
            live = policy == "latest" or (policy is None and any(source.live for source in self.sources))
            self.budget = ThreadBudget.share_out(self.options.threads, live=live, sources=len(self.sources))
            self._parts = guard.pop_all()

    def _begin_to_observe(self) -> None:
        """Serve metrics and send traces, where that was asked for."""
        metrics, traces = self.options.metrics, self.options.traces
        try:
            if metrics is not None:
                self.metrics = MetricsServer(metrics)
                self.on_close(self.metrics.close)
                log.info("metrics are at %s", self.metrics.address)
            if traces is not None:
                self._tracer = traces if isinstance(traces, Tracer) else Tracer(traces)
                self.on_close(self._tracer.close)
        except BaseException:
            self.close()
            raise

    def watch(self, running: GraphRun) -> None:
        """Serve the metrics of a run, where that was asked for."""
        if self.metrics is not None:
            self.metrics.watch(running.stats)

    def traced(self, stages: Sequence[Stage], sinks: Sequence[Sink]) -> tuple[list[Stage], list[Sink]]:
        """``stages`` and ``sinks`` with what traces need, where these were asked for."""
        if self._tracer is None:
            return list(stages), list(sinks)
        return self._tracer.stages(stages), [*sinks, self._tracer.sink()]

    def on_close(self, close: Callable[[], object]) -> None:
        """Have ``close`` called when the session is closed."""
        self._parts.callback(close)

    @property
    def frame_size(self) -> tuple[int, int] | None:
        """(height, width) of the first frame of the first source, or None where none is known."""
        return next((peek.size for peek in self._peeks if peek.size is not None), None)

    def take_held(self) -> list[Frame]:
        """For each stream that goes on with results from before: the frames they belong to, no longer kept here."""
        held: list[Frame] = []
        for peek in self._peeks:
            if peek.first is not None:
                held += peek.held
            peek.held = []
        return held

    def take_passed(self) -> Iterator[tuple[Frame, bool]]:
        """As :meth:`.sources.peekable.PeekableSource.passed`, of all sources, which are read up to where it goes on."""
        for peek in self._peeks:
            yield from peek.passed()

    def header(
        self,
        stages: Sequence[Stage],
        *,
        models: Sequence[ModelInfo],
        keys: Sequence[ResultKeys],
        settings: dict[str, Any],
    ) -> Record:
        """The header of results; arguments as for :meth:`graph`."""
        return header_record(
            models=described(models, keys, created_by(stages)),
            sources=[_source_info(peek, source) for peek, source in zip(self._peeks, self.sources, strict=True)],
            settings=settings,
        )

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
        sinks = self.outputs.sinks(
            header=self.header(stages, models=models, keys=keys, settings=settings),
            keys=keys,
            result_of=lambda packet: result_of(packet, keys),
            encoder=self.options.encoder,
            preset=self.options.preset,
            threads=self.budget.encoder,
        )
        drawing: list[Stage] = [Draw(keys)] if self.outputs.annotated else []
        return Graph(self.sources, *self.traced([*stages, *drawing], sinks))

    def close(self) -> None:
        """Close the sources and what the session owns; in a process that was forked meanwhile, they are the other's."""
        if not self.orphaned:
            self._parts.close()

    @property
    def orphaned(self) -> bool:
        """This process was forked from the one in which everything was opened."""
        return os.getpid() != self._process


def described(models: Sequence[ModelInfo], keys: Sequence[ResultKeys], created: frozenset[Key[Any]]) -> list[ModelInfo]:
    """``models`` with the types of results that they give, by the keys that their stages create."""
    return [
        replace(each, gives=frozenset(kind.name for kind in RESULT_TYPES if one.get(kind) in created))
        for each, one in zip(models, keys, strict=False)
    ]


def addresses_of(sources: Address | Iterable[Address]) -> list[Address]:
    """One address or several as a list.

    Raises:
        UsageError: it is neither.
    """
    several = not isinstance(sources, str | os.PathLike) and isinstance(sources, Iterable)
    addresses: list[Any] = list(cast(Iterable[Any], sources)) if several else [sources]
    for each in addresses:
        if not isinstance(each, str | os.PathLike):
            raise UsageError(f"source must be an address or several, got {each!r:.80}")
    return addresses


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


def _source_info(peek: PeekableSource, source: Source) -> SourceInfo:
    return SourceInfo(source.stream_id, source.address, peek.size, peek.rate, source.live, source.decoder)


def output_stream(source: Source, options: SessionOptions, also_read: Sequence[Path] = ()) -> OutputStream:
    """What outputs know of a source; they may not write what is ``also_read``."""
    return OutputStream(
        stream_id=source.stream_id,
        address=source.audio_address,
        files=[*source.files, *also_read],
        starts_late=options.start is not None,
        ends_early=options.end is not None or options.frames is not None,
        frames=min((most for most in (source.expected_frames, options.frames) if most is not None), default=None),
        pictures=source.pictures,
        live=source.live or options.policy == "latest",
    )


def _peekable(
    source: Source, outputs: Outputs, skip: Callable[[Frame], bool] | None, *, see_again: bool
) -> PeekableSource:
    after, retain = outputs.resume_after(source.stream_id), outputs.needed_before(source.stream_id)
    seen = outputs.seen_before(source.stream_id) if see_again and after >= 0 else None
    return PeekableSource(source, after=after, retain=retain, skip=skip, seen=seen)


def result_of(packet: Packet, keys: Sequence[ResultKeys]) -> FrameResult:
    """What loops and callables are given for a packet."""
    return FrameResult(packet, keys, lambda given: draw_rgb(given, keys))
