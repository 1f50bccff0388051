"""Families of video models: key frames go through one graph, the frames between them through another."""

from __future__ import annotations

from typing import Any, Protocol

from ..kernels.device import HOST
from ..pipeline.packet import KEY_FRAME, Key
from ..pipeline.stage import Stage
from ..stages.inference.key_frames import policy_named
from ..stages.inference.runners import OpenEngine, open_temporal
from ..stages.inference.temporal import MOST_STREAMS, TemporalInfer
from .family import Family
from .inference import Inference, Propagation


class KeyFrameFamily(Family, Protocol):
    """A family with video models: those for which :meth:`key_frames` is true have two graphs.

    The first is for key frames and also gives the state, which the second takes behind the picture.
    """

    def open_runner(
        self, name: str, open_engine: OpenEngine, *, batch: int, requests: int, propagation: Propagation
    ) -> Any:
        """Both graphs, with state that goes from the first to the second."""
        if not self.key_frames(name):
            return super().open_runner(name, open_engine, batch=batch, requests=requests, propagation=propagation)
        return open_temporal(open_engine, self.graphs(name), together=propagation.batch, batch=batch, requests=requests)

    def infer(self, name: str, given: Inference) -> list[Stage]:
        """Preprocess, and a stage that keeps the last key frame's state of every stream."""
        if not self.key_frames(name):
            return super().infer(name, given)
        infer = TemporalInfer(
            given.engines, given.input_key, given.key, select_outputs=given.select_outputs,
            workers=given.workers, ahead=given.ahead, batch=given.propagation.batch,
            policy=given.policy or policy_named(given.propagation.keyframes),
            name=f"{given.prefix}infer", key_frame=Key(f"{given.prefix}{KEY_FRAME}", int),
            device=given.outputs_on, most_streams=None if given.device == HOST else MOST_STREAMS,
        )  # fmt: skip
        return [given.preprocess(self.input_format(name)), infer]
