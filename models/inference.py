"""What a loaded model gives its family to make the stages of that run its network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..kernels.device import HOST, Device
from ..pipeline.packet import Key
from ..pipeline.results.format import ResultKeys
from ..stages.inference.engine_cache import EngineCache
from ..stages.inference.infer import RawOutputs
from ..stages.inference.key_frames import PUBLISHED_INTERVAL, FixedInterval, PolicyOf, policy_named
from ..stages.inference.preprocess import BufferPool, InputSize, ModelInput, Preprocess
from ..stages.inference.runners import OneGraph
from .formats import InputFormat, OutputSelector


@dataclass(frozen=True, slots=True)
class Propagation:
    """How a video model propagates. ``batch`` frames between two key frames run at once."""

    keyframes: int | str = PUBLISHED_INTERVAL
    batch: int = 1

    def lookahead(self, workers: int) -> int:
        """Frames of a file that a stage had best be allowed to hold back, with so many ``workers``."""
        policy = policy_named(self.keyframes)("")
        if not isinstance(policy, FixedInterval):
            return 0  # every decision waits for the frame before
        return 2 * max(policy.interval, workers)


@dataclass(frozen=True, slots=True)
class Inference:
    """The parts of :meth:`.family.Family.infer`.

    Attributes:
        engines: runners by input size, each opened by :meth:`.family.Family.open_runner`.
        size: of the network's input, for a frame.
        select_outputs: what to keep of the engines' outputs.
        key: where that goes.
        results: where results go, or those of another model come from.
        propagation: of a model with key frames.
        prefix: before the names of stages and items.
        pool: of input tensors.
        device: where the network takes its input.
        workers: frames in the network at one time.
        ahead: frames of a stream that may be held back.
        policy: of key frames, in place of the propagation's.
        outputs_on: where ``select_outputs`` and the stages behind it work.
    """

    engines: EngineCache[Any]
    size: InputSize
    select_outputs: OutputSelector
    key: Key[RawOutputs]
    results: ResultKeys
    propagation: Propagation
    prefix: str
    pool: BufferPool
    device: Device
    workers: int
    ahead: int = 0
    policy: PolicyOf | None = None
    outputs_on: Device = HOST

    @property
    def input_key(self) -> Key[ModelInput]:
        """Where the network's input is."""
        return Key(f"{self.prefix}input", ModelInput)

    def graph(self, name: str) -> OneGraph:
        """The engines of one graph, for a stage that runs it alone."""
        return OneGraph(self.engines, name)

    def preprocess(self, form: InputFormat) -> Preprocess:
        """The stage that makes the network's input of a frame."""
        return Preprocess(
            self.size, self.input_key, form.mean, form.std, form.bgr, form.pad, name=f"{self.prefix}preprocess",
            pool=self.pool, torch_resize=form.torch_resize, dtype=form.dtype, layout=form.layout,
            device=self.device,
        )  # fmt: skip
