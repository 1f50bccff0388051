"""``vidgraph.live``: a model on cameras that come and go."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from ..pipeline.errors import UsageError, nearest
from ..pipeline.execution.run import GraphRun
from ..pipeline.execution.stats import RunStats, StreamStats
from ..pipeline.graph import Graph
from ..pipeline.limits import MAX_PIXELS
from ..pipeline.options import changed, check_options, filled, header_settings
from ..pipeline.packet import DETECTIONS, LANDMARKS
from ..pipeline.redaction import redact_address
from ..pipeline.results.format import ModelInfo, SourceInfo, header_record
from ..pipeline.results.frame_result import FrameResult
from ..pipeline.stage import Sink, Source, Stage, created_by
from ..stages.areas import Area, Polygon, check_polygon
from ..stages.drawing.draw import Draw
from ..stages.motion_gate import Mask
from ..stages.per_stream import KeepClasses, PerStream
from ..stages.sample import Sample
from ..stages.session import STAGE_LIMIT_S, Session, SessionOptions, described, output_stream, result_of
from ..stages.sinks.kinds import kind_of
from ..stages.sinks.registry import Output, Outputs
from ..stages.sources.camera.options import CameraOptions, Corrupt, DecoderName, Deinterlace, Rotation, Transport
from ..stages.sources.camera.status import CameraStatus
from ..stages.sources.masked import MaskedSource
from ..stages.sources.registry import open_source
from ..stages.traces import Tracer
from ..stages.zones import MarkZones, Zones
from .live_parts import Choices, Loop, owned
from .model import Model
from .pace import Overload, Pace, Skipped, sampler
from .place import place_of_frames
from .resolve import resolve_model
from .run import loaded_for, several


def live(
    *,
    model: str | Model,
    outputs: Sequence[Output] | Output = (),
    weights: str | os.PathLike[str] | None = None,
    min_score: float | None = None,
    nms_iou: float | None = None,
    max_detections: int | None = None,
    classes: Sequence[str | int] | None = None,
    labels: Sequence[str] | str | os.PathLike[str] | None = None,
    size: int | tuple[int, int] | None = None,
    device: str = "auto",
    engine: str = "auto",
    precision: str = "auto",
    nms: str | None = None,
    keyframes: int | str | None = None,
    batch_non_key: bool = False,
    batch: int = 1,
    head: str | None = None,
    overwrite: bool = False,
    encoder: str = "auto",
    preset: str = "veryfast",
    threads: int | None = None,
    overload: Overload | None = None,
    max_latency: float | None = None,
    skipped: Skipped = "hold",
    max_pixels: int = MAX_PIXELS,
    stage_limit_s: float | None = STAGE_LIMIT_S,
    metrics: str | None = None,
    traces: str | Tracer | None = None,
    rotate: str | None = None,
    keep: str | None = None,
) -> Hub:
    """A model that runs on cameras which are added and removed at any time.

    ::

        with vidgraph.live(model="yolact-edge-tiny") as hub:
            hub.add("door", "rtsp://${CAMERA_LOGIN}@10.0.0.7/stream1")
            hub.add("yard", "rtsp://10.0.0.8/stream1", outputs="yard.jsonl", max_fps=5)
            for result in hub:
                print(result.stream, len(result.detections))

    Args:
        model, weights to head, threads, max_pixels, encoder, preset: as for :func:`vidgraph.run`.
        outputs: for all cameras: functions, sinks, ``-``, ``all.jsonl``, … An address with ``{stream}`` is an output
            of each camera's own.
        overload, max_latency, skipped, metrics, traces, rotate, keep: as for :func:`vidgraph.run`.
        overwrite: replace existing outputs.
        stage_limit_s: an inference, or another step of a frame, that takes longer ends the run with an error that
            names camera and stage; None: there is no limit.

    Raises:
        VidgraphError: as :func:`vidgraph.run`.
    """
    given = dict(locals())
    check_options(given)
    options, pace = filled(SessionOptions, given), filled(Pace, given)
    listed = several(outputs)
    own = [output for output in listed if isinstance(output, str | os.PathLike) and "{stream}" in os.fspath(output)]
    for output in listed:
        if isinstance(output, str) and kind_of(output).one_stream and output not in own:
            raise UsageError(f"output {redact_address(output)!r} takes one camera; put {{stream}} into its path")
    session = Session.without_sources([output for output in listed if output not in own], options)
    try:
        named = model if isinstance(model, Model) else resolve_model(model, weights=weights)
        ready = loaded_for(named, changed(given, "model"), session)
        return Hub(session, ready, own, {**given, **ready.settings}, pace=pace, stage_limit_s=stage_limit_s)
    except BaseException:
        session.close()
        raise


class Hub:
    """A model at work on cameras. Every method may be called from any thread; leaving the ``with`` ends all in order.

    Each camera has a thread that reads it, connects again for ever, and never waits for the model, which works on the
    newest frame of each camera in turn. A camera that is slow, dead or wrong costs the others nothing.

    Attributes:
        models: what runs, as in the header of results.
    """

    def __init__(
        self,
        session: Session,
        model: Model,
        own: Sequence[Output],
        settings: dict[str, Any],
        *,
        pace: Pace,
        stage_limit_s: float | None,
    ) -> None:
        self._session, self._own, self._model, self._pace = session, list(own), model, pace
        self._keys = [model.result_keys()]
        session.outputs.refuse_empty(self._keys)
        self._choices = Choices()
        self._sources: dict[str, Source] = {}
        self._lock = threading.Lock()
        self._loop = Loop()
        self._settings = header_settings(settings)
        stages = self._stages()
        self.models: tuple[ModelInfo, ...] = tuple(described([model.describe()], self._keys, created_by(stages)))
        sinks = self._sinks(session.outputs, [], {})
        traced, sinks = session.traced(stages, sinks)
        graph = Graph([], traced, [*sinks, self._loop], open_ended=True)
        self._running: GraphRun = graph.prepare(
            threads=session.budget, stage_limit_s=stage_limit_s, max_in_flight=pace.frames_in_flight
        ).start()
        session.watch(self._running)
        self._closed = False

    def _stages(self) -> list[Stage]:
        stages = self._pace.stages(self._model, sample=PerStream(Sample(every=1), self._choices.samples.pop))
        held = created_by(stages)
        detections, landmarks = self._keys[0].get(DETECTIONS), self._keys[0].get(LANDMARKS)
        if detections in held and detections is not None:
            stages.append(KeepClasses(self._choices.classes, detections=detections, landmarks=landmarks))
            stages.append(MarkZones(self._choices.zones, detections=detections))
        shared = self._session.outputs.annotated
        return [*stages, Draw(self._keys) if shared else Draw(self._keys, streams=self._choices.drawn)]

    def _sinks(self, outputs: Outputs, sources: Sequence[SourceInfo], settings: dict[str, Any]) -> list[Sink]:
        keys = self._keys  # the sinks keep no hub alive that nobody has any more
        return outputs.sinks(
            header=header_record(models=self.models, sources=sources, settings={**self._settings, **settings}),
            keys=keys,
            result_of=lambda packet: result_of(packet, keys),
            encoder=self._session.options.encoder,
            preset=self._session.options.preset,
            threads=self._session.budget.encoder,
        )

    def add(
        self,
        name: str,
        source: str | os.PathLike[str] | Source,
        *,
        outputs: Sequence[Output] | Output = (),
        classes: Sequence[str | int] | None = None,
        every: int | None = None,
        max_fps: float | None = None,
        when: str | None = None,
        ignore_motion: Mask | None = None,
        as_camera: bool = False,
        freeze_s: float = 5.0,
        give_up_s: float | None = None,
        transport: Transport = "auto",
        corrupt: Corrupt = "mark",
        decoder: DecoderName = "auto",
        allow_redirect: bool = False,
        tls_pin: str | None = None,
        deinterlace: Deinterlace = "auto",
        rotate: Rotation = 0,
        mirror: bool = False,
        privacy_masks: Sequence[Area] = (),
        zones: Mapping[str, Polygon] | None = None,
    ) -> None:
        """Take a camera in; returns at once, while it is being connected to.

        Args:
            name: of the stream; none of those that are there.
            source: its address, as for :func:`vidgraph.run`; a file is read whole and then leaves.
            outputs: of this camera alone; an error in one ends this camera only.
            classes: keep only these, of those that the model keeps.
            every, max_fps: run the model on every Nth frame, or at most so often a second.
            when, ignore_motion, as_camera, freeze_s, give_up_s, transport, corrupt, decoder: as for
                :func:`vidgraph.run`, of this camera.
            allow_redirect, tls_pin, deinterlace, rotate, mirror: whom to trust, and how a camera's picture is shown, as
                in :class:`vidgraph.stages.CameraOptions`.
            privacy_masks: areas that are black in every frame, before anything sees it: image files, white where they
                hide, or polygons of corners (x, y) from 0 to 1.
            zones: named polygons; ``detections.data["zones"]`` has the names of those in which the foot of an object,
                the middle of the lower side of its box, is, with commas between.

        Raises:
            UsageError: the name is taken, an address or option makes no sense, or the hub is closed.
            OutputError: an output cannot be written.
        """
        if not (isinstance(name, str) and name):
            raise UsageError(f"a camera needs a name, as text; got {name!r}")
        given: dict[str, Any] = {"freeze_s": freeze_s, "give_up_s": give_up_s}
        given |= {"transport": transport, "corrupt": corrupt}
        rates: dict[str, Any] = {"every": every, "max_fps": max_fps, "when": when, "ignore_motion": ignore_motion}
        check_options({**given, **rates, "classes": classes, "as_camera": as_camera, "decoder": decoder})
        self._running.check_addable(name)
        sample = sampler(**rates)
        shapes = None if zones is None else self._zones_of(zones)
        shown: dict[str, Any] = {"deinterlace": deinterlace, "rotate": rotate, "mirror": mirror}
        camera = CameraOptions(**given, **shown, allow_redirect=allow_redirect, tls_pin=tls_pin)
        if not (isinstance(privacy_masks, Sequence) and not isinstance(privacy_masks, str)):
            raise UsageError(f"privacy_masks must be a list of images and polygons, got {type(privacy_masks).__name__}")
        options = self._session.options
        with ExitStack() as refused:
            if isinstance(source, Source):
                refused.callback(setattr, source, "stream_id", source.stream_id)
            opened = self._open(name, source, camera, as_camera=as_camera, decoder=decoder)
            if privacy_masks:
                opened = MaskedSource(opened, privacy_masks)
            stream = output_stream(opened, options)
            listed = [*self._own, *several(outputs)]
            own = Outputs(listed, [stream], overwrite=options.overwrite, rotation=options.rotation)
            refused.callback(own.close)
            own.refuse_empty(self._keys)
            chosen = None if classes is None else self._class_ids(classes)
            motion = None if sample is None or sample.motion is None else sample.motion.ignored
            settings = header_settings({"classes": classes, **rates, "ignore_motion": motion})
            about = SourceInfo(name, opened.address, live=opened.live)
            sinks = self._sinks(own, [about], {name: value for name, value in settings.items() if value is not None})
            with self._lock:
                self._running.check_addable(name)
                self._choices.forget_but(self._running.stream_ids)
                self._sources = {one: self._sources[one] for one in self._sources if one in self._running.stream_ids}
                self._choices.choose(name, sample, chosen, shapes, drawn=own.annotated)
                self._running.add(opened, owned(sinks, own))
                self._sources[name] = opened
            refused.pop_all()

    def _open(
        self,
        name: str,
        source: str | os.PathLike[str] | Source,
        camera: CameraOptions,
        *,
        as_camera: bool,
        decoder: DecoderName,
    ) -> Source:
        if isinstance(source, Source):
            if as_camera:
                raise UsageError(f"as_camera is for the address of a file; {name!r} is a source already")
            if any(source is self._sources.get(other) for other in self._running.stream_ids):
                raise UsageError(f"the source for {name!r} is that of {source.stream_id!r}; make another one")
            source.stream_id = name
            return source
        how: dict[str, Any] = {"as_camera": as_camera, "max_pixels": self._session.options.max_pixels, "camera": camera}
        how |= {"decoder": decoder, "device": place_of_frames(self._model)}
        found = open_source(source, stream_id=name, latest=True, threads=1, **how)
        if len(found) != 1:
            raise UsageError(f"{name!r} stands for {len(found)} sources; add each under a name of its own")
        return found[0]

    def _class_ids(self, classes: Sequence[str | int]) -> frozenset[int]:
        names = self._model.class_names
        for one in classes:
            if one not in names and not (isinstance(one, int) and 0 <= one < max(len(names), 1)):
                raise UsageError(f"{self._model.name} has no class {one!r}; {nearest(str(one), names)}")
        return frozenset(one if isinstance(one, int) else names.index(one) for one in classes)

    def _zones_of(self, zones: Mapping[str, Polygon]) -> Zones:
        if self._keys[0].get(DETECTIONS) is None:
            raise UsageError(f"{self._model.name} detects no objects, so there is nothing in zones")
        if not (isinstance(zones, Mapping) and all(isinstance(name, str) and name for name in zones)):
            raise UsageError(f"zones must be polygons by their names, got {zones!r:.80}")
        try:
            return {name: check_polygon(polygon) for name, polygon in zones.items()}
        except ValueError as error:
            raise UsageError(f"zones: {error}") from error

    def remove(self, name: str, timeout_s: float = 10.0) -> StreamStats:
        """Let a camera go, while the others stay: its outputs are finished. Errors as for ``Run.remove`` of a graph."""
        with self._loop.unbounded():  # it may be the loop that removes it, and takes nothing meanwhile
            return self._running.remove(name, timeout_s)

    def __iter__(self) -> Iterator[FrameResult]:
        """The results of all cameras, of each in order, until the hub is closed.

        Frames that were dropped are left out: outputs and statistics have them. A loop that is slower than the cameras
        sees their newest frames. One loop at a time.

        Raises:
            UsageError: another loop is going on, or the hub is one of the process from which this one was forked.
            VidgraphError: what ended the hub, if it was an error.
        """
        self._running.check_here()
        packets = self._loop.packets()
        try:
            for packet in packets:
                yield result_of(packet, self._keys)
        finally:
            self._loop.leave()
        self.wait()

    @property
    def status(self) -> dict[str, CameraStatus]:
        """Each camera that is there, as it is now: whether pictures come, or why not, how fast, and what was lost."""
        here = self._running.stream_ids
        now = {name: source.status for name, source in list(self._sources.items()) if name in here}
        return {name: status for name, status in now.items() if status is not None}

    @property
    def stats(self) -> RunStats:
        """The statistics of the cameras that are there, so far."""
        return self._running.stats()

    @property
    def cameras(self) -> tuple[str, ...]:
        """The names of the cameras that are there."""
        return self._running.stream_ids

    @property
    def ended(self) -> tuple[StreamStats, ...]:
        """Cameras that have left, by themselves or because they were removed: the last 256."""
        return self._running.over

    @property
    def done(self) -> bool:
        """It is over, because it was closed or by an error."""
        return self._running.done

    def wait(self, timeout_s: float | None = None) -> RunStats:
        """Wait until the hub is closed, by another thread or by an error.

        Raises:
            VidgraphError: what ended it.
            TimeoutError: it is not closed after ``timeout_s``; it goes on.
        """
        return self._running.wait(timeout_s)

    def cancel(self, now: bool = False) -> None:
        """Ask for the end; returns at once, also from a signal handler. :meth:`wait` or :meth:`close` waits for it."""
        self._running.cancel(now)

    def close(self) -> None:
        """End all cameras in order and free everything; a loop ends. In a callback of the hub it returns at once."""
        self._loop.leave()
        self._running.__exit__(None, None, None)
        if not self._running.inside:
            self._closed = True
            self._session.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            warnings.warn(
                "a hub of vidgraph.live was not closed; use it in a with block, or call its close()",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )
            self._running.cancel()

    def __enter__(self) -> Hub:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
