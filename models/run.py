"""``vidgraph.run``: a model on videos, as a loop over results or into outputs."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from ..pipeline.errors import UsageError, VidgraphError
from ..pipeline.execution.run import GraphRun
from ..pipeline.execution.stats import RunStats
from ..pipeline.graph import Graph
from ..pipeline.limits import MAX_PIXELS
from ..pipeline.options import changed, check_options, filled, header_settings
from ..pipeline.results.format import ModelInfo, ResultKeys
from ..pipeline.results.frame_result import FrameResult
from ..pipeline.results.reader import read_results
from ..stages.motion_gate import Mask
from ..stages.replay_results import ReplayResults
from ..stages.session import STAGE_LIMIT_S, Address, Policy, Session, SessionOptions, addresses_of, result_of
from ..stages.sinks.iterator import IteratorSink
from ..stages.sinks.registry import Output
from ..stages.sources.camera.options import Corrupt, DecoderName, Transport
from ..stages.traces import Tracer
from .going_on import done_before, has_memory
from .load import load_model
from .model import Model
from .pace import Overload, Pace, Skipped, sampler
from .place import place_of_frames
from .resolve import ResolvedModel, resolve_model


def run(
    source: Address | Iterable[Address],
    *,
    model: str | Model | None = None,
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
    every: int | None = None,
    max_fps: float | None = None,
    when: str | None = None,
    ignore_motion: Mask | Mapping[str, Mask] | None = None,
    skipped: Skipped = "hold",
    start: str | float | None = None,
    end: str | float | None = None,
    frames: int | None = None,
    policy: Policy | None = None,
    as_camera: bool = False,
    overload: Overload | None = None,
    max_latency: float | None = None,
    overwrite: bool = False,
    resume: bool = False,
    encoder: str = "auto",
    preset: str = "veryfast",
    threads: int | None = None,
    deterministic: bool = False,
    strict: bool = False,
    executor: str = "threaded",
    decoder: DecoderName = "auto",
    max_pixels: int = MAX_PIXELS,
    freeze_s: float = 5.0,
    give_up_s: float | None = None,
    transport: Transport = "auto",
    corrupt: Corrupt = "mark",
    metrics: str | None = None,
    traces: str | Tracer | None = None,
    rotate: str | None = None,
    keep: str | None = None,
) -> Run:
    """Run a model on one or more sources.

    Everything is opened and checked at once; frames move when the run is iterated or waited for.

    Args:
        source: address or addresses: video or image files, a folder of images, a glob, ``frames/%06d.png``,
            ``-`` (standard input), an http(s) address, a camera (``rtsp://…``, ``/dev/video0``), ``list.txt`` with
            one address a line, synthetic scenes (``synth:street``); ``NAME=ADDRESS`` names the stream.
        model: a name of ``vidgraph models`` (``NAME=WEIGHTS`` too), or a loaded model, whose own settings
            then hold (``weights`` to ``precision`` cannot be given). None: the model that comes with
            synthetic scenes; no other source has one.
        outputs: addresses (``out.mp4``, ``out.jsonl``, ``frames/%06d.png``, ``drawn/{name}.png``, ``-``, ``window``,
            ``http://127.0.0.1:8080``, ``rtsp://server/name``), functions that take each :class:`FrameResult`, or sinks.
        weights, min_score, nms_iou, max_detections, classes, labels, size, device, engine, precision,
            nms, keyframes, batch_non_key, batch, head: as for :func:`load_model`.
        every: run the model on every Nth frame and repeat its result in between.
        max_fps: run the model at most so often per second of video and repeat its result in between.
        when: "motion": run the model where something moves, and every 2 seconds, and repeat its result in between.
        ignore_motion: where movement does not count: an image that is white there, or bool [h, w], of any size; by
            name of the stream where they differ.
        skipped: what frames between runs of the model are given: "hold", the last result, or "none".
        start, end: seconds, or "1:02.5"; ``end`` itself is not included.
        frames: at most so many frames of each stream.
        policy: "lossless": every frame goes through; "latest": in real time, newest frame only; None:
            lossless for files, latest for cameras.
        as_camera: play video files as cameras: over and over, each time as a new epoch, at their own pace, newest frame
            only, until ``frames`` or until the run is stopped; ``start`` and ``end`` say which part.
        overload: of live sources, what gives way where the model cannot keep up: "drop": frames, the newest goes
            through; "skip": the model runs on fewer frames, and its last result is repeated on the others; "stretch":
            key frames of a video model come further apart. None: "skip" with a ``max_latency``, else "drop".
        max_latency: seconds within which a frame's results are to be there, once the model has begun with it.
        overwrite: replace existing outputs.
        resume: go on after the last frame that all outputs have; one must be ``.jsonl``. Video goes on in a further
            file, ``out.part2.mp4``.
        encoder: of video files: "libx264" (H.264, on the CPU), or on an NVIDIA card "h264_nvenc", "hevc_nvenc" or
            "av1_nvenc"; "auto": "h264_nvenc" for frames that are on a card, where it has it, else "libx264".
        preset: of the encoder, by x264's names: ``ultrafast`` … ``medium``.
        threads: in all; None: the cores this process may use.
        deterministic: the same bits every time, of damaged video too; slower.
        strict: the first bad frame ends the run.
        executor: "threaded", or "serial": one frame at a time, with the same results.
        decoder: of video: "auto": on the card that the model runs on (NVDEC), where it can, else by the CPU, and a line
            in the log says why; "cpu"; "cuda": on a card, and by the CPU what it does not take.
        max_pixels: larger pictures are refused before memory is asked for; 8192x8192 by default.
        freeze_s: of cameras: connect again when there was no picture for so many seconds.
        give_up_s: of cameras: end the stream when the camera was away for so many seconds; None: never.
        transport: of RTSP cameras: "auto" (TCP, else UDP), "tcp", "udp" (UDP, else TCP) or "multicast".
        corrupt: damaged pictures of cameras: "mark" them in the results, or "drop" them before the model sees them.
        metrics: serve metrics for Prometheus at this ``PORT`` or ``HOST:PORT``; without a host, for this machine alone.
        traces: send traces to this collector of OpenTelemetry, such as ``http://127.0.0.1:4318``: one frame in 1000,
            or as a :class:`vidgraph.stages.Tracer` says.
        rotate: of results: begin a further file after so much, as "100MB" or "1h"; ``out.jsonl`` becomes
            ``out-00001.jsonl``, ``out-00002.jsonl``, …, after those that are there.
        keep: with ``rotate``: remove the oldest of these files, so that they take no more than this, as "10GB".

    Returns:
        a :class:`Run`: iterate it, or call its ``wait``.

    Raises:
        UsageError: an unknown name, or options that make no sense together.
        SourceError: a source cannot be opened or has no frame.
        OutputError: an output cannot be written, exists already, or is written by another process.
        CheckpointError: the weights are damaged or belong to another model.
    """
    given = dict(locals())  # every option by its name
    check_options(given)
    pace = filled(Pace, given)
    sample = sampler(every, max_fps, when, ignore_motion, skipped if pace.gives_way == "drop" else "hold")
    motion = None if sample is None else sample.motion
    addresses = addresses_of(source)
    named = model if isinstance(model, Model) else resolve_model(model, weights=weights, sources=addresses)
    session = Session.open(
        addresses,
        several(outputs),
        filled(SessionOptions, given),
        skip=None if sample is None else sample.skip,
        see_again=resume and has_memory(named),
        also_read=[] if motion is None else motion.files,
        device=place_of_frames(named, engine, device),
    )
    try:
        if motion is not None:
            motion.check_streams(source.stream_id for source in session.sources)
            given["ignore_motion"] = motion.ignored
        ready = loaded_for(named, changed(given, "model"), session)
        keys = [ready.result_keys()]
        session.outputs.refuse_empty(keys)
        live = any(source.live for source in session.sources)
        pace.check_live(live=live)
        ahead = 0 if live else ready.lookahead
        models = [ready.describe(session.frame_size)]
        about: dict[str, Any] = {
            "models": models,
            "keys": keys,
            "settings": header_settings({**given, **ready.settings}),
        }
        stages = pace.stages(
            ready, sample=sample, ahead=ahead, begin=lambda stages: done_before(session, ready, stages, **about)
        )
        graph = session.graph(stages, **about)
        return Run(session, graph, keys, models, frames_in_flight=pace.frames_in_flight)
    except BaseException:
        session.close()
        raise


def draw(
    source: Address,
    results: Address,
    *,
    outputs: Sequence[Output] | Output,
    start: str | float | None = None,
    overwrite: bool = False,
    encoder: str = "auto",
    preset: str = "veryfast",
    threads: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Run:
    """Draw recorded results on the video they were made from, without running the network.

    Args:
        source: the video.
        results: its ``.jsonl`` results.
        outputs, overwrite, encoder, preset, threads, max_pixels: as for :func:`run`.
        start: as it was given to the run that made the results.

    Raises:
        ResultsError: the file is damaged, or of another version or video.
        VidgraphError: as :func:`run`.
    """
    given = dict(locals())
    check_options(given)
    options = filled(SessionOptions, given)
    replay = ReplayResults(read_results(results, max_pixels=max_pixels))
    session = Session.open(source, several(outputs), options, also_read=[Path(results)])
    try:
        keys = [replay.keys]
        session.outputs.refuse_empty(keys)
        return Run(session, session.graph([replay], models=[], keys=keys, settings={}), keys, [])
    except BaseException:
        session.close()
        raise


def several(outputs: Sequence[Output] | Output) -> list[Output]:
    """Outputs as a list, where one may be given alone."""
    return list(outputs) if isinstance(outputs, Sequence) and not isinstance(outputs, str) else [outputs]


def loaded_for(model: Model | ResolvedModel, chosen: dict[str, Any], session: Session) -> Model:
    """The model, with the session's threads, and as many workers as its batches need; the session closes it.

    Args:
        chosen: options of ``load_model``.
    """
    loaded = _loaded_for(model, chosen, session)
    session.budget = session.budget.for_batches(loaded.engine_choice.batch)
    return loaded


def _loaded_for(model: Model | ResolvedModel, chosen: dict[str, Any], session: Session) -> Model:
    budget = session.budget
    shares: dict[str, Any] = {"requests": budget.requests, "threads": budget.requests * budget.request_threads}
    if isinstance(model, Model):
        shares["requests"] = model.requests_for(len(session.sources), budget.requests)
        if chosen:
            raise UsageError(f"{', '.join(chosen)} cannot be given for a model that is loaded; give it to load_model()")
        shares["deterministic"] = model.engine_choice.deterministic or session.options.deterministic
        if model.engine_choice == replace(model.engine_choice, **shares):
            return model
        tuned = model.tuned(**shares)
        session.on_close(tuned.close)
        return tuned
    chosen.pop("weights", None)  # they are resolved
    loaded = load_model(model, **chosen, **shares, deterministic=session.options.deterministic)
    if loaded.memory is not None:
        requests = loaded.requests_for(len(session.sources), budget.requests)
        loaded = loaded.tuned(requests=requests, threads=shares["threads"])
    session.on_close(loaded.close)
    return loaded


class Run:
    """A run that is ready: iterate it for its results, or ``wait`` for its outputs; once.

    Leaving the loop early, an error in it, or the end of a ``with`` stops the run in order: outputs are
    finished, and files and threads are free within two seconds. A run that is neither iterated nor
    waited for warns (``ResourceWarning``).

    Attributes:
        models: what runs: model, engine, precision, device, input size.
    """

    def __init__(
        self,
        session: Session,
        graph: Graph,
        keys: Sequence[ResultKeys],
        models: Sequence[ModelInfo],
        *,
        frames_in_flight: int | None = None,
    ) -> None:
        self.models, self._keys, self._used = tuple(models), keys, False
        self._frames_in_flight = frames_in_flight
        self._session, self._graph = session, graph
        self._running: GraphRun | None = None
        self._stats: RunStats | None = None

    def __iter__(self) -> Iterator[FrameResult]:
        """The result of every frame, in order within a stream; dropped frames too."""
        loop = IteratorSink()
        running = self._prepare(Graph(self._graph.sources, self._graph.stages, (*self._graph.sinks, loop)))
        try:
            running.start()
            for packet in loop.packets():
                yield result_of(packet, self._keys)
            self._stats = running.wait()
        finally:
            loop.leave()
            running.cancel()
            self._finish(running)

    def describe(self, form: str = "text") -> str:
        """The graph that runs: arguments and errors as for ``Graph.describe``."""
        return self._graph.describe(form)

    def wait(self) -> RunStats:
        """Run to the end; returns the statistics. Ctrl-C stops in order and goes on as ``KeyboardInterrupt``.

        Raises:
            VidgraphError: the run failed; outputs are finished as far as they got.
        """
        self.start()
        return self.join()

    def start(self) -> None:
        """Set the frames in motion, in the background; :meth:`join` then waits for the end."""
        running = self._prepare(self._graph)
        try:
            running.start()
        except BaseException:
            self._session.close()
            raise

    def join(self, timeout_s: float | None = None) -> RunStats:
        """Wait for the end of a started run; errors as for :meth:`wait`.

        Raises:
            TimeoutError: it is not over after ``timeout_s``; it goes on.
        """
        if self._running is None:
            raise UsageError("the run was not started; call wait(), or iterate it")
        try:
            self._stats = self._running.wait(timeout_s)
            return self._stats
        finally:
            if self._running.done:
                self._session.close()

    def cancel(self, now: bool = False) -> None:
        """Stop in order: what is in flight goes through, outputs are finished. Any thread, or a signal handler."""
        if self._running is not None:
            self._running.cancel(now)

    @property
    def stats(self) -> RunStats:
        """The statistics, while it runs (so far) and afterwards.

        Raises:
            UsageError: the run was not started.
        """
        if self._stats is None:
            if self._running is None:
                raise UsageError("there are no statistics before a run; iterate it, or call wait()")
            return self._running.stats()
        return self._stats

    def close(self) -> None:
        """Stop in order, if it runs, and free everything."""
        if self._running is not None and not self._running.done:
            self._running.cancel()
            self._finish(self._running)
        self._used = True
        self._session.close()

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_used", True):
            warnings.warn(
                "a vidgraph run was neither iterated nor waited for, so nothing was done; call its wait()",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )
            self._session.close()

    def _prepare(self, graph: Graph) -> GraphRun:
        if self._used:
            raise UsageError("a run goes once; call run() again for another")
        if self._session.orphaned:
            raise UsageError("the run was made before this process was forked; call run() in this one")
        self._used = True
        options = self._session.options
        latest = None if options.policy is None else options.policy == "latest"
        live = any(source.live for source in self._session.sources)
        self._running = graph.prepare(
            executor=options.executor,
            threads=self._session.budget,
            strict=options.strict,
            latest=latest,
            max_in_flight=self._frames_in_flight,
            stage_limit_s=STAGE_LIMIT_S if live else None,
        )
        self._session.watch(self._running)
        return self._running

    def _finish(self, running: GraphRun) -> None:
        with suppress(VidgraphError):  # what ended the run was raised before, or nobody waits for it any more
            running.wait()
        self._stats = running.stats()
        self._session.close()
