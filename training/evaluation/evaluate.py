"""Runs a model over a data set, and judges what it finds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ...models.load import load_model
from ...models.resolve import resolve_model
from ...pipeline.errors import UsageError
from ...pipeline.options import check_options
from ...pipeline.packet import DETECTIONS, PANOPTIC, Packet
from ...pipeline.results.format import ModelInfo, ResultKeys
from ...pipeline.stage import EndReason, Stage, created_by, through
from ...stages.inference.key_frames import PhasedInterval, PolicyOf, policy_named
from ...stages.repeat_results import RepeatResults
from ...stages.sample import Sample
from ..datasets.dataset import Clip, DataSample, Dataset
from .classes import FACE, ClassMap, match_classes
from .coco import coco_library
from .evaluator import Evaluator, KnownFrame
from .protocols import DEFAULT, OFFICIAL, Plan, protocol_of, without_scores
from .report import Report, Times
from .wider_subsets import WiderSubsets

Progress = Callable[[int, int], None]
"""Is told of frames that are done, and of how many there will be."""


class EvaluableModel(Protocol):
    """What is needed of a model; :class:`...models.model.Model` has it."""

    @property
    def name(self) -> str: ...
    @property
    def class_names(self) -> tuple[str, ...]: ...
    @property
    def key_frames(self) -> bool: ...
    def stages(self, *, policy: PolicyOf | None = None) -> list[Stage]: ...
    def result_keys(self) -> ResultKeys: ...
    def describe(self) -> ModelInfo: ...


@dataclass(frozen=True, slots=True)
class RunVariant:
    """A way to run a model.

    Attributes:
        keyframes: of a video model, as for ``load_model``; None: as it was loaded.
        every: the network runs on every so many frames, the others hold its result; None: on all.
        phases: a pass over every clip for each; None: one pass.
    """

    keyframes: int | str | None = None
    every: int | None = None
    phases: tuple[PhasedInterval, ...] | None = None

    def policies(self) -> list[PolicyOf | None]:
        """The key-frame policy of each pass; None: the model's own."""
        if self.phases is not None:
            return [_always(phase) for phase in self.phases]
        return [None if self.keyframes is None else policy_named(self.keyframes)]


def _always(phase: PhasedInterval) -> PolicyOf:
    return lambda stream_id: phase


def evaluate(
    model: EvaluableModel | str,
    data: Dataset | str,
    *,
    protocol: str = DEFAULT,
    weights: str | os.PathLike[str] | None = None,
    every: int | None = None,
    frames: int | None = None,
    start_clip: int = 0,
    classes: Sequence[str] | None = None,
    wider_subsets: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    **choices: Any,
) -> Report:
    """Run a model over a data set, and judge what it finds.

    Args:
        model: a name, loaded as the protocol has it, in fp32 unless ``choices`` say otherwise; or a loaded model,
            which keeps its own settings.
        data: a data set, or its address.
        protocol: ``default``, or ``official``: as the model's authors do it.
        weights: of a model that is given by its name alone.
        every: run the model on every Nth frame and repeat its result in between.
        frames: at most so many, of all clips together.
        start_clip: the first clip to be judged, by its place.
        classes: names of the data set's classes that are judged; None: all.
        wider_subsets: folder with the authors' ``wider_{face,easy,medium,hard}_val.mat``.
        progress: is told how far it is.
        choices: for ``load_model``, before what the protocol sets.

    Raises:
        UsageError: classes that do not match, nothing that could be judged, or an impossible value.
        MissingExtraError: a library of the extra ``eval`` is not installed.
        VidgraphError: as of loading a model and reading data.
    """
    check_options({"every": every, "frames": frames, "classes": classes, **choices})
    coco_library()  # that it is missing is said now, and not after an hour
    scope = Scope(frames, start_clip, None if classes is None else tuple(classes), wider_subsets)
    if not isinstance(model, str):
        if weights is not None or choices:
            raise UsageError(f"{', '.join(choices) or 'weights'} cannot be given for a model that is loaded")
        plan = protocol_of(model.name, protocol, video=model.key_frames, notes=False)
        return _one(model, data, RunVariant(every=every, phases=plan.phases), scope, plan, progress)
    resolved = resolve_model(model, weights=weights)
    plan = protocol_of(resolved, protocol)
    if plan.phases is not None and (every is not None or choices.get("keyframes") is not None):
        raise UsageError("the official protocol of a video model sets its key frames; leave keyframes and every out")
    data = _opened(data)
    with load_model(resolved, **choices) as loaded:
        if DETECTIONS not in created_by(loaded.stages()):
            plan = without_scores(plan)
    settings = {"precision": "fp32", **plan.choices, **choices}
    with load_model(resolved, **settings) as loaded:
        return _one(loaded, data, RunVariant(every=every, phases=plan.phases), scope, plan, progress)


@dataclass(frozen=True, slots=True)
class Scope:
    """What of a data set is judged; see :func:`evaluate`."""

    frames: int | None = None
    start_clip: int = 0
    classes: tuple[str, ...] | None = None
    wider_subsets: str | os.PathLike[str] | None = None


def _one(
    model: EvaluableModel, data: Dataset | str, variant: RunVariant, scope: Scope, plan: Plan, progress: Progress | None
) -> Report:
    return evaluate_variants(model, data, {"": variant}, scope=scope, plan=plan, progress=progress)[""]


def evaluate_variants(
    model: EvaluableModel,
    data: Dataset | str,
    variants: Mapping[str, RunVariant],
    *,
    scope: Scope | None = None,
    plan: Plan | None = None,
    progress: Progress | None = None,
) -> dict[str, Report]:
    """Run a loaded model in several ways, side by side: every frame goes through all of them before the next comes.

    Their times are then comparable even on a machine with other work, and each frame is read or drawn once.

    Args:
        variants: by name.
        scope: what of the data set is judged; None: everything.
        plan: what the figures are to be understood by, for the report.

    Raises:
        VidgraphError: as :func:`evaluate`.
    """
    coco_library()
    dataset, scope = _opened(data), scope or Scope()
    plan = plan or Plan(DEFAULT, {}, None, ("the settings that the model was loaded with",))
    make = _evaluator_maker(model, dataset, scope)
    ways = {name: _Way(model, variant, make()) for name, variant in variants.items()}
    clips = 0
    for clip, samples in _clips(dataset, scope, progress):
        clips += 1
        _run_clip(clip, samples, list(ways.values()))
    first = next(iter(ways.values())).evaluator
    reports = {}
    for name, way in ways.items():
        started = time.perf_counter()
        figures = way.evaluator.figures()
        way.times.evaluation_s += time.perf_counter() - started
        if not figures.values:
            raise UsageError(
                f"nothing of what {model.name} gives can be judged by {dataset.name}: {_lacking(way.evaluator)}"
            )
        if plan.name == OFFICIAL and way.evaluator.masks_missing:
            raise UsageError(f"the official figure of {model.name} is of masks, and {dataset.name} has none")
        figures.notes[:0] = [*plan.notes, *first.notes()]
        reports[name] = Report(
            model.describe(), dataset.name, plan.name, way.settings(), clips, way.evaluator.frames, figures, way.times,
            plan.published,
        )  # fmt: skip
    return reports


def _opened(data: Dataset | str) -> Dataset:
    if not isinstance(data, str):
        return data
    from ..datasets.registry import open_dataset

    return open_dataset(data)


def _evaluator_maker(model: EvaluableModel, dataset: Dataset, scope: Scope) -> Callable[[], Evaluator]:
    """What makes an evaluator for this model and data set.

    Raises:
        UsageError: classes do not match.
    """
    keys, names = model.result_keys(), model.class_names
    faces_only = names == (FACE,) and FACE not in dataset.class_names
    detects = keys.get(DETECTIONS) is not None and bool(names)
    if detects and not faces_only and dataset.class_names:
        classes = match_classes(model.name, names, dataset.name, dataset.class_names, scope.classes)
    else:
        classes = ClassMap.nothing(len(names), len(dataset.class_names))
    subsets = None if scope.wider_subsets is None else WiderSubsets.read(scope.wider_subsets)
    chosen = None
    if scope.classes is not None and keys.get(PANOPTIC) is not None:
        known = (*dataset.class_names, *dataset.stuff_names)
        chosen = match_classes(model.name, names, dataset.name, known, scope.classes).names
    faces = FACE in names and keys.get(DETECTIONS) is not None
    return lambda: Evaluator(keys, classes, names, dataset.class_names, dataset.stuff_names, faces, subsets, chosen)


def _lacking(evaluator: Evaluator) -> str:
    if evaluator.frames == 0:
        return "no frame of it is annotated"
    return "it knows of no faces" if evaluator.faces and not evaluator.classes.names else "it knows of no such objects"


def _clips(dataset: Dataset, scope: Scope, progress: Progress | None) -> Iterator[tuple[Clip, Iterator[DataSample]]]:
    """The clips that are judged, each with its frames, as far as there may be any.

    Raises:
        UsageError: there is no such clip.
    """
    if not 0 <= scope.start_clip < len(dataset.clips):
        raise UsageError(
            f"{dataset.name} has {len(dataset.clips)} clips, counted from 0; there is no {scope.start_clip}"
        )
    chosen = dataset.clips[scope.start_clip :]
    total = sum(clip.frames for clip in chosen)
    total = total if scope.frames is None else min(total, scope.frames)
    done = 0

    def counted(clip: Clip) -> Iterator[DataSample]:
        nonlocal done
        for sample in dataset.samples(clip):
            if done >= total:
                return
            yield sample
            done += 1
            if progress is not None:
                progress(done, total)

    for clip in chosen:
        if done >= total:
            return
        yield clip, counted(clip)


class _Way:
    """One variant: the stages of each of its passes, what they cost, and the evaluator of what they give."""

    def __init__(self, model: EvaluableModel, variant: RunVariant, evaluator: Evaluator) -> None:
        self.variant, self.evaluator, self.times = variant, evaluator, Times()
        self._passes = [self._stages(model, policy) for policy in variant.policies()]
        self._begun = False

    def _stages(self, model: EvaluableModel, policy: PolicyOf | None) -> list[Stage]:
        stages = model.stages() if policy is None else model.stages(policy=policy)
        if self.variant.every is None:
            return stages
        created = created_by(stages)
        held = [key for key in self.evaluator.keys.all() if key in created]
        return [Sample(every=self.variant.every), *stages, RepeatResults(held)]

    def settings(self) -> dict[str, Any]:
        """For the report."""
        variant = self.variant
        return {
            "keyframes": None if variant.keyframes is None else str(variant.keyframes),
            "every": variant.every,
            "passes": len(self._passes),
        }

    def run(self, sample: DataSample, known: KnownFrame | None) -> None:
        """Take a frame through all passes; ``known`` is None where nothing is known of it."""
        for number, stages in enumerate(self._passes):
            phases = self.variant.phases
            if known is None and phases is not None and not phases[number].is_due(sample.frame.index):
                continue  # nothing is computed from it
            packet = self._timed(stages, Packet(sample.frame))
            if known is not None:
                started = time.perf_counter()
                self.evaluator.add(known, packet, stream=f"{number}/" if len(self._passes) > 1 else "")
                self.times.evaluation_s += time.perf_counter() - started

    def _timed(self, stages: list[Stage], packet: Packet) -> Packet:
        wall, cpu = time.perf_counter_ns(), time.process_time_ns()
        packets = through(stages, packet)
        if self._begun:
            self.times.wall_ms.append((time.perf_counter_ns() - wall) * 1e-6)
            self.times.cpu_ms.append((time.process_time_ns() - cpu) * 1e-6)
        self._begun = True
        return packets[-1]

    def end(self, clip: str) -> None:
        """Forget the clip."""
        for stages in self._passes:
            for stage in stages:
                list(stage.end_stream(clip, EndReason.FINISHED))


def _run_clip(clip: Clip, samples: Iterator[DataSample], ways: list[_Way]) -> None:
    """Take the frames of a clip through all variants, which take turns in being the first one."""
    streams: set[str] = set()
    started = time.perf_counter()
    for place, sample in enumerate(samples):
        taken = time.perf_counter() - started
        streams.add(sample.frame.stream_id)
        picture = sample.frame.picture
        known = None
        if sample.annotated:
            size = (picture.height, picture.width)
            known = KnownFrame.of(clip.name, size, sample.truth, ways[0].evaluator.classes)
        turn = place % len(ways)
        for way in ways[turn:] + ways[:turn]:
            way.times.data_s += taken
            way.run(sample, known)
        started = time.perf_counter()
    for way in ways:
        for stream in streams:
            way.end(stream)
