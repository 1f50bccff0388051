"""Whether a model finds the same in fp16 as in fp32, and which layers have to stay in fp32 for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..engines.half.record import HalfRecord, forget, remember
from ..engines.half.trial import Recording, RecordingEngine, open_rounded
from ..engines.onnx_file import file_digest
from ..engines.spec import Engine, EngineOptions
from ..models.load import load_model
from ..models.model import Model
from ..models.resolve import ResolvedModel
from ..pipeline.errors import EngineError, SourceError
from ..pipeline.packet import DETECTIONS, Frame, Packet
from ..pipeline.redaction import redact_address
from ..pipeline.stage import through
from ..pipeline.types.detections import Detections
from ..pipeline.types.picture import Size
from ..stages.sources.camera.options import FEW_FRAMES
from ..stages.sources.registry import open_sources
from .result_difference import ResultDifference

MOST_NOISE = 0.02
"""Root mean square of the error of an output over that of its value; of ordinary networks it is 0.001."""
LEAST_SAME, MOST_EDGE, MOST_SCORE = 0.95, 0.01, 0.03
"""Share of the objects that have to be the same: edges so near, in longer sides of the frame, and scores."""
SEGMENTS = 16
"""Parts of a network that are tried one by one, where it is not one tensor that is too large."""
ROUNDS = 3
FRAMES = 8
SOURCE = f"synth:street?clips=1&frames={FRAMES}"
"""What is looked at where nothing is named."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class GraphCheck:
    """What was found out about one network file.

    Attributes:
        keep: names of the layers that have to stay in fp32, besides those that always do.
        overflowing: tensors above 65504.
        noise: see :data:`MOST_NOISE`.
    """

    keep: tuple[str, ...]
    overflowing: tuple[str, ...]
    noise: float


@dataclass(frozen=True, slots=True)
class HalfCheck:
    """What was found out about a model in fp16.

    Attributes:
        graphs: by the network file.
        frames: how many it was compared on.
        frame: height and width of the first.
        source: of the frames, without secrets.
        results: how far the detections are apart; None where it finds none.
    """

    graphs: Mapping[Path, GraphCheck]
    frames: int
    frame: Size
    source: str
    results: ResultDifference | None

    def text(self) -> str:
        """On one line."""
        kept = sum(len(each.keep) for each in self.graphs.values())
        over = sum(len(each.overflowing) for each in self.graphs.values())
        noise = max((each.noise for each in self.graphs.values()), default=0.0)
        layers = f"{kept} layer{'s' if kept != 1 else ''} stay{'' if kept != 1 else 's'} in fp32 for it"
        line = (
            f"fp16 on {self.frames} frame{'s' if self.frames != 1 else ''} of {self.source}: error {noise:.2g} of the "
            f"outputs, {over} tensor{'s' if over != 1 else ''} above 65504, {layers}"
        )
        return line if self.results is None else f"{line}; {self.results}"


def check_half(
    model: ResolvedModel,
    *,
    source: str | os.PathLike[str] = SOURCE,
    frames: int = FRAMES,
    batch: int = 1,
    tell: Tell = lambda _: None,
    **choices: Any,
) -> HalfCheck:
    """Run a model in fp32 and in the arithmetic of fp16, and keep in fp32 what makes a difference.

    The result is remembered for whoever builds or opens the networks (:mod:`..engines.half.record`).

    Args:
        model: what is checked.
        source: what ``vidgraph run`` takes; a camera that is away for 30 s is an error.
        frames: at most so many.
        batch: what is found out about single pictures is remembered for so many in one run, too.
        tell: is told what is being done.
        choices: as for :func:`load_model`.

    Raises:
        EngineError: it gives something else however much stays in fp32, or ONNX Runtime does not take it.
        SourceError: the source cannot be read, or has no frames.
        MissingExtraError: ONNX Runtime is not installed.
    """
    looked_at = _LookedAt(source, frames)
    with load_model(model, **{**choices, "engine": "onnxruntime", "device": "cpu", "precision": "auto"}) as loaded:
        watched = _Watched(loaded)
        with watched:
            tell("running in fp32")
            reference = _results(watched, looked_at)
        recordings = watched.recordings
        checks: dict[Path, GraphCheck] = {}
        most = MOST_NOISE
        for _ in range(ROUNDS):
            for path, recording in recordings.items():
                tell(f"trying {path.name} in fp16")
                before = checks[path].keep if path in checks else recording.around(recording.overflowing)
                checks[path] = _repaired(recording, before, most)
            with _Rounded(loaded, {path: each.keep for path, each in checks.items()}) as rounded:
                tell("running in fp16")
                results = difference_of(reference, _results(rounded, looked_at))
            problem = problem_of(results, reference)
            if problem is None:
                break
            most = min(most, max(each.noise for each in checks.values())) / 2
        else:
            raise EngineError(f"{loaded.name} cannot run in fp16: {problem}; {_layers(checks.values())}")
        shown = looked_at.shown
        for path, check in checks.items():
            record = HalfRecord(tuple(sorted(check.keep)), len(reference), shown, check.noise)
            for twin in watched.in_batches(path, {1, batch}):
                remember(file_digest(twin), record)
        return HalfCheck(checks, len(reference), reference[0].size, shown, results)


def check_engine(
    model: ResolvedModel,
    *,
    engine: str,
    precision: str,
    device: str = "cuda",
    source: str | os.PathLike[str] = SOURCE,
    frames: int = FRAMES,
    **choices: Any,
) -> ResultDifference | None:
    """Run a model in an engine that was built, and in fp32 on the processor; None where it finds nothing to compare.

    Args:
        model, source, frames, choices: as for :func:`check_half`.
        engine, precision, device: how :func:`load_model` opens what is checked.

    Raises:
        EngineError: the detections differ by more than the bounds; no network of it counts as checked in fp16 any more.
    """
    with (
        load_model(model, **{**choices, "engine": "onnxruntime", "device": "cpu", "precision": "auto"}) as exact,
        load_model(model, **{**choices, "engine": engine, "device": device, "precision": precision}) as candidate,
    ):
        looked_at = _LookedAt(source, frames)
        reference = _results(exact, looked_at)
        results = difference_of(reference, _results(candidate, looked_at))
        problem = problem_of(results, reference)
        if problem is not None:
            for graph in exact.graphs:
                forget(file_digest(exact.network_file(reference[0].size, graph=graph)))
            raise EngineError(
                f"{exact.name} runs with {engine} in {precision} on this machine, but {problem}; build it in fp32"
            )
        return results


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in a frame of (height, width) ``size``; None where the model does not detect."""

    detections: Detections | None
    size: Size


class _LookedAt:
    """The first frames of a source, again and again; those of a camera are kept, as the next ones are others.

    Attributes:
        shown: the source, without secrets.
    """

    def __init__(self, source: str | os.PathLike[str], frames: int) -> None:
        self.shown = redact_address(os.fspath(source))
        self._sources = open_sources([source], frames=frames, camera=FEW_FRAMES)
        self._kept: dict[str, list[Frame]] = {}

    def streams(self) -> Iterator[Iterable[Frame]]:
        """The frames of each stream, until the next one is asked for."""
        for one in self._sources:
            if one.stream_id in self._kept:
                yield self._kept[one.stream_id]
                continue
            one.open()
            try:
                yield self._kept.setdefault(one.stream_id, [*one.frames()]) if one.live else one.frames()
            finally:
                one.close()


def _results(model: Model, looked_at: _LookedAt) -> list[Found]:
    """What a model finds there."""
    found = []
    for frames in looked_at.streams():
        stages = model.stages()
        for frame in frames:
            packet = through(stages, Packet(frame))[-1]
            found.append(Found(packet.get(DETECTIONS), (frame.picture.height, frame.picture.width)))
    if not found:
        raise SourceError(f"{looked_at.shown} has no frames to compare on")
    return found


def difference_of(reference: list[Found], other: list[Found]) -> ResultDifference | None:
    """How far detections are apart, frame by frame; None where there are none to compare."""
    difference = ResultDifference()
    for ours, theirs in zip(reference, other, strict=True):
        if ours.detections is not None and theirs.detections is not None:
            difference.add(ours.detections, theirs.detections)
    return difference if difference.frames else None


def problem_of(results: ResultDifference | None, reference: list[Found]) -> str | None:
    """What is beyond the bounds of :data:`LEAST_SAME`, for a message; None: nothing."""
    if results is None:
        return None
    most_px = MOST_EDGE * max(max(found.size) for found in reference)
    pairs = zip(results.box_px, results.score, strict=True)
    same = sum(edge <= most_px and score <= MOST_SCORE for edge, score in pairs)
    count = max(results.reference, results.other)
    if same >= LEAST_SAME * count:
        return None
    return (
        f"{count - same} of {count} detections are not those of fp32 within {most_px:.1f} px and {MOST_SCORE} of score"
    )


def _repaired(recording: Recording, keep: Collection[str], most: float) -> GraphCheck:
    """With as many layers in fp32 as it takes for an error of at most ``most``: those that add most of it first.

    Raises:
        EngineError: it takes more than half of them.
    """
    kept = set(keep)
    noise = recording.noise(kept)
    if noise <= most:
        return GraphCheck(tuple(kept), recording.overflowing, noise)
    for part in _worst_first(recording, kept)[: SEGMENTS // 2]:
        kept.update(part)
        noise = recording.noise(kept)
        if noise <= most:
            return GraphCheck(tuple(kept), recording.overflowing, noise)
    raise EngineError(
        f"{recording.path.name} cannot run in fp16: its outputs are off by {noise:.2g} of their size, more than "
        f"{most:.2g}, even with half of it in fp32: {_layers([GraphCheck(tuple(kept), (), noise)])}"
    )


def _worst_first(recording: Recording, kept: Collection[str]) -> list[list[str]]:
    """Parts of the network that is in fp16, by the error that each has alone."""
    layers = recording.layers
    length = -(-len(layers) // SEGMENTS)
    parts = [layers[start : start + length] for start in range(0, len(layers), length)]
    alone = []
    for part in parts:
        others = {*kept, *layers} - (set(part) - set(kept))
        alone.append((recording.noise(others), part))
    return [part for _, part in sorted(alone, key=lambda each: -each[0])]


def _layers(checks: Collection[GraphCheck]) -> str:
    names = sorted(name for each in checks for name in each.keep)
    shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    return f"layers {shown}" if names else "no layer"


class _Watched(Model):
    """A model whose networks run in fp32 and are recorded."""

    def __init__(self, like: Model) -> None:
        super().__init__(
            like.row, like.weights, like.size, like.engine_choice, like.choices,
            propagation=like.propagation, head=like.head,
        )  # fmt: skip
        self.recordings: dict[Path, Recording] = {}
        self._opened: dict[Path, tuple[Size, str | None]] = {}

    def in_batches(self, path: Path, batches: Collection[int]) -> list[Path]:
        """The files of a network for so many pictures in one run."""
        size, graph = self._opened[path]
        return [self.weights.network_file(size, batch, graph) for batch in batches]

    def open_engine(
        self, input_size: Size, batch: int = 1, graph: str | None = None, *, engine: str | None = None
    ) -> Engine:
        path = self.weights.network_file(input_size, batch, graph)
        self._opened[path] = input_size, graph
        recording = self.recordings.setdefault(path, Recording(path, _options(self)))
        return RecordingEngine(recording)


class _Rounded(_Watched):
    """A model whose networks compute as in fp16."""

    def __init__(self, like: Model, keep: Mapping[Path, Collection[str]]) -> None:
        super().__init__(like)
        self._keep = keep

    def open_engine(
        self, input_size: Size, batch: int = 1, graph: str | None = None, *, engine: str | None = None
    ) -> Engine:
        path = self.weights.network_file(input_size, batch, graph)
        return open_rounded(path, self._keep[path], _options(self))


def _options(model: Model) -> EngineOptions:
    return EngineOptions(threads=model.engine_choice.threads)
