"""On which frames a model runs, and what gives way where it cannot keep up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..pipeline.errors import UsageError
from ..pipeline.packet import Key, Packet
from ..pipeline.stage import Stage, created_by
from ..stages.inference.key_frames import policy_named
from ..stages.motion_gate import Mask, MotionGate
from ..stages.overload import KeyFramesUnderLoad, NetworkDone, NetworkLoad, TakeUnderLoad
from ..stages.repeat_results import RepeatResults
from ..stages.sample import Sample
from .model import Model

Skipped = Literal["hold", "none"]
Overload = Literal["drop", "skip", "stretch"]
FRAMES_UNDER_LOAD = 8
"""Of a camera whose frames are all to come out, so many may be in the graph: those that wait for the one before."""
_ALL = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What gives way where live sources bring more than the model can take.

    Attributes:
        overload: ``drop``: frames; the newest goes through. ``skip``: the model runs on fewer frames, all come out.
            ``stretch``: key frames of a video model come further apart. None: ``skip`` with a ``max_latency``, else
            ``drop``.
        max_latency: seconds within which a frame's results are to be there once the model has begun with it.
        skipped: frames on which the model does not run ``hold`` its last result, or have ``none``.
    """

    overload: Overload | None = None
    max_latency: float | None = None
    skipped: Skipped = "hold"

    def __post_init__(self) -> None:
        if self.gives_way == "stretch" and self.max_latency is None:
            raise UsageError("overload 'stretch' needs the latency that is to be held; give max_latency")
        if self.overload == "drop" and self.max_latency is not None:
            raise UsageError("overload 'drop' has no target: the newest frame goes through; leave out max_latency")

    @property
    def gives_way(self) -> Overload:
        """What gives way."""
        return self.overload or ("drop" if self.max_latency is None else "skip")

    @property
    def frames_in_flight(self) -> int | None:
        """Frames of a stream that may be in the graph; None: as usual."""
        return FRAMES_UNDER_LOAD if self.gives_way == "skip" else None

    def check_live(self, *, live: bool) -> None:
        """Refuse what is for live sources where there is none.

        Raises:
            UsageError: every frame of a file goes through, however long that takes.
        """
        if not live and (self.overload or self.max_latency is not None):
            raise UsageError("overload and max_latency are for live sources; of a file every frame goes through")

    def stages(
        self,
        model: Model,
        *,
        sample: Stage | None = None,
        ahead: int = 0,
        begin: Callable[[Sequence[Stage]], Sequence[Packet]] = lambda stages: (),
    ) -> list[Stage]:
        """The model's stages on the frames on which it runs, with its last results on the others (or with none).

        Args:
            sample: creates ``SKIPPED``; None: the model runs on all frames that it has time for.
            ahead: as for :meth:`.model.Model.stages`, where it runs on all frames.
            begin: is given the model's own stages, before they run, and gives the results that a run which goes on held
                when it was interrupted.
        """
        way = self.gives_way
        if way == "drop" and sample is None:
            stages = model.stages(ahead=ahead)
            begin(stages)
            return stages
        first: list[Stage] = [sample or Sample(every=1)]
        last: list[Stage] = []
        if way == "drop":
            stages = model.stages()
        elif way == "skip":
            load = NetworkLoad(target_s=self.max_latency, at_once=model.engine_choice.at_once)
            stages = model.stages()
            first.append(TakeUnderLoad(load))
            last = [NetworkDone(load, _results(model, stages))]
        else:
            stages, last = self._stretched(model, first)
        before = begin(stages)
        if self.skipped == "none":
            return [*first, *stages, *last]
        repeat = RepeatResults(_results(model, stages))
        for packet in before:
            repeat.begin_with(packet)
        return [*first, *stages, *last, repeat]

    def _stretched(self, model: Model, first: list[Stage]) -> tuple[list[Stage], list[Stage]]:
        if not model.key_frames:
            raise UsageError(f"overload 'stretch' is for video models with key frames, and {model.name} is none; skip")
        load = NetworkLoad(target_s=None, at_once=_ALL)
        keys = KeyFramesUnderLoad(policy_named(model.propagation.keyframes), self.max_latency or 0.0)
        stages = model.stages(policy=keys.policy)
        first.append(TakeUnderLoad(load))
        return stages, [NetworkDone(load, _results(model, stages), keys)]


def sampler(
    every: int | None,
    max_fps: float | None,
    when: str | None,
    ignore_motion: Mask | Mapping[str, Mask] | None,
    skipped: Skipped = "hold",
) -> Sample | None:
    """What says on which frames the model runs; None: on all.

    Raises:
        UsageError: the options make no sense together, or one is out of range.
    """
    if every is not None and max_fps is not None:
        raise UsageError("give every or max_fps, not both")
    if ignore_motion is not None and when is None:
        raise UsageError("ignore_motion needs when='motion'")
    if every is None and max_fps is None and when is None:
        if skipped != "hold":
            raise UsageError("skipped needs when, every or max_fps: without them the model runs on every frame")
        return None
    motion = None if when is None else MotionGate(ignore_motion)
    return Sample(every=every, max_fps=max_fps, motion=motion)


def _results(model: Model, stages: Sequence[Stage]) -> list[Key[Any]]:
    created = created_by(stages)
    return [key for key in model.result_keys().all() if key in created]
